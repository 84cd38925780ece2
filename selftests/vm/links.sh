#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# VLAN devices, bonds and VRFs: the network tests that are marked `links`, in a guest, whose
# kernel has them. TAP; exit status 1 if a test failed, 4 if no guest can be had here.
#
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel
need_build
pytest_in_guest links -- selftests/netns/test_links.py selftests/netns/test_routes.py
