#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/vm keeps its word: output and status come through, a complaint of the
# kernel is a failure even if the command succeeds, a guest that hangs is ended, as is
# that of a script that is told to end.
# One line "ok N name" or "not ok N name" a test; exit status 1 if one failed, 4 if
# no guest can be had here.

# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
nr=0 bad=0

result()
{
	nr=$((nr + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1"
		echo "# got '$2', want '$3'"
		bad=1
	fi
}

# shellcheck disable=SC2086 # options are words
status() { "$vm" $1 -- sh -c "$2" >/dev/null 2>&1; echo $?; }

# SIGTERM, as Ctrl-C does it, once the guest runs. What is left of it, in processes and files.
left_after_signal()
{
	local dir pid pids

	dir=$(mktemp -d)
	TMPDIR=$dir "$vm" -- sh -c 'echo runs; sleep 1000' > "$dir/output" 2>&1 &
	pid=$!
	until grep -q runs "$dir/output" || ! kill -0 $pid 2>/dev/null; do
		sleep 0.1
	done
	pids=$(pgrep -f "$dir/waymark-vm")
	[ -n "$pids" ] || echo "no guest"
	kill $pid
	wait $pid
	for pid in $pids; do
		timeout 20 tail --pid="$pid" -f /dev/null || { ps -p "$pid" -o args=; kill "$pid"; }
	done
	rm "$dir/output"
	ls "$dir"
	rm -r "$dir"
}

need_kernel

echo 1..9
out=$(cd "$top/selftests/vm" && "$vm" -- sh -c 'uname -r; pwd; echo "a  b"; exit 3' 2>/dev/null)
result status_comes_through $? 3
result kernel_is_ours "$(sed -n 1p <<< "$out" | cut -d . -f 1-2)" \
	"$(sed -n 's/^linux-source-\([0-9.]*\) .*/\1/p' "$top/kernel-patches/6.12/BASE")"
result directory_and_words_are_kept "$(tail -n +2 <<< "$out")" \
	"$top/selftests/vm"$'\n'"a  b"
result warning_fails "$(status '' 'echo "WARNING: CPU: 0 PID: 1 at test" > /dev/kmsg')" 126
result panic_fails "$(status '' 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger')" 126
# As in a small Debian. What virtme-init does then would be a panic.
# shellcheck disable=SC2016 # expands in the guest
result ends_without_poweroff \
	"$(status '' 'p=$(command -v poweroff) && mount --bind /dev/null "$(realpath "$p")"; exit 3')" 3
result time_out "$(status '--timeout 40' 'sleep 1000')" 124
result nothing_left_after_signal "$(left_after_signal)" ''
result host_is_not_written_to \
	"$("$vm" -- sh -c "touch '$top/selftests/vm/written' 2>&1" >/dev/null 2>&1
	   find "$top/selftests/vm" -name written)" ''
exit $bad
