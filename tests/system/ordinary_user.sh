#!/bin/bash
# ordinary_user.sh - everything works without root, as the user's own: a new
# user and mount namespace, the user's uid kept.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_program setpriv unshare
[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"

if [ "$(id -u)" != 0 ]; then
	user=()
elif setpriv --reuid 65534 --regid 65534 --clear-groups \
	unshare -Urm true 2>/dev/null; then
	user=(setpriv --reuid 65534 --regid 65534 --clear-groups
		env HOME="$WORK" XDG_RUNTIME_DIR="$WORK/run")
	# Where udev did not run, /dev/fuse is root's only: lend one, in a
	# mount namespace of this test alone.
	if ! "${user[@]}" test -w /dev/fuse; then
		if [ -z "${LENT:-}" ]; then
			trap - EXIT
			rmdir "$WORK"
			LENT=1 exec unshare -m --propagation private bash "$0"
		fi
		mknod -m 666 "$WORK/fuse" c 10 229
		mount --bind "$WORK/fuse" /dev/fuse
	fi
else
	skip "no user namespaces for ordinary users"
fi
chmod 755 "$WORK"
mkdir -m 700 "$WORK/run" "$WORK/home"
uid=$("${user[@]+"${user[@]}"}" id -u)
img=$WORK/home/disk.img
image "$img" 32M -t ext4 -E "root_owner=$uid:$uid"
chown -R "$uid:$uid" "$WORK/run" "$WORK/home"

as_user() { "${user[@]+"${user[@]}"}" "$@"; }
as_user test -x "$RUMP" || skip "the build directory is not readable by others"

cd "$WORK/home"
as_user "$RUMP" run --kill-every 30ms -m /vol=ext4:disk.img -- sh -c '
	[ "$(id -u)" = "$1" ] || exit 3
	[ "$(pwd)" = "$2" ] || exit 4
	for i in $(seq 200); do echo "$i" >/vol/f$i || exit 5; done
	[ "$(stat -c %u /vol/f7)" = "$1" ] || exit 6
	chown 0 /vol/f7 2>/dev/null && exit 7
	exit 0' - "$uid" "$WORK/home" || fail "as a user: exit status $?"
check_image "$img"
as_user "$RUMP" run --no-fuse -m /vol=ext4:disk.img -- \
	"$BUILD/tests/recovery/model" -l -n 200 /vol ||
	fail "as a user, through the library"
check_image "$img"
if [ "$(id -u)" = 0 ]; then
	image "$WORK/root.img" 16M
	chmod 600 "$WORK/root.img"
	refuses "an image of somebody else" 125 'permission' \
		"${user[@]}" "$RUMP" run -m "/vol=ext4:$WORK/root.img" -- true
fi

# A directory of his: what he may do there he may do here, and no more.
mkdir -p data/sub
echo other >data/other
chown -R "$uid:$uid" data
chown 12345 data/other 2>/dev/null || true
chmod 600 data/other
as_user "$RUMP" run --kill-every 20ms -m "/vol=host:$WORK/home/data" -- sh -ec '
	cd /vol
	[ "$(id -u)" != 0 ] && ! cat other 2>/dev/null || exit 3
	echo 1 >file; mv file sub/file; ln sub/file link; rm link
	(umask 222; exec 5>readonly; for i in 1 2 3 4 5; do sleep 0.03; echo $i >&5; done)
	[ "$(cat readonly)" = "$(seq 5)" ]
	seq 1000 >gone; exec 6<gone; rm gone; sleep 0.1; [ "$(wc -l <&6)" = 1000 ]
	! chown 12345 sub/file 2>/dev/null' 2>"$WORK/log" || {
	cat "$WORK/log" >&2; fail "a directory of the host ($?)"; }
[ "$(stat -c %u "$WORK/home/data/sub/file")" = "$uid" ] || fail "another's file"
[ "$(ls -A "$WORK/home/data" | tr '\n' ' ')" = "other readonly sub " ] ||
	fail "left in the directory: $(ls -A "$WORK/home/data")"
