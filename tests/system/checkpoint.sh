#!/bin/bash
# checkpoint.sh - rump checkpoint, checkpoints and restore: what they store, what
# comes back, and what they say when they cannot.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
name=ckpt-$$

start() { "$RUMP" start --no-fuse "$name" "ext4:$img" || fail "start"; }
stop() { "$RUMP" stop "$name" || fail "stop"; }
in_server() { "$RUMP" run --proxy=preload -s "$name" -- "$@"; }
stored() { "$RUMP" checkpoints "$1" | awk -v l="$2" '$1 == l {print $4}'; }
# digest IMAGE: of the tree in it, without rump.
digest()
{
	local dir=$WORK/tree
	rm -rf "$dir" && mkdir "$dir"
	debugfs -R "rdump / $dir" "$1" >/dev/null 2>&1
	(cd "$dir" && find . -type f -exec sha256sum {} + | sort) | sha256sum
}
# holds WORD: the image is in order, and its file says so.
holds()
{
	check_image "$img"
	dump "$img" /file "$WORK/out" && [ "$(cat "$WORK/out")" = "$1" ] ||
		fail "the image holds '$(cat "$WORK/out")', not '$1'"
}

image "$img" 64M
start
in_server sh -c "echo one >/$name/file
	head -c 2M /dev/urandom >/$name/data" || fail "cannot write"
"$RUMP" checkpoint "$name" one || fail "checkpoint"
[ "$(stored "$name" one)" = 0 ] || fail "making one stored something"
in_server sh -c "echo two >/$name/file
	head -c 1M /dev/urandom | dd of=/$name/data conv=notrunc status=none" ||
	fail "cannot write"
"$RUMP" checkpoint "$name" two || fail "checkpoint"
# 1 MiB of data and some blocks of the file system's own.
[[ $(stored "$name" one) == 1.[0-2]M ]] ||
	fail "$(stored "$name" one) stored for 1 MiB that changed"
in_server sh -c "echo three >/$name/file; rm /$name/data" || fail "rm"

refuses "a label that is taken" 125 "a checkpoint 'two' already" \
	"$RUMP" checkpoint "$name" two
refuses "a bad label" 125 "is no label; use up to 63" \
	"$RUMP" checkpoint "$name" ../x
refuses "a label that is too long" 125 "is no label" \
	"$RUMP" checkpoint "$name" "$(printf %064d 0)"
refuses "an unknown server" 125 "no server .*is '$name' meant" \
	"$RUMP" checkpoint "${name}x" x
refuses "removing what is not there" 125 "no checkpoint 'nine'" \
	"$RUMP" checkpoint --delete "$name" nine
refuses "an image in use" 125 "in use by another server" \
	"$RUMP" restore "$img" one
refuses "a server" 125 "of a server, give the image, and stop it first" \
	"$RUMP" restore "$name" one
refuses "no label" 125 "takes a name and a label" "$RUMP" checkpoint "$name"
refuses "no such image" 125 "no such image" "$RUMP" restore "$WORK/no" one
refuses "no such image" 125 "no such image" "$RUMP" checkpoints "$WORK/no"
refuses "an option" 125 "option --x is unknown" "$RUMP" restore --x "$img" one
"$RUMP" checkpoint "$name" three || fail "checkpoint"
stop
[ ! -e "$img.rump-journal" ] || fail "a journal was left"

refuses "an unknown label" 125 "no checkpoint 'nine'" \
	"$RUMP" restore "$img" nine
refuses "a copy over what is there" 125 "exists already" \
	"$RUMP" restore --to "$img" "$img" one
before=$(sum "$img")
"$RUMP" restore --to "$WORK/copy.img" "$img" one >/dev/null || fail "restore --to"
[ "$(sum "$img")" = "$before" ] || fail "restore --to changed the image"
check_image "$WORK/copy.img"
holds three
# Back and forth: all of them stay what they were.
for word in one three two one; do
	"$RUMP" restore "$img" "$word" >/dev/null || fail "restore $word"
	holds "$word"
done
[ "$(digest "$img")" = "$(digest "$WORK/copy.img")" ] || fail "the copy differs"

# What is written after a restoring is saved as ever, by whichever build.
start
"$RUMP" upgrade "$name" >/dev/null || fail "upgrade"
in_server sh -c "echo four >/$name/file" || fail "cannot write"
"$RUMP" checkpoint --delete "$name" two || fail "--delete"
stop
"$RUMP" checkpoint --delete "$img" three || fail "--delete of an image"
[ "$("$RUMP" checkpoints "$img" | wc -l)" = 2 ] || fail "not one is left"
"$RUMP" restore "$img" one >/dev/null || fail "restore"
holds one

