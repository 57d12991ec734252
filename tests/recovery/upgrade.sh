#!/bin/bash
# upgrade.sh - another build takes the place of a server again and again, while
# programs work on its mount and by the library: none notices. Whoever is
# killed, at whatever instant of it, one of the two serves; a build that won't
# do is refused, and the old one goes on.
# limit: 300 1800
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
model=$BUILD/tests/recovery/model
pages=$BUILD/tests/recovery/pages
img=$WORK/disk.img dir=$WORK/mnt name=up-$$
rounds=4 kills=6
[ "$LONG" = 0 ] || rounds=60 kills=200
mkdir "$dir"
pid_of() { family "$name" | awk -v r="$1" '$1 == r {print $2}'; }
ended() { [ -z "$(family "$name")" ]; }
upgrade() { timeout -k 5 120 "$RUMP" upgrade "$@" "$name" </dev/null; }
socket=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/rump/$name.sock}
find_socket() { [ -S "$socket" ] || socket=/run/rump/$name.sock; [ -S "$socket" ]; }

# work: programs on the mount and by the library until there is "$WORK/enough".
work()
{
	rm -f "$WORK/enough"
	(while [ ! -e "$WORK/enough" ]; do
		rm -rf "$dir/m" && mkdir "$dir/m" && "$model" -n 600 \
			-s $RANDOM "$dir/m" >"$WORK/model" 2>&1 || exit 1
	done) &
	load=$!
	background "$load"
	find_socket || fail "no socket"
	(while [ ! -e "$WORK/enough" ]; do
		rm -rf "$dir/l" && mkdir "$dir/l" && RUMP_SOCKET=$socket "$model" \
			-l -n 600 -s $RANDOM "$dir/l" >"$WORK/library" 2>&1 || exit 1
	done) &
	library=$!
	background "$library"
}

rest()
{
	: >"$WORK/enough"
	wait "$load" || { cat "$WORK/model" >&2; fail "$1: wrong on the mount"; }
	# its connections end with a supervisor that is killed
	wait "$library" || [ -n "${2:-}" ] ||
		{ cat "$WORK/library" >&2; fail "$1: wrong by the library"; }
	CHILDREN=()
}

start() { image "$img" 128M; "$RUMP" mount --name "$name" "ext4:$img" "$dir"; }
finish()
{
	timeout -k 5 60 "$RUMP" umount "$dir" || fail "$1: no umount"
	wait_for 20 ended || fail "$1: processes stay"
	check_image "$img"
}

# Open, unlinked, locked: all of it is known to the family alone.
start
exec 5<>"$dir/open" 6<>"$dir/lock"
rm "$dir/open"
flock 6
work
for i in $(seq "$rounds"); do
	before=$(pid_of supervisor)
	echo "line $i" >&5
	upgrade >"$WORK/out" || fail "upgrade $i"
	[ "$(pid_of supervisor)" != "$before" ] || fail "$i: the old one serves"
	if (flock -n 7) 7<"$dir/lock"; then fail "$i: the lock is lost"; fi
	kill -9 "$(pid_of server)"
done
rest upgrades
[ "$(wc -l </proc/$$/fd/5)" = "$rounds" ] || fail "the open file is lost"
exec 5>&- 6>&-
finish upgrades
say "$rounds upgrades, the last: $(cat "$WORK/out")"

# Each instant of it, with the supervisors and holders killed at random too.
for point in upgrade_prepared upgrade_paused upgrade_written upgrade_read \
	upgrade_canaried upgrade_switched; do
	RUMP_CRASH=$point start
	work
	upgrade >"$WORK/out" 2>"$WORK/err" || true
	echo alive >"$dir/alive"
	[ "$(cat "$dir/alive")" = alive ] || fail "$point: nobody serves"
	rest "$point" "$([ $point != upgrade_switched ] || echo killed)"
	finish "$point"
	say "killed at $point: $(cat "$WORK/out" "$WORK/err")"
done
start
work
for i in $(seq "$kills"); do
	upgrade >/dev/null 2>&1 &
	upgrading=$!
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	victim=$(pid_of supervisor)
	# the new holder is a child of the old supervisor
	[ $((i % 2)) = 1 ] || victim=$(pgrep -P "$victim" -x rump || echo "$victim")
	kill -9 "$victim" 2>/dev/null || true
	wait "$upgrading" || true
	wait_for 20 eval '[ -n "$(pid_of server)" ]' || fail "kill $i: nobody serves"
done
rest kills killed
finish kills
say "$kills of supervisors and holders killed in an upgrade"

# Cells, mapped files, offsets that a client has borrowed.
image "$img" 64M
"$RUMP" start --no-fuse "$name" "/vol=ext4:$img" || fail "no start"
for what in "reads 3" "agree 1500" "map 3"; do
	# shellcheck disable=SC2086
	RUMP_SOCKET=$socket "$pages" $what >"$WORK/pages" 2>&1 &
	load=$!
	background "$load"
	for i in 1 2; do upgrade >/dev/null || fail "$what: upgrade $i"; done
	wait "$load" || { cat "$WORK/pages" >&2; fail "$what"; }
	CHILDREN=()
done
"$RUMP" stop "$name" || fail "no stop"
check_image "$img"

# Programs that share a server, and a build that won't do.
"$RUMP" start "$name" "/vol=ext4:$img" || fail "no start"
mkdir "$WORK/bin"
cat >"$WORK/bin/newer" <<END
#!/bin/sh
RUMP_STATE_VERSION=99 exec "$RUMP" "\$@"
END
printf '#!/bin/sh\nexit 0\n' >"$WORK/bin/nothing"
chmod 755 "$WORK/bin/newer" "$WORK/bin/nothing"
"$RUMP" run -s "$name" -- sh -c 'cd /vol && mkdir in && cd in && exec 5>out &&
	read -r x <"$1" && echo "$x" >&5 && sleep 1 && [ "$(cat out)" = go ]' \
	sh <(wait_for 60 [ -e "$WORK/go" ]; echo go) &
program=$!
background "$program"
before=$(pid_of supervisor)
refuses "another version" 125 'goes on: .*version 1, .* version 99' \
	"$RUMP" upgrade --program "$WORK/bin/newer" "$name"
refuses "a program that ends" 125 'goes on: the new program ended' \
	"$RUMP" upgrade --program "$WORK/bin/nothing" "$name"
refuses "a program that is none" 125 'goes on: cannot start' \
	"$RUMP" upgrade --program "$WORK/bin" "$name"
refuses "no program" 125 'cannot run' \
	"$RUMP" upgrade --program "$WORK/none" "$name"
[ "$(pid_of supervisor)" = "$before" ] || fail "a refused build serves"
upgrade >/dev/null || fail "no upgrade after refusals"
: >"$WORK/go"
wait "$program" || fail "a program of a shared server noticed"
CHILDREN=()
"$RUMP" stop "$name" || fail "no stop"
check_image "$img"
"$RUMP" start --no-fuse "$name" /vol=mem: || fail "no start of mem"
refuses "a driver in memory" 125 'goes on: driver mem keeps files in memory' \
	"$RUMP" upgrade "$name"
"$RUMP" stop "$name" || fail "no stop of mem"
refuses "an unknown server" 125 "no server" "$RUMP" upgrade "none-$name"
refuses "no server" 125 'takes one name' "$RUMP" upgrade
