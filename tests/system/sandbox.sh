#!/bin/bash
# sandbox.sh - a driver that wants out of its server gets nowhere: each attempt
# is refused or ends the server, and everything else goes on.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
[ -e "$BUILD/drivers/rump-driver-hostile.so" ] || skip "no hostile driver here"
! nm -D "$RUMP" | has __asan_init ||
	skip "no filter under a sanitizer, whose run-time needs files"
img=$WORK/disk.img name=sandbox-$$
attempts='open create stat socket connect kill-parent kill-all tgkill pidfd
	ptrace vm-write mount unshare execve fork code make-code ioctl dup
	affinity limits setuid keyctl io-uring write-all'
image "$img" 32M
server() { "$RUMP" ps --pids | awk -v n="$name" '$1 == n && $2 == "server" {print $3}'; }
export -f server
export name RUMP

cat >"$WORK/inside" <<'END'
echo before >/vol/file
status=/proc/$(server)/status
for want in Seccomp:2 NoNewPrivs:1 CapEff:0000000000000000 \
	CapPrm:0000000000000000; do
	grep -q "^${want%:*}:[[:space:]]*${want#*:}$" "$status" ||
		{ cat "$status"; echo "not $want"; exit 3; }
done
ls -l "/proc/$(server)/fd" >"$2" 2>/dev/null || true
for how in try catch; do
	for a in $1; do
		said=$(cat "/vol/$how-$a" 2>&1) && { echo "$a: done"; exit 4; }
		case $said in
		*"Input/output error"*) echo "$how-$a: died" ;;
		*"Permission denied"*) echo "$how-$a: refused" ;;
		*"No such file"* | *) echo "$how-$a: $said"; exit 5 ;;
		esac
		echo "after $a" >/vol/other || exit 6
		[ "$(cat /vol/other)" = "after $a" ] || exit 7
	done
done
[ "$(cat /vol/file)" = before ] || exit 8
END
# A descriptor of whoever starts it is not the server's.
"$RUMP" run --name "$name" -m "/vol=hostile:$img" -- bash "$WORK/inside" \
	"${attempts%write-all}" "$WORK/fds" >"$WORK/log" 2>&1 77>"$WORK/mine" ||
	{ cat "$WORK/log" >&2; fail "exit status $?"; }
say "$(grep -c died "$WORK/log") attempts ended the server, $(
	grep -c refused "$WORK/log") were refused"
! grep -q "$WORK/mine" "$WORK/fds" || fail "it inherits descriptors"
[ ! -e /tmp/rump-hostile ] || fail "a file was made"
check_image "$img"

# What it writes into everything it has may end its own family, nobody else.
mkdir "$WORK/clean"
before=$(sum "$WORK/inside")
status=0
timeout 300 "$RUMP" run --name "$name" -m "/vol=hostile:$img" -- \
	sh -c 'cat /vol/try-write-all; true' >"$WORK/log" 2>&1 || status=$?
[ "$status" != 124 ] || fail "it hangs"
[ "$(sum "$WORK/inside")" = "$before" ] || fail "a file of the host was changed"
"$RUMP" recover "$img" >/dev/null 2>&1 || true
check_image "$img"
