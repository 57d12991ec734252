#!/bin/bash
# mem.sh - the driver of files in memory: the scripts of conformance.sh as the
# kernel's ext4 does them, fsx, and the model checker through the mount and the
# library, all under kills; its limits; a supervisor that dies; and that fsync
# waits for nothing.
# limit: 100 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
replay=$BUILD/tests/conformance/conformance-replay
fsx=$BUILD/tests/conformance/conformance-fsx
model=$BUILD/tests/recovery/model
n=1500 ops=3000
[ "$LONG" = 0 ] || { n=30000 ops=60000; }

# killed WHAT OPTION... -- COMMAND...: at /vol, while the server dies
killed()
{
	local what=$1 kills
	shift
	"$RUMP" run --kill-every 20ms "$@" >"$WORK/log" 2>&1 ||
		{ tail -n 40 "$WORK/log" >&2; fail "$what"; }
	kills=$(kills_in "$WORK/log")
	[ "$kills" -gt 0 ] || fail "$what: no kill at all"
	say "$what: $kills kills"
}

# What is rightly other than in ext4: there are no extents and no encryption
# to be seen in flags, attributes are as long as the kernel allows, times go
# beyond the year 2446, and sizes are those of memory.
alike()
{
	sed -E '/99999999999|15032385535/d
		/^room|^statfs|^setxattr f user.huge|FS_ENCRYPT_FL/d'
}
no_extents() { sed -E 's/\|FS_EXTENT_FL//; s/FS_EXTENT_FL/0/' "$1"; }
# all KIND: what came of every script, in one
all()
{
	local in
	for in in "$WORK"/*.in; do
		echo "script $(basename "$in" .in)"
		no_extents "${in%.in}.$1" |
			perl -pe 's/^(getflags.*= 0 )([0-9a-f]+)$/$1 .
				sprintf "%x", hex($2) & ~0x80000/e'
	done
}

conformance()
{
	local name in cases=$SOURCE/tests/conformance
	local names="acls attrs data io modes names"
	[ "$LONG" = 0 ] || names=$(cd "$cases/cases" && echo *.sh)
	mkdir "$WORK/native"
	image "$WORK/native.img" 128M -t ext4 -b 4096
	mount -o loop,nosuid,nodev "$WORK/native.img" "$WORK/native" \
		2>"$WORK/err" || { say "no native ext4 to compare with"; return; }
	mkdir "$WORK/native/t"
	for name in $names; do
		in=$WORK/${name%.sh}.in
		bash "$cases/cases/${name%.sh}.sh" | alike >"$in"
		"$replay" "$WORK/native/t" <"$in" >"${in%.in}.native" ||
			fail "$in does not run natively"
		no_extents "$in" >"$in.mem"
		grep -F " ${name%.sh}/" "$cases/differences.txt" || true
	done >"$WORK/differences"
	umount "$WORK/native"
	cat >"$WORK/inside" <<-'END'
		mkdir /vol/t && chmod 755 /vol/t
		for in in "$2"/*.in; do
			"$1" /vol/t <"$in.mem" >"${in%.in}.rump" || exit 1
		done
	END
	killed "as ext4 does it" -m /vol=mem:,size=128m -- \
		sh "$WORK/inside" "$replay" "$WORK"
	all native >"$WORK/all.native"
	all rump >"$WORK/all.rump"
	awk -v driver=mem -v door=mount -f "$cases/compare.awk" \
		"$WORK/differences" "$WORK/all.native" "$WORK/all.rump" \
		>"$WORK/verdict" ||
		{ cat "$WORK/verdict" >&2; fail "it differs from ext4"; }
	say "$(tail -n 1 "$WORK/verdict")"
}

[ "$(id -u)" != 0 ] || conformance
killed "fsx" -m /vol=mem: -- "$fsx" /vol/file 4096 "$n"
killed "model, mount" -m /vol=mem: -- "$model" -n "$((ops / 4))" -s 1 /vol
killed "model, library" --no-fuse -m /vol=mem: -- \
	"$model" -l -n "$((ops / 4))" -s 2 /vol

# Its limits, as programs see them, and what is removed is there again.
"$RUMP" run -m /vol=mem:,size=4m,nr_inodes=20,mode=750,uid=7,gid=8 -- sh -c '
	set -e; cd /vol
	[ "$(stat -c "%a %u %g" .)" = "750 7 8" ]
	! head -c 5000000 /dev/zero >f 2>"$0/err"
	grep -q "No space left" "$0/err"
	[ "$(stat -c %s f)" = 4194304 ] && rm f
	for i in $(seq 19); do : >"n$i"; done
	! touch one-more 2>"$0/err"
	[ "$(df --output=iavail . | tail -n 1)" -eq 0 ] && rm n*
	head -c 4000000 /dev/zero >f && sync f && sync' "$WORK" || fail "limits"

# Nothing but memory: the supervisor may die too, and the end is the end.
mkdir "$WORK/dir"
"$RUMP" mount --name "mem-$$" mem:scratch "$WORK/dir" || fail "no mount"
echo kept >"$WORK/dir/file"
kill -9 "$(family "mem-$$" | awk '$1 == "supervisor" {print $2}')"
wait_for 60 grep -q kept "$WORK/dir/file" || fail "lost with the supervisor"
grep -q "^mem:scratch $WORK/dir " /proc/mounts || fail "its name in the list"
"$RUMP" umount "$WORK/dir" || fail "no umount"

# What rump says of its drivers.
"$RUMP" drivers | has -E '^mem +nothing +files in memory' || fail "drivers"
"$RUMP" drivers | has -E '^fault +driver ' || fail "drivers"
"$RUMP" drivers | awk 'NF < 3 {exit 1}' || fail "a driver that says nothing"
"$RUMP" drivers mem | has '^size=' || fail "drivers mem"
"$RUMP" mount --help | has -E '^ +ext4 +image ' || fail "mount --help"
refuses "no such driver" 125 'unknown driver .none.*mem' "$RUMP" drivers none
refuses "an option of tmpfs that is not ours" 125 "unknown option 'huge=" \
	"$RUMP" run -m /vol=mem:,huge=always -- true
refuses "an image without a name" 125 'names no source' \
	"$RUMP" run -m /vol=ext4: -- true
refuses "two that do not stack" 125 'ext4 stands on no other' \
	"$RUMP" run -m /vol=ext4+mem: -- true
refuses "an option of nobody" 125 "driver 'ext4', which is not in mem" \
	"$RUMP" run -m /vol=mem:,ext4.x -- true
