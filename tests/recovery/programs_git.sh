#!/bin/bash
# programs_git.sh - a repository is made, cloned, packed and checked on the
# mount while the server is killed.
# limit: 90 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program git

every=20ms commits=40 rounds=1
[ "$SHORT" = 0 ] || commits=12
[ "$LONG" = 0 ] || { every=100ms commits=150 rounds=4; }
img=$WORK/disk.img

cat >"$WORK/inside" <<'END'
set -e
commits=$1
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME=/vol
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q -b main /vol/one
cd /vol/one
git config core.fsync all
for c in $(seq "$commits"); do
	mkdir -p "dir$((c % 7))"
	for f in $(seq 12); do
		seq "$c" "$((c * 40 + f))" >"dir$((c % 7))/file$f"
	done
	[ $((c % 5)) != 0 ] || git mv -k "dir$((c % 7))/file1" "moved$c"
	git add -A
	git commit -q -m "change $c"
	[ $((c % 4)) != 0 ] || git branch "branch$c"
done
git fsck --full --strict --no-progress
git clone -q "file:///vol/one" /vol/two
git gc -q --aggressive --prune=now
git fsck --full --strict --no-progress
cd /vol/two
git checkout -q -b other main~3
echo more >more
git add more
git commit -q -m more
git rebase -q main
git push -q origin other
git fsck --full --strict --no-progress
git -C /vol/one checkout -q other
diff -r --exclude=.git /vol/one /vol/two
[ -z "$(git status --porcelain)" ]
[ "$(git rev-list --count other)" = $((commits + 1)) ]
END
for round in $(seq "$rounds"); do
	image "$img" 512M
	under_kills "$img" "$every" sh "$WORK/inside" "$commits"
	in_mount "$img" git -c safe.directory='*' -C /vol/two \
		fsck --full --strict --no-progress >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "git fsck"; }
done
say "$KILLS kills, $commits commits a round"
