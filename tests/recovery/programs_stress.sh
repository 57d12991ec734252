#!/bin/bash
# programs_stress.sh - stress-ng's stressors of file systems, which verify what
# they do, on the mount while the server is killed, and on the host: what passes
# there passes here. In the long run only.
# limit: 10 900
. "$(dirname "$0")/../harness/lib.sh"
[ "$LONG" = 1 ] || skip "only in the long run"
need_fuse
need_program stress-ng
img=$WORK/disk.img
image "$img" 2G -t ext4 -E "root_owner=$(id -u):$(id -g)"
cat >"$WORK/inside" <<'END'
cd "$1"
for s in access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify \
	dup fallocate fcntl fiemap file-ioctl filename flock fpunch fsize fstat getdent \
	handle hdd inode-flags inotify io iomix lease link locka lockf lockofd mknod open \
	rename symlink sync-file touch utime xattr mmap mmapfork splice sendfile \
	vm-splice aio readahead revio seek; do
	mkdir "$s"
	status=0
	timeout -k 5 300 stress-ng "--$s" 2 --verify --timeout 3s --temp-path "$s" \
		--hdd-bytes 16M --fallocate-bytes 16M --iomix-bytes 16M \
		--readahead-bytes 16M --copy-file-bytes 128M --seek-size 16M \
		>"$2.$s" 2>&1 </dev/null || status=$?
	echo "$s $status $(grep -c 'fail:' "$2.$s")"
	rm -rf "$s"
done
END
mkdir "$WORK/host"
bash "$WORK/inside" "$WORK/host" "$WORK/host-log" >"$WORK/by-host"
under_kills "$img" 50ms bash "$WORK/inside" /vol "$WORK/mount-log"
grep -v '^rump:' "$WORK/under.log" >"$WORK/by-mount"
while read -r name status failures; do
	grep -qx "$name $status $failures" "$WORK/by-mount" && continue
	[ "$status" = 0 ] || continue
	tail -n 20 "$WORK/mount-log.$name" >&2
	fail "$name: $(grep "^$name " "$WORK/by-mount"), on the host $status $failures"
done <"$WORK/by-host"
say "$(grep -c ' 0 0$' "$WORK/by-mount") stressors, $KILLS kills"
