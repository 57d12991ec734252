#!/bin/bash
# signals.sh - signals to the run reach the program, Ctrl-C on a terminal ends
# it, job control works, and nothing is left in each case.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 16M

# A program that handles the signal decides itself.
for sig in TERM INT HUP USR1; do
	rm -f "$WORK/ready" "$WORK/got"
	# An asynchronous child of a script ignores INT; env resets it.
	env --default-signal=INT,QUIT "$RUMP" run "${DOOR[@]}" -m "/vol=ext4:$img" -- bash -c '
		trap "echo yes >$1/got; exit 7" '"$sig"'
		echo >"$1/ready"
		while :; do sleep 0.1; done' - "$WORK" &
	run=$!
	background "$run"
	wait_for 60 test -e "$WORK/ready" || fail "the program does not start"
	kill -s "$sig" "$run"
	status=0
	wait "$run" || status=$?
	CHILDREN=()
	[ "$status" = 7 ] && [ -e "$WORK/got" ] ||
		fail "SIG$sig: exit status $status, not the program's 7"
done

# Ctrl-C on a terminal: the foreground program gets it, once.
if command -v script >/dev/null; then
	rm -f "$WORK/ready"
	# What script(1) reports is the end of its shell, not of the run.
	cat >"$WORK/tty" <<END
trap : INT
"$RUMP" run ${DOOR[*]} -m /vol=ext4:$img -- bash -c '
	trap "echo caught >>$WORK/caught; exit 9" INT
	[ -t 0 ] && [ -t 1 ] || exit 8
	echo >$WORK/ready
	while :; do sleep 0.1; done'
echo \$? >$WORK/status
END
	{
		wait_for 60 test -e "$WORK/ready" || echo "never ready" >&2
		printf '\003'
		wait_for 60 test -s "$WORK/status" || echo "no end" >&2
	} | script -qec "bash $WORK/tty" /dev/null >"$WORK/tty.out" 2>&1 || true
	status=$(cat "$WORK/status")
	[ "$status" = 9 ] || { cat "$WORK/tty.out" "$WORK/caught" >&2
		fail "Ctrl-C: exit status $status, not the program's 9"; }
	[ "$(wc -l <"$WORK/caught")" = 1 ] || fail "Ctrl-C came more than once"
fi

# A SIGKILL of the run itself takes everything along: the runner looks.
"$RUMP" run "${DOOR[@]}" -m "/vol=ext4:$img" -- sh -c 'echo >"$1/sleeps"; exec sleep 3600' - "$WORK" &
run=$!
background "$run"
wait_for 60 test -e "$WORK/sleeps" || fail "the program does not start"
kill -9 "$run"
wait "$run" || true
CHILDREN=()
"$RUMP" recover "$img" >/dev/null || fail "no recovery after SIGKILL"
check_image "$img"
