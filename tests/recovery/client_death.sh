#!/bin/bash
# client_death.sh - clients are killed in the middle of calls: their locks,
# descriptors and channels are free for the next, with and without kills of
# the server beside it.
# limit: 90 300
. "$(dirname "$0")/../harness/lib.sh"
rounds=100
[ "$LONG" = 0 ] || rounds=1000
img=$WORK/disk.img
image "$img" 64M
clients="$WORK/clients"

cat >"$WORK/inside" <<'END'
"$1" /vol "$2" || exit 1
"$RUMP" ps | awk -v n="$3" '$1 == n' >"$4"
END
for options in "" "--kill-every 20ms"; do
	# shellcheck disable=SC2086
	"$RUMP" run $options --no-fuse --name death-$$ -m "/vol=ext4:$img" -- \
		sh "$WORK/inside" "$BUILD/tests/recovery/client_death" \
		"$rounds" death-$$ "$clients" ||
		fail "a dead client's things were not freed ($options)"
	check_image "$img"
done

# Through the mount the kernel does it; a killed writer lets the lock go.
need_fuse
in_mount "$img" sh -c '
	flock /vol/lock sh -c "echo \$\$ >/vol/pid; exec sleep 3600" &
	until [ -s /vol/pid ]; do sleep 0.05; done
	flock -n /vol/lock true && exit 3
	kill -9 $! $(cat /vol/pid)
	exec flock -w 60 /vol/lock true' ||
	fail "the lock of a killed program on the mount is not free"
check_image "$img"
