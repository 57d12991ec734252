# What each call that takes a path says when the path is no good.
one()		# PATH: every call that takes one path
{
	local p=$1
	for f in O_RDONLY O_RDWR O_WRONLY\|O_CREAT O_RDWR\|O_CREAT\|O_EXCL \
		O_RDONLY\|O_DIRECTORY O_RDONLY\|O_NOFOLLOW O_PATH O_PATH\|O_NOFOLLOW \
		O_RDWR\|O_TRUNC O_TMPFILE\|O_RDWR O_CREAT\|O_DIRECTORY \
		O_PATH\|O_DIRECTORY\|O_NOFOLLOW; do
		echo "open 1 $p $f|O_NONBLOCK 0600"
	done
	for call in "mkdir $p 0755" "rmdir $p" "mknod $p S_IFIFO|0600" \
		"mknod $p S_IFREG|0600" "mknod $p 0600" "bind $p" "unlink $p" \
		"symlink t $p" "readlink $p" "readlink $p 0" "stat $p" "lstat $p" \
		"stat $p AT_EMPTY_PATH" "access $p F_OK" "access $p R_OK" \
		"access $p 8" "chmod $p 0755" "chown $p 1 1" "lchown $p 2 2" \
		"utimens $p now now" "utimens $p 1.0 2.0" "utimens $p omit omit" \
		"utimens $p now now AT_SYMLINK_NOFOLLOW" "truncate $p 0" \
		"truncate $p -1" "chdir $p" "statfs $p" "statx $p" "ls $p" \
		"setxattr $p user.a 1 x" "getxattr $p user.a 10" \
		"listxattr $p 100" "removexattr $p user.a" "handle 0 $p" \
		"exec $p" "link $p hard" "link $p hard2 AT_SYMLINK_FOLLOW" \
		"link good $p" "rename $p away" "rename away $p" "rename good $p" \
		"rename $p good" "rename gooddir $p" "rename $p gooddir" \
		"rename good $p RENAME_NOREPLACE" "rename good $p RENAME_EXCHANGE" \
		"rename $p good RENAME_EXCHANGE" \
		"rename gooddir $p RENAME_EXCHANGE" "rename $p away 8" \
		"rename away $p 8" "link $p hard3 1" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 0" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 RESOLVE_NO_SYMLINKS" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 RESOLVE_BENEATH" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 RESOLVE_IN_ROOT" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 RESOLVE_NO_XDEV" \
		"openat2 1 $p O_RDONLY|O_NONBLOCK 0 RESOLVE_NO_MAGICLINKS"; do
		echo "$call"
	done
	echo "ls ."
}
world()
{
	cat <<-'END'
	open 1 good O_CREAT|O_RDWR 0644
	write 1 100 g
	mkdir gooddir 0755
	open 1 f O_CREAT|O_RDWR 0644
	write 1 100 x
	mkdir d 0755
	mkdir d/e 0755
	open 1 d/f O_CREAT|O_RDWR 0644
	symlink f lf
	symlink d ld
	symlink nowhere dangling
	symlink loop1 loop2
	symlink loop2 loop1
	symlink self/x self
	symlink d/f deep
	symlink lf llf
	mknod p S_IFIFO|0644
	bind s
	mknod c S_IFCHR|0644 1 3
	mkdir empty 0755
	END
}
for p in none none/x f d d/f d/e d/none empty lf ld ld/f ld/none dangling \
	dangling/x loop1 loop1/x self self/y llf deep p s c p/x s/x c/x f/x \
	f/x/y lf/x ld/e/../f '""' . ./f d/. d/.. d/./f d/../f d/e/../../f \
	f/ d/ lf/ ld/ dangling/ none/ d/f/ loop1/ f/. f/.. lf/. ld/. ld/.. \
	none/. none/.. d//f .//f d/// p/ empty/. empty/.. ; do
	echo "case path-$(echo "$p" | tr / _)"
	world
	one "$p"
done
for p in "{n*255}" "{n*256}" "d/{n*255}" "d/{n*256}" "{n*256}/x" "f/{n*256}" \
	"none/{n*256}" "lf/{n*256}" "d/{n*1000}" \
	"{./*2040}f" "{./*2046}f" "{./*2047}f" "{./*2048}f" "{./*3000}f" \
	"{d/../*800}f" "d{/*4000}none" "{e/*2100}" "gooddir/{m*255}/x"; do
	echo "case long-$(echo "$p" | tr '/{}*.' '_____')"
	world
	one "$p"
done
# Chains of symbolic links: forty are followed.
echo "case chain"
echo "open 1 l0 O_CREAT|O_RDWR 0644"
for i in $(seq 45); do
	echo "symlink l$((i - 1)) l$i"
done
for i in 1 30 38 39 40 41 42 45; do
	for call in "stat l$i" "lstat l$i" "open 1 l$i O_RDONLY" \
		"open 1 l$i O_RDWR|O_CREAT 0644" "readlink l$i" "truncate l$i 5" \
		"chmod l$i 0644" "access l$i R_OK" "utimens l$i now now" \
		"rename l$i l$i" "link l$i h$i" "exec l$i"; do
		echo "$call"
	done
