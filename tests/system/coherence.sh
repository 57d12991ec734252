#!/bin/bash
# coherence.sh - a mount and a client of the library see each other's changes
# at once, also when servers and notifiers are killed.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
program=$BUILD/tests/system/system-coherence

image "$img" 64M
"$RUMP" run -m "/vol=ext4:$img" -- "$program" /vol 2000 || fail "$?"
check_image "$img"
image "$img" 64M
"$RUMP" run --kill-every 10ms -m "/vol=ext4:$img" -- "$program" /vol 2000 ||
	fail "with kills: $?"
check_image "$img"
# Notifiers die: the next one goes on where it stood.
image "$img" 64M
"$RUMP" run --name "coherence-$$" -m "/vol=ext4:$img" -- "$program" /vol 2000 \
	>"$WORK/log" 2>&1 &
run=$!
background "$run"
deaths=0
while kill -0 "$run" 2>/dev/null; do
	pid=$(pgrep -P "$run" -x rump-notifier | head -n 1) || true
	if [ -n "$pid" ] && [ "$deaths" -lt 60 ]; then
		kill -9 "$pid" 2>/dev/null && deaths=$((deaths + 1))
	fi
	sleep 0.02
done
wait "$run" || { cat "$WORK/log" >&2; fail "with dying notifiers: $?"; }
CHILDREN=()
[ "$deaths" -gt 0 ] || fail "no notifier died"
say "$deaths notifiers died"
check_image "$img"
