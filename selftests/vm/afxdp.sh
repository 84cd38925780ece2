#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# AF_XDP on the patched kernel, in a guest: of the network tests of `waymark xsk` and of
# local consumers those that are marked `kernel`, once more, under a kernel that is
# watched for complaints. Where the series has XDP_ANY_QUEUE they must use it: one socket
# for four queues, several consumers.
# TAP; exit status 1 if a test failed, 4 if no guest can be had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel
need_build

any=()
grep -qs '+#define XDP_ANY_QUEUE' "$top"/kernel-patches/6.12/*.patch && any=(WM_ANY_QUEUE=1)

pytest_in_guest kernel "${any[@]}" -- selftests/netns/test_xsk.py selftests/netns/test_local.py
