#!/bin/bash
# blocking.sh - calls that wait, through the library, without and with kills.
# limit: 60 120
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
rounds=1
[ "$LONG" = 0 ] || rounds=5
for options in "" "--kill-every 10ms"; do
	image "$img" 64M
	for _ in $(seq $rounds); do
		# shellcheck disable=SC2086
		"$RUMP" run --no-fuse $options -m "/vol=ext4:$img" -- \
			"$BUILD/tests/system/system-blocking" /vol \
			>"$WORK/log" 2>&1 ||
			{ cat "$WORK/log" >&2; fail "blocking $options"; }
	done
	check_image "$img"
	say "blocking ${options:-without kills}: killed $(kills_in "$WORK/log") times"
done