# Somebody else wrote to the image.
start
in_server sh -c "echo five >/$name/file" || fail "cannot write"
stop
tune2fs -L changed "$img" >/dev/null
refuses "an image that was changed" 125 "changed by another program" \
	"$RUMP" restore "$img" one
"$RUMP" checkpoints "$img" | grep -q "void: the image was changed" ||
	fail "the list does not say why"
holds five
start
"$RUMP" checkpoint "$name" again || fail "a checkpoint after void ones"
in_server sh -c "echo six >/$name/file" || fail "cannot write"
stop
cp "$img.rump-checkpoints" "$WORK/kept"
dd if=/dev/urandom of="$img.rump-checkpoints" bs=4k seek=17 count=1 \
	conv=notrunc status=none
before=$(sum "$img")
refuses "a damaged file" 125 "damaged" "$RUMP" restore "$img" again
[ "$(sum "$img")" = "$before" ] || fail "half restored"
truncate -s 70000 "$WORK/kept"
cp "$WORK/kept" "$img.rump-checkpoints"
refuses "a file cut off" 125 "damaged" "$RUMP" restore "$img" again
head -c 200000 /dev/urandom >"$img.rump-checkpoints"
printf rkub | dd of="$img.rump-checkpoints" bs=64k seek=1 conv=notrunc status=none
refuses "no such file" 125 "damaged; remove it" "$RUMP" checkpoints "$img"
start
refuses "a checkpoint beside it" 125 "damaged; remove it" \
	"$RUMP" checkpoint "$name" x
stop
rm "$img.rump-checkpoints"
[ "$("$RUMP" checkpoints "$img")" = "no checkpoints" ] || fail "checkpoints"

# A disk that is full where old content is saved: the image is written all the
# same. XDG_STATE_HOME: the file that is there already stays there.
if [ "$(id -u)" = 0 ] && mkdir "$WORK/small" &&
	mount -t tmpfs -o size=1m small "$WORK/small" 2>/dev/null; then
	export XDG_STATE_HOME=$WORK/small
	mkdir "$WORK/small/rump"
	# shellcheck disable=SC2046
	: >"$WORK/small/rump/$(printf '%x-%x-%s.rump-checkpoints' \
		$(stat -c '%Hd %Ld %i' "$img"))"
	start
	in_server sh -c "head -c 4M /dev/urandom >/$name/data" || fail "data"
	"$RUMP" checkpoint "$name" full || fail "checkpoint"
	in_server sh -c "head -c 4M /dev/urandom |
		dd of=/$name/data conv=notrunc status=none
		echo six >/$name/file" || fail "cannot write"
	"$RUMP" stop "$name" || fail "stop when the disk is full"
	holds six
	[ -e "$WORK/small/rump" ] && [ ! -e "$img.rump-checkpoints" ] ||
		fail "its file is elsewhere"
	"$RUMP" checkpoints "$img" | grep -q "void: there was no space" ||
		fail "the list does not say that it was full"
	refuses "one for which there was no space" 125 "no space for what" \
		"$RUMP" restore "$img" full
	"$RUMP" checkpoint --delete "$img" full || fail "--delete"
	unset XDG_STATE_HOME
else
	say "a full disk: left out, no tmpfs can be mounted here"
fi

# Whose they are.
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$WORK"
	"$RUMP" run --no-fuse -m "/vol=ext4:$img" -- \
		"$BUILD/tests/system/system-checkpoint" || fail "strangers"
	"$RUMP" checkpoint --delete "$img" owner || fail "--delete"
fi

# Images that have none.
"$RUMP" start --no-fuse "$name" "mem:" || fail "start"
refuses "a server without an image" 125 "has no image" \
	"$RUMP" checkpoint "$name" x
stop
"$RUMP" start --no-fuse "$name" "ext4:$img,ro" || fail "start"
refuses "a read-only image" 125 "are read-only" "$RUMP" checkpoint "$name" x
stop
# All images of a server at once.
image "$WORK/two.img" 32M
"$RUMP" start --no-fuse "$name" "/a=ext4:$img" "/b=ext4:$WORK/two.img" ||
	fail "start"
"$RUMP" checkpoint "$name" both || fail "checkpoint of two"
stop
for i in "$img" "$WORK/two.img"; do
	"$RUMP" checkpoints "$i" | grep -q ^both || fail "not of $i"
done
