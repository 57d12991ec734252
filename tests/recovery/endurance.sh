#!/bin/bash
# endurance.sh - the restarts of a day and more, one after the other as fast as
# they go, in one supervisor: memory, descriptors, log and journal are as large
# at the end as after a tenth. RESTARTS=N: how many.
# limit: 200 7200
. "$(dirname "$0")/../harness/lib.sh"
restarts=500 seconds=15
[ "$LONG" = 0 ] || { restarts=100000 seconds=6600; }
restarts=${RESTARTS:-$restarts} seconds=${SECONDS_MAX:-$seconds}
img=$WORK/disk.img
image "$img" 64M
name=endurance-$$

cat >"$WORK/look" <<'END2'
# The journal starts anew when it is idle, or long.
sh "$LOOK" "$NAME" >"$WORK/$WHEN"
echo "journal 0 $(du -k "$WORK"/disk.img.rump-journal | cut -f1)" >>"$WORK/$WHEN"
END2
cat >"$WORK/inside" <<'END2'
# ENDURANCE RESTARTS SECONDS
pid=$("$RUMP" ps --pids | awk -v n="$NAME" '$1 == n && $2 == "supervisor" {print $3}')
exec "$1" /vol "$pid" "$2" "$3" "sh $WORK/look"
END2
NAME=$name LOOK=$SOURCE/tests/harness/look.sh WORK=$WORK \
	"$RUMP" run --no-fuse --name "$name" -m "/vol=ext4:$img" -- \
	sh "$WORK/inside" "$BUILD/tests/recovery/endurance" "$restarts" \
	"$seconds" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "it does not endure"; }
say "$(cat "$WORK/log")"
check_image "$img"

export LC_ALL=C
join <(sort "$WORK/before") <(sort "$WORK/after") >"$WORK/both"
say "role, descriptors and KiB after a tenth, the same at the end:"
cat "$WORK/both"
for what in supervisor zygote keeper journal /memfd:rump-core /memfd:rump-driver; do
	grep -q "^$what" "$WORK/both" || fail "$what was not measured"
done
# Servers come and go; a journal is at most as long as it may be.
awk '$1 == "journal" {
	if ($5 > 96 * 1024) { print "the journal has " $5 " KiB"; bad = 1 }
	next
}
{
	if ($4 > $2 + 6) { print $1 ": " $2 " descriptors became " $4; bad = 1 }
	if ($5 > $3 * 1.1 + 1024) { print $1 ": " $3 " KiB became " $5; bad = 1 }
} END { exit bad }' "$WORK/both" >"$WORK/verdict" ||
	fail "$(cat "$WORK/verdict")"
