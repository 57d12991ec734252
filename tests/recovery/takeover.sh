#!/bin/bash
# takeover.sh - a full ring, calls of threads, waits for locks and children are
# in flight while the server is killed every few milliseconds; each result is
# counted and compared with the files at the end.
# limit: 60 600
. "$(dirname "$0")/../harness/lib.sh"
seconds=4
[ "$LONG" = 0 ] || seconds=120
img=$WORK/disk.img
for every in 5ms 20ms; do
	image "$img" 512M
	"$RUMP" run --no-fuse --kill-every "$every" -m "/vol=ext4:$img" -- \
		"$BUILD/tests/system/system-takeover" /vol "$seconds" ||
		fail "killed every $every: $?"
	check_image "$img"
done
