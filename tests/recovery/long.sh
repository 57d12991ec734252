#!/bin/bash
# long.sh - ten thousand deaths: the verifier runs for as long as that takes,
# while the server is killed at random and at every named crash point. Only in
# the long variant.
# limit: 60 2400
. "$(dirname "$0")/../harness/lib.sh"
[ "$LONG" = 1 ] || skip "only with LONG=1"
need_fuse
deaths=${DEATHS:-10000} round_s=60
verifier=$BUILD/tests/recovery/verifier
board=$BUILD/tests/recovery/board
img=$WORK/disk.img
name=long-$$
image "$img" 512M

n=0 ops=0 round=0
while [ "$n" -lt "$deaths" ]; do
	round=$((round + 1))
	[ "$round" -le 30 ] || fail "only $n deaths in $round rounds"
	"$RUMP" run --name "$name" --kill-every 20ms -m "/vol=ext4:$img" -- \
		"$verifier" -f -s "$round_s" -r "$round" /vol >"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	supervisor=$(member "$name" supervisor) ||
		{ cat "$WORK/log" >&2; fail "no server"; }
	"$board" "$supervisor" crash 100 all >"$WORK/hits" || true
	wait "$run" || { cat "$WORK/log" >&2; fail "after $n deaths"; }
	CHILDREN=()
	check_image "$img"
	n=$((n + $(kills_in "$WORK/log") +
		$(sed -n 's/^hits //p' "$WORK/hits")))
	ops=$((ops + $(sed -n 's/^verifier: \([0-9]*\) ops.*/\1/p' "$WORK/log")))
	say "$n deaths, $ops ops, no error"
done
