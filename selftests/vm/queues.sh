#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Queues one by one: the kernel's own tests of that part of the series, in a guest. With
# --debug the guest has lockdep and KASAN, which takes a good deal longer. virtio_net is
# tested on two devices that QEMU links. TAP, one line a case; exit status 1 if one failed
# or the kernel complained, 4 if no guest can be had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

[ "${1:-}" != --debug ] || kernel=(--debug)

need_kernel

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$vm" "${kernel[@]}" --queue-tests > "$log" 2>&1
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
