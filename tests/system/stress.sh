#!/bin/bash
# stress.sh - many processes and calls at random, while the server is killed:
# what they were told and the trees that they leave are those that the host's
# own file system has from the same seed.
# limit: 90 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "a native file system to compare with"
stress=$BUILD/tests/conformance/conformance-stress
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"

processes=8 count=400 seeds="1 2"
[ "$LONG" = 0 ] || { count=3000; seeds=$(seq 1 20); }
mkdir "$WORK/native"
image "$WORK/native.img" 512M
cp --sparse=always "$WORK/native.img" "$WORK/disk.img"
mount -o loop,nosuid,nodev "$WORK/native.img" "$WORK/native" 2>"$WORK/err" ||
	skip "no native ext4 to compare with: $(cat "$WORK/err")"
for seed in $seeds; do
	rm -rf "$WORK/native/t"
	mkdir "$WORK/native/t"
	"$stress" "$WORK/native/t" "$seed" "$processes" "$count" |
		sort >"$WORK/native-$seed" || fail "it does not run natively"
	[ "$(wc -l <"$WORK/native-$seed")" = "$processes" ] ||
		fail "natively not every process came to its end"
done
umount "$WORK/native"

for spec in ext4 fault+ext4 mem; do
	for seed in $seeds; do
		rm -f "$WORK"/rump.img*
		cp --sparse=always "$WORK/disk.img" "$WORK/rump.img"
		case $spec in
		ext4)	source=ext4:$WORK/rump.img ;;
		mem)	source=mem: ;;
		# Calls that take their time, and now and then one that kills.
		*)	source="fault+ext4:$WORK/rump.img,fault.rule=write:p=0.01:slow=1ms"
			source+=",fault.rule=rename:every=101:crash,fault.seed=$seed" ;;
		esac
		"$RUMP" run --kill-every 20ms -m "/vol=$source" -- \
			"$stress" /vol "$seed" "$processes" "$count" \
			>"$WORK/out" 2>"$WORK/log" ||
			{ tail -n 30 "$WORK/log" >&2; fail "$spec, seed $seed"; }
		grep '^process' "$WORK/out" | sort >"$WORK/rump-$seed"
		diff "$WORK/native-$seed" "$WORK/rump-$seed" >&2 ||
			fail "$spec, seed $seed: not what the host does"
		[ "$spec" = mem ] || check_image "$WORK/rump.img"
		say "$spec, seed $seed: alike, $(kills_in "$WORK/log") kills"
	done
done
