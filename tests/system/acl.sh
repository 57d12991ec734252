#!/bin/bash
# acl.sh - access lists through the programs that people use for them, kept
# over an unmount, and in the image as the kernel's own driver has them.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program getfacl setfacl
img=$WORK/disk.img
image "$img" 32M
cat >"$WORK/inside" <<'END'
set -e
cd /vol
list() { getfacl -p "$@" | xargs; }
[ "$1" = make ] && {
	mkdir d; echo x >f
	setfacl -m u:1000:rw,g:77:r f
	setfacl -d -m u:1000:rwx,m::rwx d
	umask 077; echo x >d/f; mkdir d/s; umask 022
	setfacl -m u:5:r gone 2>/dev/null && exit 1
	cp -p f g; chmod 600 f
	echo x >h; setfacl -m u:9:rwx h; setfacl -b h
}
[ "$(list -ncE f)" = 'user::rw- user:1000:rw- group::r-- group:77:r-- mask::--- other::---' ]
[ "$(list -ncE g)" = 'user::rw- user:1000:rw- group::r-- group:77:r-- mask::rw- other::r--' ]
[ "$(list -ncE d/f)" = 'user::rw- user:1000:rwx group::r-x mask::rw- other::r--' ]
[ "$(list -ncEd d/s)" = 'user::rwx user:1000:rwx group::r-x mask::rwx other::r-x' ]
[ "$(list -ncE h)" = 'user::rw- group::r-- other::r--' ]
END
in_mount "$img" bash "$WORK/inside" make || fail "lists are not what they should be"
check_image "$img"
in_mount "$img" bash "$WORK/inside" look || fail "lists differ after a remount"
if [ "$(id -u)" = 0 ] && mkdir "$WORK/native" &&
   mount -o loop,ro,noload "$img" "$WORK/native" 2>/dev/null; then
	[ "$(getfacl -pncE "$WORK/native/d/f" | grep -c .)" = 5 ] ||
		fail "the kernel reads another list"
	umount "$WORK/native"
fi
