#!/bin/bash
# programs_unix.sh - coreutils and busybox do the same things in a directory of
# the host and on the mount while the server is killed; what they say and what
# they leave must be the same.
# limit: 60 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
rounds=1
[ "$LONG" = 0 ] || rounds=8
busybox=$(command -v busybox || true)
img=$WORK/disk.img
image "$img" 256M -t ext4 -E "root_owner=$(id -u):$(id -g)"

cat >"$WORK/coreutils" <<'END'
umask 022
seq 20000 >numbers
split -n l/7 -d numbers part. && cat part.0? | cmp - numbers && rm part.*
split -b 10000 --filter='gzip >$FILE.gz' numbers z. && zcat z.*.gz | cmp - numbers
mkdir -p tmp && sort -T tmp -S 64K -R --random-source=numbers numbers | sort -n -T tmp -S 64K | cmp - numbers
shuf --random-source=numbers numbers >shuffled; tac shuffled | tac | cmp - shuffled
tee one two <numbers >three; cmp one two && cmp two three
dd if=numbers of=synced bs=4k conv=fsync,notrunc status=none; cmp numbers synced
dd if=numbers of=direct bs=4k oflag=dsync status=none; sum numbers direct
dd if=/dev/zero of=hole bs=1 count=1 seek=5M status=none; stat -c '%s %f' hole
cp --sparse=always hole hole2; cmp hole hole2; [ "$(du -k hole2 | cut -f1)" -lt 64 ] && echo sparse
truncate -s +100 numbers; tail -c 100 numbers | od -An -tx1 | sort -u; truncate -s -100 numbers
install -m 2711 -D numbers deep/er/installed; stat -c '%a %s' deep/er/installed
ln numbers hard; ln -sr deep/er/installed soft; cmp soft numbers; stat -c %h hard
cp -a deep copied; cp -al deep linked; stat -c '%h %a' linked/er/installed
cp -u numbers deep/er/installed; mv -n one two; mv -b two three; ls | sort; cp --backup=numbered numbers three; ls three*
mv -T copied linked 2>&1 | sed 's/mv: //'; mv deep deeper; rmdir -p --ignore-fail-on-non-empty deeper/er
touch -d '2020-02-02 02:02:02.5 UTC' hard; TZ=UTC stat -c '%y' numbers; touch -r numbers soft; find . -newer numbers -name 'h*' | sort
chmod -R a-w,u+X linked; find linked -printf '%m %p\n'; chmod -R u+w linked
mkfifo pipe; (cat numbers >pipe &); wc -l <pipe; (seq 5 | tee pipe >/dev/null &); timeout 300 head -n2 pipe
f=$(mktemp -p .); stat -c '%a %s' "$f"; rm "$f"
sync numbers; sync -f .; sync -d numbers; df --output=target . | tail -n1 | grep -c .
for i in $(seq 300); do echo "$i" >"name with blanks $i"; done; ls | wc -l
find . -name 'name with*' -print0 | xargs -0 rm; ls | wc -l
echo first >log; (timeout 300 tail -n +1 -F log | head -n 3 >tailed) & tail=$!
for i in 1 2 3 4 5 6 7 8 9; do sleep 0.02; echo more >>log; done; wait $tail; cat tailed
exec 9>lock; flock 9; (flock -n lock echo got || echo busy); exec 9>&-; flock -n lock echo free
mkdir -p a/b/c/d/e/f && (cd a/b/c/d/e/f && pwd -P | sed 's,.*/a/b,a/b,'; cd ../../..; mv d ../..; ls ../..)
mkdir locked; echo x >locked/x; rm -rf locked a; cksum numbers; sha1sum numbers | sha1sum -c -
rm -rf tmp; LC_ALL=C ls -RF | head -n 40
END
cat >"$WORK/busybox" <<'END'
b() { "$BUSYBOX" "$@"; }
mkdir tree; for i in 1 2 3 4 5; do mkdir tree/$i; b seq 1 $((i * 1000)) >tree/$i/f; done
b tar -cf t.tar tree; mkdir x; b tar -C x -xf t.tar; b diff -r tree x/tree && echo same
b find tree | b sort | b cpio -o -H newc >t.cpio 2>/dev/null; mkdir y; (cd y; b cpio -idm <../t.cpio 2>/dev/null); b diff -r tree y/tree && echo same
b gzip -k t.tar 2>/dev/null || b gzip -c t.tar >t.tar.gz; b zcat t.tar.gz | b cmp - t.tar && echo same
b bzip2 -c t.tar | b bzcat | b cmp - t.tar && echo same
b cp -a tree z; b sed -i 's/1/one/' z/1/f; b diff -u tree/1/f z/1/f >p; (cd tree/1; b patch f <../../p >/dev/null); b cmp tree/1/f z/1/f && echo patched
b find tree -type f -exec "$BUSYBOX" md5sum {} + | b sort | b md5sum
b awk '{s += $1} END {print s}' tree/5/f; b sort -rn tree/2/f | b head -n 2
b dd if=tree/5/f of=d bs=100 skip=3 count=10 2>/dev/null; b md5sum d; b split -l 1000 tree/5/f s.; b cat s.* | b cmp - tree/5/f && echo same
b ln -s tree/3 l; b readlink l; b stat -c '%s %h' tree/3/f; b touch -d '2001-01-01 00:00' l/f; b du -s y >/dev/null && b ls tree
b mv z tree/z; b rm -rf tree/[1-4]; b ls -R tree; b mkfifo p2; (b echo x >p2 &) ; b cat p2
b flock d "$BUSYBOX" echo locked; b truncate -s 10 d; b wc -c <d; b sync
b sh -c 'echo $((1 + 1)) >sh; cat <<X >>sh
here
X
cat sh'
rm t.*		# they have times in them
END
inside()
{
	cat <<END
set -e
cd "$1"
for r in \$(seq $rounds); do for s in coreutils ${busybox:+busybox}; do
	mkdir \$s\$r; cd \$s\$r
	bash "$WORK/\$s" 2>&1 </dev/null |
		sed '/^tail: inotify/d' >"$2.\$s\$r"
	find . -printf '%p %y %m %n %l\n' | sort >>"$2.\$s\$r"
	find . -type f -exec sha256sum {} + | sort -k2 >>"$2.\$s\$r"
	cd ..; rm -rf \$s\$r
done; done
END
}
mkdir "$WORK/host"
export BUSYBOX=$busybox
inside "$WORK/host" "$WORK/by-host" >"$WORK/on-host"
inside /vol "$WORK/by-mount" >"$WORK/on-mount"
bash "$WORK/on-host" || fail "on the host"
under_kills "$img" 10ms bash "$WORK/on-mount"
for f in "$WORK"/by-host.*; do
	diff "$f" "${f/by-host/by-mount}" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "${f##*.} differs"; }
	[ "$(wc -l <"$f")" -gt 20 ] || { cat "$f" >&2; fail "${f##*.} did not run"; }
done
say "$rounds rounds, $KILLS kills"
