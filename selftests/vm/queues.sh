#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The queue commands and XDP_ANY_QUEUE: the kernel's own tests of that part of the
# series, in a guest. With --debug the guest has lockdep and KASAN, which takes a
# good deal longer. TAP, one line a case; exit status 1 if one failed or the kernel
# complained, 4 if no guest can be had here.

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=("$top/scripts/vm" --timeout 1800 --memory 3G)
[ "${1:-}" != --debug ] || vm+=(--debug)

why=$("${vm[@]}" --build-only 2>&1) || {
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2016 # expands in the guest
"${vm[@]}" -- bash -c '
	cd "$KSFT/drivers/net/netdevsim" || exit 1
	rc=0
	for t in queue_mgmt xsk_any_queue; do
		/usr/bin/python3 ./$t.py || rc=1
	done
	exit $rc' > "$log" 2>&1
status=$?

mapfile -t cases < <(grep -E '^(not )?ok [0-9]+ ' "$log")
echo "1..$((${#cases[@]} + 1))"
nr=0
for line in "${cases[@]}"; do
	nr=$((nr + 1))
	sed -E "s/ok [0-9]+ (- )?/ok $nr /" <<< "$line" | tr -s ' '
done
if [ $status = 0 ] && [ $nr -gt 0 ]; then
	echo "ok $((nr + 1)) guest"
else
	sed 's/^/# /' "$log"
	echo "not ok $((nr + 1)) guest"
	echo "# scripts/vm: exit status $status"
fi
exit $((status != 0 || nr == 0))
