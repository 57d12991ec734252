#!/bin/bash
# quarantine.sh - a driver that dies of one name, hangs at it or aborts: that
# request gets EIO, and everything else goes on.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
img=$WORK/disk.img
image "$img" 64M

for what in crash hang abort; do
	image "$img" 64M
	"$RUMP" run --deadline 1s -m "/vol=fault+ext4:$img,$(
		)fault.rule=lookup|create@bad:always:$what" -- sh -c '
		mkdir /vol/m
		"$2" -n 300 -s 5 /vol/m & model=$!
		for i in 1 2 3; do
			if cat "/vol/bad" 2>"$3"; then exit 3; fi
			grep -q "Input/output error" "$3" || { cat "$3"; exit 4; }
			echo "still here $i" >/vol/other || exit 5
		done
		grep -q "still here 3" /vol/other || exit 6
		wait $model' - "$what" "$model" "$WORK/err" ||
		fail "$what: exit status $?"
	check_image "$img"
	say "$what: EIO for it alone"
done
