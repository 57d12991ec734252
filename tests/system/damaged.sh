#!/bin/bash
# damaged.sh - images damaged inside: what stands on the damaged part gives an
# I/O error, the rest works, nothing hangs.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program debugfs

base=$WORK/base.img
image "$base" 32M -t ext4 -b 4096
in_mount "$base" sh -c '
	mkdir /vol/dir /vol/good
	for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"/vol/dir/f$i"; done
	for i in 1 2 3; do echo "good $i" >"/vol/good/f$i"; done
	# Every second block, so that the extent tree has blocks of its own
	for i in $(seq 0 2 1200); do
		printf x | dd of=/vol/holes bs=1 seek=$((i * 4096)) conv=notrunc 2>/dev/null
	done'
check_image "$base"

# debugfs block numbers
block_of() { debugfs -R "blocks $1" "$base" 2>/dev/null | awk '{print $1}'; }
noise() { dd if=/dev/urandom of="$1" bs=4096 seek="$2" count=1 conv=notrunc 2>/dev/null; }

# The rest works, the damaged part fails or is at least no crash of the program
# and no hang.
try()
{
	local what=$1 img=$2 bad=$3 status=0
	timeout 300 "$RUMP" run -m "/vol=ext4:$img" -- sh -c '
		[ "$(cat /vol/good/f2)" = "good 2" ] || exit 10
		echo new >/vol/good/new || exit 11
		if eval "$1" >/dev/null 2>"$2"; then exit 12; fi
		grep -Eq "Input/output error|needs cleaning|Structure|Bad message" "$2" || exit 13
		[ "$(cat /vol/good/new)" = new ] || exit 14' \
		- "$bad" "$WORK/err" 2>"$WORK/run.err" || status=$?
	case $status in
	0) say "$what: $(head -n 1 "$WORK/err")" ;;
	124) fail "$what: hangs" ;;
	10 | 11 | 14) fail "$what: the rest does not work ($status)" ;;
	12) fail "$what: no error" ;;
	13) cat "$WORK/err" >&2; fail "$what: another error" ;;
	*) cat "$WORK/run.err" >&2; fail "$what: exit status $status" ;;
	esac
}

cp "$base" "$WORK/dir.img"
noise "$WORK/dir.img" "$(block_of /dir)"
try "a damaged directory" "$WORK/dir.img" 'ls /vol/dir && cat /vol/dir/f1'

cp "$base" "$WORK/extent.img"
leaf=$(debugfs -R 'ex /holes' "$base" 2>/dev/null |
	awk '$1 == "0/" && $2 == "1" {print $8; exit}')
[ -n "$leaf" ] || leaf=$(debugfs -R 'stat /holes' "$base" 2>/dev/null |
	grep -o 'ETB[0-9]*):[0-9]*' | head -n 1 | cut -d: -f2)
[ -n "$leaf" ] || fail "the file has no extent tree"
noise "$WORK/extent.img" "$leaf"
try "a damaged extent tree" "$WORK/extent.img" 'cat /vol/holes'

# An inode of its own: its checksum is wrong, or its mode is nonsense.
cp "$base" "$WORK/inode.img"
debugfs -w -R 'sif /dir/f5 block[0] 0xffffffff' "$WORK/inode.img" 2>/dev/null
debugfs -w -R 'sif /dir/f5 block[1] 0xffffffff' "$WORK/inode.img" 2>/dev/null
try "a damaged inode" "$WORK/inode.img" 'cat /vol/dir/f5'

# Group descriptors: refused at mount, or an error later; never a hang.
cp "$base" "$WORK/group.img"
noise "$WORK/group.img" 1
before=$(sum "$WORK/group.img")
status=0
timeout 300 "$RUMP" run -m "/vol=ext4:$WORK/group.img" -- true \
	2>"$WORK/err" || status=$?
[ "$status" = 125 ] || fail "damaged group descriptors: exit status $status"
[ "$(grep -c . "$WORK/err")" = 1 ] || fail "not one sentence: $(cat "$WORK/err")"
[ "$(sum "$WORK/group.img")" = "$before" ] || fail "the image was changed"
say "damaged group descriptors: $(cat "$WORK/err")"

# Random damage: anything may fail, nothing may hang.
seed=${SEED:-$(date +%s)}
say "random damage, seed $seed"
RANDOM=$seed
rounds=6
[ "$LONG" = 0 ] || rounds=60
for n in $(seq "$rounds"); do
	cp "$base" "$WORK/any.img"
	for _ in $(seq 20); do
		noise "$WORK/any.img" $((RANDOM % 600 + 1))
	done
	status=0
	timeout 300 "$RUMP" run --deadline 2s -m "/vol=ext4:$WORK/any.img" -- \
		sh -c 'find /vol -type f -exec cat {} +; echo x >/vol/y
			rm -rf /vol/dir; mkdir /vol/z; sync /vol/y; exit 0' \
		>/dev/null 2>&1 || status=$?
	case $status in
	0 | 125) ;;
	*) fail "random damage, seed $seed, round $n: exit status $status" ;;
	esac
done
