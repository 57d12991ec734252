#!/bin/bash
# crashpoints.sh - every named crash point is hit, early and late, while the
# model checker looks: no program sees an error, nothing is lost.
# limit: 400 1200
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
board=$BUILD/tests/recovery/board

skips="0 3 40"
[ "$LONG" = 0 ] || skips="0 1 2 3 7 20 40 150 600"
points=$(sed -n '/define RK_CRASHPOINTS/,/^$/p' \
	"$SOURCE/rumpserver/recovery/family.h" |
	grep -o 'X([a-z_]*)' | tr -d 'X()' | grep -Ev '^(pages|upgrade|cold|undo|order)_')
# The others: pages.sh, upgrade.sh, cold.sh, checkpoint.sh.
[ "$(echo "$points" | wc -w)" -ge 10 ] || fail "the list of points is not found"

# Runs in the mount. Writes whether the point was hit when it is over.
cat >"$WORK/inside" <<'END'
# MODEL BOARD NAME OPS SEED RESULT
if [ "$4" = 0 ]; then
	rm -f /vol/before || exit 1
else
	"$1" -n "$4" -s "$5" /vol || exit 1
	sync /vol/log || exit 1
fi
# The keeper's turn comes a little later: it checkpoints when it is idle.
for i in $(seq "$7"); do
	pid=$("$RUMP" ps --pids | awk -v n="$3" '$1 == n && $2 == "supervisor" {print $3}')
	"$2" "$pid" >"$6"
	grep -qx 'crash_at 0' "$6" && exit 0
	sleep 0.1
done
exit 0
END

name=points-$$ looks=25
load()		# POINT:SKIP OPS RUMP-OPTIONS...
{
	local what=$1 n=$2
	shift 2
	rm -f "$WORK/result"
	[ "$what" = none ] || export RUMP_CRASH=$what
	"$RUMP" run --name "$name" "$@" -m "/vol=ext4:$img" -- \
		sh "$WORK/inside" "$model" "$board" "$name" "$n" 7 \
		"$WORK/result" "$looks" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$what: the program saw an error"; }
	unset RUMP_CRASH
}

count_hit()
{
	if grep -qx 'crash_at 0' "$WORK/result"; then
		hit="$hit $1"
	fi
}

# At a clean stop, and in the replay of what an unclean one left.
one()
{
	local point=$1 skip=$2 options=()
	img=$WORK/disk.img
	image "$img" 32M
	rm -f "$WORK"/disk.img?*
	case $point in
	recover_*) options=(--kill-every 15ms) ;;
	esac
	if [ "$point" = replay_half_done ]; then
		# The replay is at the start; the model then begins empty.
		unclean
		load "$point:$skip" 0
		count_hit "$skip"
		load "none" 400
	else
		load "$point:$skip" 400 "${options[@]+"${options[@]}"}"
		count_hit "$skip"
	fi
	check_image "$img"
	in_mount "$img" "$model" -c -n 400 -s 7 /vol >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$point:$skip: the result differs"; }
}

# Ends a whole family at once, as a power cut would, with a full journal.
unclean()
{
	local pids
	"$RUMP" run --name "$name" -m "/vol=ext4:$img" -- sh -c '
		i=0
		while :; do
			echo $i >/vol/before; sync /vol/before; i=$((i + 1)); echo $i
		done' >"$WORK/unclean.log" 2>&1 &
	background $!
	wait_for 60 eval '[ "$(wc -l <"$WORK/unclean.log")" -gt 10 ]' ||
		fail "no server to end"
	pids=$(family "$name" | awk '{print $2}')
	# shellcheck disable=SC2086
	kill -9 $pids 2>/dev/null || true
	wait 2>/dev/null || true
	CHILDREN=()
}

for point in $points; do
	hit=
	for skip in $skips; do
		one "$point" "$skip"
	done
	# a machine may be too slow for what is to come of itself
	[ -n "$hit" ] || { looks=600; one "$point" 0; looks=25; }
	say "$point: hit after$hit"
	[ -n "$hit" ] || fail "$point was never hit"
done
