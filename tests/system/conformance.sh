#!/bin/bash
# conformance.sh - a mount does what the file system does natively: the same
# scripts of system calls, in an image that the kernel's own driver has mounted
# and in one behind a mount of ours, without kills and with them.
# limit: 240 1800
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "users, and a native mount to compare with"
conformance=$SOURCE/tests/conformance
replay=$BUILD/tests/conformance/conformance-replay
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
only=${ONLY:-}

mkdir "$WORK/native"
image "$WORK/native.img" 128M -t ext4 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0
cp --sparse=always "$WORK/native.img" "$WORK/disk.img"
mount -o loop,nosuid,nodev "$WORK/native.img" "$WORK/native" 2>"$WORK/err" ||
	skip "no native ext4 to compare with: $(cat "$WORK/err")"
mkdir "$WORK/native/t"
for script in "$conformance"/cases/*"$only"*.sh; do
	name=$(basename "$script" .sh)
	bash "$script" >"$WORK/$name.in"
done
for seed in $(seq 2 "$([ "$LONG" = 1 ] && echo 40 || echo 3)"); do
	SEED=$seed bash "$conformance/cases/random.sh" >"$WORK/random-$seed.in"
	ALONE=1 SEED=$seed bash "$conformance/cases/random.sh" \
		>"$WORK/alone-$seed.in"
done
for in in "$WORK"/*.in; do
	"$replay" "$WORK/native/t" <"$in" >"${in%.in}.native" ||
		fail "$(basename "$in") does not run natively"
done
umount "$WORK/native"

# A door's scripts: through the library a descriptor that several users use is
# that of the one who opened it, which random calls of them all would stumble on.
scripts_of()	# DOOR
{
	for in in "$WORK"/*.in; do
		case $1-$(basename "$in" .in) in library-random*) ;; *) echo "$in" ;; esac
	done
}
# all DOOR KIND: what came of every script, in one.
all()
{
	local in
	for in in $(scripts_of "$1"); do
		echo "script $(basename "$in" .in)"
		cat "${in%.in}.$2"
	done
}

cat >"$WORK/mount" <<'END'
replay=$1
shift
mkdir /vol/t
for in; do
	"$replay" /vol/t <"$in" >"${in%.in}.rump" || exit 1
done
END
# Each user attaches.
cat >"$WORK/library" <<'END'
chmod a+rx "$(dirname "$RUMP_SOCKET")"
chmod a+rw "$RUMP_SOCKET"
replay=$1
shift
for in; do
	"$replay-library" /vol/t <"$in" >"${in%.in}.rump" || exit 1
done
END
compare()	# DRIVER DOOR WHAT RUMP-OPTIONS...
{
	local driver=$1 door=$2 what="$1 $2 $3" source how=()
	shift 3
	[ "$door" = mount ] || how=(--no-fuse)
	rm -f "$WORK"/rump.img* "$WORK"/*.rump
	case $driver in
	*ext4)	cp --sparse=always "$WORK/disk.img" "$WORK/rump.img"
		source=$driver:$WORK/rump.img$OPTIONS ;;
	*)	source=$driver: ;;
	esac
	"$RUMP" run "${how[@]}" "$@" -m "/vol=$source" -- \
		sh "$WORK/$door" "$replay" $(scripts_of "$door") \
		>"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "replay failed ($what)"; }
	all "$door" native >"$WORK/all.native"
	all "$door" rump >"$WORK/all.rump"
	awk -v driver="${driver##*+}" -v door="$door" \
		-f "$conformance/compare.awk" "$conformance/differences.txt" \
		"$WORK/all.native" "$WORK/all.rump" >"$WORK/verdict" ||
		{ cat "$WORK/verdict" >&2; fail "it differs ($what)"; }
	[ ! -e "$WORK/rump.img" ] || check_image "$WORK/rump.img"
	say "$what: $(tail -n 1 "$WORK/verdict")"
}

compare ext4 mount "no kills"
compare ext4 mount "kills" --kill-every 20ms
compare ext4 library "no kills"
compare ext4 library "kills" --kill-every 20ms
[ "$LONG" = 1 ] || exit 0
points=$(sed -n '/define RK_CRASHPOINTS/,/^$/p' \
	"$SOURCE/rumpserver/recovery/family.h" |
	grep -o 'X([a-z_]*)' | tr -d 'X()')
rm -f "$WORK"/random-*
for point in $points; do
	for skip in 0 500; do
		RUMP_CRASH=$point:$skip compare ext4 mount "$point:$skip"
	done
done
