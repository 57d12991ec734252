#!/bin/bash
# fsx.sh - one file under operations at random, with and without kills.
# limit: 120 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
fsx=$BUILD/tests/conformance/conformance-fsx
n=3000
[ "$LONG" = 0 ] || n=60000
"$fsx" "$WORK/file" 1 1000 || skip "the file system of $WORK does not do it either"
for blocks in 4096 1024; do
	for options in "" "--kill-every 30ms"; do
		image "$WORK/disk.img" 64M -t ext4 -b "$blocks"
		# shellcheck disable=SC2086
		"$RUMP" run $options -m "/vol=ext4:$WORK/disk.img" -- \
			"$fsx" /vol/file "$blocks" "$n" >"$WORK/log" 2>&1 ||
			{ cat "$WORK/log" >&2; fail "differs ($blocks, $options)"; }
		check_image "$WORK/disk.img"
	done
done
