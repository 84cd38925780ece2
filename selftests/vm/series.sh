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
# series has changed, see scripts/vm --not-tested; if it did not, that is a skip.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
bad=0

need_kernel

make_log

# guest NAME OPTION...: the kernel's own tests, and the guest that they ran in.
guest()
{
	local name=$1 status before=$nr
	shift

	run_vm "$@" > "$log" 2>&1
	status=$?
	ktap_cases
	guest_case "$name" $status $((nr - before)) || bad=1
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
elif "$vm" --not-tested > "$log"; then
	nr=$((nr + 1))
	echo "ok $nr debug_kernel"
else
	nr=$((nr + 1))
	echo "# $(wc -l < "$log") files have not run since the series has changed:" \
		"scripts/vm --debug --selftests, --debug --queue-tests"
	echo "ok $nr debug_kernel # SKIP"
fi
echo "1..$nr"
exit $bad
