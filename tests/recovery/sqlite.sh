#!/bin/bash
# sqlite.sh - SQLite transactions, half with a rollback journal and half in WAL
# mode, while the server is killed at random: no error, every row once.
# limit: 180 1500
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program sqlite3 debugfs

transactions=2000 kills=200 every=20ms
[ "$SHORT" = 0 ] || transactions=400 kills=20
[ "$LONG" = 0 ] || { transactions=10000 kills=1000 every=30ms; }
img=$WORK/disk.img
image "$img" 128M

# load MODE FIRST LAST: one transaction a row. The blob makes pages split.
load()
{
	echo ".bail on"
	echo "pragma journal_mode=$1;"
	echo "create table if not exists t(id integer primary key, v, b);"
	seq "$2" "$3" | awk '{
		printf "insert into t values(%d, %d, zeroblob(%d));\n",
			$1, $1 * 7919, $1 * 37 % 900 }'
}

cat >"$WORK/inside" <<'END'
cd /vol
sqlite3 roll.db <"$1" >"$1.out" 2>&1 || { cat "$1.out" >&2; exit 1; }
sqlite3 wal.db <"$2" >"$2.out" 2>&1 || { cat "$2.out" >&2; exit 1; }
END

done_=0 killed=0 round=0
while [ "$done_" -lt "$transactions" ] || [ "$killed" -lt "$kills" ]; do
	round=$((round + 1))
	[ "$round" -le 40 ] || fail "only $killed kills in $done_ transactions"
	first=$((done_ / 2 + 1)) last=$((done_ / 2 + transactions / 8))
	load delete $first $last >"$WORK/roll.sql"
	load wal $first $last >"$WORK/wal.sql"
	"$RUMP" run "${DOOR[@]}" --kill-every "$every" -m "/vol=ext4:$img" -- \
		sh "$WORK/inside" "$WORK/roll.sql" "$WORK/wal.sql" \
		>"$WORK/run.log" 2>&1 ||
		{ cat "$WORK/run.log" >&2; fail "the program saw an error"; }
	killed=$((killed + $(kills_in "$WORK/run.log")))
	done_=$((done_ + 2 * (last - first + 1)))
done
say "$done_ transactions, $killed kills"

rows=$((done_ / 2))
want="$rows|$rows|1|$rows|$((rows * (rows + 1) / 2 * 7919))"
look="select count(*), count(distinct id), min(id), max(id), sum(v) from t
	where length(b) = id * 37 % 900; pragma integrity_check;"
for db in roll wal; do
	got=$(in_mount "$img" sqlite3 "/vol/$db.db" "$look" | tr '\n' ' ')
	[ "$got" = "$want ok " ] || fail "$db.db holds $got, not $want ok"
done
check_image "$img"
# Once more from the image itself, without any of our code.
for db in roll wal; do
	dump "$img" "$db.db" "$WORK/$db.db" || fail "$db.db is not in the image"
	dump "$img" "$db.db-wal" "$WORK/$db.db-wal" || true
	got=$(sqlite3 "$WORK/$db.db" "$look" | tr '\n' ' ')
	[ "$got" = "$want ok " ] || fail "$db.db in the image holds $got"
done
