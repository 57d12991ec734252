#!/bin/bash
# conformance_proxy.sh - without a mount, through preload, programs are told what
# the file system does natively: the same scripts of system calls, without kills
# and with them.
# limit: 480 1800
. "$(dirname "$0")/../harness/lib.sh"
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

read_only_host
natively cat
compare ext4 preload "no kills"
# The long variant does them all.
[ "$LONG" = 1 ] || natively cat attrs data linking names opening processes
compare ext4 preload "kills" --kill-every 20ms
