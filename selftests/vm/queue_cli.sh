#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `waymark queue`, and waymarkd on single receive queues, on a kernel with the
# series, in a guest: netdevsim has queues that can be stopped and take programs.
# The tests are queue_guest.py. TAP; exit status 1 if one failed, 4 if no guest can
# be had here.
#
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

# What the series is meant to bring; a kernel that lacks it then is a failure.
for command in queue-stop queue-set; do
	grep -q "name: $command" "$top"/kernel-patches/6.12/*.patch || {
		echo "1..0 # SKIP the series has no command $command"
		exit 4
	}
done

need_kernel
need_build
in_guest --timeout 900 -- env "BUILD=$build" /usr/bin/python3 "$top/selftests/vm/queue_guest.py"
