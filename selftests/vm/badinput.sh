#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a NIC, its rules and its administrator can do wrong, in a guest with the series:
# badinput_guest.py there. TAP; exit status 1 if a test failed, 4 if no guest can be
# had here.
#
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel
need_build
in_guest --timeout 1200 -- /usr/bin/python3 "$top/selftests/vm/badinput_guest.py"