done
# What can be no program, whoever may run it.
echo "case programs"
cat <<'END'
mknod p S_IFIFO|0755
exec p
bind s
exec s
mkdir d 0755
exec d
open 1 none O_CREAT|O_RDWR 0755
close 1
exec none
symlink none l
exec l
exec l/
open 1 text O_CREAT|O_RDWR 0755
write 1 100 x
close 1
exec text
chmod text 0644
exec text
END
# A target that is long, has slashes, is empty.
echo "case targets"
for t in '""' "{t*4095}" "{t*4096}" "{t/*2000}" . "d/.." "d/" "{t*255}" \
	"{t*256}" "{./*2047}x"; do
	echo "symlink $t s"
	echo "lstat s"
	echo "stat s"
	echo "readlink s"
	echo "open 1 s O_RDONLY|O_NOFOLLOW"
	echo "unlink s"
done
echo "case targets-outside"
for t in /none /none/none//; do
	echo "symlink $t s"
	echo "lstat s"
	echo "stat s"
	echo "readlink s"
	echo "unlink s"
done
echo "case targets-again"
echo "mkdir d 0755"
echo "symlink d/ sd"
echo "stat sd"
echo "open 1 sd/x O_CREAT|O_RDWR 0644"
echo "open 1 sd O_RDONLY|O_DIRECTORY"
echo "symlink ../d/x d/back"
echo "stat d/back"
echo "symlink new/ sn"
echo "open 1 sn O_CREAT|O_RDWR 0644"
echo "mkdir sn 0755"
echo "mkdir sn/ 0755"
echo "symlink newdir sm"
echo "mkdir sm 0755"
echo "mkdir sm/ 0755"
# Descriptors that are none, or of the wrong kind.
echo "case descriptors"
world
cat <<'END'
open 1 f O_RDONLY
open 2 f O_WRONLY
open 3 f O_PATH
open 4 d O_RDONLY
open 5 p O_RDWR
open 6 lf O_PATH|O_NOFOLLOW
open 7 d O_PATH
open 8 c O_RDWR
END
for fd in 1 2 3 4 5 6 7 8 15; do
	for call in "read $fd 0" "pread $fd 0 10" "pread $fd -1 10" "write $fd 0 x" \
		"pwrite $fd 0 3 x" "pwrite $fd -5 3 x" "lseek $fd 0 SEEK_SET" \
		"lseek $fd -1 SEEK_SET" "lseek $fd 0 9" "lseek $fd 0 SEEK_DATA" \
		"ftruncate $fd 50" "ftruncate $fd -1" "fallocate $fd 0 0 100" \
		"fallocate $fd 0 0 0" "fallocate $fd 3 0 10" "fsync $fd" \
		"syncfs $fd" "fstat $fd" "fchmod $fd 0644" "fchown $fd 0 0" \
		"futimens $fd now now" "getfl $fd" "setfl $fd O_APPEND|O_NONBLOCK" \
		"getfl $fd" "flock $fd LOCK_SH|LOCK_NB" "flock $fd 0" \
		"flock $fd LOCK_UN" "lock posix $fd F_RDLCK 0 1" \
		"lock posix $fd F_WRLCK 0 1" "lock ofd $fd F_WRLCK 0 1" \
		"lock posix $fd F_UNLCK 0 0" "lock ofd $fd F_UNLCK 0 0" \
		"lock posix $fd 7 0 1" "getlk posix $fd F_UNLCK 0 1" \
		"copy $fd 0 2 0 10" "copy 1 0 $fd 0 10" "sendfile 2 $fd 0 10" \
		"mmap $fd 0 4096 PROT_READ MAP_SHARED" \
		"mmap $fd 0 4096 PROT_READ|PROT_WRITE MAP_SHARED" \
		"mmap $fd 0 4096 PROT_WRITE MAP_PRIVATE" \
		"mmap $fd 100 4096 PROT_READ MAP_SHARED" \
		"mmap $fd 0 0 PROT_READ MAP_SHARED" "fchdir $fd" \
		"getflags $fd" "badioctl $fd" "advise $fd 0 0 POSIX_FADV_NORMAL" \
		"advise $fd 0 -1 POSIX_FADV_NORMAL" "advise $fd 0 0 99" \
		"syncrange $fd 0 0 SYNC_FILE_RANGE_WRITE" "syncrange $fd -1 0 0" \
		"in $fd stat x" "in $fd open 9 x O_RDONLY" "in $fd mkdir x 0755" \
		"in $fd stat \"\" AT_EMPTY_PATH" "in $fd chown \"\" 0 0 AT_EMPTY_PATH" \
		"in $fd link \"\" hard$fd AT_EMPTY_PATH" "in $fd readlink \"\"" \
		"in $fd stat \"\"" "in $fd rename x y" "in $fd unlink x" \
		"dup 9 $fd"; do
		echo "$call"
	done
done
echo "nofile f"
echo "case directory-ends"
echo "open 1 . O_RDONLY|O_DIRECTORY"
echo "lseek 1 0 SEEK_END"
echo "lseek 1 1T SEEK_HOLE"
