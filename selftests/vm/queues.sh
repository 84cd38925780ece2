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

make_log
run_vm --queue-tests > "$log" 2>&1
status=$?

ktap_cases
guest_case guest $status $nr
bad=$?
echo "1..$nr"
exit $bad
