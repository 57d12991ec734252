#!/bin/bash
# conformance_notify.sh - without a mount, and with nothing of ours in them,
# programs are told what the file system does natively: the same scripts of
# system calls by a static program, without kills and with them.
# limit: 600 3600
. "$(dirname "$0")/../harness/lib.sh"
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

read_only_host
natively cat
compare ext4 notify "no kills"
# The long variant does them all.
[ "$LONG" = 1 ] || natively cat attrs data linking names opening processes
compare ext4 notify "kills" --kill-every 20ms
