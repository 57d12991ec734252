#!/bin/bash
# host.sh - a directory of the host: the same as seen from inside and outside,
# both ways; nothing outside of it can be reached; what its server may do.
# limit: 90 300
. "$(dirname "$0")/../harness/lib.sh"
. "$SOURCE/tests/harness/tree.sh"
need_fuse

dir=$WORK/dir
mkdir "$dir" "$WORK/outside"
echo secret >"$WORK/outside/file"
inside() { "$RUMP" run -m "/vol=host:$dir" -- "$@"; }

# A tree made outside and looked at inside, copied inside and looked at outside.
make_tree "$dir/tree"
inside bash -c 'same_tree "$1" /vol/tree' - "$dir/tree" || fail "differs inside"
inside cp -a /vol/tree /vol/copy || fail "no copy"
same_tree "$dir/tree" "$dir/copy" || fail "the copy differs outside"
inside tar -C /vol -cf /vol/a.tar tree || fail "no archive"
mkdir "$WORK/unpacked"
tar -C "$WORK/unpacked" -xf "$dir/a.tar"
same_tree "$dir/tree" "$WORK/unpacked/tree" || fail "the archive differs"
inside rm -rf /vol/tree /vol/a.tar || fail "not removed"
[ "$(ls -A "$dir")" = copy ] || fail "left behind: $(ls -A "$dir")"
say "$(grep -c . "$WORK/tree.a") objects the same"

# Ways out. Links are the program's to follow: they lead where they lead in its
# view, and the server follows none.
ln -s "$WORK/outside/file" "$dir/absolute"
ln -s ../outside/file "$dir/relative"
ln -s ../outside "$dir/way"
ln -s /proc/self/root "$dir/magic"
mkdir -p "$dir/a/b/c"
inside bash -c '
	[ "$(readlink /vol/absolute)" = "$1/outside/file" ] || exit 1
	[ ! -e /vol/relative ] && [ ! -e /vol/../outside/file ] || exit 2
	[ ! -e /vol/way/file ] && [ ! -e /vol/a/b/c/../../../../outside ] || exit 3
	! ln /vol/way/file /vol/caught 2>/dev/null || exit 4
	! mv /vol/a /vol/a/b/c 2>/dev/null || exit 5
	[ "$(cd /vol/a/b/c && cd ../../.. && pwd -P)" = /vol ] || exit 6' \
	- "$WORK" || fail "a way out ($?)"

# A directory that is moved out while it is in use is out of reach; one that is
# replaced by a link, too.
inside bash -c '
	cd /vol/a/b && echo 1 >file && exec 5<file
	mv "$1/dir/a/b" "$1/outside/b"
	kill -9 "$("$2" ps --pids | awk -v n="$(basename "$RUMP_SOCKET")" \
		"index(n, \$1) == 1 && \$2 == \"server\" {print \$3}")" || exit 7
	cat ../../../outside/file 2>/dev/null && exit 1
	cat c/../file 2>/dev/null && exit 2
	echo 2 >new 2>/dev/null && [ -e "$1/outside/b/new" ] && exit 3
	ln -s ../../outside "$1/dir/a/b"
	cat /vol/a/b/file 2>/dev/null; echo 3 2>/dev/null >/vol/a/b/escaped
	[ ! -e "$1/outside/escaped" ] || exit 4
	exit 0' - "$WORK" "$RUMP" || fail "a directory that was moved ($?)"
