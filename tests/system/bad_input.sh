#!/bin/bash
# bad_input.sh - what cannot be used is refused with one clear sentence and a
# non-zero exit, and nothing is changed on disk.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_program debugfs

base=$WORK/good.img
image "$base" 16M
good_sum=$(sum "$base")

# refuse_image WHAT FILE PATTERN: a run on it fails, and it stays as it is.
refuse_image()
{
	local before after
	before=$(sum "$2")
	refuses "$1" 125 "$3" "$RUMP" run --no-fuse -m "/vol=ext4:$2" -- true
	after=$(sum "$2")
	[ "$before" = "$after" ] || fail "$1: the image was changed"
}

refuses "no such image" 125 'no such' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$WORK/none.img" -- true
[ ! -e "$WORK/none.img" ] || fail "an image was made"

head -c 1M /dev/urandom >"$WORK/noise.img"
refuse_image "not an ext4 image" "$WORK/noise.img" 'ext4|superblock|magic'
: >"$WORK/empty.img"
refuse_image "an empty file" "$WORK/empty.img" 'empty|image'
refuses "a directory" 125 'directory' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$WORK" -- true

cp "$base" "$WORK/short.img"
truncate -s 5M "$WORK/short.img"
refuse_image "a truncated image" "$WORK/short.img" 'short|small|truncat|size|larger|end'

cp "$base" "$WORK/super.img"
printf '\377\377\377\377' |
	dd of="$WORK/super.img" bs=1 seek=$((1024 + 24)) conv=notrunc 2>/dev/null
refuse_image "a corrupted superblock" "$WORK/super.img" 'superblock|corrupt|checksum|block size|feature'

cp "$base" "$WORK/feature.img"
# An incompatible feature of the future
debugfs -w -R 'ssv feature_incompat 0x80000002' "$WORK/feature.img" 2>/dev/null
refuse_image "an unknown feature" "$WORK/feature.img" 'feature|superblock|checksum'

image "$WORK/encrypt.img" 16M -t ext4 -O encrypt
refuse_image "an unsupported feature" "$WORK/encrypt.img" 'encrypt'

refuses "an unknown driver" 125 'driver.*nosuch|nosuch.*driver' \
	"$RUMP" run --no-fuse -m "/vol=nosuch:$base" -- true
refuses "a driver that is a path" 125 'driver' \
	"$RUMP" run --no-fuse -m "/vol=../../tmp/x:$base" -- true
refuses "an unknown option" 125 'frobnicate' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$base,frobnicate" -- true
refuses "a mount point given twice" 125 'twice' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$base" \
	-m "/vol=ext4:$base" -- true
cp "$base" "$WORK/other.img"
refuses "a mount point given twice, spelled differently" 125 'twice' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$base" \
	-m "/a/..//vol/=ext4:$WORK/other.img" -- true
refuses "an image given twice" 125 'twice|in use' \
	"$RUMP" run --no-fuse -m "/a=ext4:$base" -m "/b=ext4:$base" -- true
refuses "a mount without a source" 125 'ext4|PATH=DRIVER:SOURCE|source' \
	"$RUMP" run --no-fuse -m "/vol=ext4" -- true
refuses "a relative mount point" 125 'absolute|/|path' \
	"$RUMP" run --no-fuse -m "vol=ext4:$base" -- true
refuses "an unknown flag" 125 'no-such-flag' \
	"$RUMP" run --no-such-flag -- true
refuses "a kill interval that is none" 125 'kill-every|soon' \
	"$RUMP" run --kill-every soon -m "/vol=ext4:$base" -- true
refuses "no program" 125 'program' "$RUMP" run -m "/vol=ext4:$base"
status=0
"$RUMP" frobnicate >/dev/null 2>"$WORK/err" </dev/null || status=$?
[ "$status" != 0 ] && grep -q frobnicate "$WORK/err" ||
	fail "an unknown command is not named"
[ "$(sum "$base")" = "$good_sum" ] || fail "the good image was changed"

# In use: by a server that only reads nothing of it yet.
name=busy-$$
"$RUMP" run --no-fuse --name "$name" -m "/vol=ext4:$base" -- sleep 3600 &
run=$!
background "$run"
wait_for 60 eval 'family "$name" | has "^server"' || fail "no server"
refuses "an image in use" 125 'in use' \
	"$RUMP" run --no-fuse -m "/vol=ext4:$base" -- true
refuses "a name in use" 125 "$name" \
	"$RUMP" run --no-fuse --name "$name" -m "/vol=ext4:$WORK/other.img" -- true
