# shellcheck shell=bash
# lib.sh - what every test script of tests/system and tests/recovery starts
# with: a directory of its own that is gone at the end whatever happens, images
# to work on, and the few checks that the scripts share.
#
# The runner (run.sh) gives each script BUILD (the build directory) and LONG (1
# for the long variant). A script that is started by hand needs only BUILD.
# Exit status: 0 passed, 77 skipped (the reason is printed), anything else
# failed.
set -euo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(cd "${BUILD:-$SOURCE/build}" && pwd)
RUMP=${RUMP:-$BUILD/tools/rump/rump}
LONG=${LONG:-0}
# Of the mounts of some scripts, as ",execution=process".
OPTIONS=${OPTIONS:-}
# 1: as little as makes sense, for who runs a script as a part of his own.
SHORT=${SHORT:-0}
# How programs come to a server in some scripts: by a mount, or by preload or
# notify, without one. DOOR: the options for that.
PROXY=${PROXY:-}
DOOR=()
[ -z "$PROXY" ] || DOOR=(--proxy="$PROXY")
PATH=$PATH:/usr/sbin:/sbin
export BUILD RUMP LONG OPTIONS SHORT PROXY PATH

WORK=$(mktemp -d "${TMPDIR:-/tmp}/rump-test.XXXXXX")
CHILDREN=()

# Servers that stay, on images of this script or by a name that ends in its pid.
end_servers()
{
	"$RUMP" ps 2>/dev/null |
	awk -v w=":$WORK/" -v n="-$$" 'index($0, w) || $1 ~ n "$" {print $1}' |
	while read -r name; do
		timeout -k 5 20 "$RUMP" stop --force "$name" >/dev/null 2>&1 ||
			family "$name" | awk '{print $2}' | xargs -r kill -9
	done
}

clean_up()
{
	local status=$? pid target
	trap '' INT TERM
	for pid in "${CHILDREN[@]+"${CHILDREN[@]}"}"; do
		kill "$pid" 2>/dev/null || continue
		for _ in $(seq 300); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$pid" 2>/dev/null || true
	done
	# Longest first: a mount may be inside another.
	awk -v w="$WORK/" 'index($5, w) == 1 {print $5}' /proc/self/mountinfo |
	sort -r | while read -r target; do
		umount -l "$target" 2>/dev/null ||
			fusermount3 -uz "$target" 2>/dev/null || true
	done
	end_servers
	rm -rf --one-file-system "$WORK"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { echo "  $*"; }
fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "skip: $*"; exit 77; }

# To be ended with the script, if it is not ended before.
background() { CHILDREN+=("$1"); }

need_program()
{
	local p
	for p; do
		command -v "$p" >/dev/null || skip "$p is not installed"
	done
}

