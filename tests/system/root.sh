#!/bin/bash
# root.sh - rump run --root and --bind: the program sees an image as its root.
# In the long run a Debian in it, whose apt works while servers are killed.
# limit: 60 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
busybox=$(command -v busybox) || skip "busybox is not installed"
! ldd "$busybox" >/dev/null 2>&1 || skip "busybox needs a library: install busybox-static"
img=$WORK/root.img other=$WORK/other.img
me=$(id -u):$(id -g)

# A root by busybox, with an interpreter of its own: a program and a script.
mkdir -p "$WORK/root"/{bin,etc,proc,dev,sys,root,tmp,home/me}
cp "$busybox" "$WORK/root/bin/busybox"
for name in sh ls cat mount id pwd mkdir touch echo tty stty env seq wc ln mv \
	rm cmp grep kill sleep readlink chroot; do
	ln -s busybox "$WORK/root/bin/$name"
done
printf '#!/bin/sh\necho "script of $0"\n' >"$WORK/root/bin/script"
chmod 755 "$WORK/root/bin/script"
echo of-the-image >"$WORK/root/etc/hostname"
truncate -s 64M "$img"
mke2fs -q -F -t ext4 -E "root_owner=$me" -d "$WORK/root" "$img"
image "$other" 32M -t ext4 -E "root_owner=$me"
in_root() { timeout -k 5 300 "$RUMP" run --root "ext4:$img" "$@" </dev/null; }

