#!/bin/bash
# proxy_leak.sh - a thousand forks and execs that inherit open files through a
# proxy leave none of them open: the blocks and the inodes of files that were
# removed meanwhile are free at the end, and no client is left.
# limit: 300
. "$(dirname "$0")/../harness/lib.sh"
times=1000
img=$WORK/disk.img

cat >"$WORK/inside" <<'END'
times=$1 busybox=$2
cd /vol
free() { stat -f -c '%f free blocks, %d free inodes' .; }
mkdir d
before=$(free)
for i in $(seq "$times"); do
	echo "$i" >"d/$i"
	exec 3<"d/$i" 4>>"d/$i"
	rm "d/$i"
	case $((i % 4)) in
	0) /bin/true <&3 ;;
	1) env -i /bin/sh -c 'read -r x; exec /bin/true' <&3 ;;
	2) (exec 5<&3 3<&-; /bin/true & wait; exec /bin/true) ;;
	3) [ -z "$busybox" ] && /bin/true || "$busybox" true >&4 ;;
	esac
done
exec 3<&- 4>&-
for _ in $(seq 1200); do
	after=$(free)
	[ "$after" != "$before" ] || break
	sleep 0.1
done
echo "before: $before"; echo "after: $after"
ls /proc/$$/fd | wc -l
[ "$before" = "$after" ]
END
for door in ${PROXY:-preload notify}; do
	image "$img" 32M -t ext4 -E "root_owner=$(id -u):$(id -g)"
	name=leak-$$
	timeout -k 5 900 "$RUMP" run --proxy="$door" --name "$name" -m "/vol=ext4:$img" -- \
		bash "$WORK/inside" "$times" "$(command -v busybox || true)" \
		>"$WORK/log" 2>&1 </dev/null ||
		{ tail -n 20 "$WORK/log" >&2; fail "$door: files stay open"; }
	check_image "$img"
	say "$door: $times times; $(tail -n 2 "$WORK/log" | head -n 1)"
done
