# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of selftests/vm have in common. They source it; it sets:
#
#   top     the project's directory
#   vm      scripts/vm
#   build   where what was built lies
#   kernel  options of scripts/vm that choose the kernel: none, the series'
#
# Their output is TAP; they exit with 1 if a test failed, with 4 if no guest can be
# had here.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
vm=$top/scripts/vm
build=$(realpath -m "${BUILD:-$top/build}")
kernel=()

# The kernel that scripts/vm runs with the options in $kernel is there, or everything
# is skipped with the reason.
need_kernel()
{
	local why

	why=$("$vm" "${kernel[@]}" --build-only 2>&1) && return
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

build_failed()
{
	echo '1..1'
	echo 'not ok 1 build'
	exit 1
}

# The project is built.
need_build()
{
	make -s -C "$top" BUILD="$build" all >&2 || build_failed
}

# in_guest [OPTION]... -- COMMAND...: the tests are COMMAND's, in a guest. Whatever
# makes the guest fail (a test, a time-out, a complaint of its kernel) fails here.
in_guest()
{
	local status

	"$vm" "${kernel[@]}" "$@"
	status=$?
	[ $status = 0 ] || echo "# scripts/vm: exit status $status"
	exit $((status != 0))
}
