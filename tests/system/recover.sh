#!/bin/bash
# recover.sh - everything is killed at once, as a power cut would: `rump
# recover` by hand, or the next start, brings back what was synced.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
name=cut-$$

for how in recover start; do
	image "$img" 64M
	rm -f "$WORK/synced"
	"$RUMP" run --name "$name" -m "/vol=ext4:$img" -- bash -c '
		i=0
		while :; do
			i=$((i + 1))
			echo $i >/vol/file && sync /vol/file &&
				echo $i >"$1/synced.new" &&
				mv "$1/synced.new" "$1/synced"
		done' - "$WORK" 2>/dev/null &
	run=$!
	background "$run"
	wait_for 60 test -e "$WORK/synced" || fail "nothing is synced"
	sleep 0.$RANDOM
	# shellcheck disable=SC2046
	kill -9 $(family "$name" | awk '{print $2}') "$run" 2>/dev/null || true
	wait "$run" || true
	CHILDREN=()
	wait_for 60 flock -n "$img" true || fail "the servers do not die"
	if [ "$how" = recover ]; then
		"$RUMP" recover "$img" || fail "recover"
		check_image "$img"
	fi
	got=$(in_mount "$img" cat /vol/file) || fail "$how: no file"
	synced=$(cat "$WORK/synced")
	[ "$got" -ge "$synced" ] && [ "$got" -le $((synced + 1)) ] ||
		fail "$how: $synced was synced, $got is there"
	check_image "$img"
	say "$how: $synced synced, $got there"
done
# Of a clean image there is nothing to recover, and it says so.
before=$(sum "$img")
"$RUMP" recover "$img" || fail "recover of a clean image"
[ "$(sum "$img")" = "$before" ] || fail "a clean image was changed"
