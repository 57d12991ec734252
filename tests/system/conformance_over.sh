#!/bin/bash
# conformance_over.sh - over a mount, a proxy takes what it can for itself, and
# programs are told what the mount says: the same scripts of system calls, without
# kills and with them. Here those of each kind that are soon done; the long
# variant does them all.
# limit: 240 3600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

some=(acls attrs data names)
[ "$LONG" = 0 ] || some=()
read_only_host
natively cat "${some[@]+"${some[@]}"}"
for door in preload-over notify-over; do
	compare ext4 "$door" "no kills"
	compare ext4 "$door" "kills" --kill-every 20ms
done
