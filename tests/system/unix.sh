#!/bin/bash
# unix.sh - what Unix promises of files: mappings, programs in use, credentials,
# limits, splice, handles, inotify, fifos, sockets, poll, locks and signals. The
# same programs on the host's own file system, on a mount, on one with
# writeback, and while servers are killed.
# limit: 90 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img owner=root_owner=$(id -u):$(id -g)
files=$BUILD/tests/system/system-unix_files
ipc=$BUILD/tests/system/system-unix_ipc

for program in "$files" "$ipc"; do
	mkdir "$WORK/host"
	timeout -k 5 300 "$program" "$WORK/host" host ||
		fail "$(basename "$program") expects what the host does not do"
	rm -rf "$WORK/host"
	for options in "" ,writeback; do
		image "$img" 64M -t ext4 -E "$owner"
		timeout -k 5 300 "$RUMP" run -m "/vol=ext4:$img$options" -- \
			sh -c 'mkdir /vol/test && exec "$1" /vol/test' sh "$program" ||
			fail "$(basename "$program") on the mount ($options)"
		check_image "$img"
	done
done
cat >"$WORK/rounds" <<'END'
for i in $(seq "$1"); do
	mkdir "/vol/test$i" && "$2" "/vol/test$i" || exit 1
	rm -rf "/vol/test$i"
done
END
image "$img" 64M -t ext4 -E "$owner"
under_kills "$img" 10ms bash "$WORK/rounds" $((LONG ? 100 : 15)) "$files"
under_kills "$img" 20ms bash "$WORK/rounds" $((LONG ? 8 : 1)) "$ipc"
say "under $KILLS kills"
