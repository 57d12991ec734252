#!/bin/bash
# programs_python.sh - Python's own tests of its file calls, in a directory on
# the mount while the server is killed, and in one of the host: each test must
# come out the same.
# limit: 60 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
python=/usr/bin/python3
"$python" -c 'import test.test_mmap' 2>/dev/null ||
	skip "libpython3.11-testsuite is not installed"

every=20ms tests="test_fileio test_mmap test_posix test_glob test_stat"
[ "$LONG" = 0 ] || { every=50ms tests="$tests test_os test_shutil test_tempfile
	test_fcntl test_pathlib test_io test_tarfile test_zipfile test_mailbox
	test_sqlite3 test_dbm test_shelve test_posixpath test_file
	test_fileinput test_filecmp test_bz2 test_gzip test_py_compile test_compileall"; }
img=$WORK/disk.img
image "$img" 1G -t ext4 -E "root_owner=$(id -u):$(id -g)"
cat >"$WORK/inside" <<'END'
cd "$1" && mkdir tmp && shift
TMPDIR=$PWD/tmp exec "$@"
END
# What differs from run to run is left out.
results()
{
	sed -nE 's/^(test[A-Za-z0-9_]* \(.*\)) \.\.\. .*(ok|ERROR|FAIL|skipped).*/\1 \2/p' "$1" |
		sort
}
# A socket has no place in a directory without a mount, and F_NOTIFY has nobody
# to ask.
[ -z "$PROXY" ] || { tests="${tests/test_stat/}"
	no_mount='^test_(is_socket_true|fcntl_64_bit) '; }
mkdir "$WORK/host"
run=("$python" -m test -v --timeout 1200 --tempdir)
timeout -k 5 3000 bash "$WORK/inside" "$WORK/host" "${run[@]}" "$WORK/host" $tests \
	>"$WORK/host.log" 2>&1 </dev/null || say "some of them fail on the host, too"
# shellcheck disable=SC2086
timeout -k 5 3000 "$RUMP" run "${DOOR[@]}" --kill-every "$every" -m "/vol=ext4:$img" -- \
	bash "$WORK/inside" /vol "${run[@]}" /vol $tests \
	>"$WORK/mount.log" 2>&1 </dev/null || say "and some on the mount"
results "$WORK/host.log" | grep -vE "${no_mount:-^$}" >"$WORK/host.results"
results "$WORK/mount.log" | grep -vE "${no_mount:-^$}" >"$WORK/mount.results"
[ "$(wc -l <"$WORK/host.results")" -gt 300 ] ||
	{ tail -n 20 "$WORK/host.log" >&2; fail "the tests do not run"; }
diff "$WORK/host.results" "$WORK/mount.results" >"$WORK/diff" ||
	{ cat "$WORK/diff" >&2; tail -n 30 "$WORK/mount.log" >&2; fail "they differ"; }
[ "$(kills_in "$WORK/mount.log")" -gt 0 ] || fail "never killed"
check_image "$img"
say "$(wc -l <"$WORK/mount.results") tests, $(kills_in "$WORK/mount.log") kills"
