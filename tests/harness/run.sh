#!/bin/bash
# run.sh [--long] [--only PATTERN] SCRIPT...: runs test scripts one after the
# other. A script is one test: it has a time limit (a comment "# limit: S [L]",
# seconds for the short and the long variant), its log is shown if it fails,
# and afterwards no process, mount, loop device, file or shared memory of it
# may be left. To run one again: BUILD=DIR bash SCRIPT.
#
# The last line is "counts: PASSED FAILED SKIPPED", for tools/check.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
: "${BUILD:=$(cd "$here/../.." && pwd)/build}"
LONG=${LONG:-0}
only=
while [ $# -gt 0 ]; do
	case $1 in
	--long) LONG=1 ;;
	--only) only=$2; shift ;;
	*) break ;;
	esac
	shift
done
export BUILD LONG

passed=0 failed=0 skipped=0
log=$(mktemp "${TMPDIR:-/tmp}/rump-log.XXXXXX")
before=$(mktemp "${TMPDIR:-/tmp}/rump-before.XXXXXX")
trap 'rm -f "$log" "$before"' EXIT
child=
# timeout passes it on to all that the script started.
trap '[ -z "$child" ] || { kill "$child"; wait "$child"; }; exit 143' INT TERM

# Everything a test inherits this word, so its processes can be told.
ours()
{
	local env pid
	for env in /proc/[0-9]*/environ; do
		pid=${env#/proc/}
		pid=${pid%/environ}
		# A child that ended and was not yet waited for is nothing left.
		if grep -zqx "RUMP_TEST_ID=$id" "$env" 2>/dev/null &&
		   ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then
			echo "$pid"
		fi
	done
}

# All of a script is below its own $temp: others may be at work beside it.
things()
{
	awk -v t="$temp/" 'index($5, t) == 1 {print "mount", $5}' \
		/proc/self/mountinfo
	losetup -n -O NAME,BACK-FILE 2>/dev/null | grep -F "$temp/" |
		sed 's/^/loop /'
	find "$temp" -xdev -mindepth 1 -maxdepth 1 -printf 'file %p\n'
	find /dev/shm -mindepth 1 -maxdepth 1 \( -name '*rump*' -o -name 'rk*' \) \
		-printf 'shm %p\n' 2>/dev/null
}

left_over()
{
	local pids='' pid new
	for _ in $(seq 600); do
		pids=$(ours)
		[ -n "$pids" ] || break
		sleep 0.1
	done
	for pid in $pids; do
		echo "process $pid left: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
		kill -9 "$pid" 2>/dev/null
	done
	new=$(things | sort | comm -13 "$before" -)
	[ -z "$new" ] || echo "left: $new"
}

for script; do
	name=$(basename "$(dirname "$script")")/$(basename "$script" .sh)
	[[ -z $only || $name == *$only* ]] || continue
	read -r short long < <(sed -n 's/^# limit: //p' "$script")
	limit=${short:-60}
	[ "$LONG" = 0 ] || limit=${long:-$limit}
	# It is there for what hangs; the machine may be slow and crowded.
	limit=$((limit * 6))

	printf '%-34s ' "$name"
	id=$$-$RANDOM-$(date +%s%N)
	temp=$(mktemp -d "${TMPDIR:-/tmp}/rump-run.XXXXXX")
	chmod 755 "$temp"
	things | sort >"$before"
	start=$(date +%s%N)
	RUMP_TEST_ID=$id TMPDIR=$temp timeout -k 15 "$limit" bash "$script" \
		>"$log" 2>&1 </dev/null &
	child=$!
	wait "$child"
	status=$?
	child=
	took=$((($(date +%s%N) - start) / 1000000))
	rest=$(left_over)
	[ -z "$rest" ] || { echo "$rest" >>"$log"; status=99; }
	sed -n "s|^.*mount \($temp/.*\)|\1|p" <<<"$rest" |
		xargs -r -d '\n' umount -l
	rm -rf --one-file-system "$temp"

	case $status in
	0)	passed=$((passed + 1))
		printf 'ok      %4d.%d s\n' $((took / 1000)) $((took / 100 % 10)) ;;
	77)	skipped=$((skipped + 1))
		printf 'skipped (%s)\n' "$(sed -n 's/^skip: //p' "$log" | tail -n 1)" ;;
	*)	failed=$((failed + 1))
		case $status in
		124 | 137) echo "FAILED: time limit of $limit s" ;;
		99) echo "FAILED: left something behind" ;;
		*) echo "FAILED: exit status $status" ;;
		esac
		tail -n 60 "$log" | sed 's/^/    | /'
		echo "    again with: BUILD=$BUILD LONG=$LONG bash $script" ;;
	esac
done
echo "counts: $passed $failed $skipped"
[ "$failed" = 0 ]
