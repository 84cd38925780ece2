#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The lanes of a mark beside waymarkd's own (veth, AF_XDP, cpumap, devmap), and waymark in
# a dispatcher, in a guest with the series: lanes_guest.py there, with the programs of
# marks.bpf.c, chain.bpf.c and dispatcher.bpf.c. TAP; exit status 1 if a test failed, 4
# if no guest can be had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"

need_kernel

make_programs()
{
	local name

	mkdir -p "$build/selftests/vm"
	for name in marks chain dispatcher; do
		"$("$top/scripts/deps" --clang)" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror \
			-I"$top/include" -idirafter "/usr/include/$(gcc -print-multiarch)" \
			-c "$top/selftests/vm/$name.bpf.c" \
			-o "$build/selftests/vm/$name.bpf.o" || return
	done
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror \
		-o "$build/selftests/vm/chain_tool" "$top/selftests/vm/chain_tool.c" -lbpf
}

need_build
make_programs >&2 || build_failed
in_guest --timeout 1200 -- env "BUILD=$build" /usr/bin/python3 "$top/selftests/vm/lanes_guest.py" \
	"$build/selftests/vm"
