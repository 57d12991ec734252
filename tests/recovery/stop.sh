#!/bin/bash
# stop.sh - the supervisor is told to stop while programs are in calls: they
# get an error and none hangs, and the image holds what was written before.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 64M
name=stop-$$

cat >"$WORK/inside" <<'END'
cd /vol
for n in 1 2 3 4; do
	(
		i=0
		while echo "$n $i" >>"file$n"; do
			i=$((i + 1))
			[ $i != 10 ] || : >"$1/started$n"
		done 2>>"$1/err$n"
		echo "$i" >"$1/count$n"
	) &
done
# A request that waits for a lock while the server stops
(exec 9>lock && flock 9 && : >"$1/held" && exec sleep 3600) 2>/dev/null &
echo $! >"$1/holder"
until [ -e "$1/held" ]; do sleep 0.05; done
flock lock true 2>"$1/err-lock" &
wait
END
"$RUMP" run --name "$name" -m "/vol=ext4:$img" -- sh "$WORK/inside" "$WORK" \
	>"$WORK/log" 2>&1 &
run=$!
background "$run"
for n in 1 2 3 4; do
	wait_for 60 test -e "$WORK/started$n" || fail "client $n does not start"
done
sleep 0.$RANDOM
kill -TERM "$(member "$name" supervisor)"
wait_for 60 eval '! kill -0 "$run"' || fail "rump run hangs after SIGTERM"
kill "$(cat "$WORK/holder")" 2>/dev/null || true
wait "$run" && fail "a run that was stopped reports success"

check_image "$img"
for n in 1 2 3 4; do
	wait_for 60 test -s "$WORK/count$n" || fail "client $n hangs"
	dump "$img" "file$n" "$WORK/file$n" || fail "file$n is not in the image"
	lines=$(wc -l <"$WORK/file$n") said=$(cat "$WORK/count$n")
	# The last call may have been done and answered with an error.
	[ "$lines" -ge "$said" ] && [ "$lines" -le $((said + 1)) ] ||
		fail "client $n wrote $said lines, the image holds $lines"
	awk -v n="$n" '$0 != n " " NR - 1 {exit 1}' "$WORK/file$n" ||
		fail "file$n is not what was written"
done
say "stopped after $said lines of the last client"
