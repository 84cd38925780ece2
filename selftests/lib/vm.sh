# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of selftests/vm have in common. They source it; it sets:
#
#   top     the project's directory
#   vm      scripts/vm
#   build   where what was built lies
#   kernel  options of scripts/vm that choose the kernel: none, the series'
#   cpus    CPUs of the guest: what the script says in a line "# cpus: N", otherwise 2
#   nr      the number of the last test
#   log     after make_log, a file that goes when the script ends
#
# Their output is TAP; they exit with 1 if a test failed, with 4 if no guest can be
# had here.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
vm=$top/scripts/vm
build=$(realpath -m "${BUILD:-$top/build}")
kernel=()
cpus=$(sed -n 's/^# cpus: //p' "$0")
cpus=${cpus:-2}
nr=0

build_failed()
{
	echo '1..1'
	echo 'not ok 1 build'
	exit 1
}

# The kernel that scripts/vm runs with the options in $kernel is there, or everything
# is skipped with the reason. One that does not compile is a failure.
need_kernel()
{
	local why

	why=$("$vm" "${kernel[@]}" --build-only 2>&1) && return
	if [ $? != 125 ]; then
		echo "$why"
		build_failed
	fi
	echo "1..0 # SKIP $(tail -n 1 <<< "$why")"
	exit 4
}

# The project is built.
need_build()
{
	make -s -C "$top" BUILD="$build" all >&2 || build_failed
}

# run_vm [OPTION]... [-- COMMAND...]: scripts/vm with this script's kernel and CPUs
run_vm() { "$vm" "${kernel[@]}" --cpus "$cpus" "$@"; }

# in_guest [OPTION]... -- COMMAND...: the tests are COMMAND's, in a guest. Whatever
# makes the guest fail (a test, a time-out, a complaint of its kernel) fails here.
in_guest()
{
	local status

	run_vm "$@"
	status=$?
	[ $status = 0 ] || echo "# scripts/vm: exit status $status"
	exit $((status != 0))
}

make_log()
{
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
}

# The cases that the kernel's own tests left in the log: "ok 3 name" or "not ok 3 name",
# some with their file in front. Lines for a whole file would count twice; those begin
# with PASS or FAIL.
ktap_cases()
{
	local line

	while read -r line; do
		nr=$((nr + 1))
		sed -E "s/ok [0-9]+ (- )?/ok $nr /" <<< "$line" | tr -s ' '
	done < <(grep -E '^(# )?(not )?ok [0-9]+ ' "$log" | sed 's/^# //')
}

# guest_case NAME STATUS FOUND: how the guest itself ended is a test of its own, as a
# complaint of its kernel is not that of a case: STATUS of scripts/vm, and FOUND tests in
# the log, which must be some. The log is shown if it fails. Status 1 then.
guest_case()
{
	nr=$((nr + 1))
	if [ "$2" = 0 ] && [ "$3" -gt 0 ]; then
		echo "ok $nr $1"
		return
	fi
	sed 's/^/# /' "$log"
	echo "not ok $nr $1"
	echo "# scripts/vm: exit status $2, $3 tests"
	return 1
}

# pytest_in_guest MARK [VARIABLE=VALUE]... -- FILE...: of the network tests in these files those
# that are marked so, in a guest, as TAP. Ends the script.
pytest_in_guest()
{
	local mark=$1 env=() status word name rest bad
	shift
	while [ "$1" != -- ]; do
		env+=("$1")
		shift
	done
	shift

	make_log
	cd "$top" || exit 1
	run_vm --timeout 1800 -- env WM_SLOW=10 "BUILD=$build" "${env[@]}" /usr/bin/python3 -B \
		-m pytest -q -rA --tb=short -m "$mark" --durations=5 -p no:cacheprovider "$@" \
		> "$log" 2>&1
	status=$?

	# "PASSED path::name", "FAILED path::name - why", "SKIPPED [n] path:line: why"
	while read -r word name rest; do
		nr=$((nr + 1))
		name=${name##*::}
		case $word in
		PASSED) echo "ok $nr $name" ;;
		FAILED|ERROR) echo "not ok $nr $name"; echo "# $rest" ;;
		SKIPPED) echo "# ${rest#* }"; echo "ok $nr skipped_$nr # SKIP" ;;
		esac
	done < <(tr -d '\r' < "$log" | grep -aE '^(PASSED|FAILED|ERROR|SKIPPED) ')
	sed -nE 's/^([0-9.]+s (call|setup|teardown) .*)/# \1/p' "$log"
	guest_case guest $status $nr
	bad=$?
	echo "1..$nr"
	exit $bad
}
