#!/bin/bash
# environment.sh - the program finds itself as without rump: directory, user,
# groups, arguments, environment, standard streams, umask, limits.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 16M

cat >"$WORK/show" <<'END'
pwd; id -u; id -g; id -G; umask; ulimit -n; echo "$MARK"
for a; do echo "[$a]"; done
cat
END
mkdir "$WORK/a dir"
cd "$WORK/a dir"
umask 027
export MARK='a  b"c'
here=$(echo input | sh "$WORK/show" 'x  y' '' '*')
there=$(echo input | in_mount "$img" sh "$WORK/show" 'x  y' '' '*')
[ "$here" = "$there" ] || { diff <(echo "$here") <(echo "$there") >&2 || true
	fail "the program finds another world"; }

[ "$(in_mount "$img" sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ] ||
	fail "the two outputs are mixed"
# It inherits what it would without rump, and nothing else.
here=$(ls /proc/self/fd)
[ "$(in_mount "$img" ls /proc/self/fd)" = "$here" ] ||
	fail "the program inherits other descriptors"
in_mount "$img" sh -c '[ -S "$RUMP_SOCKET" ]' || fail "RUMP_SOCKET is no socket"

# The mount is where it was asked for, only for the program, and the host's
# files are all there.
in_mount "$img" sh -c '[ "$(stat -fc %T /vol)" = fuseblk ] ||
	grep -q " /vol fuse" /proc/self/mountinfo' || fail "no mount at /vol"
[ ! -e /vol ] || grep -q ' /vol ' /proc/self/mountinfo || rmdir /vol 2>/dev/null ||
	fail "a mount point was made on the host"
echo host >"$WORK/host"
[ "$(in_mount "$img" cat "$WORK/host")" = host ] || fail "the host's files are gone"
in_mount "$img" sh -c "echo changed >'$WORK/host'"
[ "$(cat "$WORK/host")" = changed ] || fail "the host's files cannot be written"
mkdir -p "$WORK/exists"
"$RUMP" run -m "$WORK/exists=ext4:$img" -- touch "$WORK/exists/file"
[ ! -e "$WORK/exists/file" ] || fail "the mount is not private"

# Two images at once, one inside a new directory.
image "$WORK/two.img" 16M
"$RUMP" run -m "/vol=ext4:$img" -m "/new/deep/two=ext4:$WORK/two.img" -- sh -c '
	echo one >/vol/f && cp /vol/f /new/deep/two/f && cat /new/deep/two/f' |
	grep -qx one || fail "two mounts do not work"
check_image "$WORK/two.img"

# Read-only
status=0
"$RUMP" run -m "/vol=ext4:$img,ro" -- sh -c 'cat /vol/f && ! echo x >/vol/g' \
	>/dev/null 2>"$WORK/err" || status=$?
[ "$status" = 0 ] && grep -qi 'read-only' "$WORK/err" || fail "ro does not hold"
check_image "$img"