[ "$(ls "$WORK/outside")" = "b
file" ] || fail "something was made outside: $(ls "$WORK/outside")"
rm "$dir/a/b"

# Another file system below is not entered.
if [ "$(id -u)" = 0 ]; then
	mkdir "$dir/mounted"
	unshare -m --propagation private bash -c '
		mount -t tmpfs none "$1/mounted" && echo x >"$1/mounted/file" &&
		"$2" run -m "/vol=host:$1" -- sh -c "
			ls /vol >/dev/null && ! cat /vol/mounted/file 2>/dev/null"' \
		- "$dir" "$RUMP" || fail "another file system is entered"
fi

# What others do is seen at once, both ways.
inside bash -ec '
	echo 1 >/vol/f; [ "$(cat "$1/f")" = 1 ]
	echo 22 >"$1/f"; [ "$(cat /vol/f)" = 22 ] && [ "$(stat -c %s /vol/f)" = 3 ]
	mv "$1/f" "$1/g"; [ ! -e /vol/f ] && [ "$(cat /vol/g)" = 22 ]
	rm "$1/g"; [ ! -e /vol/g ]; mkdir "$1/h"; [ -d /vol/h ]
	rmdir /vol/h; [ ! -e "$1/h" ]' - "$dir" || fail "changes are not seen"

# Holes, attributes, errors.
inside bash -ec '
	cd /vol
	truncate -s 1M holes; [ "$(stat -c %b holes)" = 0 ]
	touch -d @1234567890.123456789 holes
	[ "$(stat -c %.9Y "$1/holes")" = 1234567890.123456789 ]
	chmod 4711 holes; [ "$(stat -c %a "$1/holes")" = 4711 ]
	mkdir d; : >d/x
	! rmdir d 2>/dev/null; ! mkdir d 2>/dev/null; ! mv -T holes d 2>/dev/null
	! : >.rump-0000000000000001 2>/dev/null
	if setfattr -n user.a -v b "$1/holes" 2>/dev/null; then
		[ "$(getfattr -n user.a --only-values holes)" = b ]
		setfattr -n user.c -v d holes
		[ "$(getfattr -n user.c --only-values "$1/holes")" = d ]
		setfattr -x user.a holes; ! getfattr -n user.a "$1/holes" 2>/dev/null
	fi
	rm -r d holes' - "$dir" || fail "attributes"
"$RUMP" run -m "/vol=host:$dir,ro" -- sh -c '
	! touch /vol/x 2>"$1/err" && grep -q "Read-only" "$1/err"' - "$WORK" ||
	fail "ro is not"
refuses "no directory" 125 "no such directory" "$RUMP" run \
	-m "/vol=host:$WORK/none" -- true
refuses "a file" 125 "not a directory" "$RUMP" run \
	-m "/vol=host:$WORK/outside/file" -- true
refuses "an option" 125 "no option 'fast'" "$RUMP" run \
	-m "/vol=host:$dir,fast" -- true

# What its server keeps: a filter, the directory as its root, and of root's
# privileges those that are about files.
inside bash -c '
	pid=$("$1" ps --pids | awk -v n="$(basename "$RUMP_SOCKET")" \
		"index(n, \$1) == 1 && \$2 == \"server\" {print \$3}")
	: >/vol/x; rm /vol/x
	cat "/proc/$pid/status"; readlink "/proc/$pid/root"' - "$RUMP" >"$WORK/status" ||
	fail "no status: $(cat "$WORK/status")"
if ! nm -D "$RUMP" | has __asan_init; then
	grep -q "^Seccomp:[[:space:]]*2$" "$WORK/status" || fail "no filter"
	if [ "$(id -u)" = 0 ]; then
		caps=$(awk '$1 == "CapEff:" {print $2}' "$WORK/status")
		[ $((0x$caps & ~0x800001f)) = 0 ] || fail "it may do more: $caps"
		[ "$(tail -n 1 "$WORK/status")" = "$dir" ] || fail "its root is another"
	fi
fi

# Two directories of one server, and a server that has none has none of this.
mkdir "$WORK/second"
"$RUMP" run -m "/one=host:$dir" -m "/two=host:$WORK/second" -- sh -ec '
	echo a >/two/x; mv /two/x /one/x; [ "$(cat /one/x)" = a ]
	! ln /one/x /two/x 2>/dev/null; rm /one/x' || fail "two directories"
