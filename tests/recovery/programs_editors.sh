#!/bin/bash
# programs_editors.sh - vim and joe in a terminal edit files on the mount while
# the server is killed: what was saved is there, with its mode, its backup, and
# no swap file or lock; what a killed vim had is recovered.
# limit: 60 300
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program script
vim=$(command -v vim || command -v vim.tiny || true)
joe=$(command -v joe || true)
[ -n "$vim$joe" ] || skip "neither vim nor joe is installed"
rounds=3
[ "$SHORT" = 0 ] || rounds=1
[ "$LONG" = 0 ] || rounds=30
img=$WORK/disk.img
image "$img" 64M -t ext4 -E "root_owner=$(id -u):$(id -g)"

# drive FILE-THAT-SAYS-IT-RUNS KEYS COMMAND...: types when it is ready.
cat >"$WORK/drive" <<'END'
ready=$1 keys=$2
shift 2
rm -f "$PWD/.screen"
{
	# it has its file, and has taken the terminal
	for _ in $(seq 2400); do
		compgen -G "$ready" >/dev/null && [ -s "$PWD/.screen" ] && break
		sleep 0.05
	done
	sleep 0.3
	printf "$keys"
	# the terminal must not end before the program
	for _ in $(seq 2400); do
		[ -e "$PWD/.ended" ] && break
		sleep 0.05
	done
} | TERM=vt100 script -qec "stty rows 24 cols 80; $*; touch $PWD/.ended" /dev/null >"$PWD/.screen" 2>&1
rm -f "$PWD/.ended"
END
cat >"$WORK/inside" <<'END'
set -e
drive=$1 vim=$2 joe=$3 rounds=$4
fail() { echo "FAIL: $*"; tail -c 600 .screen; exit 1; }
export HOME=/vol
cd /vol
for r in $(seq "$rounds"); do
	seq 2000 >text && chmod 640 text
	seq 2000 | sed "100s/.*/put in/; s/^7/seven/" >want
	if [ -n "$vim" ]; then
		bash "$drive" "$PWD/.text.swp" ':set backup\r:100s/.*/put in/\r:%%s/^7/seven/\r:wq\r' \
			"$vim -N -u NONE text"
		cmp text want || fail "vim wrote something else"
		[ "$(stat -c %a text)" = 640 ] || fail "vim: mode $(stat -c %a text)"
		seq 2000 | cmp - text~ || fail "vim's backup"
		[ ! -e .text.swp ] || fail "vim left its swap file"
		rm text~
		# one that is killed, and what it had
		rm -f .pid
		bash "$drive" "$PWD/.killed.swp" 'ikept by the swap file\033:preserve\r:!kill -9 $PPID\r' \
			"$vim -N -u NONE killed" || true
		[ -s .killed.swp ] || fail "no swap file of a killed vim"
		bash "$drive" "$PWD/.killed.sw[op]" '\r:wq! killed\r' "$vim -N -u NONE -r killed"
		grep -q "kept by the swap file" killed || fail "vim recovers nothing"
		rm -f killed .killed.sw?
	fi
	if [ -n "$joe" ]; then
		seq 5 >letter
		: >ready
		bash "$drive" "$PWD/ready" '\013utyped in joe\r\013x' "$joe letter"
		[ "$(cat letter)" = "$(echo typed in joe; seq 5)" ] || fail "joe wrote $(cat letter)"
		seq 5 | cmp - letter~ || fail "joe's backup"
		[ ! -L '.#letter' ] || fail "joe left its lock"
	fi
done
END
under_kills "$img" 20ms bash "$WORK/inside" "$WORK/drive" "$vim" "$joe" "$rounds"
say "${vim:-no vim}, ${joe:-no joe}: $rounds rounds, $KILLS kills"
