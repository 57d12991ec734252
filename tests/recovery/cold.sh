#!/bin/bash
# cold.sh - the ladder above warm. Every death answered by a cold start, under
# the model checker and the verifier, also when that dies at each of its crash
# points; and each rung taken by policy, for what needs just that one: memory of
# the drivers that was overwritten (cold), the log of calls too (read-only), a
# driver whose state is on no device (the end, with a report).
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
verifier=$BUILD/tests/recovery/verifier
board=$BUILD/tests/recovery/board
img=$WORK/disk.img
name=cold-$$
ops=500 seconds=4
[ "$LONG" = 0 ] || ops=5000 seconds=60
seed=${SEED:-$(date +%s)}

# --- every death is answered by a cold start ----------------------------------

modelled()	# DIR OPTION...
{
	local dir=$1 n
	shift
	image "$img" 64M
	RUMP_LADDER=cold "$RUMP" run --name "$name" --kill-every 60ms "$@" \
		-m "/vol=ext4:$img" -- sh -c '
		"$1" $2 -n "$3" -s "$4" "$5" || exit 1
		"$6" ps --pids | awk -v n="$7" \
			"\$1 == n && \$2 == \"supervisor\" {print \$3}" |
			xargs "$8" >"$9"' - "$model" "$flag" "$ops" "$seed" \
		"$dir" "$RUMP" "$name" "$board" "$WORK/board" \
		>"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "the model, seed $seed"; }
	n=$(awk '$1 == "cold_calls" {print $2}' "$WORK/board")
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "no kill at all"
	[ "$n" -gt 0 ] || fail "no call was run again"
	check_image "$img"
	say "model in $dir: $(kills_in "$WORK/log") cold starts, $n calls again"
}

flag=-l
modelled /vol --no-fuse
flag=
modelled /vol

verified()	# WHAT POINT...
{
	local what=$1 pid
	shift
	image "$img" 128M
	RUMP_LADDER=cold "$RUMP" run --name "$name" --kill-every 100ms \
		-m "/vol=ext4:$img" -- \
		"$verifier" -f -s "$seconds" -r "$seed" /vol \
		>"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	wait_for 10 eval 'family "$name" | grep -q "^server"' ||
		{ cat "$WORK/log" >&2; fail "no server"; }
	pid=$(family "$name" | awk '$1 == "supervisor" {print $2}')
	"$board" "$pid" crash 20 "$@" >"$WORK/hits" || true
	wait "$run" || { cat "$WORK/log" >&2; fail "$what, seed $seed"; }
	CHILDREN=()
	check_image "$img"
	say "verifier, $what: $(sed -n 's/^hits //p' "$WORK/hits") deaths more"
}

verified "in the cold start" cold_reset cold_half_run cold_not_committed
verified "anywhere" all

# --- by policy -----------------------------------------------------------------

cat >"$WORK/lib" <<'END'
pid_of() { "$RUMP" ps --pids | awk -v n="$NAME" -v r="$1" \
	'$1 == n && $2 == r {print $3}'; }
spoil() { "$BOARD" "$(pid_of supervisor)" spoil "$@"; }
word() { "$BOARD" "$(pid_of supervisor)" | awk -v w="$1" '$1 == w {print $2}'; }
# Whoever serves finds out at the next call.
look() { ls -lR /vol >/dev/null 2>&1 || true; }
END

inside()	# MOUNT SCRIPT
{
	NAME=$name BOARD=$board "$RUMP" run --name "$name" -m "$1" -- \
		bash -c ". $WORK/lib; $2" >"$WORK/log" 2>&1
}

