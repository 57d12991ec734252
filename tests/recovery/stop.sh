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
		while echo "$n $i" >>"file$n"; do i=$((i + 1)); done 2>>"$1/err$n"
		echo "$i" >"$1/count$n"
	) &
done
# A request that waits for a lock while the server stops
(exec 9>lock && flock 9 && exec sleep 30) 2>/dev/null &
echo $! >"$1/holder"
sleep 0.2
flock lock true 2>"$1/err-lock" &
wait
END
"$RUMP" run --name "$name" -m "/vol=ext4:$img" -- sh "$WORK/inside" "$WORK" \
	>"$WORK/log" 2>&1 &
run=$!
background "$run"
wait_for 10 eval 'family "$name" | grep -q "^server"' || fail "no server"
sleep 1.5
kill -TERM "$(family "$name" | awk '$1 == "supervisor" {print $2}')"
wait_for 20 eval '! kill -0 "$run"' || fail "rump run hangs after SIGTERM"
kill "$(cat "$WORK/holder")" 2>/dev/null || true
wait "$run" && fail "a run that was stopped reports success"

check_image "$img"
for n in 1 2 3 4; do
	wait_for 5 test -s "$WORK/count$n" || fail "client $n hangs"
	dump "$img" "file$n" "$WORK/file$n" || fail "file$n is not in the image"
	lines=$(wc -l <"$WORK/file$n") said=$(cat "$WORK/count$n")
	# The last call may have been done and answered with an error.
	[ "$lines" -ge "$said" ] && [ "$lines" -le $((said + 1)) ] ||
		fail "client $n wrote $said lines, the image holds $lines"
	awk -v n="$n" '$0 != n " " NR - 1 {exit 1}' "$WORK/file$n" ||
		fail "file$n is not what was written"
done
say "stopped after $said lines of the last client"
