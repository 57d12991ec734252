#!/bin/bash
# host.sh - a directory of the host while the server is killed: a model of
# everything that changes names and files, one file under operations at random,
# lines that are appended, programs that people use, files that are open and
# removed. Each thing happens once.
# limit: 150 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
fsx=$BUILD/tests/conformance/conformance-fsx
dir=$WORK/dir every=20ms

each=500 lines=400
[ "$LONG" = 0 ] || { each=5000; lines=2000; }
seed=${SEED:-$(date +%s)}

killed()
{
	local what=$1
	shift
	"$RUMP" run --kill-every "$every" "$@" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$what, seed $seed"; }
	grep -q 'nothing was lost' "$WORK/log" ||
		{ cat "$WORK/log" >&2; fail "$what: something was lost"; }
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "$what: no kill at all"
	say "$what: $(kills_in "$WORK/log") kills"
}

fresh() { rm -rf "$dir"; mkdir "$dir"; }

# What is ours is gone at the end.
tidy()
{
	[ -z "$(find "$dir" -maxdepth 1 -name '.rump-*')" ] ||
		fail "$1: hidden names are left: $(ls -A "$dir")"
}

fresh
killed "model, library" --no-fuse -m "/vol=host:$dir" -- \
	"$model" -l -n "$each" -s "$seed" /vol
tidy "model, library"
# And as the host sees it.
"$model" -c -n "$each" -s "$seed" "$dir"
fresh
killed "model, mount" -m "/vol=host:$dir" -- "$model" -n "$each" -s "$seed" /vol
tidy "model, mount"
"$model" -c -n "$each" -s "$seed" "$dir"
fresh
killed "fsx" -m "/vol=host:$dir" -- "$fsx" /vol/file "$seed" 3000

# Appended by several, each line once; by the library's O_APPEND too.
fresh
killed "appending" -m "/vol=host:$dir" -- bash -c '
	for p in 1 2 3; do
		(for i in $(seq "$1"); do echo "$p $i" >>/vol/lines; done) &
	done
	wait' - "$lines"
for p in 1 2 3; do
	grep "^$p " "$dir/lines" | cmp - <(seq "$lines" | sed "s/^/$p /") ||
		fail "lines of $p are lost, or there twice"
done

# Programs that people use.
fresh
if command -v git >/dev/null; then
	killed "git" -m "/vol=host:$dir" -- bash -ec '
		cd /vol
		export HOME=/vol GIT_CONFIG_NOSYSTEM=1
		git init -q repo && cd repo
		git config user.email a@b && git config user.name n
		for i in $(seq 10); do
			mkdir -p d$i && seq $((i * 100)) >d$i/f && git add -A
			git commit -qm "commit $i"
		done
		git gc -q
		git fsck --full 2>&1
		[ "$(git rev-list --count HEAD)" = 10 ]'
	git -C "$dir/repo" fsck --full >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "the repository is damaged"; }
fi
fresh
killed "sqlite" -m "/vol=host:$dir" -- bash -ec '
	sqlite3 /vol/db "pragma journal_mode=wal; create table t(i primary key);" >/dev/null
	for i in $(seq 60); do sqlite3 /vol/db "insert into t values($i);"; done'
[ "$(sqlite3 "$dir/db" 'pragma integrity_check; select count(*) from t')" = "ok
60" ] || fail "the database is not what it should be"

# Open and removed, replaced while open, and a directory that is removed.
fresh
killed "open and removed" -m "/vol=host:$dir" -- bash -ec '
	cd /vol
	for i in $(seq 20); do
		seq 1000 >a; seq 2000 >b
		exec 5<a 6<b 7>>a
		rm a
		seq 5 >c; mv c b
		sleep 0.03
		echo more >&7
		sleep 0.03
		[ "$(wc -l <&5)" = 1001 ] && [ "$(wc -l <&6)" = 2000 ]
		[ "$(wc -l <b)" = 5 ] && [ ! -e a ]
		[ "$(stat -L -c %h /proc/self/fd/5)" = 0 ]
		exec 5<&- 6<&- 7>&-
		rm b
		[ -z "$(ls -A)" ]
	done'
tidy "open and removed"
