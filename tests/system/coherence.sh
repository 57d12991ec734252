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
