#!/bin/bash
# writeback.sh - with the kernel's write-back cache, what was written survives
# the deaths of servers: small writes, appends, maps, a data base.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 256M
"$RUMP" run --kill-every 20ms -m "/vol=ext4:$img,writeback" -- bash -ec '
	dd if=/dev/urandom of="$1/data" bs=1M count=24 status=none
	dd if="$1/data" of=/vol/small bs=3000 status=none
	for i in $(seq 2000); do echo "line $i"; done >>/vol/lines
	cp "$1/data" /vol/copy
	truncate -s 5000000 /vol/copy
	cmp -n 5000000 "$1/data" /vol/copy
	sync /vol/small /vol/lines /vol/copy
	touch -d "2001-02-03 04:05:06.789 UTC" /vol/copy
	if command -v sqlite3 >/dev/null; then
		sqlite3 /vol/db "create table t(x); pragma journal_mode=wal;" \
			>/dev/null
		for i in $(seq 100); do
			echo "insert into t values($i);"
		done | sqlite3 /vol/db
		[ "$(sqlite3 /vol/db "select count(*), sum(x) from t;
			pragma integrity_check;")" = "100|5050
ok" ]
	fi' - "$WORK" || fail "$?"
check_image "$img"
# What the image has now, without any cache of then.
in_mount "$img" bash -ec '
	cmp "$1/data" /vol/small
	[ "$(stat -c %s /vol/copy)" = 5000000 ]
	[ "$(stat -c %.3Y /vol/copy)" = 981173106.789 ]
	[ "$(wc -l </vol/lines)" = 2000 ]
	[ "$(tail -n 1 /vol/lines)" = "line 2000" ]' - "$WORK" ||
	fail "what was written is not in the image"
