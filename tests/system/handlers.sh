#!/bin/bash
# handlers.sh - signal handlers that call a server in the middle of calls, and are
# left by siglongjmp; without kills and with.
# limit: 300
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
signals=20000
[ "${LONG:-0}" = 0 ] || signals=1000000
for options in "" "--kill-every 7ms"; do
	[ -z "$options" ] || signals=$((signals / 5))
	image "$img" 256M
	# shellcheck disable=SC2086
	"$RUMP" run --no-fuse $options -m "/vol=ext4:$img" -- \
		"$BUILD/tests/system/system-handlers" /vol "$signals" ||
		fail "handlers ($options): $?"
	check_image "$img"
done
