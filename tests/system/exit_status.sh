#!/bin/bash
# exit_status.sh - what the program says is what `rump run` says.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 16M

for want in 0 1 42 255; do
	status=0
	in_mount "$img" sh -c "exit $want" || status=$?
	[ "$status" = "$want" ] || fail "exit $want became $status"
done
status=0
in_mount "$img" sh -c 'kill -TERM $$' || status=$?
[ "$status" = 143 ] || fail "death by SIGTERM became $status, not 143"
status=0
in_mount "$img" sh -c 'kill -SEGV $$' 2>/dev/null || status=$?
[ "$status" = 139 ] || fail "death by SIGSEGV became $status, not 139"

refuses "a program that is not found" 127 'no-such-program' \
	"$RUMP" run -m "/vol=ext4:$img" -- no-such-program
refuses "a program path that is not found" 127 '/no/such/program' \
	"$RUMP" run -m "/vol=ext4:$img" -- /no/such/program
echo 'not for running' >"$WORK/plain"
refuses "a program that is not executable" 126 'plain' \
	"$RUMP" run -m "/vol=ext4:$img" -- "$WORK/plain"
check_image "$img"

# "--" is not needed, and options after the program are the program's.
[ "$("$RUMP" run -m "/vol=ext4:$img" echo -m --name x)" = "-m --name x" ] ||
	fail "the program's options are taken for rump's"
"$RUMP" --version | has '[0-9]' || fail "--version says nothing"
[ "$("$RUMP" --help | wc -l)" -ge 15 ] || fail "--help says little"
for c in run mount umount ps recover; do
	"$RUMP" "$c" --help | has "$c" || fail "$c --help says nothing"
done
