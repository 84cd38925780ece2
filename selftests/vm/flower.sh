#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The backend `flower` in a guest with the series, on netdevsim: flower_guest.py
# there, flower_tool.c for it. TAP on standard output; exit status 1 if a test
# failed, 4 if no guest can be had here.

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=$top/scripts/vm
build=$(realpath -m "${BUILD:-$top/build}")

why=$("$vm" --build-only 2>&1) || {
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

make_tool()
{
	mkdir -p "$build/selftests/vm"
	make -s -C "$top" BUILD="$build" user && "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 \
		-Wall -Wextra -Werror -I"$top/include" -I"$top/user/lib" -I"$top/user/offload" \
		-o "$build/selftests/vm/flower_tool" "$top/selftests/vm/flower_tool.c" \
		"$build/user/liboffload.a" "$build/user/liblib.a" -lmnl
}

if ! make_tool >&2; then
	echo '1..1'
	echo 'not ok 1 build'
	exit 1
fi
"$vm" -- /usr/bin/python3 "$top/selftests/vm/flower_guest.py" "$build"
status=$?
if [ $status != 0 ] && [ $status != 1 ]; then
	echo "# scripts/vm: exit status $status"
	exit 1
fi
exit $status
