#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same BPF object without the series: on this machine's kernel, then in a guest with
# the unpatched base; unpatched_guest.py in both. TAP; exit status 1 if a test failed, 4
# if no guest can be had here.
#
# kernel: unpatched
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
planned=0 bad=0
kernel=(--unpatched)
need_kernel
need_build

# One run's lines, numbered on, with the kernel's name in front of the test's.
report()
{
	local where=$1 status=$2 line

	while read -r line; do
		case $line in
		1..*) planned=$((planned + ${line#1..})) ;;
		'ok '*|'not ok '*)
			nr=$((nr + 1))
			sed -E "s/^((not )?ok) [0-9]+ /\1 $nr ${where}_/" <<< "$line" ;;
		*) echo "$line" ;;
		esac
	done
	[ "$status" = 0 ] || bad=1
}

make_log
/usr/bin/python3 -B "$top/selftests/vm/unpatched_guest.py" > "$log" 2>&1
report host $? < "$log"
run_vm --timeout 900 -- /usr/bin/python3 "$top/selftests/vm/unpatched_guest.py" \
	> "$log" 2>&1
report guest $? < "$log"
echo "1..$planned"
exit $bad
