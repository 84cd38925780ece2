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

make_log
"$vm" --timeout 1800 -- env WM_SLOW=10 "BUILD=$build" "${any[@]}" /usr/bin/python3 -B \
	-m pytest -q -rA --tb=short -m kernel --durations=5 -p no:cacheprovider \
	"$top/selftests/netns/test_xsk.py" "$top/selftests/netns/test_local.py" > "$log" 2>&1
status=$?

# "PASSED path::name", "FAILED path::name - why", "SKIPPED [n] path:line: why"
while read -r word name rest; do
	nr=$((nr + 1))
	name=${name##*::}
	case $word in
	PASSED) echo "ok $nr $name" ;;
	FAILED|ERROR) echo "not ok $nr $name"; echo "# $rest" ;;
	SKIPPED) echo "# ${rest#* }"; echo "ok $nr skipped_$nr # SKIP" ;;
	esac
done < <(tr -d '\r' < "$log" | grep -aE '^(PASSED|FAILED|ERROR|SKIPPED) ')
sed -nE 's/^([0-9.]+s (call|setup|teardown) .*)/# \1/p' "$log"
guest_case guest $status $nr
bad=$?
echo "1..$nr"
exit $bad
