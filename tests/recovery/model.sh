#!/bin/bash
# model.sh - four processes do a random mix of everything that changes a file
# system, against a model in memory, while the server is killed at random;
# through the mount and through the client library.
# limit: 240 1200
. "$(dirname "$0")/../harness/lib.sh"
need_program debugfs
model=$BUILD/tests/recovery/model

total=6000 every=20ms
[ "$LONG" = 0 ] || { total=20000 every=30ms; }
each=$((total / 4))
seed=${SEED:-$(date +%s)}

# The checker itself, on the host's file system.
mkdir "$WORK/host"
"$model" -n "$each" -s "$seed" "$WORK/host"

once()
{
	local what=$1 img=$WORK/$1.img dir=$2
	shift 2
	image "$img" 256M
	say "$what, seed $seed"
	"$RUMP" run --kill-every "$every" "$@" -m "/vol=ext4:$img$OPTIONS" -- \
		"$model" $flag -n "$each" -s "$seed" "$dir" \
		>"$WORK/$what.log" 2>&1 ||
		{ cat "$WORK/$what.log" >&2; fail "$what: seed $seed"; }
	cat "$WORK/$what.log"
	[ "$(kills_in "$WORK/$what.log")" -gt 0 ] || fail "$what: no kill at all"
	check_image "$img"
	# And as a server sees it that starts from the image alone.
	"$RUMP" run "$@" -m "/vol=ext4:$img$OPTIONS" -- \
		"$model" -c $flag -n "$each" -s "$seed" "$dir"
	rm "$img"
}

flag=-l
once library /vol --no-fuse
need_fuse
flag=
once mount /vol
