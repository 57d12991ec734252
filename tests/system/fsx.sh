#!/bin/bash
# fsx.sh - one file under operations at random, with and without kills.
# limit: 120 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
fsx=$BUILD/tests/conformance/conformance-fsx
n=3000
[ "$LONG" = 0 ] || n=60000
"$fsx" "$WORK/file" 1 1000 || skip "the file system of $WORK does not do it either"

try()		# SEED SOURCE RUMP-OPTIONS...
{
	local seed=$1 source=$2
	shift 2
	"$RUMP" run "$@" -m "/vol=$source" -- "$fsx" /vol/file "$seed" "$n" \
		>"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "differs ($seed, $source, $*)"; }
}
for blocks in 4096 1024; do
	for kills in "" "--kill-every=20ms"; do
		image "$WORK/disk.img" 64M -t ext4 -b "$blocks"
		try "$blocks" "ext4:$WORK/disk.img" ${kills:+"$kills"}
		check_image "$WORK/disk.img"
	done
done
image "$WORK/disk.img" 64M
try 7 "fault+ext4:$WORK/disk.img,fault.rule=write:every=97:crash" \
	--kill-every=20ms
check_image "$WORK/disk.img"
try 8 mem: --kill-every=20ms
