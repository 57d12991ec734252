#!/bin/bash
# supervisor.sh - the supervisor of a mount is killed again and again while
# programs work on it: the holder forks the next, and nobody notices. Without
# a holder, or when no successor lives, the mount goes with it.
# limit: 120 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
model=$BUILD/tests/recovery/model
img=$WORK/disk.img dir=$WORK/mnt name=sup-$$
kills=15
[ "$LONG" = 0 ] || kills=300
image "$img" 128M
mkdir "$dir"
"$RUMP" mount --name "$name" "ext4:$img" "$dir" || fail "no mount"
pid_of() { member "$name" "$1"; }
now() { family "$name" | awk '$1 == "supervisor" {print $2}'; }
# The next one listens: the one before it is not asked any more.
other() { now=$(now) && [ -n "$now" ] && [ "$now" != "$1" ]; }

(while :; do
	rm -rf "$dir/m" && mkdir "$dir/m" &&
		"$model" -n 2000 -s $RANDOM "$dir/m" >"$WORK/model" 2>&1 || exit 1
	[ ! -e "$WORK/enough" ] || exit 0
done) &
load=$!
background "$load"
# Open, unlinked, locked: all of it is known to the family alone.
exec 5<>"$dir/open" 6<>"$dir/lock"
rm "$dir/open"
flock 6
for i in $(seq "$kills"); do
	before=$(pid_of supervisor)
	echo "line $i" >&5
	kill -9 "$before"
	wait_for 60 other "$before" || fail "no supervisor after kill $i"
	if (flock -n 7) 7<"$dir/lock"; then fail "kill $i: the lock is lost"; fi
	kill -0 "$load" 2>/dev/null || break
done
: >"$WORK/enough"
wait "$load" || { cat "$WORK/model" >&2; fail "the model found an error"; }
CHILDREN=()
[ "$(wc -l </proc/$$/fd/5)" = "$kills" ] || fail "the open file is lost"
exec 5>&- 6>&-
# Killed while it stops, it stops all the same.
"$RUMP" umount "$dir" || fail "no umount"
wait_for 60 eval '[ -z "$(family "$name")" ]' || fail "processes stay"
check_image "$img"
say "$kills supervisors killed"

# Nobody to fork another: the holder gives up and takes the mount along.
"$RUMP" mount --name "$name" "ext4:$img" "$dir"
echo kept >"$dir/kept"
sync "$dir/kept"
holder=$(pid_of holder)
wait_for 120 eval '! kill -0 "$holder" || { kill -9 $(now); false; }' ||
	fail "the holder does not give up"
! grep -q " $dir " /proc/self/mountinfo || fail "a dead mount stays"
"$RUMP" recover "$img" >/dev/null || fail "no recovery"
check_image "$img"
dump "$img" kept "$WORK/kept" || fail "what was synced is lost"

# The holder alone: its supervisor goes on without it.
"$RUMP" mount --name "$name" "ext4:$img" "$dir"
kill -9 "$(pid_of holder)"
kill -9 "$(pid_of server)"
[ "$(cat "$dir/kept")" = kept ] || fail "it ended with the holder"
"$RUMP" umount "$dir" || fail "no umount without a holder"
check_image "$img"
