#!/bin/bash
# mount_helper.sh - mount -t fuse.rump, lines of fstab, and umount(8) of the
# host: rump is installed into a directory of the test, and a mount namespace
# of its own lets mount(8) find the helpers where it looks for them.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a mount for the whole host"
need_program cmake findmnt mount umount debugfs
if [ -z "${OWN_NAMESPACE:-}" ]; then
	unshare -m --propagation private true 2>/dev/null ||
		skip "no mount namespaces here"
	trap - EXIT
	rmdir "$WORK"
	OWN_NAMESPACE=1 exec unshare -m --propagation private bash "$0"
fi
DESTDIR=$WORK/dest cmake --install "$BUILD" --prefix /usr >"$WORK/log" 2>&1 ||
	{ cat "$WORK/log" >&2; fail "it does not install"; }
helper=$WORK/dest/sbin/mount.fuse.rump
[ "$(readlink "$helper")" = /usr/bin/rump ] || fail "no helper is installed"
# The links lead to where a real installation would be.
ln -sf "$WORK/dest/usr/bin/rump" "$helper"
ln -sf "$WORK/dest/usr/bin/rump" "$WORK/dest/sbin/umount.fuse.rump"
sbin=$(readlink -f /sbin)
cp -P "$sbin"/* "$WORK/dest/sbin/" 2>/dev/null || true
mount --bind "$WORK/dest/sbin" "$sbin" || skip "nothing may be mounted on $sbin"
RUMP=$WORK/dest/usr/bin/rump
dir=$WORK/mnt img=$WORK/disk.img
mkdir "$dir"
image "$img" 32M
gone() { ! findmnt "$dir" >/dev/null && ! "$RUMP" ps | has " $dir="; }

mount -t fuse.rump "ext4:$img" "$dir" || fail "mount(8) does not mount it"
[ "$(findmnt -no SOURCE,FSTYPE "$dir" | tr -s ' ')" = "ext4:$img fuse.rump" ] ||
	fail "findmnt: $(findmnt -no SOURCE,FSTYPE "$dir")"
echo one >"$dir/one"
umount "$dir" || fail "umount(8) fails"
# It need not wait for the image, but the server ends at once.
wait_for 60 gone || fail "the server stays"
[ ! -e "$img.rump-journal" ] || fail "the journal stays"
check_image "$img"
dump "$img" one "$WORK/one" && grep -qx one "$WORK/one" || fail "one is lost"

mount -t fuse.rump -o driver=ext4,ro,noexec,noatime,nofail,x-systemd.automount \
	"$img" "$dir" || fail "the driver as an option"
findmnt -no OPTIONS "$dir" | has '^ro,.*noexec.*noatime' ||
	fail "options: $(findmnt -no OPTIONS "$dir")"
[ "$(findmnt -no SOURCE "$dir")" = "$img" ] || fail "the source is not as given"
! touch "$dir/two" 2>/dev/null || fail "ro does not hold"
umount "$dir" || fail "umount of a read-only mount"
wait_for 60 gone
mount -t fuse.rump -o nosuid,nodev "ext4:$img" "$dir"
findmnt -no OPTIONS "$dir" | has nosuid,nodev || fail "suid is allowed"
umount "$dir"
wait_for 60 gone

cat >"$WORK/fstab" <<END
ext4:$img $dir fuse.rump defaults,noauto,user,_netdev,nofail,x-a=b,comment=c,uhelper=fuse.rump,name=fstab-$$ 0 0
END
mount -T "$WORK/fstab" "$dir" || fail "no mount from fstab"
"$RUMP" ps | has "^fstab-$$ " || fail "the option name has no effect"
findmnt -no OPTIONS "$dir" | has noexec || fail "user without noexec"
echo two >"$dir/two"
mount -a -T "$WORK/fstab" || fail "mount -a mounts it again"
# With this option umount(8) asks the helper, and returns when all of it is in
# the image.
umount "$dir" || fail "umount of it"
[ ! -e "$img.rump-journal" ] || fail "umount(8) did not wait for the image"
gone || fail "something stays"
check_image "$img"
sed -i 's/noauto,user,//;s/uhelper=fuse.rump,//' "$WORK/fstab"
mount -a -T "$WORK/fstab" || fail "mount -a"
grep -qx two "$dir/two" || fail "two is lost"
mount -a -T "$WORK/fstab" || fail "mount -a does not see that it is mounted"

# Busy is refused and stays; lazily it goes.
(cd "$dir" && exec sleep 3600) &
busy=$!
background "$busy"
wait_for 60 eval '[ "$(readlink /proc/$busy/cwd)" = "$dir" ]'
! umount "$dir" 2>"$WORK/err" || fail "a busy mount went"
grep -q two "$dir/two" || fail "a refused umount broke it"
umount -l "$dir" || fail "umount -l"
kill "$busy"; wait "$busy" 2>/dev/null || true
CHILDREN=()
wait_for 60 gone || fail "its server stays"
check_image "$img"

refuses "a fake mount" 0 '' sh -c "mount -f -t fuse.rump ext4:$img $dir; echo >&2 ."
gone || fail "a fake mount is real"
refuses "mount without a driver" 1 'driver' "$helper" "$img" "$dir"
refuses "mount with an option too few" 1 'directory' "$helper" "ext4:$img"
refuses "mount with an unknown flag" 1 '-z' "$helper" "ext4:$img" "$dir" -z
refuses "a remount" 1 'remount' "$helper" "ext4:$img" "$dir" -o remount,ro
refuses "no image" 32 'no such' "$helper" "ext4:$WORK/none" "$dir"
refuses "an option of nobody" 32 'frobnicate' "$helper" "ext4:$img" "$dir" \
	-o rw,frobnicate
refuses "umount of nothing" 32 'nothing' "$WORK/dest/sbin/umount.fuse.rump" "$dir"
status=0
mount -t fuse.rump "ext4:$WORK/none" "$dir" 2>/dev/null || status=$?
[ "$status" = 32 ] || fail "mount(8) exits with $status"
umount "$sbin"
