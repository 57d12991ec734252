#!/bin/bash
# proxy_symbols.sh - where code cannot be changed (no memory that was written may
# become executable), the preload proxy serves what programs call by libc's
# symbols, says so, and counts it; auto takes the notifier instead.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"

cat >"$WORK/refused.py" <<'END'
import ctypes, os, sys
# PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    sys.exit(77)
if len(sys.argv) > 1:
    os.execvp(sys.argv[1], sys.argv[1:])
END
python3 "$WORK/refused.py" || { say "this kernel cannot refuse it"; exit 0; }
img=$WORK/disk.img
image "$img" 16M -t ext4 -E "root_owner=$(id -u):$(id -g)"
run=(timeout -k 5 300 python3 "$WORK/refused.py" "$RUMP" run --proxy-report -m "/vol=ext4:$img")

mkdir "$WORK/empty"
cd "$WORK/empty" || exit
head -c 300000 /dev/urandom >"$WORK/data"
"${run[@]}" --proxy=preload -- python3 - "$WORK/data" >"$WORK/out" 2>"$WORK/err" <<'END' || { cat "$WORK/err" >&2; fail "files by symbols"; }
import os, sys, subprocess
data = open(sys.argv[1], 'rb').read()
os.chdir('/vol')
os.mkdir('d')
with open('d/f', 'wb') as f:
    f.write(data)
assert open('/vol/d/f', 'rb').read() == data
assert os.stat('d/f').st_size == len(data)
os.rename('d/f', 'd/g')
os.symlink('g', 'd/l')
assert os.listdir('d') == ['g', 'l'] or sorted(os.listdir('d')) == ['g', 'l']
assert os.readlink('d/l') == 'g' and os.getcwd() == '/vol'
fd = os.open('d/l', os.O_RDWR)
assert os.pread(fd, 10, 100) == data[100:110]
pid = os.fork()
if not pid:
    os.execvp('cat', ['cat', 'd/g'])
assert os.waitpid(pid, 0)[1] == 0
os.close(fd)
os.unlink('d/l')
END
cmp "$WORK/data" "$WORK/out" || fail "what a child reads"
grep -q 'by libc.s symbols' "$WORK/err" || { cat "$WORK/err" >&2; fail "it was not said"; }
check_image "$img"
"${run[@]}" --proxy=auto --no-fuse -- ls /vol >"$WORK/out" 2>"$WORK/err" || { cat "$WORK/err" >&2; fail "auto"; }
grep -q '^d$' "$WORK/out" || fail "auto sees nothing"
grep -q 'proxy: notify' "$WORK/err" || grep -q 'by libc.s symbols' "$WORK/err" ||
	{ cat "$WORK/err" >&2; fail "auto did not say what it took"; }
say "by symbols: $(grep -c . "$WORK/err") lines said"
