#!/bin/bash
# mount.sh - rump mount, ps and umount: a server for the whole host.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
img=$WORK/disk.img
image "$img" 64M
mkdir "$WORK/mnt"

"$RUMP" mount "ext4:$img" "$WORK/mnt" || fail "no mount"
grep -q " $WORK/mnt " /proc/self/mountinfo || fail "nothing is mounted"
"$RUMP" ps | has "$WORK/mnt" || fail "ps does not show it"
# Other servers of this machine are none of ours.
name=$("$RUMP" ps | awk -v m="$WORK/mnt=" 'index($NF, m) == 1 { print $1 }')
for i in $(seq 20); do
	echo "line $i" >>"$WORK/mnt/file"
	kill -9 "$(member "$name" server)"
done
[ "$(wc -l <"$WORK/mnt/file")" = 20 ] || fail "lines are lost"
refuses "a mount point of ours" 125 "already" "$RUMP" mount "ext4:$img" "$WORK/mnt"
refuses "an image in use" 125 "in use" "$RUMP" mount "ext4:$img" "$WORK"
# Busy is refused, and stays.
(cd "$WORK/mnt" && exec sleep 3600) &
busy=$!
background "$busy"
wait_for 60 eval '[ "$(readlink /proc/$busy/cwd)" = "$WORK/mnt" ]' || fail "it does not start"
status=0
"$RUMP" umount "$WORK/mnt" 2>"$WORK/err" || status=$?
[ "$status" != 0 ] || fail "a busy mount was taken away"
[ "$(cat "$WORK/mnt/file" | wc -l)" = 20 ] || fail "a refused umount broke it"
kill "$busy"
wait "$busy" 2>/dev/null || true
CHILDREN=()
"$RUMP" umount "$WORK/mnt" || fail "no umount"
! grep -q " $WORK/mnt " /proc/self/mountinfo || fail "still mounted"
check_image "$img"

# In the foreground, ended by a signal.
"$RUMP" mount "ext4:$img" "$WORK/mnt" --foreground &
run=$!
background "$run"
wait_for 60 grep -q " $WORK/mnt " /proc/self/mountinfo || fail "no mount in front"
[ "$(wc -l <"$WORK/mnt/file")" = 20 ] || fail "the file is gone"
kill -TERM "$run"
wait "$run" || true
CHILDREN=()
wait_for 60 eval '! grep -q " $WORK/mnt " /proc/self/mountinfo' || fail "left mounted"

# The umount command of the system ends it too.
"$RUMP" mount "ext4:$img" "$WORK/mnt"
echo last >"$WORK/mnt/last"
umount "$WORK/mnt"
wait_for 60 eval '! "$RUMP" ps | has "$WORK/mnt"' || fail "the server stays"
check_image "$img"
dump "$img" last "$WORK/last" && [ "$(cat "$WORK/last")" = last ] ||
	fail "the last file is not in the image"

# With its holder a killed supervisor leaves a dead mount behind: umount takes
# it away, and the image is there for the next.
kill_all()
{
	local pids name
	name=$("$RUMP" ps | awk -v m="$WORK/mnt=" 'index($NF, m) == 1 { print $1 }')
	pids="$(member "$name" holder) $(member "$name" supervisor)"
	kill -9 $pids
	wait_for 60 eval '! kill -0 $pids' || fail "they do not die"
}
"$RUMP" mount "ext4:$img" "$WORK/mnt"
kill_all
"$RUMP" umount "$WORK/mnt" 2>"$WORK/said" || fail "a dead mount stays"
grep -q "had been killed" "$WORK/said" || fail "nothing is said of it"
! grep -q " $WORK/mnt " /proc/mounts || fail "a dead mount is still listed"
"$RUMP" mount "ext4:$img" "$WORK/mnt" || fail "the image does not mount again"

# So does the next mount, of the same directory or of the same image.
kill_all
"$RUMP" mount "ext4:$img" "$WORK/mnt" 2>"$WORK/said" || {
	cat "$WORK/said" >&2; fail "a dead mount is in the way"; }
grep -q "had been killed" "$WORK/said" && [ "$(wc -l <"$WORK/said")" = 1 ] ||
	fail "nothing is said of the dead mount there"
[ "$(grep -c " $WORK/mnt " /proc/mounts)" = 1 ] || fail "it is still listed"
[ "$(cat "$WORK/mnt/last")" = last ] || fail "the last file is gone"
kill_all
mkdir "$WORK/other"
"$RUMP" mount "ext4:$img" "$WORK/other" 2>"$WORK/said" || {
	cat "$WORK/said" >&2; fail "a dead mount of the image is in the way"; }
grep -q "$WORK/mnt.*had been killed" "$WORK/said" ||
	fail "nothing is said of the dead mount of the image"
! grep -q " $WORK/mnt " /proc/mounts || fail "the dead mount stays"
"$RUMP" umount "$WORK/other" || fail "no umount"
check_image "$img"
