# shellcheck shell=bash
# conformance.sh - the scripts of tests/conformance, done by the kernel's own
# ext4 and by a driver of ours, and what of it differs.
conformance=$SOURCE/tests/conformance
replay=$BUILD/tests/conformance/conformance-replay
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"

# Options of the next mounts, as ",fault.rule=...".
RULES=
# Whether only some scripts run, so that a line of the list may be of others.
PARTIAL=0

# natively FILTER NAME...: the scripts of these names, or all and random ones
# besides, go through the filter, and the kernel's ext4 does them.
natively()
{
	local filter=$1 name seed in
	shift
	rm -f "$WORK"/*.in "$WORK"/*.native "$WORK"/*.img
	PARTIAL=1
	[ $# -gt 0 ] || {
		PARTIAL=0
		set -- $(cd "$conformance/cases" && basename -s .sh -a *.sh)
		for seed in $(seq 2 "$([ "$LONG" = 1 ] && echo 40 || echo 3)"); do
			SEED=$seed bash "$conformance/cases/random.sh" |
				"$filter" >"$WORK/random-$seed.in"
			ALONE=1 SEED=$seed bash "$conformance/cases/random.sh" |
				"$filter" >"$WORK/alone-$seed.in"
		done
	}
	for name; do
		bash "$conformance/cases/$name.sh" | "$filter" >"$WORK/$name.in"
	done
	mkdir -p "$WORK/native"
	image "$WORK/native.img" 128M -t ext4 -b 4096 \
		-E lazy_itable_init=0,lazy_journal_init=0
	cp --sparse=always "$WORK/native.img" "$WORK/disk.img"
	mount -o loop,nosuid,nodev "$WORK/native.img" "$WORK/native" \
		2>"$WORK/err" ||
		skip "no native ext4 to compare with: $(cat "$WORK/err")"
	mkdir "$WORK/native/t"
	for in in "$WORK"/*.in; do
		"$replay" "$WORK/native/t" <"$in" >"${in%.in}.native" ||
			fail "$(basename "$in") does not run natively"
	done
	umount "$WORK/native"
}

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

# Each script goes to a replay of its own, with OPTION. By the library, and through a proxy,
# each user attaches: they come to the sockets as they would to a mount of root's.
cat >"$WORK/replay" <<'END'
[ -z "${RUMP_SOCKET-}" ] || {
	chmod a+rx "$(dirname "$RUMP_SOCKET")"
	chmod a+rw "$RUMP_SOCKET"
}
replay=$1 option=$2
shift 2
case $replay in
*-library) ;;
# Without what brings the router into a program: replay hands its own calls to it.
*-route)
	export ROUTE_MOUNT=/vol
	echo "mkdir t 0777" | "$replay" -k /vol >/dev/null || exit 1 ;;
*)	mkdir /vol/t ;;
esac
for in; do
	"$replay" $option /vol/t <"$in" >"${in%.in}.rump" || exit 1
done
END
# How a door is opened: its options, what replays, and how.
open_door()	# DOOR
{
	how=() by=$replay option=
	case $1 in
	library)	how=(--no-fuse) by=$replay-library ;;
	route)	how=(--no-fuse) by=$replay-route ;;
	preload*)	how=(--proxy=preload) ;;
	notify*)	how=(--proxy=notify) by=$replay-static ;;
	esac
	# What is no absolute path is left to the mount.
	case $1 in *-over) how+=(--under-mount) option=-a ;; esac
}
# Of scripts that go through a proxy: what it does wrong it might do to the host,
# so that can only be read. Begins the script anew, and does not come back.
read_only_host()
{
	[ -z "${READ_ONLY_HOST:-}" ] || return 0
	mkdir "$WORK/all"
	READ_ONLY_HOST=1 TMPDIR=$WORK/all unshare -m --propagation private sh -c '
		mount --bind "$TMPDIR" "$TMPDIR" && mount --bind /run /run &&
		mount -o remount,ro,bind / && cd "$TMPDIR" && exec bash "$@"' \
		- "$(realpath "$0")"
	exit 0
}
compare()	# DRIVER DOOR WHAT RUMP-OPTIONS...
{
	local driver=$1 door=$2 what="$1 $2 $3" source how by option
	shift 3
	open_door "$door"
	rm -f "$WORK"/rump.img* "$WORK"/*.rump
	case $driver in
	*ext4)	cp --sparse=always "$WORK/disk.img" "$WORK/rump.img"
		source=$driver:$WORK/rump.img$OPTIONS$RULES ;;
	host)	mkdir -p "$WORK/under"
		cp --sparse=always "$WORK/disk.img" "$WORK/rump.img"
		mount -o loop,nosuid,nodev "$WORK/rump.img" "$WORK/under"
		source=host:$WORK/under ;;
	*)	source=$driver:$RULES$OPTIONS ;;
	esac
	"$RUMP" run "${how[@]}" "$@" -m "/vol=$source" -- \
		sh "$WORK/replay" "$by" "$option" $(scripts_of "$door") \
		>"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "replay failed ($what)"; }
	all "$door" native >"$WORK/all.native"
	all "$door" rump >"$WORK/all.rump"
	awk -v driver="${driver##*+}" -v door="$door" -v max="${SHOW:-6}" \
		-v partial="$PARTIAL" \
		-f "$conformance/compare.awk" "$conformance/differences.txt" \
		"$WORK/all.native" "$WORK/all.rump" >"$WORK/verdict" ||
		{ cat "$WORK/verdict" >&2; fail "it differs ($what)"; }
	! mountpoint -q "$WORK/under" || umount "$WORK/under"
	case $driver in *ext4) check_image "$WORK/rump.img" ;; esac
	say "$what: $(tail -n 1 "$WORK/verdict")"
}

