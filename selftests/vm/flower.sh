#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The backend `flower` in a guest with the series, on netdevsim: flower_guest.py
# there, flower_tool.c for it. TAP on standard output; exit status 1 if a test
# failed, 4 if no guest can be had here.
#
# cpus: 1

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel

make_tool()
{
	mkdir -p "$build/selftests/vm"
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 \
		-Wall -Wextra -Werror -I"$top/include" -I"$top/user/lib" -I"$top/user/offload" \
		-o "$build/selftests/vm/flower_tool" "$top/selftests/vm/flower_tool.c" \
		"$build/user/liboffload.a" "$build/user/liblib.a" -lmnl
}

need_build
make_tool >&2 || build_failed
in_guest -- /usr/bin/python3 "$top/selftests/vm/flower_guest.py" "$build"
