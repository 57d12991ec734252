#!/bin/bash
# doubles.sh - two things go wrong at once, or one while the other is mended:
# a mount goes on, and nobody notices. Each line that was synced is counted, and
# looked for in the image without rump at the end.
# limit: 300 900
. "$(dirname "$0")/../harness/lines.sh"
board=$BUILD/tests/recovery/board
rounds=1 hits=8
[ "$LONG" = 0 ] || { rounds=20 hits=40; }

# zygotes SUPERVISOR: the one that works and the one that is spare. While others
# come and go the kernel's list may lack one.
zygotes()
{
	local pid found=()
	for _ in $(seq 1000); do
		found=()
		for pid in $(cat /proc/"$1"/task/"$1"/children); do
			[ "$(cat /proc/"$pid"/comm 2>/dev/null)" != rump-zygote ] ||
				found+=("$pid")
		done
		[ "${#found[@]}" -lt 2 ] || break
		sleep 0.05
	done
	echo "${found[@]}"
}
# other ROLE PID: another is in its place.
other() { local now; now=$(pid_of "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
replaced() { wait_for 120 other "$1" "$2" || fail "$case: no other $1"; }

# again POINT...: processes die there, and the server from outside meanwhile.
again()
{
	local end=$((SECONDS + 100)) crasher
	"$board" "$(member "$name" supervisor)" crash "2,$hits" "$@" >"$WORK/hits" &
	crasher=$!
	background "$crasher"
	while kill -0 "$crasher" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do
		kill -9 "$(pid_of server)" 2>/dev/null || true
		sleep 0.1
	done
	kill "$crasher" 2>/dev/null || true
	wait "$crasher" || true
	say "$(tr '\n' ' ' <"$WORK/hits")"
	[ "$(sed -n 's/^hits //p' "$WORK/hits")" -gt 0 ] || fail "$case: never hit"
}

# --- the cases ---------------------------------------------------------------

successors_die_recovering() {
	again recover_loaded recover_half_posted recover_asked recover_half_resumed
}
keepers_and_servers_die_at_work() {
	again apply_half_done flush_half_done flush_not_synced log_half_written
}
# NAME_AND_NAME...: killed by one call of kill(1).
together()
{
	local role pids=()
	for role; do pids+=("$(member "$name" "$role")"); done
	# one may be gone already, of the other's death
	kill -9 "${pids[@]}" 2>/dev/null || true
	replaced "$1" "${pids[0]}"
}
supervisor_and_server() { together supervisor server; }
supervisor_and_keeper() { together supervisor keeper; }
keeper_and_server() { together keeper server; }
keeper_server_and_standby() { together server keeper standby; }
zygote_and_server() { together zygote server; }
zygote_and_keeper() { together keeper zygote; }
all_but_the_holder() { together supervisor keeper server standby zygote; }

# The successor is stopped before it has taken over, so this is while it does.
supervisor_while_a_server_recovers()
{
	local supervisor
	supervisor=$(member "$name" supervisor)
	kill -STOP "$(member "$name" standby)"
	kill -9 "$(member "$name" server)"
	kill -9 "$supervisor"
	replaced supervisor "$supervisor"
}
zygote_and_then_its_spare()
{
	local first second
	first=$(member "$name" zygote)
	kill -9 "$first"
	replaced zygote "$first"
	second=$(member "$name" zygote)
	kill -9 "$second"
	replaced zygote "$second"
	kill -9 "$(member "$name" server)"
}
# Nobody can fork any more but the holder.
zygote_and_spare_at_once()
{
	local supervisor zygote
	supervisor=$(member "$name" supervisor) zygote=$(member "$name" zygote)
	kill -9 $(zygotes "$supervisor")
	kill -9 "$(member "$name" server)"
	replaced zygote "$zygote"
}
keeper_is_stopped()
{
	local keeper
	keeper=$(member "$name" keeper)
	kill -STOP "$keeper"
	replaced keeper "$keeper"
}
keeper_is_stopped_and_the_server_dies()
{
	local keeper
	keeper=$(member "$name" keeper)
	kill -STOP "$keeper"
	kill -9 "$(member "$name" server)"
	replaced keeper "$keeper"
}
zygote_is_stopped()
{
	local zygote server
	zygote=$(member "$name" zygote)
	kill -STOP "$zygote"
	for _ in 1 2; do
		server=$(member "$name" server)
		kill -9 "$server"
		replaced server "$server"
	done
	replaced zygote "$zygote"
}
zygote_and_spare_are_stopped()
{
	local supervisor zygote
	supervisor=$(member "$name" supervisor) zygote=$(member "$name" zygote)
	kill -STOP $(zygotes "$supervisor")
	kill -9 "$(member "$name" server)"
	replaced zygote "$zygote"
}
supervisor_is_stopped_and_all_others_die()
{
	local supervisor
	supervisor=$(member "$name" supervisor)
	kill -STOP "$supervisor"
	goes_on
	kill -9 $(cat /proc/"$supervisor"/task/*/children)
	kill -CONT "$supervisor"
}
holder_is_stopped_and_the_supervisor_dies()
{
	local supervisor holder
	supervisor=$(member "$name" supervisor) holder=$(member "$name" holder)
	kill -STOP "$holder"
	kill -9 "$supervisor"
	kill -CONT "$holder"
	replaced supervisor "$supervisor"
}
no_more_memory_for_server_and_keeper()
{
	prlimit --pid "$(member "$name" server)" --as=1
	prlimit --pid "$(member "$name" keeper)" --as=1
	goes_on
	kill -9 "$(member "$name" server)"
}

up --deadline 1s
for _ in $(seq "$rounds"); do
	for case in successors_die_recovering keepers_and_servers_die_at_work \
		supervisor_and_server supervisor_and_keeper keeper_and_server \
		keeper_server_and_standby zygote_and_server zygote_and_keeper \
		all_but_the_holder supervisor_while_a_server_recovers \
		zygote_and_then_its_spare zygote_and_spare_at_once \
		keeper_is_stopped keeper_is_stopped_and_the_server_dies \
		zygote_is_stopped zygote_and_spare_are_stopped \
		supervisor_is_stopped_and_all_others_die \
		holder_is_stopped_and_the_supervisor_dies \
		no_more_memory_for_server_and_keeper; do
		"$case"
		goes_on
		say "$case: line $(acked)"
	done
done
down

# Nobody is left who could go on: it ends, and what was synced is in the image.
case=holder_and_supervisor
up
goes_on
kill -9 "$(member "$name" holder)" "$(member "$name" supervisor)"
refused
wait_for 120 eval '[ -z "$(family "$name")" ]' || fail "$case: something stays"
umount -l "$dir" 2>/dev/null || true
recovered
say "$case: ended, $(acked) lines"

# The same of a program's own servers, which have no holder.
case=zygote_and_spare_without_a_holder
in_run()	# HOW...: the writer with mounts of its own, started by HOW
{
	rm -f "$notes/acked" "$notes/refused" "$notes/enough"
	"$@" "$RUMP" run --name "$name" -m "/vol=ext4:$img" -- bash -c \
		"$(declare -f write_lines); notes=$notes dir=/vol; write_lines" \
		>"$WORK/run.log" 2>&1 &
	writer=$!
	background "$writer"
	goes_on
}
image "$img" 32M
in_run env
supervisor=$(member "$name" supervisor)
kill -9 $(zygotes "$supervisor")
goes_on
wait_for 120 eval '! kill -0 "$writer" || { kill -9 $(pid_of server); false; }' ||
	fail "$case: it does not end"
wait "$writer" && fail "$case: a run without servers succeeds"
CHILDREN=()
grep -q 'no server can be started any more' "$WORK/run.log" ||
	{ cat "$WORK/run.log" >&2; fail "$case: it does not say why it ended"; }
recovered
say "$case: ended, $(acked) lines"

# No process may be made, until some may again.
can_be_nobody || exit 0
case=no_processes
notes=$WORK/user
mkdir -p "$notes"
img=$notes/disk.img
image "$img" 32M -t ext4 -E root_owner=65534:65534
family() { as_nobody "$RUMP" ps --pids | awk -v n="$1" '$1 == n {print $2, $3}'; }
in_run as_nobody
supervisor=$(member "$name" supervisor)
background "$supervisor"
server=$(member "$name" server)
zygotes=$(zygotes "$supervisor")
most=$(awk '/^Max processes/ {print $4}' /proc/"$supervisor"/limits)
for pid in $zygotes; do as_nobody prlimit --pid "$pid" --nproc=1:; done
kill -9 "$server"
replaced server "$server"
kill -9 "$(member "$name" server)"
# it waits longer each time, and is not given up
sleep 1
for pid in $zygotes; do as_nobody prlimit --pid "$pid" --nproc="$most":; done
goes_on
: >"$notes/enough"
wait "$writer" || { cat "$WORK/run.log" >&2; fail "$case: it did not survive"; }
CHILDREN=()
prove
say "$case: line $(acked)"
