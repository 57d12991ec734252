#!/bin/bash
# conformance.sh - a mount does what the file system does natively: the same
# scripts of system calls, in an image that the kernel's own driver has mounted
# and in one behind a mount of ours, without kills and with them.
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

natively cat
compare ext4 mount "no kills"
compare ext4 mount "kills" --kill-every 20ms
compare ext4 library "no kills"
compare ext4 library "kills" --kill-every 20ms
[ "$LONG" = 1 ] || exit 0
compare ext4 route "no kills"
compare ext4 route "kills" --kill-every 20ms
points=$(sed -n '/define RK_CRASHPOINTS/,/^$/p' \
	"$SOURCE/rumpserver/recovery/family.h" |
	grep -o 'X([a-z_]*)' | tr -d 'X()')
rm -f "$WORK"/random-*
for point in $points; do
	for skip in 0 500; do
		RUMP_CRASH=$point:$skip compare ext4 mount "$point:$skip"
	done
done
