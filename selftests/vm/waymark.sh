#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# waymark on the patched kernel, in a guest: netdevsim is the NIC, rules go in by
# TC flower, marks come by kfunc. The tests are waymark_guest.py. TAP; exit status
# 1 if one failed, 4 if no guest can be had here.
#
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel
need_build
in_guest --timeout 900 -- /usr/bin/python3 "$top/selftests/vm/waymark_guest.py"
