#!/bin/bash
# images.sh - file systems as mke2fs makes them, with the features that are
# supported; a small load in each, and e2fsck agrees with the result.
# limit: 150
. "$(dirname "$0")/../harness/lib.sh"
need_program debugfs
model=$BUILD/tests/recovery/model

while IFS='|' read -r what options; do
	img=$WORK/$what.img
	# shellcheck disable=SC2086
	image "$img" 64M $options
	"$RUMP" run --no-fuse --kill-every 30ms -m "/vol=ext4:$img" -- \
		"$model" -l -n 250 -s 3 /vol >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$what ($options)"; }
	check_image "$img"
	"$RUMP" run --no-fuse -m "/vol=ext4:$img" -- \
		"$model" -l -c -n 250 -s 3 /vol >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$what: content after a new start"; }
	say "$what"
	rm "$img"
done <<'END'
1k|-t ext4 -b 1024
2k|-t ext4 -b 2048
4k|-t ext4 -b 4096
nochecksum|-t ext4 -O ^metadata_csum
no64bit|-t ext4 -O ^64bit
inline|-t ext4 -O inline_data
noflex|-t ext4 -O ^flex_bg
small-inodes|-t ext4 -I 128
nojournal|-t ext4 -O ^has_journal
noindex|-t ext4 -O ^dir_index
ext2|-t ext2
ext3|-t ext3
END

# A journal that needs replay: made by the kernel where that can be had, by
# debugfs otherwise.
img=$WORK/dirty.img
image "$img" 64M
printf 'from the journal' >"$WORK/block"
truncate -s 4096 "$WORK/block"
debugfs -w -R "write $WORK/block file" "$img" >/dev/null 2>&1
blk=$(debugfs -R 'blocks /file' "$img" 2>/dev/null | awk '{print $1}')
bs=$(dumpe2fs -h "$img" 2>/dev/null | awk '/^Block size/ {print $3}')
printf 'replayed by journal' >"$WORK/new"
truncate -s "$bs" "$WORK/new"
debugfs -w -f - "$img" >"$WORK/log" 2>&1 <<END
jo -c
jw -b $blk $WORK/new
jc
END
dumpe2fs -h "$img" 2>/dev/null | has needs_recovery ||
	skip "debugfs made no journal to replay: $(tail -n 1 "$WORK/log")"
got=$("$RUMP" run -m "/vol=ext4:$img" -- head -c 19 /vol/file) ||
	fail "an image with a journal to replay is refused"
[ "$got" = "replayed by journal" ] || fail "the journal was not replayed: $got"
check_image "$img"
