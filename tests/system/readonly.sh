#!/bin/bash
# readonly.sh - what cannot be written says so as the kernel's own file system
# does that is mounted read-only, and can be read all the same: ext4, and the
# same tree as a squashfs image and as an archive.
# limit: 90 150
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
tar --xattrs --format=pax -cf "$WORK/disk.tar" -C "$WORK/native" .
! command -v mksquashfs >"$WORK/log" ||
	mksquashfs "$WORK/native" "$WORK/disk.sq" -quiet -no-progress \
		>"$WORK/log" 2>&1 || fail "no squashfs: $(cat "$WORK/log")"
umount "$WORK/native"

look()	# DRIVER FILE OPTION
{
	local driver=$1 file=$2 option=$3 kills
	cp "$file" "$WORK/rump.img"
	for kills in "" "--kill-every=20ms"; do
		"$RUMP" run ${kills:+"$kills"} \
			-m "/vol=$driver:$WORK/rump.img$option" -- \
			"$replay" -k /vol <"$WORK/look.in" \
			>"$WORK/out" 2>"$WORK/log" ||
			{ cat "$WORK/log" >&2; fail "replay failed ($driver)"; }
		{ echo "script readonly"; cat "$WORK/out"; } >"$WORK/all.rump"
		awk -v driver="$driver" -v door=readonly \
			-f "$conformance/compare.awk" \
			"$conformance/differences.txt" "$WORK/all.native" \
			"$WORK/all.rump" >"$WORK/verdict" ||
			{ cat "$WORK/verdict" >&2
			fail "$driver differs ($kills)"; }
		say "$driver, ${kills:-no kills}: $(tail -n 1 "$WORK/verdict")"
	done
	cmp "$file" "$WORK/rump.img" || fail "the image was changed ($driver)"
}

look ext4 "$WORK/disk.img" ,ro
look archive "$WORK/disk.tar" ""
[ ! -e "$WORK/disk.sq" ] || look squashfs "$WORK/disk.sq" ""
