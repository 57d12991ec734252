#!/bin/bash
# sleepers.sh - ops that sleep in the middle, on stacks in recoverable memory,
# while the server is killed: each goes on from where it was, exactly once. And
# the same driver, as far as it can, where ops are run again from their start.
# limit: 100 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
sleepers=$BUILD/tests/recovery/sleepers
board=$BUILD/tests/recovery/board
name=sleepers-$$
img=$WORK/disk.img
rounds=400
[ "$LONG" = 0 ] || rounds=8000

# try WHAT OPTIONS... -- ARGUMENTS...: of rump run and of sleepers
try()
{
	local what=$1 model=$2 options=()
	shift 2
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	image "$img" 64M
	"$RUMP" run "${options[@]}" -m "/vol=sleepy:$img,execution=$model" -- \
		"$sleepers" "$@" >"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "$what"; }
	check_image "$img"
	say "$what: killed $(kills_in "$WORK/log") times"
}

# The same, and each server dies at some passage of some crash point; again
# until enough did, however slow the machine is.
points()
{
	local all=0
	for _ in $(seq 20); do
		some_points "$@"
		[ "$all" -le 10 ] || return 0
	done
	fail "$1: only $all deaths"
}

some_points()
{
	local what=$1 options=() run hits supervisor
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	image "$img" 64M
	"$RUMP" run --name "$name" --kill-every 200ms "${options[@]}" \
		-m "/vol=sleepy:$img,execution=process" -- \
		"$sleepers" "$@" >"$WORK/log" 2>&1 &
	run=$!
	background "$run"
	supervisor=$(member "$name" supervisor) || fail "$what: no server"
	"$board" "$supervisor" crash 3 all >"$WORK/hits" &
	wait $! || fail "$what: no points were armed"
	wait "$run" || { tail -n 30 "$WORK/log" >&2; fail "$what"; }
	CHILDREN=()
	check_image "$img"
	hits=$(sed -n 's/^hits //p' "$WORK/hits")
	all=$((all + hits))
	say "$what: $hits deaths"
}

try "mount, calm" process -- /vol 50
try "library, calm" process --no-fuse -- -l /vol 50
for every in 3ms 20ms; do
	try "mount, killed every $every" process --kill-every "$every" -- \
		/vol "$rounds"
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "the server was never killed"
	try "library, killed every $every" process --no-fuse \
		--kill-every "$every" -- -l /vol "$rounds"
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "the server was never killed"
done
points "library, dies at every crash point" --no-fuse -- -l /vol $((rounds * 4))
points "mount, dies at every crash point" -- /vol $((rounds * 4))
try "interrupt, library" interrupt --no-fuse --kill-every 5ms -- -l -b /vol "$rounds"
try "interrupt, mount" interrupt --kill-every 5ms -- -b /vol "$rounds"
