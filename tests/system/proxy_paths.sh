#!/bin/bash
# proxy_paths.sh - where paths lead through a proxy: working directories, "..",
# symbolic links in both directions, two mounts, and what does not go across: as
# with mounts. And one mount inside of another, which mounts here cannot do.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"

# $1: a directory of the host; /a and /b are mounts.
cat >"$WORK/inside" <<'END'
host=$1 stays=$2
say() { echo "- $*"; }
cd /a
say "the working directory"
echo a >file; mkdir -p d/e; cd d/e; pwd; pwd -P; /bin/pwd; cat ../../file; cat ../../../a/file; cd ..; /bin/pwd; cd ../..; /bin/pwd
ls -d a; cat a/file; cd a; cd "$host"; /bin/pwd | sed "s,$host,HOST,"; cat /a/file; cd /a/d; cat "$OLDPWD/../../../../../../../../../a/file"
(cd /b; echo b >file; /bin/pwd); cat /b/file; cat ../../b/file; cat /a/../b/file; cat /a/d/../../b/./file; cat /..//a//file
cd /a/d/e; mv /a/d /a/moved; /bin/pwd; cat ../../file; rmdir /a/moved/e; /bin/pwd; echo x >gone; cd /a
say "links out"
echo host >"$host/file"; ln -s "$host" out; ln -s "$host/file" outfile; cat out/file outfile; readlink outfile | sed "s,$host,HOST,"
echo new >out/new; cat "$host/new"; ls out | sort; cd out; if [ -z "$stays" ]; then /bin/pwd | sed "s,$host,HOST,"; else echo HOST; fi; cd /a; cat out/../*/file >/dev/null && echo up
ln -s ../b/file tob; cat tob; echo more >>tob; cat /b/file; ln -s /a/file /b/toa; cat /b/toa; cat /a/tob
rm out/new; [ -e "$host/new" ] || echo removed; stat -L -c %F out; stat -c %F out; rm outfile; cat "$host/file"
say "links in"
ln -s /a "$host/in"; ln -s /a/file "$host/infile"; ln -s in "$host/in2"; cat "$host/in/file" "$host/infile" "$host/in2/file"
echo through >"$host/in/through"; cat through; (cd "$host/in"; /bin/pwd; cat ../b/file); cat "$host/in/../b/file"; rm "$host/infile"; cat file
ln -s ../../../../../../../../a/file "$host/rel"; cat "$host/rel"; ln -s "$host/in/file" "$host/twice"; cat "$host/twice"; ln -s "$host/twice" back; cat back
ln -s "$host/round" round; ln -s /a/round "$host/round"; cat round 2>&1 | sed 's/.*: //'; ln -s /nothing broken; cat broken 2>&1 | sed 's/.*: //'; echo x >broken 2>/dev/null; [ -e /nothing ] && rm /nothing && echo made
say "across"
ln file /b/hard 2>&1 | sed 's/.*: //'; ln "$host/file" hard 2>&1 | sed 's/.*: //'; ln file "$host/hard" 2>&1 | sed 's/.*: //'; ln file hard && stat -c %h file
cat >rename.py <<X
import os, sys
def t(f, *a):
    try: f(*a); print("ok")
    except OSError as e: print(e.strerror)
t(os.rename, "/a/file", "/b/x"); t(os.rename, "/a/file", "$host/x"); t(os.rename, "$host/file", "/a/x"); t(os.link, "/a/file", "/b/x")
t(os.rename, "/a/file", "/a/x"); t(os.rename, "x", "file"); t(os.rename, "/a", "/c"); t(os.rmdir, "/b"); t(os.unlink, "/a"); t(os.mkdir, "/a"); t(os.rename, "/a/d2", "/a")
d = os.open("$host", os.O_RDONLY); e = os.open("/a", os.O_RDONLY)
print(open(os.open("file", os.O_RDONLY, dir_fd=d)).read(), open(os.open("file", os.O_RDONLY, dir_fd=e)).read(), open(os.open("../b/file", os.O_RDONLY, dir_fd=e)).read())
t(lambda: os.rename("file", "other", src_dir_fd=d, dst_dir_fd=e)); os.chdir(e); print(os.getcwd()); os.fchdir(d); print(os.getcwd() == "$host"); os.fchdir(e); print(os.getcwd())
print(sorted(os.listdir(e)) == sorted(os.listdir("/a")), os.stat("/a").st_dev == os.stat("/b").st_dev, os.path.ismount("/a"), os.path.realpath("/a/tob"), os.path.realpath("tob"))
print(os.access("/a/file", os.R_OK), os.access("file", os.X_OK), os.path.samefile("/a/file", "file"), os.path.exists("/a/no"))
X
/usr/bin/python3 rename.py; mv file /b/moved; cat /b/moved; mv /b/moved file; cp -r /a/. /b/copy; ls /b/copy | sort; mv "$host/file" .moved; cat .moved
say "globs, find"
cd /; echo /a/f* /b/c*/f* a/h*; find a b -name 'file' | sort; find /a -xdev -type l | sort; cd /a; tar cf - . | tar tf - | sort | head -n 3; du -s /a >/dev/null && echo du
rm -rf /a/moved /b/copy; ls -A /a /b | sort
END
# /b/in is a mount, too, of another server.
cat >"$WORK/nested" <<'END'
cd /b; echo b >file; echo inner >/b/in/file; cat in/file; ls -A /b | grep -v lost | tr '\n' ' '; cd in; /bin/pwd; cat ../file
cd ..; /bin/pwd; cat in/file; ls in | grep -v lost; mv in/file moved; cat moved; cd in; cat ../moved; ls -A | grep -v lost
ln -s ../file up; cat up; ln -s /a/file upa; echo a >/a/file; cat upa; mv /b/in /b/other 2>/dev/null || echo busy; rmdir /b/in 2>/dev/null || echo busy
cd /b/in; echo x >/b/in/../in/./x; cat x; find /b -name x; cd /; rm -r /b/in/x; echo /b/*/up*
END
cat >"$WORK/nested-want" <<'END'
inner
file in /b/in
b
/b
inner
file
inner
inner
b
a
busy
busy
x
/b/in/x
/b/in/up /b/in/upa
END
name=paths-$$
servers()
{
	image "$WORK/a.img" 16M
	image "$WORK/b.img" 16M
	image "$WORK/c.img" 16M
	"$RUMP" start $name-a "/a=ext4:$WORK/a.img" "/b=ext4:$WORK/b.img"
	"$RUMP" start $name-c "/b/in=ext4:$WORK/c.img"
}
stop()
{
	"$RUMP" stop $name-a
	"$RUMP" stop $name-c
	check_image "$WORK/a.img"
	check_image "$WORK/b.img"
	check_image "$WORK/c.img"
}
run()	# OUT OPTIONS...
{
	local out=$1 status=0 stays=
	shift
	# The notifier cannot move another process: who left a mount by a link of
	# it has its directory in the notifier's books, and starts no program there.
	[ "$1" != --proxy=notify ] || stays=1
	rm -rf "$WORK/host"
	mkdir "$WORK/host"
	servers
	(cd / && timeout -k 5 300 "$RUMP" run "$@" -s $name-a -- \
		bash "$WORK/inside" "$WORK/host" "$stays" >"$out" 2>&1 </dev/null) || status=1
	if [ "$1" != --proxy=none ] && [ $status = 0 ]; then
		"$RUMP" run "$@" -s $name-a -- sh -c 'rm -rf /b/* && mkdir /b/in'
		(cd / && timeout -k 5 300 "$RUMP" run "$@" -s $name-a,$name-c -- \
			bash "$WORK/nested" >"$WORK/nested-out" 2>&1 </dev/null) || status=1
	fi
	stop
	sed -i "s,$WORK,WORK,g" "$out"
	[ $status = 0 ] || { tail -n 5 "$out" >&2; fail "$*"; }
	[ "$(wc -l <"$out")" -gt 120 ] || { cat "$out" >&2; fail "it did not run: $*"; }
}
PROXY= need_fuse
run "$WORK/want" --proxy=none
for door in ${PROXY:-preload notify}; do
	run "$WORK/out" --proxy="$door"
	diff -a "$WORK/want" "$WORK/out" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "$door: it differs from the mount"; }
	say "$door: $(wc -l <"$WORK/out") lines, as the mount has them"
	diff -a "$WORK/nested-want" "$WORK/nested-out" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "$door: one mount inside of another"; }
	image "$WORK/d.img" 16M
	# What cannot be followed is refused by name, not passed over.
	"$RUMP" run --proxy="$door" -m "/vol=ext4:$WORK/d.img" -- \
		/usr/bin/python3 -c 'import os
for f in (lambda: os.chroot("/vol"), lambda: os.chroot("/")):
    try: f(); print("allowed")
    except OSError as e: print(e.strerror)' >"$WORK/out" 2>"$WORK/err"
	! grep -q allowed "$WORK/out" || { cat "$WORK/out" >&2; fail "$door: chroot is allowed"; }
	say "$door: chroot: $(sort -u "$WORK/out" | tr '\n' ' ')"
done
