#!/bin/bash
# notify.sh - what rumpserver says to systemd and takes from it, where a script
# stands for systemd: ready, status, still alive, stopping; a socket that is
# passed; a supervisor that hangs.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program python3
server=$BUILD/tools/rump/rumpserver N=test-n-$$
sock=$("$RUMP" run --no-fuse -m /x=mem: -- sh -c 'dirname $RUMP_SOCKET')/$N.sock
trap 's=$?; set +e; "$RUMP" stop -f "$N" 2>/dev/null; rm -f "$sock"; (exit $s); clean_up' EXIT
printf '[mount /vol]\ndriver = mem\n' >"$WORK/$N.conf"
as_systemd=$SOURCE/tests/harness/as_systemd.py
role() { family "$N" | awk -v r="$1" '$1 == r {print $2}'; }
mode() { stat -c %a "$sock"; }
said() { grep -qx "$1" "$WORK/said"; }

# Nobody is behind it yet: who looks does not wait, who asks is told.
python3 "$as_systemd" "$sock" seqpacket 1 8000000 "$server" "$WORK/$N.conf" >"$WORK/said" 2>"$WORK/err" &
systemd=$!
background "$systemd"
wait_for 30 said READY=1 || { cat "$WORK/said" "$WORK/err" >&2; fail "it is not ready"; }
wait_for 10 said 'STATUS=Serving 0 clients, 0 restarts.' || fail "no status"
wait_for 20 said WATCHDOG=1 || fail "it does not say that it lives"
[ "$(mode)" = 1600 ] || fail "its socket is not awake: $(mode)"
"$RUMP" status "$N" | grep -q 'by systemd' || fail "status does not know"
[ "$(role holder)" = "$(head -n 1 "$WORK/said")" ] || fail "the main process is not the holder"
"$RUMP" run -s "$N" -- sh -c 'echo one >/vol/file' || fail "not on this socket"
"$RUMP" run -s "$N" -- sleep 100 &
user=$!
background "$user"
wait_for 10 said 'STATUS=Serving 1 client, 0 restarts.' || fail "no status of a client"
kill -9 "$(role server)"
wait_for 20 said 'STATUS=Serving 1 client, 1 restart.' || fail "no status of a restart"

# One that is stopped is replaced, and nobody is refused meanwhile.
old=$(role supervisor)
kill -STOP "$old"
next() { local now; now=$(role supervisor); [ -n "$now" ] && [ "$now" != "$old" ]; }
wait_for 60 next || fail "a stopped supervisor stays"
[ "$("$RUMP" run -s "$N" -- cat /vol/file)" = one ] || fail "its memory is lost"
[ "$(grep -c READY=1 "$WORK/said")" = 1 ] || fail "ready twice"
kill "$user"
wait "$user" 2>/dev/null || true

kill "$systemd"
wait "$systemd" || fail "its end is no success: $(cat "$WORK/err")"
CHILDREN=()
said STOPPING=1 || fail "it does not say that it stops"
[ "$(mode)" = 600 ] || fail "its socket is not asleep: $(mode)"
refuses "status of one that sleeps" 125 'does not run; whoever connects' "$RUMP" status "$N"
"$RUMP" ls >/dev/null
rm "$sock"

# What is passed and cannot be used.
refuses "two sockets" 125 '2 sockets' \
	python3 "$as_systemd" "$sock" seqpacket 2 0 "$server" "$WORK/$N.conf"
rm "$sock"
refuses "a stream" 125 'ListenSequentialPacket' \
	python3 "$as_systemd" "$sock" stream 1 0 "$server" "$WORK/$N.conf"
rm "$sock"
refuses "another's" 125 "is called x.sock" \
	python3 "$as_systemd" "$WORK/x.sock" seqpacket 1 0 "$server" "$WORK/$N.conf"
