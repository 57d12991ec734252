#!/bin/bash
# programs.sh - real programs on the mount do what they do elsewhere: shells,
# editors, tar, git, a compiler, a database, find, cp.
# limit: 180
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
img=$WORK/disk.img
image "$img" 256M

cat >"$WORK/inside" <<'END'
set -e
src=$1 out=$2
cd /vol
echo "shell"
printf 'b\na\nc\n' >list; sort list >list.sorted; [ "$(head -n1 list.sorted)" = a ]
echo more >>list; [ "$(wc -l <list)" = 4 ]
mkdir -p d/e/f; : >d/e/f/g; [ -e d/e/f/g ]; (cd d/e && [ "$(pwd)" = /vol/d/e ])
ln -s list l; [ "$(cat l)" = "$(cat list)" ]; ln list h; [ "$(stat -c %h h)" = 2 ]
chmod 640 h; [ "$(stat -c %a list)" = 640 ]
touch -d '2001-02-03 04:05:06.123456789' list
[ "$(stat -c %y list | cut -c1-29)" = '2001-02-03 04:05:06.123456789' ]
mkfifo pipe; (echo through >pipe &) ; [ "$(cat pipe)" = through ]
exec 5>deleted; echo x >&5; rm deleted; echo y >&5; [ "$(wc -c </proc/self/fd/5)" = 4 ]; exec 5>&-
truncate -s 1G sparse; [ "$(du -k sparse | cut -f1)" -lt 64 ]; rm sparse
fallocate -l 1M full; [ "$(stat -c %s full)" = 1048576 ]; rm full
if command -v setfattr >/dev/null; then
	setfattr -n user.k -v value list; [ "$(getfattr --only-values -n user.k list)" = value ]
fi
if command -v ed >/dev/null; then
	echo "ed"; printf '1s/b/edited/\nw\nq\n' | ed -s list; [ "$(head -n1 list)" = edited ]
fi
if command -v ex >/dev/null; then
	echo "ex"; printf '2s/a/by ex/\nwq\n' | ex -s list; [ "$(sed -n 2p list)" = "by ex" ]
fi
echo "sed -i"; sed -i 's/c/C/' list; grep -q C list
echo "tar"
tar -C "$src" -cf tree.tar rumpserver protocol drivers
mkdir tree; tar -C tree -xf tree.tar
diff -r "$src/rumpserver" tree/rumpserver; diff -r "$src/drivers" tree/drivers
echo "cp -a"; cp -a tree copy; diff -r tree copy
echo "find"; [ "$(find copy -type f | wc -l)" = "$(find tree -type f | wc -l)" ]
find copy -name '*.h' -delete; [ "$(find copy -name '*.h' | wc -l)" = 0 ]; rm -r copy
if command -v git >/dev/null; then
	echo "git"
	export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
		GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b HOME=/vol
	cd tree; git init -q; git add .; git commit -qm one; git fsck --full --strict
	echo x >>protocol/ops.h; git commit -qam two; git checkout -q HEAD~1
	git gc -q; git fsck; [ -z "$(git status --porcelain)" ]; cd ..
fi
if command -v sqlite3 >/dev/null; then
	echo "sqlite3"
	sqlite3 app.db 'create table t(x); insert into t values(1); insert into t select x+1 from t;'
	[ "$(sqlite3 app.db 'pragma journal_mode=wal; insert into t values(9); select sum(x) from t;' | tail -n1)" = 12 ]
fi
if command -v gcc >/dev/null; then
	echo "gcc"
	printf '#include <stdio.h>\nint main(void) { puts("built here"); return 0; }\n' >p.c
	gcc -O2 -g -o p p.c; [ "$(./p)" = "built here" ]
	gcc -c -std=gnu17 -Itree/protocol -Itree/drivers -Itree/rumpserver -D_GNU_SOURCE \
		-x c -o views.o - <<X
#include "views.h"
X
	ar rcs views.a views.o
fi
if command -v perl >/dev/null; then
	echo "mmap, locks"
	perl -e 'use Fcntl ":flock"; open F, "+>lock" or die; flock F, LOCK_EX or die; print F "x" or die'
fi
(cd /vol && find tree -type f -not -path '*/.git/*' -print0 | sort -z | xargs -0 sha256sum) >"$out/sums"
rm -f pipe l
END
for options in "" "--kill-every 50ms"; do
	# shellcheck disable=SC2086
	"$RUMP" run $options -m "/vol=ext4:$img" -- \
		bash "$WORK/inside" "$SOURCE" "$WORK" >"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "a program failed ($options)"; }
	check_image "$img"
	# What is in the image is what was there.
	in_mount "$img" sh -c 'cd /vol && sha256sum --quiet -c "$1"' - "$WORK/sums" ||
		fail "contents differ"
	image "$img" 256M
done
