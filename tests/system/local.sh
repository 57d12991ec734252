#!/bin/bash
# local.sh - drivers in the application, without a server: every op, threads,
# the example program and its sentences, and an image whose user was killed.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
cat=$BUILD/tools/examples/rump-cat
img=$WORK/disk.img

image "$img" 64M
"$BUILD/tests/system/system-all_ops" "/vol=ext4:$img" || fail "all_ops: $?"
check_image "$img"
image "$img" 64M
"$BUILD/tests/system/system-local" "/vol=sleepy:$img" || fail "threads: $?"
check_image "$img"
[ ! -e "$img.rump-journal" ] || fail "the journal is still there"
echo hello | "$cat" -w mem: /file || fail "mem: $?"
say "every op and threads"

head -c 3000000 /dev/urandom >"$WORK/data"
"$cat" -w "ext4:$img" /data <"$WORK/data"
"$cat" "ext4:$img" /data | cmp - "$WORK/data" || fail "rump-cat: other bytes"
"$cat" "ext4:$img" / | has -x data || fail "rump-cat: no such name"
dump "$img" /data "$WORK/dumped" && cmp "$WORK/data" "$WORK/dumped" ||
	fail "the image has other bytes"
mkdir "$WORK/dir" && echo hello >"$WORK/dir/file"
tar -C "$WORK" -cf "$WORK/a.tar" dir
[ "$("$cat" "archive:$WORK/a.tar" /dir/file)" = hello ] || fail "an archive"
"$cat" "fault+ext4:$img,fault.rule=read:once:error=EIO" /data >/dev/null 2>&1 &&
	fail "fault found nothing to do"
refuses "no such file" 1 'nothing.*No such file' "$cat" "ext4:$img" /nothing
refuses "no such image" 1 'no such image' "$cat" "ext4:$WORK/none" /x
refuses "no such driver" 1 'unknown driver .foo' "$cat" "foo:$img" /x
refuses "no file system" 1 'cannot mount' "$cat" "ext4:$WORK/data" /x

# Killed while it writes: what was flushed last is what the image has.
for i in 1 2 3 4 5; do
	(while cat "$WORK/data"; do :; done 2>/dev/null |
		timeout -s KILL "0.$((i * 7 % 10 + 1))" "$cat" -w "ext4:$img" "/killed$i") || true
	"$cat" -w "ext4:$img" /data <"$WORK/data" ||
		fail "not usable after a kill"
	check_image "$img"
	"$cat" "ext4:$img" /data | cmp - "$WORK/data" ||
		fail "other bytes after a kill"
done 2>/dev/null
say "killed in the middle of writes"