need_fuse()
{
	[ -z "$PROXY" ] || return 0
	[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"
	[ -w /dev/fuse ] || skip "/dev/fuse may not be opened by this user"
	unshare -Urm true 2>/dev/null ||
		[ "$(id -u)" = 0 ] || skip "no user namespaces for this user"
}

need_root() { [ "$(id -u)" = 0 ] || skip "needs root: $*"; }

# as_nobody COMMAND...: as an ordinary user, whose own are $WORK/user and what
# is in it. Where only root may open /dev/fuse he has one that he may, in a mount
# namespace of his own. can_be_nobody: whether that goes.
can_be_nobody()
{
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null &&
		setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm true 2>/dev/null
}

as_nobody()
{
	chmod 755 "$WORK"
	mkdir -p -m 700 "$WORK/user/run"
	chown -R 65534:65534 "$WORK/user"
	[ -e "$WORK/fuse" ] || mknod -m 666 "$WORK/fuse" c 10 229
	unshare -m --propagation private sh -c 'mount --bind "$1" /dev/fuse && shift &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' \
		sh "$WORK/fuse" env HOME="$WORK/user" XDG_RUNTIME_DIR="$WORK/user/run" "$@"
}

# image FILE SIZE [mke2fs options]: a fresh file system, ext4 if not said.
image()
{
	local file=$1 size=$2
	shift 2
	rm -f "$file"
	truncate -s "$size" "$file"
	[ $# -gt 0 ] || set -- -t ext4
	mke2fs -q -F "$@" "$file" || fail "mke2fs $* failed"
}

# check_image FILE: consistent, as e2fsck sees it, and nothing to replay.
check_image()
{
	local log=$WORK/e2fsck.log
	if ! e2fsck -fn "$1" >"$log" 2>&1; then
		cat "$log" >&2
		fail "e2fsck finds faults in $(basename "$1")"
	fi
	if grep -q 'skipping journal recovery' "$log"; then
		fail "$(basename "$1") still needs its journal replayed"
	fi
}

# in_mount IMAGE COMMAND...: runs it with the image mounted at /vol.
in_mount()
{
	local img=$1
	shift
	"$RUMP" run "${DOOR[@]}" -m "/vol=ext4:$img" -- "$@"
}

# under_kills IMAGE EVERY COMMAND...: in_mount, and the server is killed at
# random; the image is in order afterwards. What the command said is in
# $WORK/under.log, and is shown if it failed. Adds to KILLS.
KILLS=0
under_kills()
{
	local img=$1 every=$2 n log=$WORK/under.log
	shift 2
	"$RUMP" run "${DOOR[@]}" --kill-every "$every" -m "/vol=ext4:$img" -- "$@" \
		>"$log" 2>&1 || { tail -n 60 "$log" >&2; fail "$1 saw an error"; }
	n=$(kills_in "$log")
	[ "$n" -gt 0 ] || fail "$1: the server was never killed"
	KILLS=$((KILLS + n))
	check_image "$img"
}

# dump IMAGE PATH FILE: reads a file without rump.
dump() { debugfs -R "dump $2 $3" "$1" 2>/dev/null; [ -e "$3" ]; }

sum() { sha256sum "$1" | cut -d' ' -f1; }

# refuses WHAT STATUS PATTERN COMMAND...: it fails with that status and says
# why in one sentence that matches.
refuses()
{
	local what=$1 want=$2 pattern=$3 status=0 err=$WORK/refuses.err
	shift 3
	timeout -k 5 300 "$@" >"$WORK/refuses.out" 2>"$err" </dev/null || status=$?
	if [ "$status" != "$want" ]; then
		cat "$err" >&2
		fail "$what: exit status $status, not $want"
	fi
	if [ "$(grep -c . "$err")" != 1 ]; then
		cat "$err" >&2
		fail "$what: not one sentence"
	fi
	if ! grep -Eqi -- "$pattern" "$err"; then
		cat "$err" >&2
		fail "$what: does not match /$pattern/"
	fi
	say "$what: $(cat "$err")"
}

# kills_in FILE: how many times --kill-every says it killed the server.
kills_in()
{
	sed -nE 's/.*killed ([0-9]+) times?.*/\1/p' "$1" | tail -n 1 |
		grep . || echo 0
}

# has PATTERN...: grep -q at the end of a pipe that reads all of it: otherwise
# who writes may die of SIGPIPE, and pipefail tells of that.
has() { grep "$@" >/dev/null; }

# family: pids of every process of the server named $1, as "role pid" lines.
family() { "$RUMP" ps --pids | awk -v n="$1" '$1 == n {print $2, $3}'; }

# member NAME ROLE: the pid of that process of the family, once there is one: a
# server that died has no successor yet.
member()
{
	local pid end=$((SECONDS + 60))
	until pid=$(family "$1" | awk -v r="$2" '$1 == r {print $2}') &&
	      [ -n "$pid" ]; do
		[ "$SECONDS" -lt "$end" ] || fail "$1 has no $2"
		sleep 0.05
	done
	echo "$pid"
}

# wait_for SECONDS COMMAND...: until it succeeds. The machine may be slow and
# crowded, so a minute is the least for whatever is to come.
wait_for()
{
	local end=$((SECONDS + $1))
	shift
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}
