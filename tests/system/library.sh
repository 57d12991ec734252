#!/bin/bash
# library.sh - every op through the client library, threads that share a client,
# and a client that attacks its server.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
for program in all_ops hostile; do
	[ -x "$BUILD/tests/system/system-$program" ] ||
		skip "system-$program is not built"
	image "$img" 64M
	"$RUMP" run --no-fuse -m "/vol=ext4:$img" -- \
		"$BUILD/tests/system/system-$program" || fail "$program: $?"
	check_image "$img"
	say "$program"
done
image "$img" 64M
"$RUMP" run --no-fuse --kill-every 10ms -m "/vol=ext4:$img" -- \
	"$BUILD/tests/system/system-threads" /vol 6 || fail "threads with kills: $?"
check_image "$img"
for options in "" "--kill-every 5ms"; do
	image "$img" 64M
	# shellcheck disable=SC2086
	"$RUMP" run --no-fuse $options -m "/vol=ext4:$img" -- \
		"$BUILD/tests/system/system-interrupt" /vol 40 ||
		fail "interrupted waits ($options): $?"
	check_image "$img"
done
image "$img" 64M
"$RUMP" run --no-fuse --kill-every 5ms -m "/vol=ext4:$img" -- \
	"$BUILD/tests/system/system-all_ops" || fail "all_ops with kills: $?"
check_image "$img"
