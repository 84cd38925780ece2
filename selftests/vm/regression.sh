#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the base tests of the drivers and the netlink family that the series changes:
# netdevsim, veth, netdev-genl, bpf_offload.py. One line a file; one that is skipped, or
# fails without the series as well, says why. Exit status 1 if one failed or the kernel
# complained, 4 if no guest can be had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel

make_log
run_vm --regression > "$log" 2>&1
status=$?

while read -r verdict file rest; do
	nr=$((nr + 1))
	case $verdict in
	PASS) echo "ok $nr $file" ;;
	SKIP|KNOWN) echo "# $rest"; echo "ok $nr $file # SKIP" ;;
	*) echo "not ok $nr $file" ;;
	esac
done < <(grep -E '^(PASS|SKIP|KNOWN|FAIL) ' "$log")
guest_case guest $status $nr
bad=$?
echo "1..$nr"
exit $bad
