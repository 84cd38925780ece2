#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# waymark on two NICs, in a guest with the series: interfaces_guest.py there. TAP; exit
# status 1 if a test failed, 4 if no guest can be had here.

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=$top/scripts/vm

why=$("$vm" --build-only 2>&1) || {
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

make -s -C "$top" all >&2 || { echo '1..1'; echo 'not ok 1 build'; exit 1; }
"$vm" --timeout 900 -- /usr/bin/python3 "$top/selftests/vm/interfaces_guest.py"
status=$?
[ $status = 0 ] || echo "# scripts/vm: exit status $status"
exit $((status != 0))
