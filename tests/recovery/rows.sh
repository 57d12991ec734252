#!/bin/bash
# rows.sh - each row of docs/recovery.md: the server dies before that op, within
# its commit and after it, and the answer is that of one call.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
name=rows-$$
image "$img" 64M
cat >"$WORK/inside" <<'END'
pid=$("$RUMP" ps --pids | awk -v n="$2" '$1 == n && $2 == "supervisor" {print $3}')
exec "$1" "$pid"
END
"$RUMP" run --no-fuse --name "$name" -m "/vol=ext4:$img" -- sh "$WORK/inside" \
	"$BUILD/tests/system/system-all_ops" "$name" >"$WORK/log" 2>&1 ||
	{ cat "$WORK/log" >&2; fail "a row does not hold"; }
check_image "$img"
say "$(grep 'ops,' "$WORK/log")"
