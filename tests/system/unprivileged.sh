#!/bin/bash
# unprivileged.sh - rump mount without root: by fusermount3 as an ordinary user
# on an image and a directory of his own, and as the root of a user namespace.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_program setpriv unshare findmnt
[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"
if [ "$(id -u)" = 0 ]; then
	user=(setpriv --reuid 65534 --regid 65534 --clear-groups
		env HOME="$WORK" XDG_RUNTIME_DIR="$WORK/run")
else
	user=(env XDG_RUNTIME_DIR="$WORK/run")
fi
as_user() { "${user[@]}" "$@"; }
# Where udev did not run, /dev/fuse is root's only: lend one, in a mount
# namespace of this test alone.
if ! as_user test -w /dev/fuse; then
	[ "$(id -u)" = 0 ] || skip "/dev/fuse may not be opened by this user"
	if [ -z "${LENT:-}" ]; then
		trap - EXIT
		rmdir "$WORK"
		LENT=1 exec unshare -m --propagation private bash "$0"
	fi
	mknod -m 666 "$WORK/fuse" c 10 229
	mount --bind "$WORK/fuse" /dev/fuse
fi
chmod 755 "$WORK"
mkdir -m 700 "$WORK/run" "$WORK/home" "$WORK/home/mnt"
uid=$("${user[@]}" id -u)
img=$WORK/home/disk.img dir=$WORK/home/mnt
image "$img" 32M -t ext4 -E "root_owner=$uid:$uid"
chown -R "$uid:$uid" "$WORK/run" "$WORK/home"
as_user test -x "$RUMP" || skip "the build directory is not readable by others"
gone() { ! findmnt "$dir" >/dev/null && ! as_user "$RUMP" ps | has " $dir="; }
ran=

# what FILE: makes it on the mount, with the server killed in between.
use()
{
	local name pid
	name=$(as_user "$RUMP" ps | awk 'NR == 2 {print $1}')
	for i in 1 2 3; do
		echo "$i" >>"$dir/$1" || fail "no writing on the mount"
		pid=$("$RUMP" ps --pids | awk -v n="$name" \
			'$1 == n && $2 == "server" {print $3}')
		kill -9 "$pid"
	done
	[ "$(wc -l <"$dir/$1")" = 3 ] || fail "lines are lost"
}
export -f use fail
export dir RUMP

# Where fusermount3 is set-uid, and may mount for others.
helper=$(command -v fusermount3 || true)
if [ -z "$helper" ] || [ ! -u "$helper" ]; then
	say "not tried: fusermount3 is not installed set-uid"
elif ! grep -q fuse /proc/filesystems; then
	say "not tried: no FUSE in this kernel"
else
	as_user "$RUMP" mount "ext4:$img" "$dir" || fail "no mount by fusermount3"
	[ "$(findmnt -no FSTYPE "$dir")" = fuse.rump ] || fail "type: $(findmnt "$dir")"
	[ "$(findmnt -no SOURCE "$dir")" = "ext4:$img" ] || fail "source: $(findmnt "$dir")"
	findmnt -no OPTIONS "$dir" | has "nosuid,nodev.*user_id=$uid" ||
		fail "options: $(findmnt -no OPTIONS "$dir")"
	as_user bash -c "as_user() { \"\$@\"; }; use by-helper" || fail "its use"
	[ "$(id -u)" != 0 ] || ! cat "$dir/by-helper" 2>/dev/null ||
		fail "others than its owner see it"
	as_user "$RUMP" umount "$dir" || fail "no umount by fusermount3"
	gone || fail "something stays"
	check_image "$img"
	as_user "$RUMP" mount "ext4:$img,ro" "$dir" || fail "no read-only mount"
	! as_user touch "$dir/x" 2>/dev/null || fail "ro does not hold"
	as_user fusermount3 -u "$dir" || fail "fusermount3 -u"
	wait_for 60 gone || fail "the server stays"
	mkdir "$WORK/foreign"
	refuses "a directory of somebody else" 125 'permission|access|owner' \
		"${user[@]}" "$RUMP" mount "ext4:$img" "$WORK/foreign"
	ran=1
fi

# As the root of a user namespace, who may mount there.
if ! as_user unshare -Urm true 2>/dev/null; then
	say "not tried: no user namespaces for ordinary users"
else
	cat >"$WORK/inside" <<'END'
set -e
"$RUMP" mount "ext4:$1" "$dir"
[ "$(findmnt -no FSTYPE "$dir")" = fuse.rump ]
as_user() { "$@"; }
use in-namespace
"$RUMP" umount "$dir"
! findmnt "$dir" >/dev/null
END
	# Who is root there owns what the image says is root's.
	image "$img" 32M
	chown "$uid:$uid" "$img"
	as_user unshare -Urm bash "$WORK/inside" "$img" ||
		fail "as the root of a user namespace"
	check_image "$img"
	ran=1
fi
[ -n "$ran" ] || skip "neither fusermount3 nor user namespaces"
