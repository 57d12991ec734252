#!/bin/bash
# ends.sh - the server is stopped, or its supervisor killed, under clients that
# are in calls: each call ends with ESHUTDOWN. Attaching leaves nothing behind.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
ends=$BUILD/tests/system/system-ends
for what in leak stop kill; do
	image "$img" 64M
	"$RUMP" run --no-fuse --name "ends-$$" -m "/vol=ext4:$img" -- \
		sh -c 'echo "$RUMP_SOCKET" >"$1"; exec sleep 3600' sh \
		"$WORK/socket.$what" &
	pid=$!
	background "$pid"
	until [ -s "$WORK/socket.$what" ]; do
		sleep 0.05
		kill -0 "$pid" || fail "no server"
	done
	RUMP_SOCKET=$(cat "$WORK/socket.$what") "$ends" "$what" ||
		fail "$what: $?"
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	[ "$what" = kill ] || check_image "$img"
done
