#!/bin/bash
# nested.sh - mounts of one server that lie one inside the other, with kills; and
# that the kernel's mounts cannot.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
mkdir "$WORK/tree" "$WORK/tree/sub"
for name in outer inner; do
	truncate -s 64M "$WORK/$name.img"
done
mkfs.ext4 -q -d "$WORK/tree" "$WORK/outer.img"
mkfs.ext4 -q "$WORK/inner.img"
"$RUMP" run --no-fuse --kill-every 5ms -m "/vol/sub=ext4:$WORK/inner.img" \
	-m "/vol=ext4:$WORK/outer.img" -- \
	"$BUILD/tests/system/system-nested" || fail "nested: $?"
check_image "$WORK/outer.img"
check_image "$WORK/inner.img"
if "$RUMP" run -m /vol=mem: -m /vol/sub=mem: -- true 2>"$WORK/err"; then
	fail "the kernel mounted one inside the other"
fi
grep -q "lie one inside the other" "$WORK/err" || fail "$(cat "$WORK/err")"
