#!/bin/bash
# checkpoint.sh - checkpoints are made while a program writes and servers and
# keepers are killed, at random and at crash points, in the end all at once: each
# is made once, and what is restored is what the program had written by then.
# limit: 240
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
name=ckptr-$$
STEPS=13
[ "$LONG" = 0 ] || STEPS=401

# What the program does to its directory it does to a mirror, of which each
# checkpoint keeps a copy.
cat >"$WORK/program" <<'END'
vol=$1 mirror=$2 steps=$3 name=$4
RANDOM=$5
both() { "$@" "$vol" && "$@" "$mirror"; }
put() { dd if="$mirror.data" of="$1/$f" bs=4k seek="$at" conv=notrunc status=none; }
cut() { [ ! -e "$1/$f" ] || truncate -s "$((at * 1000))" "$1/$f"; }
drop() { rm -f "$1/$f"; }
move() { [ ! -e "$1/$f" ] || mv "$1/$f" "$1/d$((at % 3))"; }
for d in 0 1 2; do mkdir -p "$vol/d$d" "$mirror/d$d"; done
for i in $(seq "$steps"); do
	for _ in 1 2 3; do
		f=f$((RANDOM % 12)) at=$((RANDOM % 60))
		head -c $((RANDOM % 200000)) /dev/urandom >"$mirror.data"
		case $((RANDOM % 6)) in
		0) both drop ;;
		1) both cut ;;
		2) both move ;;
		*) both put ;;
		esac || { echo "step $i: failed"; exit 1; }
	done
	[ $((RANDOM % 3)) -gt 0 ] || sync "$vol/d0"
	[ $((i % 3)) = 0 ] || continue
	"$RUMP" checkpoint "$name" "c$i" || exit 1
	cp -r "$mirror" "$mirror.c$i"
done
END

kill_keepers()
{
	while sleep "0.0$((RANDOM % 9))"; do
		pid=$(family "$name" | awk '$1 == "keeper" {print $2}')
		[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
	done
}

# check: each checkpoint, from the image as it is.
check()
{
	local copy=$WORK/copy.img tree=$WORK/tree m label n=0
	for m in "$WORK"/mirror.c*; do
		label=${m##*.}
		rm -rf "$copy" "$tree" && mkdir "$tree"
		"$RUMP" restore --to "$copy" "$img" "$label" || fail "$label"
		check_image "$copy"
		debugfs -R "rdump / $tree" "$copy" >/dev/null 2>&1
		diff -r -x lost+found "$m" "$tree" >"$WORK/diff" ||
			fail "$label is not what it was: $(head -3 "$WORK/diff")"
		n=$((n + 1))
	done
	[ "$("$RUMP" checkpoints "$img" | grep -c ^c)" = "$n" ] ||
		fail "there are others than those that were made"
	"$RUMP" restore "$img" "$label" >/dev/null || fail "restore $label"
	[ "$(sum "$img")" = "$(sum "$copy")" ] || fail "in place it is not the same"
}

# round WHAT STEPS [options of start]: RUMP_CRASH may be set.
round()
{
	local what=$1 steps=$2 status=0 pids killer=
	shift 2
	rm -rf "$WORK"/mirror* "$img".rump-*
	mkdir "$WORK/mirror"
	image "$img" 64M
	"$RUMP" start "$@" "$name" "ext4:$img" || fail "$what: start"
	if [ "$what" = keepers ]; then
		kill_keepers &
		killer=$!
		background "$killer"
	fi
	timeout 60 "$RUMP" run -s "$name" -- bash "$WORK/program" "/$name" \
		"$WORK/mirror" "$steps" "$name" 7 || status=$?
	if [ -n "$killer" ]; then
		kill "$killer" && wait "$killer" || true
	fi
	[ "$status" = 0 ] || fail "$what: the program saw an error"
	if [ $((steps % 2)) = 0 ]; then
		"$RUMP" stop "$name" || fail "$what: stop"
	else
		pids=$(family "$name" | awk '{print $2}')
		# shellcheck disable=SC2086
		kill -9 $pids || true
		for pid in $pids; do
			wait_for 10 eval "! kill -0 $pid" || fail "$pid lives"
		done
	fi
	check
	say "$what"
}

round servers "$STEPS" --kill-every 5ms
round keepers "$STEPS"
round stop "$((STEPS - 1))" --kill-every 20ms
for point in undo_half_saved undo_not_counted order_half_done \
	checkpoint_half_done flush_half_done log_not_published \
	reply_not_posted; do
	RUMP_CRASH=$point round "$point" 7
done
if [ "$LONG" != 0 ]; then
	for point in undo_half_saved undo_not_counted checkpoint_half_done; do
		for skip in 1 2 5; do
			RUMP_CRASH=$point:$skip round "$point:$skip" 9
		done
	done
fi
