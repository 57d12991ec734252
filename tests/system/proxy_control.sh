#!/bin/bash
# proxy_control.sh - what is done to programs from outside works through a
# proxy: signals and Ctrl-C, stopping and going on, strace and gdb.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
image "$img" 16M -t ext4 -E "root_owner=$(id -u):$(id -g)"

for door in ${PROXY:-preload notify}; do
	PROXY=$door bash "$(dirname "$0")/signals.sh" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$door: signals"; }
	run=("$RUMP" run --proxy="$door" -m "/vol=ext4:$img" --)
	say "$door: signals and Ctrl-C"

	# Stopped in the middle of its work, and under load.
	rm -f "$WORK/pid"
	"${run[@]}" bash -c 'echo $$ >"$1"; for i in $(seq 3000); do echo "$i" >>/vol/count; done
		cat /vol/count' - "$WORK/pid" >"$WORK/count" &
	job=$!
	background "$job"
	wait_for 60 test -s "$WORK/pid" || fail "$door: the program does not start"
	for _ in $(seq 20); do
		kill -STOP "$(cat "$WORK/pid")" 2>/dev/null || break
		sleep 0.01
		kill -CONT "$(cat "$WORK/pid")" 2>/dev/null || break
		sleep 0.01
	done
	wait "$job" || fail "$door: stopping and going on: exit status $?"
	CHILDREN=()
	seq 3000 | cmp -s - "$WORK/count" || fail "$door: stopping and going on changed what is done"
	"${run[@]}" rm /vol/count
	say "$door: stopped and continued"

	# A program that is interrupted in a read of a pipe while it holds files.
	"${run[@]}" bash -c 'trap "echo trapped >/vol/trap" ALRM
		(sleep 0.2; kill -ALRM $$) & read -r x < <(sleep 1); wait; cat /vol/trap' \
		>"$WORK/out" 2>&1 </dev/null || true
	grep -qx trapped "$WORK/out" || { cat "$WORK/out" >&2; fail "$door: a trap"; }

	if command -v strace >/dev/null && [ "$door" = preload ]; then
		"${run[@]}" strace -f -o "$WORK/strace" sh -c 'echo traced >/vol/t; cat /vol/t' \
			>"$WORK/out" 2>&1 </dev/null || { cat "$WORK/out" >&2; fail "$door: strace"; }
		grep -qx traced "$WORK/out" || { cat "$WORK/out" >&2; fail "$door: strace: not traced"; }
		grep -q exited "$WORK/strace" || fail "$door: strace saw nothing"
		say "$door: strace: $(wc -l <"$WORK/strace") lines"
	fi
	if command -v strace >/dev/null; then
		rm -f "$WORK/pid"
		"${run[@]}" bash -c 'echo $$ >"$1"; while [ ! -e /vol/stop ]; do echo x >/vol/x; cat /vol/x >/dev/null; done; rm /vol/stop /vol/x; echo ended' \
			- "$WORK/pid" >"$WORK/out" 2>&1 &
		job=$!
		background "$job"
		wait_for 60 test -s "$WORK/pid" || fail "$door: the program does not start"
		rm -f "$WORK/strace"
		strace -f -p "$(cat "$WORK/pid")" -o "$WORK/strace" 2>/dev/null </dev/null &
		strace=$!
		wait_for 60 test -s "$WORK/strace" || fail "$door: strace attaches to nothing"
		kill "$strace"
		wait "$strace" || true
		kill -0 "$(cat "$WORK/pid")" || fail "$door: strace ended the program"
		kill -TERM "$(cat "$WORK/pid")"
		wait "$job" || true
		CHILDREN=()
		say "$door: strace from outside: $(wc -l <"$WORK/strace") lines"
	fi
	if command -v gdb >/dev/null; then
		echo 'seen by gdb' >"$WORK/text"
		"${run[@]}" cp "$WORK/text" /vol/text
		timeout -k 5 300 "${run[@]}" gdb -nx -batch -iex 'set auto-load no' \
			-ex 'set breakpoint pending on' -ex 'set startup-with-shell off' \
			-ex 'break posix_fadvise' -ex run -ex bt -ex continue \
			--args /bin/cat /vol/text >"$WORK/out" 2>&1 </dev/null ||
			{ cat "$WORK/out" >&2; fail "$door: gdb"; }
		grep -q '^Breakpoint 1, ' "$WORK/out" && grep -qx 'seen by gdb' "$WORK/out" &&
			grep -q 'exited normally' "$WORK/out" ||
			{ cat "$WORK/out" >&2; fail "$door: gdb stops nowhere, or the program does not end"; }
		say "$door: gdb"
	fi
	check_image "$img"
done
