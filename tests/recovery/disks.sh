#!/bin/bash
# disks.sh - the disk under an image is full, fails, or may not be written any
# more; or the journal is torn when all were killed. Who syncs is told, and what
# was synced before is in the image.
# limit: 200 400
. "$(dirname "$0")/../harness/lines.sh"

# fails PATTERN: the writer was refused, what it wrote for is said at the end,
# and the family is gone.
fails()
{
	refused
	grep -Eq "$1" "$WORK/writer.err" ||
		{ cat "$WORK/writer.err" >&2; fail "$case: the writer was told otherwise"; }
	refuses "$case" 125 "not everything could be written" "$RUMP" umount "$dir"
	wait_for 120 eval '[ -z "$(family "$name")" ]' || fail "$case: something stays"
}

# A disk that is full: the image has holes, and the journal wants to grow. So it
# is full for rump recover, until there is room.
case=full
mkdir "$WORK/small"
mount -t tmpfs -o size=10m tmpfs "$WORK/small" || skip "no tmpfs may be mounted"
img=$WORK/small/disk.img
up
goes_on
dd if=/dev/urandom of="$dir/fill" bs=64k count=400 2>/dev/null || true
fails 'No space left|Input/output'
refuses "$case, recover" 125 "No space left" "$RUMP" recover "$img"
mount -o remount,size=100m "$WORK/small"
recovered
umount "$WORK/small"
img=$WORK/disk.img

# The keeper may not make files longer: an error, not its death.
case=limit
up
goes_on
prlimit --pid "$(member "$name" keeper)" --fsize=65536
fails 'File too large|Input/output'
recovered

# The image lies in a mount of ours, whose driver fails.
mkdir "$WORK/below" "$WORK/under"
for what in write sync; do
	case="$what fails"
	image "$WORK/below/disk.img" 32M
	"$RUMP" mount --name "$name-under" "$(
		)fault+host:$WORK/below,fault.rule=$what:after=60:error=EIO" \
		"$WORK/under" || fail "$case: no mount below"
	img=$WORK/under/disk.img
	up
	fails 'Input/output'
	# a server below that cannot sync says so too
	"$RUMP" umount "$WORK/under" 2>/dev/null || [ "$what" = sync ] ||
		fail "$case: no umount below"
	img=$WORK/below/disk.img
	recovered
	rm -f "$WORK"/below/*
done
img=$WORK/disk.img

# All are killed, and the journal is not whole: cut off anywhere, as it would be
# if the disk had not been told to keep it, it gives the lines up to one of
# them; noise behind it means nothing; bits that flip may be refused, but what
# is accepted is right.
case=torn
up
goes_on
kill -9 $(family "$name" | awk '{print $2}') 2>/dev/null || true
refused
umount -l "$dir" 2>/dev/null || true
wait_for 120 flock -n "$img" true || fail "$case: the image is still held"
journal=$img.rump-journal
size=$(stat -c %s "$journal")
cp --sparse=always "$img" "$WORK/image"
cp "$journal" "$WORK/journal"
head -c 5000 /dev/urandom >>"$journal"
recovered
before=$(acked)
n=6
[ "$LONG" = 0 ] || n=100
for how in cut flip; do
	taken=0
	for _ in $(seq "$n"); do
		cp --sparse=always "$WORK/image" "$img"
		cp "$WORK/journal" "$journal"
		at=$(((RANDOM << 15 | RANDOM) % size))
		[ "$how" = cut ] && truncate -s "$at" "$journal" ||
			head -c 8 /dev/urandom |
			dd of="$journal" bs=1 seek="$at" conv=notrunc 2>/dev/null
		echo 0 >"$notes/acked"
		sum=$(sum "$img")
		if ! "$RUMP" recover "$img" >"$WORK/recover.log" 2>&1; then
			[ "$(grep -c . "$WORK/recover.log")" = 1 ] &&
				[ "$(sum "$img")" = "$sum" ] ||
				fail "$case: $how at $at: refused, and yet changed"
			continue
		fi
		taken=$((taken + 1))
		rm -f "$WORK/lines"
		e2fsck -fn "$img" >"$WORK/e2fsck.log" 2>&1 ||
			fail "$case: $how at $at: no flush point"
		dump "$img" log "$WORK/lines" || : >"$WORK/lines"
		awk '$0 != NR {exit 1}' "$WORK/lines" &&
			[ "$(wc -l <"$WORK/lines")" -le $((before + 1)) ] ||
			fail "$case: $how at $at: other lines"
	done
	say "$case: $how, $taken of $n taken"
done
