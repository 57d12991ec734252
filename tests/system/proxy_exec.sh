#!/bin/bash
# proxy_exec.sh - through a proxy, files stay open and programs see them over
# exec of every kind: with an emptied environment, of static programs, by
# posix_spawn and vfork, of scripts and of programs that are in the mount.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img

cat >"$WORK/inside" <<'END'
dir=$1 busybox=$2 python=$3 host=$4
cd "$dir"
seq 5 >f; cat f
echo "- an emptied environment"
env -i /bin/cat "$dir/f"; env -i /bin/cat <f; env -i /bin/sh -c 'cat <f; pwd; echo made >by-env'; cat by-env
exec 7<f; env -i /bin/sh -c 'read -r a <&7; echo "$a"'; read -r a <&7; echo "$a"; exec 7<&-
echo "- in the mount"
cp /bin/cat mycat; ./mycat f; "$dir/mycat" <f; PATH=$dir mycat f; env -i ./mycat f
printf '#!/bin/sh\necho "script: $1"; cat f\n' >script; chmod 755 script; ./script a; "$dir/script" b; env -i ./script c
printf '#!%s/mycat\nthe text of it\n' "$dir" >own; chmod 755 own; ./own | tail -n 1
printf '#!%s/own\nof a script\n' "$dir" >again; chmod 755 again; ./again | tail -n 1
printf '#!%s/mycat -n\non the host\n' "$dir" >"$host"; chmod 755 "$host"; "$host" | tail -n 1; (cd /; env -i "$host") | tail -n 1
chmod 644 "$host"; "$host"; echo $?
printf 'echo no shebang; cat f\n' >plain; chmod 755 plain; ./plain
./nothing; echo $?; ./f; echo $?; "$dir"; echo $?
(exec 8>over; exec ./mycat f >&8); cat over
(exec 9<f; exec sh -c 'exec cat <&9'); (cd /; exec "$dir/mycat" "$dir/f")
if [ -n "$busybox" ]; then
	echo "- static programs"
	"$busybox" cat f; "$busybox" cat <f; "$busybox" sh -c 'echo new >by-busybox; cat by-busybox; pwd'
	mkdir bb; cp "$busybox" bb/busybox; bb/busybox wc -l <f; "$dir/bb/busybox" sh -c 'bb/busybox cat f | bb/busybox tail -n 1; /bin/cat f | head -n 1'
	env -i bb/busybox sh -c 'cat f >copy; exec /usr/bin/cmp f copy' && echo same
fi
if [ -n "$python" ]; then
	echo "- posix_spawn, vfork, a library in the mount"
	cp "$(readlink -f /lib/x86_64-linux-gnu/libz.so.1)" lib.so
	cat >spawn.py <<X
import os, subprocess, sys, ctypes
def spawn(args, actions=(), **kw):
    sys.stdout.flush()
    return os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(args[0], args, os.environ, file_actions=actions, **kw), 0)[1])
print(spawn(["/bin/cat"], [(os.POSIX_SPAWN_OPEN, 0, "f", os.O_RDONLY, 0)]))
print(spawn(["/bin/echo", "x"], [(os.POSIX_SPAWN_OPEN, 1, "$dir/spawned", os.O_WRONLY | os.O_CREAT, 0o644)]), open("spawned").read())
fd = os.open("f", os.O_RDONLY); os.set_inheritable(fd, True); os.lseek(fd, 4, 0)
print(spawn(["/bin/cat"], [(os.POSIX_SPAWN_DUP2, fd, 0)]), os.lseek(fd, 0, 1)); os.lseek(fd, 0, 0)
print(spawn(["./mycat"], [(os.POSIX_SPAWN_DUP2, fd, 0), (os.POSIX_SPAWN_CLOSE, fd)]))
print(subprocess.run(["/bin/cat"], stdin=open("f"), capture_output=True).stdout)
with open("sub", "w") as o: print(subprocess.run(["ls", "/dir-that-is-not"], stdout=o, stderr=o).returncode)
print(len(open("sub").read()) > 0, subprocess.run(["pwd"], cwd="$dir", capture_output=True).stdout == b"$dir\n")
p = subprocess.Popen(["sort", "-r"], stdin=subprocess.PIPE, stdout=open("sorted", "w")); p.communicate(open("f", "rb").read())
print(open("sorted").read()); print(ctypes.CDLL("$dir/lib.so").zlibVersion is not None)
pid = os.fork()
if pid == 0:
    os.write(os.open("f2", os.O_WRONLY | os.O_CREAT, 0o600), b"child"); os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), open("f2").read())
X
	"$python" spawn.py
fi
echo "- out of the mount by a link"
mkdir "$host.d"; ln -s "$host.d" away; env -C away /bin/pwd -P; env -C away sh -c 'echo there >new; cat new; cd ..; ls -d on-host.d'; cat away/new; rm -r "$host.d" away
echo "- a pipeline of both kinds"
cat f | ./mycat | { [ -z "$busybox" ] && cat || bb/busybox cat; } | sort -r | tee end | head -n 1; cat end; ls | wc -l
END
busybox=$(command -v busybox || true)
python=$(command -v /usr/bin/python3 || true)
for door in ${PROXY:-preload notify}; do
	rm -rf "$WORK/host"
	mkdir "$WORK/host"
	bash "$WORK/inside" "$WORK/host" "$busybox" "$python" "$WORK/on-host" >"$WORK/want" 2>&1 </dev/null
	sed -i "s,$WORK/host,/vol/w,g; s,$WORK/inside: line [0-9]*: ,," "$WORK/want"
	image "$img" 64M -t ext4 -E "root_owner=$(id -u):$(id -g)"
	timeout -k 5 300 "$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- \
		bash -c 'mkdir /vol/w; exec bash "$@"' - \
		"$WORK/inside" /vol/w "$busybox" "$python" "$WORK/on-host" >"$WORK/out" 2>&1 </dev/null ||
		{ diff -a "$WORK/want" "$WORK/out" >&2; fail "$door"; }
	sed -i "s,$WORK/inside: line [0-9]*: ,," "$WORK/out"
	diff -a "$WORK/want" "$WORK/out" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "$door: it differs"; }
	[ "$(wc -l <"$WORK/out")" -gt 60 ] || fail "it did not run"
	# The first program of the run is in the mount, and so is its directory.
	got=$("$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- /vol/w/mycat /vol/w/f)
	[ "$got" = "$(seq 5)" ] || fail "$door: a program in the mount says $got"
	got=$(PATH=/vol/w:$PATH "$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- mycat /vol/w/f)
	[ "$got" = "$(seq 5)" ] || fail "$door: a program in the mount, by PATH, says $got"
	[ -z "$busybox" ] || {
		got=$("$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- "$busybox" cat /vol/w/f)
		[ "$got" = "$(seq 5)" ] || fail "$door: a static program says $got"
	}
	status=0
	"$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- /vol/w/none 2>"$WORK/err" || status=$?
	[ "$status" = 127 ] || { cat "$WORK/err" >&2; fail "$door: $status, not 127"; }
	status=0
	"$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- /vol/w/f 2>"$WORK/err" || status=$?
	[ "$status" = 126 ] || { cat "$WORK/err" >&2; fail "$door: $status, not 126"; }
	"$RUMP" run --proxy="$door" -m "/vol=ext4:$img" -- sh -c 'exit 3' || status=$?
	[ "$status" = 3 ] || fail "$door: exit status $status, not 3"
	check_image "$img"
	say "$door: $(wc -l <"$WORK/out") lines, the same"
done
