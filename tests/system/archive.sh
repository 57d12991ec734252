#!/bin/bash
# archive.sh - tar, zip and cpio as file systems: compared with the tree they
# were made of, under kills too; what is not there to be changed is not changed.
# limit: 120 400
. "$(dirname "$0")/../harness/lib.sh"
. "$SOURCE/tests/harness/tree.sh"
need_fuse
need_program zip cpio zstd xz bzip2

tree=$WORK/tree
make_tree "$tree"
img=$WORK/archive

inside()
{
	"$RUMP" run ${EVERY:+--kill-every "$EVERY"} -m "/vol=archive:$img" -- "$@"
}

pack()
{
	rm -f "$img"
	case $1 in
	tar*) tar --format="${2:-gnu}" "-c${3:-}f" "$img" -C "$tree" . ;;
	zstd) tar --zstd -cf "$img" -C "$tree" . ;;
	sparse) tar --format=pax -Scf "$img" -C "$tree" . ;;
	cpio) (cd "$tree" && find . -print0 | cpio -0 -o -H newc 2>/dev/null) >"$img" ;;
	# no hard links, no devices
	zip) (cd "$zip_tree" && zip -qry "$WORK/x.zip" .) && mv "$WORK/x.zip" "$img" ;;
	esac
}
zip_tree=$WORK/zip
cp -a "$tree" "$zip_tree"
rm -f "$zip_tree"/{fifo,char,block} "$zip_tree/dir/sub/deeper/again"
find "$zip_tree" -exec touch -h -d @1600000000 {} +
find "$zip_tree" -exec chown -h "$(id -u):$(id -g)" {} +
chmod 4755 "$zip_tree/dir/program"

for how in "tar gnu" "tar pax" "tar pax z" "tar gnu J" "tar gnu j" zstd sparse cpio zip; do
	# shellcheck disable=SC2086
	pack $how || fail "cannot make $how"
	of=$tree
	[ "$how" != zip ] || of=$zip_tree
	inside bash -c 'same_tree "$1" /vol' - "$of" || fail "$how: differs"
	say "$how: the same"
done

before=$(sum "$img")
inside bash -c '
	for command in "touch /vol/new" "rm /vol/hello" "mkdir /vol/d" \
		"mv /vol/hello /vol/dir/x" "ln /vol/hello /vol/l" \
		"chmod 600 /vol/hello" "truncate -s 0 /vol/hello" \
		"tee -a /vol/hello </dev/null"; do
		if eval "$command" 2>"$WORK/err"; then echo "done: $command"; exit 1; fi
		grep -q "Read-only file system" "$WORK/err" || {
			cat "$WORK/err"; exit 1; }
	done' 2>"$WORK/all" || { cat "$WORK/all" >&2; fail "changes are not refused"; }
[ "$(sum "$img")" = "$before" ] || fail "the archive was changed"

# A program runs from it; one that is encrypted says so.
inside /vol/dir/program | has "it runs" || fail "a program does not run"
(cd "$tree" && zip -q -P word "$WORK/secret.zip" hello)
img=$WORK/secret.zip inside cat /vol/hello >"$WORK/out" 2>"$WORK/err" &&
	fail "an encrypted file was read"
grep -q "Required key" "$WORK/err" || fail "another error: $(cat "$WORK/err")"
refuses "no archive" 125 "not a tar, zip or cpio" "$RUMP" run \
	-m "/vol=archive:$tree/dir/sub/text" -- true
truncate -s 1M "$WORK/zeros"
refuses "zeros" 125 "not a tar, zip or cpio" "$RUMP" run \
	-m "/vol=archive:$WORK/zeros" -- true
refuses "an option" 125 "no option 'speed'" "$RUMP" run \
	-m "/vol=archive:$img,speed" -- true

rounds=1
[ "$LONG" = 0 ] || rounds=20
for how in "tar gnu" "tar pax z" zip; do
	# shellcheck disable=SC2086
	pack $how
	of=$tree
	[ "$how" != zip ] || of=$zip_tree
	EVERY=20ms inside bash -c 'for i in $(seq "$2"); do
			same_tree "$1" /vol && find /vol -size -9 -type f -exec cat {} \; |
				cksum >>"$WORK/cksum" || exit 1
		done' - "$of" "$rounds" 2>"$WORK/log" || {
		cat "$WORK/log" >&2; fail "$how: differs under kills"; }
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "it was never killed"
	say "$how: the same, $(kills_in "$WORK/log") kills"
done