[ "$(in_root -- sh -c 'cat /etc/hostname; pwd; id -u; readlink /proc/self/exe
	[ -c /dev/null ] && [ -d /sys/class ] && echo host; script')" = \
"of-the-image
/
$(id -u)
/bin/busybox
host
script of /bin/script" ] || fail "what the program sees"
! in_root -- ls "$WORK" 2>/dev/null || fail "the host is still there"
cd /tmp
[ "$(in_root -- pwd)" = /tmp ] || fail "the working directory"
cd "$WORK"
[ "$(in_root -- sh -c 'kill -TERM $$'; echo $?)" = 143 ] || fail "a signal's status"
if command -v script >/dev/null; then
	script -qec "$RUMP run --root ext4:$img -- sh -c 'stty size; tty'" \
		/dev/null </dev/null >"$WORK/tty" || true
	grep -q /dev/pts/ "$WORK/tty" || fail "no terminal: $(cat "$WORK/tty")"
fi

# Bound in: directories, files, read-only; into mounts and places of the host.
mkdir bound
echo bound >bound/file
[ "$(in_root --bind "$WORK/bound:/mnt/deep" --bind "bound/file:/etc/new:ro" \
	-m "/vol/x=ext4:$other" -- sh -c 'cat /mnt/deep/file /etc/new
	echo changed >/etc/new; echo made >/mnt/deep/made; echo $? >/vol/x/status
	cat /vol/x/status' 2>/dev/null)" = $'bound\nbound\n0' ] || fail "--bind"
[ "$(cat bound/made)" = made ] && [ "$(cat bound/file)" = bound ] ||
	fail "what was written to it"
[ "$("$RUMP" run -m "/vol=ext4:$other" --bind "bound:/no/such/place" \
	--bind bound/file:/vol/x/file -- sh -c \
	'cat /no/such/place/file /vol/x/file')" = $'bound\nbound' ] ||
	fail "--bind without a root"
[ ! -e /no/such ] || fail "the host has a new directory"

# While servers are killed; a program in the image replaced while it runs.
"$RUMP" run --kill-every 10ms --root "ext4:$img" -- sh -c '
	for i in $(seq 200); do echo $i >>/tmp/log; done; wc -l </tmp/log
	cat /bin/busybox >/bin/next && touch /bin/next && mv /bin/next /tmp/busybox
	for i in $(seq 20); do script >/dev/null || exit 1; done
	cmp /tmp/busybox /bin/busybox' >"$WORK/out" 2>"$WORK/err" </dev/null ||
	{ cat "$WORK/err" >&2; fail "under kills"; }
[ "$(cat "$WORK/out")" = 200 ] || fail "lines are lost"
[ "$(kills_in "$WORK/err")" -gt 0 ] || fail "never killed"
check_image "$img"

# A shared server's mount as the root, with another server's in it.
# It may die as soon as it is mounted, while the program's view is made.
for i in $(seq 10); do
	status=0
	in_root --kill-every 1ms --bind "$WORK/bound:/mnt" -- sh -c 'exit 3' \
		2>"$WORK/err" || status=$?
	[ "$status" = 3 ] || { cat "$WORK/err" >&2
		fail "killed while it starts: exit status $status"; }
done
check_image "$img"

name=test-root-$$
"$RUMP" start "$name" "/=ext4:$img" || fail "no start"
trap 's=$?; set +e; "$RUMP" stop -f "$name" 2>/dev/null; (exit $s); clean_up' EXIT
[ "$("$RUMP" run -s "$name" -m "/mnt=ext4:$other" -- sh -c \
	'cat /etc/hostname; ls /mnt' </dev/null)" = $'of-the-image\nlost+found\nstatus\nx' ] ||
	fail "a shared root"
[ "$("$RUMP" run -s "$name=$WORK/seen" -- cat "$WORK/seen/etc/hostname")" = \
	of-the-image ] || fail "a shared root elsewhere"
"$RUMP" stop "$name" || fail "no stop"
check_image "$img"

refuses "a program not in the image" 127 'not found' "$RUMP" run --root "ext4:$img" -- /bin/bash
refuses "no root" 125 'no such' "$RUMP" run --root "ext4:$WORK/none" -- sh
refuses "no mounts" 125 'no-fuse' "$RUMP" run --no-fuse --root "ext4:$img" -- sh
refuses "two roots" 125 'twice' "$RUMP" run --root "ext4:$img" -m "/=ext4:$other" -- sh
refuses "nothing to bind" 125 'bind.*No such' "$RUMP" run --root "ext4:$img" \
	--bind "$WORK/none" -- sh
refuses "no place to bind to" 125 'cannot be made.*read-only' "$RUMP" run \
	--root "ext4:$img,ro" --bind "$WORK/bound:/none" -- sh

# As an ordinary user, who has a user namespace instead.
if can_be_nobody; then
	mkdir "$WORK/user"
	cp "$img" "$WORK/user/root.img"
	[ "$(as_nobody "$RUMP" run --root "ext4:$WORK/user/root.img" \
		--bind "$WORK/bound:/mnt:ro" --kill-every 10ms -- sh -c \
		'id -u; cat /etc/hostname /mnt/file; script' 2>/dev/null </dev/null)" = \
		$'65534\nof-the-image\nbound\nscript of /bin/script' ] ||
		fail "as an ordinary user"
fi

[ "$LONG" = 1 ] || exit 0
[ "$(id -u)" = 0 ] || { say "no Debian: debootstrap needs root"; exit 0; }
command -v debootstrap >/dev/null || { say "no Debian: debootstrap is not installed"; exit 0; }
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
if ! debootstrap --variant=minbase bookworm "$WORK/debian" "$mirror" >"$WORK/log" 2>&1; then
	say "no Debian: $(tail -n 1 "$WORK/log")"
	exit 0
fi
deb=$WORK/debian.img
truncate -s 1500M "$deb"
mke2fs -q -F -t ext4 -d "$WORK/debian" "$deb"
in_debian()
{
	"$RUMP" run --root "ext4:$deb" --bind /etc/resolv.conf "$@" </dev/null
}
for how in "" "--kill-every 50ms"; do
	# shellcheck disable=SC2086
	in_debian $how -- sh -ec 'export DEBIAN_FRONTEND=noninteractive LC_ALL=C
		apt-get -q update && apt-get -qy install --no-install-recommends ed bc
		printf "2^64\nquit\n" | bc >/tmp/power
		[ "$(cat /tmp/power)" = 18446744073709551616 ]
		dpkg --verify ed bc && apt-get -qy purge ed bc && dpkg --audit' \
		>"$WORK/apt.log" 2>&1 || { tail -n 30 "$WORK/apt.log" >&2
		fail "apt in the image ($how)"; }
	check_image "$deb"
	say "apt ${how:-without kills}: $(kills_in "$WORK/apt.log") kills"
done
