#!/bin/bash
# verifier.sh - threads of several processes that know what every call must
# return, while the server dies: at random instants, at every named crash point
# again and again, stopped instead of killed; with and without the kernel's
# resend, with both ways to find changed pages.
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
verifier=$BUILD/tests/recovery/verifier
board=$BUILD/tests/recovery/board
img=$WORK/disk.img
name=verifier-$$

seconds=6
[ "$LONG" = 0 ] || seconds=120
seed=${SEED:-$(date +%s)}
ops=0 deaths=0

# start OPTION...: the verifier in a mount of its own.
start()
{
	image "$img" 256M
	"$RUMP" run --name "$name" "$@" -m "/vol=ext4:$img$OPTIONS" -- \
		"$verifier" -f -s "$seconds" -r "$seed" /vol \
		>"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	supervisor=$(member "$name" supervisor) ||
		{ cat "$WORK/log" >&2; fail "no server"; }
}

# finish WHAT [DEATHS]
finish()
{
	local n
	wait "$run" || { cat "$WORK/log" >&2; fail "$1, seed $seed"; }
	CHILDREN=()
	check_image "$img"
	n=$(awk '/^verifier: [0-9]* ops, 0 errors/ {n += $2} END {print n}' \
		"$WORK/log")
	[ -n "$n" ] || { cat "$WORK/log" >&2; fail "$1: no result"; }
	ops=$((ops + n)) deaths=$((deaths + ${2:-0}))
	say "$1: $n ops, ${2:-0} deaths"
}

random_kills()
{
	start --kill-every 10ms
	wait "$run" || true
	finish "killed every 10 ms" "$(kills_in "$WORK/log")"
}

# Each server dies at some passage of one of the points; again until enough did,
# however slow the machine is.
points()	# WHAT SKIP POINT...
{
	local what=$1 hits all=0
	shift
	for _ in $(seq 20); do
		start --kill-every 200ms
		"$board" "$supervisor" crash "$@" >"$WORK/hits" &
		wait $! || fail "$what: no points were armed"
		hits=$(sed -n 's/^hits //p' "$WORK/hits")
		finish "$what" $((hits + $(kills_in "$WORK/log")))
		cat "$WORK/hits" >>"$WORK/all-hits"
		all=$((all + hits))
		[ "$all" -le 20 ] || return 0
	done
	fail "$what: only $all deaths"
}

# A server stands still for longer than its deadline, in a call or between two.
stopped()
{
	local pid n=0
	start --deadline 1s
	while kill -0 "$run" 2>/dev/null; do
		pid=$(family "$name" | awk '$1 == "server" {print $2}')
		if [ -n "$pid" ] && kill -STOP "$pid" 2>/dev/null; then
			n=$((n + 1))
			sleep 2
			kill -CONT "$pid" 2>/dev/null || true
		fi
		sleep 0.2
	done
	finish "stopped" "$n"
}

# Who helps the server dies as well: keeper, zygote, standby.
anyone()
{
	local pid n=0
	start
	while kill -0 "$run" 2>/dev/null; do
		pid=$(family "$name" | awk '$1 != "supervisor" {print $2}' |
			shuf -n 1)
		if [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; then
			n=$((n + 1))
		fi
		sleep 0.03
	done
	finish "any process of the family" "$n"
}

two_mounts()
{
	image "$img.2" 128M
	image "$img" 128M
	"$RUMP" run --kill-every 10ms -m "/one=ext4:$img$OPTIONS" \
		-m "/two=ext4:$img.2" -- sh -c '
		"$1" -f -p 2 -s "$2" -r "$3" /one & one=$!
		"$1" -f -p 2 -s "$2" -r "$3" /two || exit 1
		wait $one' - "$verifier" "$seconds" "$seed" >"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	wait "$run" || true
	finish "two mounts of one server" "$(kills_in "$WORK/log")"
	check_image "$img.2"
}

# Clients of the library change other files of the same file system.
both_doors()
{
	image "$img" 256M
	"$RUMP" run --kill-every 15ms -m "/vol=ext4:$img$OPTIONS" -- sh -c '
		mkdir /vol/verifier /vol/model
		"$1" -s "$2" -r "$3" /vol/verifier & v=$!
		i=0
		while kill -0 $v 2>/dev/null; do
			i=$((i + 1))
			mkdir "/vol/model/$i" || exit 3
			"$4" -l -n 300 -s "$i" "/vol/model/$i" || exit 4
			rm -r "/vol/model/$i" || exit 5
		done
		wait $v' - "$verifier" "$seconds" "$seed" \
		"$BUILD/tests/recovery/model" >"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	wait "$run" || true
	finish "beside clients of the library" "$(kills_in "$WORK/log")"
}

random_kills
two_mounts
both_doors
anyone
points "every crash point" 20 all
points "around the answer" 300 request_taken reply_not_posted \
	reply_half_posted log_not_published
RUMP_NO_RESEND=1 points "without resend" 20 all
RUMP_NO_RESEND=1 points "around the answer, without resend" 300 \
	request_taken reply_not_posted reply_half_posted
RUMP_TRACK=signal points "pages found by signals" 20 all
stopped

say "$ops ops, $deaths deaths, no error"
awk '$1 == "hit" {n[$2] += $3} END {for (p in n) print "  " p, n[p]}' \
	"$WORK/all-hits" | sort
