#!/bin/bash
# programs_fio.sh - fio with verification while the server is killed: random
# and in sequence, through the page cache, past it and mapped, with fsync; all
# data is verified at once, and again by a server that starts from the image.
# limit: 90 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program fio

every=20ms size=24m rounds=1
[ "$LONG" = 0 ] || { every=100ms size=128m rounds=6; }
img=$WORK/disk.img

cat >"$WORK/jobs" <<END
[global]
directory=/vol
size=$size
verify=crc32c
verify_fatal=1
verify_dump=0
verify_state_save=0
group_reporting

[sequential]
rw=write
bs=64k
ioengine=psync
fsync=32
stonewall

[random]
rw=randwrite
bs=4k
ioengine=psync
fsync=64
numjobs=3
stonewall

[direct]
rw=randwrite
bs=16k
direct=1
ioengine=libaio
iodepth=8
numjobs=2
stonewall

[odd]
rw=randwrite
bsrange=512-40k
bs_unaligned
ioengine=pvsync
fdatasync=50
stonewall

[mapped]
rw=randwrite
bs=4k
ioengine=mmap
fsync=200
numjobs=2
stonewall
END
for round in $(seq "$rounds"); do
	image "$img" 2G
	under_kills "$img" "$every" fio --output-format=terse \
		--randseed="$round" "$WORK/jobs"
	in_mount "$img" fio --output-format=terse --randseed="$round" \
		--verify_only "$WORK/jobs" >"$WORK/again.log" 2>&1 ||
		{ cat "$WORK/again.log" >&2; fail "the image holds other data"; }
done
say "$KILLS kills in $rounds rounds of $size a job"
