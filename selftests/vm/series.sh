#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The series applies and is in order (but for compiling each patch by itself), and the
# kernel's own tests that come with it pass in a guest. One line "ok N name" or "not
# ok N name" for each. Exit status 1 if one failed or the kernel complained, 4 if no
# guest can be had here.
#
# The debug kernel takes longer than all others together, so it runs only if
# WAYMARK_DEBUG_KERNEL is set. Otherwise it is checked that it passed since the
# series has changed, see scripts/vm --tested; if it did not, that is a skip.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
nr=0 bad=0

need_kernel

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Cases are "ok 3 name" or "not ok 3 name", some with their file in front; the
# lines for a whole file, which begin with PASS or FAIL, would count twice.
cases()
{
	local line

	while read -r line; do
		nr=$((nr + 1))
		sed -E "s/ok [0-9]+ (- )?/ok $nr /" <<< "$line" | tr -s ' '
	done < <(grep -E '^(# )?(not )?ok [0-9]+ ' "$log" | sed 's/^# //')
}

# guest NAME OPTION...: a test of its own, as a complaint of the kernel is not that of
# a case. The log is shown if it fails.
guest()
{
	local name=$1 status before=$nr found
	shift

	"$vm" "$@" > "$log" 2>&1
	status=$?
	cases
	found=$((nr - before))
	nr=$((nr + 1))
	if [ $status = 0 ] && [ $found -gt 0 ]; then
		echo "ok $nr $name"
	else
		sed 's/^/# /' "$log"
		echo "not ok $nr $name"
		echo "# scripts/vm $*: exit status $status, $found tests"
		bad=1
	fi
}

nr=1
"$top/scripts/kernel-patches" check --quick > "$log" 2>&1
case $? in
0)	echo "ok $nr patches_in_order" ;;
125)	tail -n 1 "$log" | sed 's/^/# /'
	echo "ok $nr patches_in_order # SKIP" ;;
*)	sed 's/^/# /' "$log"
	echo "not ok $nr patches_in_order"
	bad=1 ;;
esac
guest selftests --selftests
if [ -n "${WAYMARK_DEBUG_KERNEL:-}" ]; then
	guest debug_kernel --debug --selftests
	guest debug_kernel_queues --debug --queue-tests
elif "$vm" --tested; then
	nr=$((nr + 1))
	echo "ok $nr debug_kernel"
else
	nr=$((nr + 1))
	echo "# the series has changed since: scripts/vm --debug --selftests, --debug --queue-tests"
	echo "ok $nr debug_kernel # SKIP"
fi
echo "1..$nr"
exit $bad
