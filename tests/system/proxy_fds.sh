#!/bin/bash
# proxy_fds.sh - a program that does with descriptors what programs do (dup, exec,
# vfork, sockets, threads and forks, signal handlers) sees the same through a
# proxy as on the host, also while its server is killed.
# limit: 240
. "$(dirname "$0")/../harness/lib.sh"
program=$BUILD/tests/system/system-proxy_fds
img=$WORK/disk.img

mkdir "$WORK/host"
timeout -k 5 300 "$program" "$WORK/host" >"$WORK/want" 2>&1 </dev/null ||
	{ tail -n 3 "$WORK/want" >&2; fail "on the host"; }
sed -i "s,$WORK/host,/vol/w,g" "$WORK/want"
for door in ${PROXY:-preload notify}; do
	for kills in "" "--kill-every=20ms"; do
		image "$img" 64M -t ext4 -E "root_owner=$(id -u):$(id -g)"
		# shellcheck disable=SC2086
		timeout -k 5 900 "$RUMP" run --proxy="$door" $kills \
			-m "/vol=ext4:$img" -- \
			bash -c 'mkdir /vol/w; exec "$@"' - \
			"$program" /vol/w >"$WORK/out" 2>"$WORK/err" </dev/null ||
			{ tail -n 3 "$WORK/out" "$WORK/err" >&2; fail "$door $kills"; }
		diff -a "$WORK/want" "$WORK/out" >"$WORK/diff" ||
			{ cat "$WORK/diff" >&2; fail "$door $kills: it differs"; }
		check_image "$img"
		say "$door $kills: $(wc -l <"$WORK/out") lines, the same"
	done
done
