#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `waymark queue`, and waymarkd on single receive queues, on a kernel with the
# series, in a guest: netdevsim has queues that can be stopped and take programs.
# The tests are queue_guest.py. TAP; exit status 1 if one failed, 4 if no guest can
# be had here.

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=$top/scripts/vm

# What the series is meant to bring; a kernel that lacks it then is a failure.
for command in queue-stop queue-set; do
	grep -q "name: $command" "$top"/kernel-patches/6.12/*.patch || {
		echo "1..0 # SKIP the series has no command $command"
		exit 4
	}
done

why=$("$vm" --build-only 2>&1) || {
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

make -s -C "$top" all >&2 || { echo '1..1'; echo 'not ok 1 build'; exit 1; }
"$vm" --timeout 900 -- /usr/bin/python3 "$top/selftests/vm/queue_guest.py"
status=$?
[ $status = 0 ] || echo "# scripts/vm: exit status $status"
exit $((status != 0))