# Unlinked but open, with a lock, an offset and names of all kinds.
image "$img" 64M
inside "/vol=ext4:$img" '
	set -e
	mkdir /vol/d; echo before >/vol/d/a; sync /vol/d/a
	exec 5<>/vol/gone; echo "still here" >&5; rm /vol/gone
	exec 6<>/vol/d/locked; flock -n 6
	ln /vol/d/a /vol/d/b; mv /vol/d/b /vol/d/c; ln -s c /vol/d/s
	seq 20000 >/vol/d/numbers; truncate -s 5000 /vol/d/numbers
	stat -c "%i %s %y %z %h" /vol/d /vol/d/* >/tmp/.before-$$
	spoil rump-driver 0
	kill -9 "$(pid_of server)"
	stat -c "%i %s %y %z %h" /vol/d /vol/d/* | cmp - /tmp/.before-$$
	rm /tmp/.before-$$
	[ "$(cat /proc/self/fd/5)" = "still here" ] || exit 11
	! flock -n /vol/d/locked true || exit 12
	[ "$(cat /vol/d/s)" = before ] || exit 13
	seq 20000 | head -c 5000 | cmp - /vol/d/numbers
	[ "$(word cold_calls)" -gt 10 ] || exit 14
	[ "$(word read_only)" = 0 ] || exit 15
	echo after >/vol/d/a; sync /vol/d/a' ||
	{ cat "$WORK/log" >&2; fail "overwritten memory: $?"; }
check_image "$img"
[ "$(in_mount "$img" cat /vol/d/a)" = after ] || fail "what came after is lost"
say "overwritten memory: cold"

# What was committed last cannot be run again: what was before can be read.
image "$img" 64M
inside "/vol=ext4:$img" '
	echo one >/vol/one; sync /vol/one
	seq 100 >/vol/two
	for i in $(seq 200); do echo $i >/vol/n$i; done
	sleep 1
	spoil rump-calls 20480; spoil rump-driver 0
	kill -9 "$(pid_of server)"
	[ "$(cat /vol/one)" = one ] || exit 11
	! echo x >/vol/new || exit 12
	[ "$(word read_only)" = 2 ] || exit 13
	seq 100 | cmp - /vol/two || exit 14
	[ "$(cat /vol/n1)" = 1 ] || exit 15
	exit 0' ||
	{ cat "$WORK/log" >&2; fail "overwritten log of calls: $?"; }
check_image "$img"
say "overwritten log of calls: read-only"

# A record of the redo log that nobody can apply: what was before can be read.
image "$img" 64M
inside "/vol=ext4:$img" '
	echo one >/vol/one; sync /vol/one; echo two >/vol/two; sleep 0.5
	kill -STOP "$(pid_of keeper)"
	echo three >/vol/three
	spoil rump-log 8192
	kill -9 "$(pid_of server)"
	[ "$(cat /vol/one /vol/two | tr -d "\n")" = onetwo ] || exit 11
	! echo x >/vol/new || exit 12
	exit 0' ||
	{ cat "$WORK/log" >&2; fail "overwritten redo log: $?"; }
check_image "$img"
say "overwritten redo log: read-only"

# By hand: nothing is written, nothing is refused that reads.
image "$img" 64M
RUMP_LADDER=read-only inside "/vol=ext4:$img" '
	echo kept >/vol/kept; sync /vol/kept; echo lost >/vol/lost
	exec 5</vol/kept
	kill -9 "$(pid_of server)"
	[ "$(cat /vol/lost)" = lost ] || exit 11
	LC_ALL=C touch /vol/new 2>&1 | grep -q "Read-only" || exit 12
	[ "$(cat <&5)" = kept ] || exit 13
	! sync /vol/kept || exit 14
	exit 0' || grep -q "not everything could be written" "$WORK/log" ||
	{ cat "$WORK/log" >&2; fail "read-only: $?"; }
check_image "$img"
[ "$(in_mount "$img" cat /vol/kept)" = kept ] || fail "what was synced is lost"
say "read-only: reads go on, writes are refused"

# No device, no way: the end, and what was tried.
if inside "/vol=mem:x" '
	echo x >/vol/x; spoil rump-driver 0
	kill -9 "$(pid_of server)"; cat /vol/x; exit 0'; then
	cat "$WORK/log" >&2
	fail "a family without memory went on"
fi
grep -q "given up after .*warm (.*read-only (.*on no device" "$WORK/log" ||
	{ cat "$WORK/log" >&2; fail "the report does not say what was tried"; }
say "$(grep -o 'given up.*' "$WORK/log")"
