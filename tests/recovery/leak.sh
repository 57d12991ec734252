#!/bin/bash
# leak.sh - after many opens, ops and restarts the family's descriptors and
# memory are where they were.
# limit: 150 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
ops=8000
[ "$LONG" = 0 ] || ops=100000
img=$WORK/disk.img
image "$img" 128M
name=leak-$$

cat >"$WORK/inside" <<'END'
# MODEL NAME OPS DIR LOOK
round()
{
	mkdir "/vol/r$1" && "$model" -n "$2" -s "$1" "/vol/r$1" &&
		rm -r "/vol/r$1"
}
model=$1 name=$2 ops=$3 dir=$4 look=$5
round 1 $((ops / 16)) || exit 1
touch /vol/x; sync /vol/x; sleep 1; sh "$look" "$name" >"$dir/before"
for i in 2 3 4; do round $i $((ops / 12)) || exit 1; done
touch /vol/x; sync /vol/x; sleep 1; sh "$look" "$name" >"$dir/after"
END
"$RUMP" run --kill-every 40ms --name "$name" -m "/vol=ext4:$img" -- \
	sh "$WORK/inside" "$model" "$name" "$ops" "$WORK" \
	"$SOURCE/tests/harness/look.sh" >"$WORK/log" 2>&1 ||
	{ cat "$WORK/log" >&2; fail "the load failed"; }
say "$(grep -i killed "$WORK/log" || true)"

export LC_ALL=C
join <(sort "$WORK/before") <(sort "$WORK/after") >"$WORK/both"
say "role, descriptors and KiB before, the same after:"
cat "$WORK/both"
grep -q '^keeper' "$WORK/both" && grep -q '^supervisor' "$WORK/both" ||
	fail "nothing was measured"
awk '{
	# A server may be coming or going: its sockets and pidfds with it. On a
	# crowded machine it may have gone each time before it was looked at.
	if ($1 ~ /^(server|standby)$/ && !$2) next
	if ($4 > $2 + 6) { print $1 ": " $2 " descriptors became " $4; bad = 1 }
	# Heaps grow in steps; a leak in so many ops would be larger.
	if ($5 > $3 * 1.3 + 2048) { print $1 ": " $3 " KiB became " $5; bad = 1 }
} END { exit bad }' "$WORK/both" >"$WORK/verdict" ||
	fail "$(cat "$WORK/verdict")"
check_image "$img"
