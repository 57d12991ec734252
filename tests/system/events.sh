#!/bin/bash
# events.sh - what happens to a server is told: to a program that asked for it,
# by rump events, and on the bus, each restart and each refused call once; and
# by the next supervisor that the last one has died.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
events=$BUILD/tests/system/system-events
name=events-$$
image "$WORK/disk.img" 64M
"$RUMP" start --foreground "$name" \
	"/vol=fault+ext4:$WORK/disk.img,fault.rule=create@poison:every=1:crash" &
front=$!
background "$front"
wait_for 30 eval '"$RUMP" ls | grep -q "^$name "' || fail "no server"
dir=$(dirname "$("$RUMP" run --no-fuse -s "$name" -- sh -c 'echo "$RUMP_SOCKET"')")

pid_of() { family "$name" | awk -v r="$1" '$1 == r {print $2}'; }

"$events" bus "$dir/$name.bus" "$name" >"$WORK/bus" &
background $!
RUMP_SOCKET=$dir/$name.sock "$events" client >"$WORK/client" &
client=$!
background "$client"
"$RUMP" events -f "$name" >"$WORK/followed" &
background $!
wait_for 30 grep -q there "$WORK/client" || fail "the program does not start"
wait_for 30 grep -q started "$WORK/followed" || fail "nothing to follow"

# Whoever subscribes is found by the publisher in its own time.
for _ in $(seq 100); do
	kill -9 "$(pid_of server)" 2>/dev/null || true
	sleep 0.1
	! grep -q recovered "$WORK/bus" || break
done
wait_for 30 grep -q 'quarantined none' "$WORK/client" ||
	fail "the refused call is not told"
wait_for 30 grep -q 'mkdir' "$WORK/client" || fail "the call has no end"
grep -qx 'mkdir EIO' "$WORK/client" || fail "$(grep mkdir "$WORK/client")"
grep -qx 'recovered kill warm 0' "$WORK/client" || fail "no restart after a kill"
# Whichever rung it came back by, what was lost is said.
wait_for 30 grep -qx 'recovered fault [a-z-]* 1' "$WORK/client" ||
	{ cat "$WORK/client" >&2; fail "no restart that says what was lost"; }
wait_for 30 grep -q '"lost":1' "$WORK/bus" || fail "not on the bus"
python3 - "$WORK/bus" "$name" <<'END' || fail "the bus does not speak JSON"
import json, sys
last = 0
for line in open(sys.argv[1]):
    name, text = line.split(" ", 1)
    event = json.loads(text)
    assert name == event["server"] == sys.argv[2], line
    assert event["number"] > last, line
    last = event["number"]
END
# Each death, after which came a restart that rump ps counts, was told once.
[ "$("$RUMP" events "$name" | grep -c " died ")" = \
	"$("$RUMP" ps | awk -v n="$name" '$1 == n {print $4}')" ] ||
	fail "deaths and restarts differ"
"$RUMP" events --json "$name" | grep -q '"death":"fault"' || fail "no fault"

supervisor=$(pid_of supervisor)
kill -9 "$supervisor"
wait_for 30 grep -qx 'ended none none 4' "$WORK/client" ||
	fail "the program does not hear of its supervisor"
wait "$client" || fail "the program: $?"
wait_for 30 eval '"$RUMP" events "$name" 2>/dev/null | grep -q inherited' ||
	fail "the next supervisor does not say so"
# Nobody else may listen; who names what there is not, is told that.
[ "$(stat -c %a "$dir/$name.bus")" = 600 ] || fail "the bus is open to others"
refuses "an unknown name" 125 'there is no server' "$RUMP" events "$name-not"
kill -INT "$front"
wait "$front" || fail "the end: $?"
[ ! -e "$dir/$name.bus" ] || fail "the bus is left"
check_image "$WORK/disk.img"
say "$(wc -l <"$WORK/bus") events on the bus"
