#!/bin/bash
# full.sh - a full disk: what a removal frees is there for the very next write,
# with and without kills.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
cat >"$WORK/inside" <<'END'
n=0
while dd if=/dev/zero of=/vol/$n bs=64k count=8 status=none 2>/dev/null; do
	n=$((n + 1))
done
rm /vol/$n
[ $n -gt 20 ] || { echo "full after $n"; exit 1; }
for round in 1 2 3 4 5; do
	for i in $(seq 0 $((n - 1))); do
		rm /vol/$i
		dd if=/dev/zero of=/vol/$i bs=64k count=8 status=none ||
			{ echo "round $round: no room where $i was"; exit 1; }
	done
done
rm /vol/[0-9]*
avail=$(stat -fc %a /vol)
[ "$avail" -gt $((n * 128)) ] || { echo "$avail blocks after all is gone"; exit 1; }
END
for options in "" "--kill-every 20ms"; do
	image "$img" 32M
	# shellcheck disable=SC2086
	"$RUMP" run $options -m "/vol=ext4:$img" -- bash "$WORK/inside" ||
		fail "$options: $?"
	check_image "$img"
done
