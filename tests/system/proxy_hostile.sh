#!/bin/bash
# proxy_hostile.sh - a program that attacks its own proxy gains nothing, through
# either proxy, while the server is killed.
# limit: 120 300
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img

cat >"$WORK/inside" <<'END'
# as a mount's would be: the program goes on as somebody else
chmod a+rx "$(dirname "$RUMP_SOCKET")"; chmod a+rw "$RUMP_SOCKET"
mkdir -m 777 /vol/d
(umask 077; echo this is secret >/vol/d/secret)
"$1" /vol/d || exit 1
cat /vol/d/secret
END
for proxy in notify preload; do
	image "$img" 64M -t ext4
	"$RUMP" run --proxy=$proxy --kill-every 20ms -m "/vol=ext4:$img" -- \
		sh "$WORK/inside" "$BUILD/tests/system/system-proxy_hostile" \
		>"$WORK/log" 2>&1 || fail "$proxy: $(cat "$WORK/log")"
	grep -q "this is secret" "$WORK/log" || fail "$proxy: $(cat "$WORK/log")"
	check_image "$img"
	say "$proxy: nothing was gained"
done
