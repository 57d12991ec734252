#!/bin/bash
# conformance_proxy.sh - without a mount, through the proxies, and with one
# underneath, programs are told what the file system does natively: the same
# scripts of system calls, without kills and with them.
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

natively cat
for door in preload notify preload-over notify-over; do
	compare ext4 $door "no kills"
	compare ext4 $door "kills" --kill-every 20ms
done