kill -TERM "$run"
wait "$run" || true
CHILDREN=()

# Read-only, by its mode and by a read-only mount.
cp "$base" "$WORK/ro.img"
if [ "$(id -u)" = 0 ]; then
	mkdir "$WORK/ro"
	mount -t tmpfs none "$WORK/ro"
	cp "$base" "$WORK/ro/ro.img"
	mount -o remount,ro "$WORK/ro"
	refuse_image "a read-only image without ro" "$WORK/ro/ro.img" 'ro\b|read-only'
	"$RUMP" run --no-fuse -m "/vol=ext4:$WORK/ro/ro.img,ro" -- true ||
		fail "a read-only image with ro is refused"
	umount "$WORK/ro"
else
	chmod 444 "$WORK/ro.img"
	refuse_image "a read-only image without ro" "$WORK/ro.img" 'ro\b|read-only'
fi

# /dev/fuse that this user may not open: said, and nobody waits for ever.
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" = 0 ] && "${user[@]}" unshare -Urm true 2>/dev/null &&
   "${user[@]}" test -x "$RUMP" && [ -e /dev/fuse ] &&
   ! "${user[@]}" test -w /dev/fuse; then
	chmod 711 "$WORK"
	mkdir "$WORK/theirs"
	cp "$base" "$WORK/theirs/disk.img"
	chown -R 65534:65534 "$WORK/theirs"
	refuses "/dev/fuse of root alone" 125 'fuse' "${user[@]}" \
		env XDG_RUNTIME_DIR="$WORK/theirs" \
		"$RUMP" run --proxy=none -m "/vol=ext4:$WORK/theirs/disk.img" -- true
fi

refuses "a mount at no directory" 125 'no such|directory' \
	"$RUMP" mount "ext4:$base" "$WORK/nowhere"
# rump mount: what is wrong with the directory or with FUSE.
mkdir "$WORK/dir"
refuses "a mount point that is no directory" 125 'not a directory' \
	"$RUMP" mount "ext4:$base" "$base"
refuses "a mount on /" 125 'nothing can be mounted' "$RUMP" mount "ext4:$base" /
refuses "a typo in the driver's options" 125 'noload_' \
	"$RUMP" mount "ext4:$base,noload_" "$WORK/dir"
refuses "an option too many" 125 'option' "$RUMP" mount --frob "ext4:$base" "$WORK/dir"
if [ "$(id -u)" = 0 ] && [ -w /dev/fuse ] &&
   unshare -m --propagation private true 2>/dev/null; then
	mkdir "$WORK/dev"
	mknod "$WORK/null" c 1 3
	refuses "no FUSE" 125 'no FUSE' unshare -m --propagation private sh -c '
		mount --bind "$3" /dev && exec "$0" mount "ext4:$1" "$2"' \
		"$RUMP" "$base" "$WORK/dir" "$WORK/dev"
	chown 65534 "$WORK" "$base" "$WORK/dir"
	if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$RUMP"; then
		mknod -m 600 "$WORK/fuse" c 10 229
		refuses "no permission for FUSE" 125 'permission.*/dev/fuse' \
			unshare -m --propagation private sh -c '
			mount --bind "$3" /dev/fuse &&
			exec setpriv --reuid 65534 --regid 65534 --clear-groups \
				env XDG_RUNTIME_DIR="$4" "$0" mount "ext4:$1" "$2"' \
			"$RUMP" "$base" "$WORK/dir" "$WORK/fuse" "$WORK"
	fi
	chown 0 "$WORK" "$base" "$WORK/dir"
	# What is in the directory is hidden, as by every mount.
	: >"$WORK/dir/hidden"
	"$RUMP" mount "ext4:$base" "$WORK/dir" || fail "a directory that is not empty"
	[ ! -e "$WORK/dir/hidden" ] || fail "nothing was mounted"
	refuses "a mount point of ours" 125 'already' \
		"$RUMP" mount "ext4:$WORK/other.img" "$WORK/dir"
	mkdir "$WORK/dir2"
	refuses "an image in use by a mount" 125 'in use' \
		"$RUMP" mount "ext4:$base" "$WORK/dir2"
	"$RUMP" umount "$WORK/dir" || fail "no umount"
	[ -e "$WORK/dir/hidden" ] || fail "what was hidden is gone"
fi
refuses "recover of nothing" 125 'no such' "$RUMP" recover "$WORK/none.img"
refuses "umount of nothing" 125 '.' "$RUMP" umount "$WORK/nowhere"
