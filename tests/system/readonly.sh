#!/bin/bash
# readonly.sh - what cannot be written says so as the kernel's own file system
# does that is mounted read-only, and can be read all the same.
# limit: 60 120
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a native mount to compare with"
conformance=$SOURCE/tests/conformance
replay=$BUILD/tests/conformance/conformance-replay
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"

bash "$conformance/cases/readonly/make.sh" >"$WORK/make.in"
bash "$conformance/cases/readonly/look.sh" >"$WORK/look.in"
mkdir "$WORK/native"
image "$WORK/disk.img" 16M
mount -o loop "$WORK/disk.img" "$WORK/native" 2>"$WORK/err" ||
	skip "no native ext4 to compare with: $(cat "$WORK/err")"
"$replay" -k "$WORK/native" <"$WORK/make.in" >"$WORK/log"
mount -o remount,ro,nosuid,nodev "$WORK/native"
{
	echo "script readonly"
	"$replay" -k "$WORK/native" <"$WORK/look.in"
} >"$WORK/all.native"
umount "$WORK/native"
cp "$WORK/disk.img" "$WORK/rump.img"
for kills in "" "--kill-every=20ms"; do
	"$RUMP" run ${kills:+"$kills"} -m "/vol=ext4:$WORK/rump.img,ro" -- \
		"$replay" -k /vol <"$WORK/look.in" >"$WORK/out" 2>"$WORK/log" ||
		{ cat "$WORK/log" >&2; fail "replay failed"; }
	{ echo "script readonly"; cat "$WORK/out"; } >"$WORK/all.rump"
	awk -v driver=ext4 -v door=readonly -f "$conformance/compare.awk" \
		"$conformance/differences.txt" "$WORK/all.native" \
		"$WORK/all.rump" >"$WORK/verdict" ||
		{ cat "$WORK/verdict" >&2; fail "it differs ($kills)"; }
	say "${kills:-no kills}: $(tail -n 1 "$WORK/verdict")"
done
cmp "$WORK/disk.img" "$WORK/rump.img" || fail "the image was changed"
