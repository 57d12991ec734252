#!/bin/bash
# squashfs.sh - squashfs images: every compression, compared with the tree they
# were made of, under kills too; what is not there to be changed is not changed.
# limit: 120 400
. "$(dirname "$0")/../harness/lib.sh"
. "$SOURCE/tests/harness/tree.sh"
need_fuse
need_program mksquashfs setfattr

tree=$WORK/tree
make_tree "$tree"
user=0
if setfattr -n user.color -v blue "$tree/hello" 2>/dev/null; then
	user=1
	setfattr -n user.large -v "$(printf 'v%.0s' $(seq 3000))" "$tree/dir"
fi
img=$WORK/image.sq

# The rest of a line is the command; the server is killed if EVERY is set.
inside()
{
	"$RUMP" run ${EVERY:+--kill-every "$EVERY"} -m "/vol=squashfs:$img" -- "$@"
}

for options in "-comp gzip" "-comp xz" "-comp zstd -b 1M" "-comp lz4" "-comp lzo" \
	"-comp zstd -no-exports -no-fragments" "-comp gzip -noI -noD -noF -noX"; do
	rm -f "$img"
	# shellcheck disable=SC2086
	mksquashfs "$tree" "$img" -quiet -no-progress $options >"$WORK/log" 2>&1 || {
		cat "$WORK/log" >&2; fail "mksquashfs $options"; }
	inside bash -c 'same_tree "$1" /vol' - "$tree" || fail "$options: differs"
	say "$options: the same"
done

before=$(sum "$img")
inside bash -c '
	for command in "touch /vol/new" "rm /vol/hello" "mkdir /vol/d" \
		"mv /vol/hello /vol/dir/x" "ln /vol/hello /vol/l" \
		"chmod 600 /vol/hello" "truncate -s 0 /vol/hello" \
		"tee -a /vol/hello </dev/null" "setfattr -n user.a -v b /vol/hello"; do
		if eval "$command" 2>"$WORK/err"; then echo "done: $command"; exit 1; fi
		grep -q "Read-only file system" "$WORK/err" || {
			cat "$WORK/err"; exit 1; }
	done' 2>"$WORK/all" || { cat "$WORK/all" >&2; fail "changes are not refused"; }
[ "$(sum "$img")" = "$before" ] || fail "the image was changed"
if [ "$user" = 1 ]; then
	inside sh -c 'cd /vol; getfattr -n user.color --only-values hello; echo
		getfattr -n user.large --only-values dir | wc -c' >"$WORK/attrs"
	[ "$(cat "$WORK/attrs")" = "blue
3000" ] || fail "attributes: $(cat "$WORK/attrs")"
fi
refuses "asked to write" 125 "only reads" "$RUMP" run \
	-m "/vol=squashfs:$img,rw" -- true
refuses "an option" 125 "no option 'speed'" "$RUMP" run \
	-m "/vol=squashfs:$img,speed" -- true
refuses "no image" 125 "not a squashfs" "$RUMP" run \
	-m "/vol=squashfs:$tree/dir/random" -- true

rounds=2
[ "$LONG" = 0 ] || rounds=30
EVERY=20ms inside bash -c 'for i in $(seq "$2"); do
		same_tree "$1" /vol || exit 1
	done' - "$tree" "$rounds" 2>"$WORK/log" || {
	cat "$WORK/log" >&2; fail "differs under kills"; }
[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "it was never killed"
say "$(grep -c . "$WORK/tree.a") objects the same, $(kills_in "$WORK/log") kills"

# An open directory, and an open file, outlive servers.
EVERY=20ms inside bash -c '
	exec 5<"/vol/dir/random"
	for i in $(seq 30); do head -c 100000 <&5; sleep 0.02; done |
		cmp - "$1/dir/random"' - "$tree" 2>/dev/null ||
	fail "an open file gives other bytes after a kill"

# Damage: anything may fail, nothing may hang, no file of another is wrong.
seed=${SEED:-$(date +%s)}
RANDOM=$seed
rounds=4
[ "$LONG" = 0 ] || rounds=60
size=$(stat -c %s "$img")
for n in $(seq "$rounds"); do
	cp "$img" "$WORK/bad.sq"
	for _ in $(seq 20); do
		printf "\\x$(printf %x $((RANDOM % 256)))" | dd of="$WORK/bad.sq" bs=1 \
			seek=$(((RANDOM * 32768 + RANDOM) % size)) conv=notrunc 2>/dev/null
	done
	status=0
	timeout 300 "$RUMP" run -m "/vol=squashfs:$WORK/bad.sq" -- sh -c \
		'find /vol -type f -exec cat {} +; exit 0' >/dev/null 2>&1 || status=$?
	case $status in
	0 | 125) ;;
	*) fail "random damage, seed $seed, round $n: exit status $status" ;;
	esac
done
say "$rounds damaged images, seed $seed"
