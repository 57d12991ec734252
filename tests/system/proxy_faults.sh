#!/bin/bash
# proxy_faults.sh - a program whose arguments point to no memory is told through a
# proxy what it is told on the host, and lives, also while its server is killed.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
program=$BUILD/tests/system/system-proxy_faults
img=$WORK/disk.img

mkdir "$WORK/host"
timeout -k 5 30 "$program" "$WORK/host" >"$WORK/want" 2>&1 </dev/null ||
	{ tail -n 3 "$WORK/want" >&2; fail "on the host"; }
# Through the notifier a read has moved the offset by then.
for kills in "" "--kill-every=20ms"; do
	image "$img" 64M -t ext4 -E "root_owner=$(id -u):$(id -g)"
	# shellcheck disable=SC2086
	timeout -k 5 50 "$RUMP" run --proxy=preload $kills \
		-m "/vol=ext4:$img" -- \
		bash -c 'mkdir /vol/w; exec "$@"' - \
		"$program" /vol/w >"$WORK/out" 2>"$WORK/err" </dev/null ||
		{ tail -n 3 "$WORK/out" "$WORK/err" >&2; fail "$kills"; }
	diff -a "$WORK/want" "$WORK/out" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "$kills: it differs"; }
	check_image "$img"
	say "$kills: $(wc -l <"$WORK/out") lines, the same"
done
