#!/bin/bash
# pages.sh - files that are read without asking the server, and mapped ones: nobody
# sees half a write or an old one, before, while and after the server dies, at any
# instant; what was stored in a mapping is in the file.
# limit: 240 900
. "$(dirname "$0")/../harness/lib.sh"
need_program debugfs
pages=$BUILD/tests/recovery/pages
seconds=3 points=1
[ "$LONG" = 0 ] || { seconds=30 points=10; }
img=$WORK/disk.img
name=pages-$$

serve()		# COMMAND...
{
	"$RUMP" run --no-fuse --name "$name" $options -m "/vol=ext4:$img" -- "$@" \
		>"$WORK/log" 2>&1 || { cat "$WORK/log" >&2; fail "$* ($options)"; }
}

for options in "" "--kill-every 20ms"; do
	for what in "reads $seconds" "agree 400" "places 1500" "cuts $seconds" \
		"map $seconds"; do
		image "$img" 64M
		# shellcheck disable=SC2086
		serve "$pages" $what
		check_image "$img"
		say "$what $options: $(grep -v '^rump' "$WORK/log" | tail -n 1)"
	done
	# What was mapped is in the image when it was synced.
	dump "$img" large "$WORK/large"
	[ "$(tr -d z <"$WORK/large" | wc -c)" = 0 ] &&
		[ "$(stat -c %s "$WORK/large")" = $((5 << 20)) ] ||
		fail "what was stored in a mapping is not in the image"
done

options="--deadline 600s"
cat >"$WORK/dead" <<'END'
exec "$1" dead $("$RUMP" ps --pids | awk -v n="$2" '$1 == n && $2 == "server" {print $3}')
END
image "$img" 64M
serve sh "$WORK/dead" "$pages" "$name"
options=

# At each instant of a change; each is hit, again and again.
cat >"$WORK/points" <<'END'
pid=$("$RUMP" ps --pids | awk -v n="$2" '$1 == n && $2 == "supervisor" {print $3}')
"$3" "$pid" crash 3 "$6" &
board=$!
"$1" "$4" "$5" || exit 1
kill "$board"
wait "$board"
END
for point in pages_unmarked pages_marked pages_half_done pages_not_even; do
	for what in "reads $points" "agree 150" "map $points" "cuts $points"; do
		hits=0
		for _ in $(seq 30); do
			image "$img" 64M
			# shellcheck disable=SC2086
			serve sh "$WORK/points" "$pages" "$name" \
				"$BUILD/tests/recovery/board" $what "$point"
			check_image "$img"
			hits=$(sed -n 's/^hits //p' "$WORK/log")
			[ "$hits" = 0 ] || break
		done
		[ "$hits" -gt 0 ] || fail "$point was never hit ($what)"
		say "$point, $what: $hits deaths"
	done
done
