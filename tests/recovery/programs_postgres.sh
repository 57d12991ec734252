#!/bin/bash
# programs_postgres.sh - a PostgreSQL cluster with checksums on the mount:
# pgbench while the server of the mount is killed, then its books are compared,
# its indexes and pages checked; also after a crash of its own.
# limit: 90 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
# Debian keeps them out of the PATH.
for dir in /usr/lib/postgresql/*/bin; do
	PATH=$PATH:$dir
done
need_program initdb postgres pg_ctl pgbench psql pg_checksums

every=20ms seconds=4
[ "$LONG" = 0 ] || { every=100ms seconds=120; }
img=$WORK/disk.img
image "$img" 1G

cat >"$WORK/inside" <<'END'
set -e
seconds=$1
# It refuses to be root.
drop=
if [ "$(id -u)" = 0 ]; then
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
export HOME=/vol/home PGDATA=/vol/pg PGHOST=/vol/run PGUSER=owner
export PGDATABASE=postgres LC_ALL=C
mkdir "$HOME" "$PGDATA" "$PGHOST"
chmod 700 "$PGDATA"
[ -z "$drop" ] || chown 65534:65534 "$HOME" "$PGDATA" "$PGHOST"
cd /vol
start() { $drop pg_ctl -w -t 600 -l /vol/home/log start; }
ask() { $drop psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
# What was paid into each of the three, and what the history says of it.
books()
{
	ask "select (select sum(abalance) from pgbench_accounts),
		(select sum(bbalance) from pgbench_branches),
		(select sum(tbalance) from pgbench_tellers),
		(select sum(delta) from pgbench_history)" |
	awk -F'|' '{print} NF != 4 || $1 != $2 || $1 != $3 || $1 != $4 {exit 1}'
}
trap 'cat /vol/home/log; $drop pg_ctl -m immediate stop' EXIT

$drop initdb -U owner -A trust --data-checksums --no-locale -E UTF8 >/dev/null
$drop tee -a "$PGDATA/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$PGHOST'
dynamic_shared_memory_type = mmap
shared_buffers = 16MB
min_wal_size = 32MB
max_wal_size = 48MB
checkpoint_timeout = 30s
CONF
start
$drop pgbench -q -i -s 2
$drop pgbench -n -c 4 -j 2 -T "$seconds"
books
# It crashes, and finds all that it had said was committed.
before=$(ask "select count(*), sum(delta) from pgbench_history")
$drop pg_ctl -m immediate stop
start
[ "$(ask "select count(*), sum(delta) from pgbench_history")" = "$before" ]
books
$drop pgbench -n -c 4 -j 2 -T 1
ask "vacuum full analyze pgbench_accounts"
ask "reindex database postgres"
books
ask "create extension amcheck"
ask "select bt_index_parent_check(c.oid, true) from pg_index i
	join pg_class c on c.oid = i.indexrelid
	join pg_am a on a.oid = c.relam
	where a.amname = 'btree' and c.relpersistence = 'p'" >/dev/null
ask "select * from pg_class c, verify_heapam(c.oid) v
	where c.relkind = 'r' and c.relpersistence = 'p'" | tee /vol/home/heap
[ ! -s /vol/home/heap ]
trap - EXIT
$drop pg_ctl -m fast stop
$drop pg_checksums --check
if grep -E 'PANIC|FATAL|ERROR' /vol/home/log |
   grep -v 'the database system is starting up'; then
	exit 1
fi
END
under_kills "$img" "$every" bash "$WORK/inside" "$seconds"
say "$(grep 'number of transactions actually' "$WORK/under.log" | head -n 1)"
say "$KILLS kills"
