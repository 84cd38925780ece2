#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the base tests of the drivers and the netlink family that the series changes:
# netdevsim, veth, netdev-genl, bpf_offload.py. One line a file; one that is skipped, or
# fails without the series as well, says why. Exit status 1 if one failed or the kernel complained, 4 if no guest can be
# had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$vm" --regression > "$log" 2>&1
status=$?

nr=0
while read -r verdict file rest; do
	nr=$((nr + 1))
	case $verdict in
	PASS) echo "ok $nr $file" ;;
	SKIP|KNOWN) echo "# $rest"; echo "ok $nr $file # SKIP" ;;
	*) echo "not ok $nr $file" ;;
	esac
done < <(grep -E '^(PASS|SKIP|KNOWN|FAIL) ' "$log")
nr=$((nr + 1))
if [ $status = 0 ] && [ $nr -gt 1 ]; then
	echo "ok $nr guest"
else
	sed 's/^/# /' "$log"
	echo "not ok $nr guest"
	echo "# scripts/vm: exit status $status"
fi
echo "1..$nr"
exit $((status != 0 || nr == 1))
