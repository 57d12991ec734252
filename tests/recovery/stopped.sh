#!/bin/bash
# stopped.sh - servers that are stopped or hang, supervisors that are stopped,
# and mounts that must go all the same: nothing waits for ever.
# limit: 200
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
need_program umount timeout
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
img=$WORK/disk.img dir=$WORK/mnt name=stopped-$$
mkdir "$dir"
gone() { [ -z "$(family "$name")" ] && ! grep -q " $dir " /proc/self/mountinfo; }
up()
{
	image "$img" 32M
	"$RUMP" mount --name "$name" --deadline "${1:-1s}" \
		"fault+ext4:$img,fault.rule=lookup@hang-me:always:hang" \
		"$dir" || fail "no mount"
}
# in_time WHAT COMMAND...: it ends.
in_time()
{
	local what=$1 status=0
	shift
	timeout -k 1 300 "$@" || status=$?
	[ "$status" != 124 ] && [ "$status" != 137 ] || fail "$what hangs"
	return "$status"
}

# A stopped server is a hang, also when it computes nothing.
up
echo one >"$dir/one"
server=$(member "$name" server)
kill -STOP "$server"
in_time "a call to a stopped server" sh -c "echo two >$dir/two" ||
	fail "a call to a stopped server fails"
[ "$(member "$name" server)" != "$server" ] || fail "it was not replaced"
# So is a standby that is stopped when its turn comes.
kill -STOP "$(member "$name" standby)"
kill -9 "$(member "$name" server)"
in_time "a stopped standby" sh -c "echo three >$dir/three" || fail "a stopped standby"
# All of them, longer than the deadline: they go on, and nobody is replaced.
member "$name" standby >/dev/null
sleep 0.5
server=$(member "$name" server)
all=$(family "$name" | awk '{print $2}')
kill -STOP $all || true
sleep 2.5
kill -CONT $all || true
in_time "a family that was stopped" cat "$dir/one" "$dir/two" "$dir/three" >/dev/null ||
	fail "it did not go on"
sleep 1.5
[ "$(member "$name" server)" = "$server" ] || fail "being frozen together counts as a hang"

# umount while the server is stopped, and while it is dead.
kill -STOP "$server"
in_time "umount of a stopped server" "$RUMP" umount "$dir" || fail "no umount"
wait_for 60 gone || fail "something stays"
check_image "$img"
up
kill -9 "$(member "$name" server)"
in_time "umount of a dead server" umount "$dir" || fail "no umount"
wait_for 60 gone || fail "something stays"
check_image "$img"

# umount(8) asks the file system first, so it waits until a hang is over; -l and
# -f do not, and with -f nobody waits any more.
up 1s
cat "$dir/hang-me" 2>/dev/null &
caller=$!
background "$caller"
sleep 0.3
in_time "umount of a hanging one" umount "$dir" 2>/dev/null || true
wait_for 60 eval '! kill -0 "$caller"' || fail "its caller is stuck"
wait "$caller" || true
CHILDREN=()
gone || "$RUMP" umount "$dir" 2>/dev/null || true
wait_for 60 gone || fail "something stays"
for how in "umount -l" "umount -f" "$RUMP umount --force" "$RUMP umount --lazy"; do
	case $how in
	*-l*) up 2s ;;
	*) up 600s ;;
	esac
	cat "$dir/hang-me" 2>/dev/null &
	caller=$!
	background "$caller"
	sleep 0.3
	in_time "$how" $how "$dir" 2>/dev/null || [[ $how = *-f* ]] ||
		fail "$how fails"
	wait_for 60 eval '! kill -0 "$caller"' || fail "$how: its caller is stuck"
	wait "$caller" 2>/dev/null || true
	CHILDREN=()
	[[ $how = *-l* ]] || kill -9 $(family "$name" | awk '$1 == "server" {print $2}') 2>/dev/null ||
		true
	wait_for 60 gone || fail "$how: something stays"
done

# sync of the host does not wait for a mount whose server is stopped or dead.
up 600s
echo one >"$dir/one"
kill -STOP "$(member "$name" server)"
in_time "sync" sync -f "$WORK" || fail "sync"
in_time "sync of all" sync || fail "sync"
kill -9 "$(member "$name" server)"
in_time "sync of all" sync || fail "sync"

in_time "umount" "$RUMP" umount "$dir" || fail "no umount"

# Given up, here because the log is damaged before the keeper has applied it, and
# there is no device to go back to: whoever waits gets an error, and the mount
# goes.
"$RUMP" mount --name "$name" --deadline 60s \
	"fault+mem:x,fault.rule=lookup@hang-me:always:hang" "$dir" ||
	fail "no mount"
supervisor=$(member "$name" supervisor)
log=$(find /proc/"$supervisor"/fd -lname '/memfd:rump-log*' | head -n 1)
kill -STOP "$(member "$name" keeper)"
echo one >"$dir/one"
cat "$dir/hang-me" >"$WORK/read" 2>&1 &
caller=$!
background "$caller"
sleep 0.3
# Behind the two pages that keeper and server publish in.
head -c 1M /dev/urandom | dd of="$log" bs=4096 seek=2 conv=notrunc 2>/dev/null
kill -9 "$(member "$name" server)"
wait_for 60 eval '! kill -0 "$caller"' || fail "a caller is stuck"
! wait "$caller" || fail "its call succeeds"
CHILDREN=()
wait_for 60 gone || fail "what was given up stays"
