#!/bin/bash
# conformance_proxy.sh - without a mount, through the proxies, programs are told
# what the file system does natively: the same scripts of system calls, without
# kills and with them.
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"

# What a proxy does wrong it might do to the host: that can only be read.
if [ -z "${READ_ONLY_HOST:-}" ]; then
	mkdir "$WORK/all"
	READ_ONLY_HOST=1 TMPDIR=$WORK/all unshare -m --propagation private sh -c '
		mount --bind "$TMPDIR" "$TMPDIR" && mount --bind /run /run &&
		mount -o remount,ro,bind / && cd "$TMPDIR" && exec bash "$@"' \
		- "$(realpath "$0")"
	exit 0
fi
natively cat
compare ext4 preload "no kills"
compare ext4 preload "kills" --kill-every 20ms
# Through the notifier, what it does as the file system itself does.
natively cat acls names attrs linking opening
compare ext4 notify "no kills"
compare ext4 notify "kills" --kill-every 20ms
