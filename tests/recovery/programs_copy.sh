#!/bin/bash
# programs_copy.sh - rsync and tar copy a tree onto, on and off the mount while
# the server is killed; what arrives is compared, attributes and links too.
# limit: 90 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program rsync tar

every=20ms rounds=1 copies=3
[ "$SHORT" = 0 ] || copies=1
[ "$LONG" = 0 ] || { every=100ms rounds=6 copies=12; }
img=$WORK/disk.img

# A tree with all that these programs look at.
tree=$WORK/tree
mkdir "$tree"
cp -a "$SOURCE/rumpserver" "$SOURCE/drivers" "$SOURCE/protocol" "$tree"
(
	cd "$tree"
	ln -s rumpserver/core link
	ln -s nowhere broken
	ln drivers/driver.h hard
	mkfifo fifo
	truncate -s 3M holes
	printf x | dd of=holes bs=1 seek=2000000 conv=notrunc status=none
	chmod 2750 protocol
	chmod 0400 hard
	mkdir many
	for i in $(seq 400); do echo "$i" >"many/a file of a longer name $i"; done
	touch -d '2001-02-03 04:05:06.789' drivers
)

cat >"$WORK/inside" <<'END'
set -e
tree=$1 copies=$2 out=$3
same() { [ -z "$(rsync -aHXni --checksum --delete "$1/" "$2/")" ]; }
for c in $(seq "$copies"); do
	rsync -aHXS --checksum "$tree/" "/vol/r$c/"
	same "$tree" "/vol/r$c"
	tar -C "/vol/r$c" -cSf "/vol/t$c.tar" .
	tar -C "/vol/r$c" -df "/vol/t$c.tar"
	mkdir "/vol/x$c"
	tar -C "/vol/x$c" -xpf "/vol/t$c.tar"
	tar -C "/vol/x$c" -df "/vol/t$c.tar"
	same "$tree" "/vol/x$c"
	diff -r --no-dereference --exclude=fifo "$tree" "/vol/x$c"
	# Changed, brought up to date, and back.
	rm -r "/vol/x$c/many" && echo other >"/vol/x$c/hard2"
	rsync -aHXS --checksum --delete "$tree/" "/vol/x$c/"
	same "$tree" "/vol/x$c"
	rm -r "/vol/r$c"
	mv "/vol/x$c" "/vol/r$c"
done
rsync -aHXS "/vol/r1/" "$out/"
same "$tree" "$out"
END
for round in $(seq "$rounds"); do
	image "$img" 512M
	rm -rf "$WORK/out"
	under_kills "$img" "$every" bash "$WORK/inside" "$tree" "$copies" \
		"$WORK/out"
	# shellcheck disable=SC2016
	in_mount "$img" bash -c '[ -z "$(rsync -aHXni --checksum --delete \
		"$1/" /vol/r1/)" ]' - "$tree" || fail "the image holds another tree"
done
say "$KILLS kills, $((rounds * copies)) copies"
