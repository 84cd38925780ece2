#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own tests that come with the series, in a guest with the series:
# one line "ok N name" or "not ok N name" for each of their cases. Exit status 1
# if one failed or the kernel complained, 4 if no guest can be had here.

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=$top/scripts/vm

why=$("$vm" --build-only 2>&1) || {
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$vm" --selftests > "$log" 2>&1
status=$?

# Cases are "ok 3 name" or "not ok 3 name", some with their file in front; the
# last lines sum up files, which would count twice.
mapfile -t cases < <(grep -E '^(# )?(not )?ok [0-9]+ ' "$log" | sed 's/^# //')
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
	echo "# scripts/vm --selftests: exit status $status"
fi
exit $((status != 0 || nr == 0))
