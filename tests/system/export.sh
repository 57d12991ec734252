#!/bin/bash
# export.sh - what a server holds goes to a file and comes back as another
# server: its images as of one instant, though programs write meanwhile; what is
# no such file, or only a part of one, is refused.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
img=$WORK/disk.img new=$WORK/new.img dir=$WORK/mnt name=ex-$$ state=$WORK/state
model=$BUILD/tests/recovery/model
mkdir "$dir"
image "$img" 64M
ended() { [ -z "$(family "$1")" ]; }
unmount() { "$RUMP" umount "$dir" && wait_for 20 ended "$1"; }

# A mount of the host: one instant of it, and what came later not.
"$RUMP" mount --name "$name" "ext4:$img" "$dir"
for i in $(seq 200); do echo "$i" >>"$dir/log"; done
cp "$RUMP" "$dir/large"
exec 5<>"$dir/gone" && rm "$dir/gone"
"$RUMP" export "$name" "$state" || fail "no export"
[ "$(stat -c %a "$state")" = 600 ] || fail "others may read what was exported"
echo later >"$dir/later"
refuses "an image that is there" 125 'cannot make the image .*exists' \
	"$RUMP" import "$state" "again-$name"
exec 5>&-
unmount "$name" || fail "no umount"
check_image "$img"
"$RUMP" import --image "$new" "$state" "$name" || fail "no import"
[ "$(wc -l <"$dir/log")" = 200 ] || fail "the log is not what it was"
cmp "$dir/large" "$RUMP" || fail "a file is not what it was"
[ ! -e "$dir/later" ] || fail "what came after the export is there"
echo on >>"$dir/log"
kill -9 "$(family "$name" | awk '$1 == "server" {print $2}')"
[ "$(tail -n 1 "$dir/log")" = on ] || fail "an imported server does not survive"
unmount "$name" || fail "no umount of the imported one"
check_image "$new"

# A shared server, while clients of the library work on it.
image "$img" 64M
rm "$new"
socket=$("$RUMP" run --no-fuse --name "$name" -m "/vol=ext4:$img" -- \
	sh -c 'echo "$RUMP_SOCKET"')
"$RUMP" start --no-fuse "$name" "/vol=ext4:$img" || fail "no start"
RUMP_SOCKET=$socket "$model" -l -n 800 -s 3 /vol >"$WORK/model" 2>&1 &
load=$!
background "$load"
for _ in 1 2 3; do "$RUMP" export "$name" "$state" || fail "no export"; done
wait "$load" || { cat "$WORK/model" >&2; fail "a client noticed more than a pause"; }
CHILDREN=()
"$RUMP" export "$name" "$state" && "$RUMP" stop "$name" || fail "no stop"
"$RUMP" import --image "$new" "$state" "$name" || fail "no import"
"$RUMP" stop "$name" || fail "no stop of the imported one"
check_image "$new"

# Bad input.
"$RUMP" start --no-fuse "$name" "/vol=ext4:$img" || fail "no start"
"$RUMP" export --no-images "$name" "$WORK/bare" || fail "no export without images"
refuses "no server" 125 'no server' "$RUMP" export "none-$name" "$WORK/x"
refuses "no place" 125 'cannot write' "$RUMP" export "$name" "$WORK/none/x"
"$RUMP" stop "$name" || fail "no stop"
rm "$new"
for n in 0 15 40 1000 5000; do
	head -c "$n" "$state" >"$WORK/cut"
	refuses "$n bytes of it" 125 'truncated|no exported state' \
		"$RUMP" import --image "$new" "$WORK/cut" "$name"
done
cp "$state" "$WORK/bad"
printf x | dd of="$WORK/bad" bs=1 seek=9000 conv=notrunc status=none
refuses "a changed byte" 125 'damaged' "$RUMP" import --image "$new" "$WORK/bad" "$name"
refuses "another file" 125 'no exported state' \
	"$RUMP" import --image "$new" "$RUMP" "$name"
refuses "no images in it" 125 'without its images' \
	"$RUMP" import --image "$new" "$WORK/bare" "$name"
[ ! -e "$new" ] || fail "a refused import left an image"
refuses "no file" 125 'cannot read' "$RUMP" import "$WORK/none" "$name"
