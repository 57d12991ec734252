#!/bin/bash
# conformance.sh - a mount does what the file system does natively: the same
# scripts of system calls, in an image that the kernel's own driver has mounted
# and in one behind a mount of ours, without kills and with them.
# limit: 120 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "users, and a native mount to compare with"
conformance=$SOURCE/tests/conformance
replay=$BUILD/tests/conformance/conformance-replay
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
only=${ONLY:-}

mkdir "$WORK/native"
image "$WORK/native.img" 128M -t ext4 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0
cp --sparse=always "$WORK/native.img" "$WORK/disk.img"
mount -o loop,nosuid,nodev "$WORK/native.img" "$WORK/native" 2>"$WORK/err" ||
	skip "no native ext4 to compare with: $(cat "$WORK/err")"
mkdir "$WORK/native/t"
for script in "$conformance"/cases/*"$only"*.sh; do
	name=$(basename "$script" .sh)
	bash "$script" >"$WORK/$name.in"
done
for seed in $(seq 2 "$([ "$LONG" = 1 ] && echo 40 || echo 3)"); do
	SEED=$seed bash "$conformance/cases/random.sh" \
		>"$WORK/random-$seed.in"
done
for in in "$WORK"/*.in; do
	"$replay" "$WORK/native/t" <"$in" >"${in%.in}.native" ||
		fail "$(basename "$in") does not run natively"
done
umount "$WORK/native"

cat >"$WORK/inside" <<'END'
mkdir /vol/t
for in in "$2"/*.in; do
	"$1" /vol/t <"$in" >"${in%.in}.rump" || exit 1
done
END
# all KIND: what came of every script, in one.
all()
{
	local in
	for in in "$WORK"/*.in; do
		echo "script $(basename "$in" .in)"
		cat "${in%.in}.$1"
	done
}
all native >"$WORK/all.native"

compare()	# WHAT RUMP-OPTIONS...
{
	local what=$1
	shift
	rm -f "$WORK"/rump.img* "$WORK"/*.rump
	cp --sparse=always "$WORK/disk.img" "$WORK/rump.img"
	"$RUMP" run "$@" -m "/vol=ext4:$WORK/rump.img$OPTIONS" -- \
		sh "$WORK/inside" "$replay" "$WORK" >"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "replay failed ($what)"; }
	all rump >"$WORK/all.rump"
	awk -v driver=ext4 -v door=mount -f "$conformance/compare.awk" \
		"$conformance/differences.txt" "$WORK/all.native" \
		"$WORK/all.rump" >"$WORK/verdict" ||
		{ cat "$WORK/verdict" >&2; fail "it differs ($what)"; }
	check_image "$WORK/rump.img"
	say "$what: $(tail -n 1 "$WORK/verdict")"
}

compare "no kills"
compare "kills" --kill-every 30ms
[ "$LONG" = 1 ] || exit 0
points=$(sed -n '/define RK_CRASHPOINTS/,/^$/p' \
	"$SOURCE/rumpserver/recovery/family.h" |
	grep -o 'X([a-z_]*)' | tr -d 'X()')
rm -f "$WORK"/random-*
for point in $points; do
	for skip in 0 500; do
		RUMP_CRASH=$point:$skip compare "$point:$skip"
	done
done
