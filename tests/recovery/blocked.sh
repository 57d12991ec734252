#!/bin/bash
# blocked.sh - thousands of calls that wait for one lock, through the mount and
# through the library, while the server is killed.
# limit: 120 400
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
blocked=$BUILD/tests/recovery/blocked
n=2000
[ "$LONG" = 0 ] || n=10000
[ "$(ulimit -Hn)" -ge $((n + 100)) ] || skip "no $n open files are allowed"
img=$WORK/disk.img
name=blocked-$$

# Kills the server, and waits until another serves.
cat >"$WORK/restart" <<'END'
pid=$("$RUMP" ps --pids | awk -v n="$1" '$1 == n && $2 == "server" {print $3}')
kill -9 "$pid" || exit 1
for i in $(seq 2400); do
	next=$("$RUMP" ps --pids | awk -v n="$1" '$1 == n && $2 == "server" {print $3}')
	[ -z "$next" ] || [ "$next" = "$pid" ] || exit 0
	sleep 0.05
done
exit 1
END

for way in "mount /vol/lock" "library /vol/lock"; do
	image "$img" 64M
	start=$SECONDS
	# shellcheck disable=SC2086
	"$RUMP" run --name "$name" -m "/vol=ext4:$img" -- "$blocked" $way "$n" \
		"sh $WORK/restart $name" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$way"; }
	check_image "$img"
	say "$way: $(head -n 1 "$WORK/log"), $((SECONDS - start)) s"
done
