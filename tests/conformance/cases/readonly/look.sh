# Every call that would change something, on a file system that nobody can
# write, and those that would not.
echo "look names"
for u in "" @1000; do
	for p in f none d d/e d/f l dangling w w/mine nowhere d/nowhere d/e/x f/x; do
		for flags in O_RDONLY O_WRONLY O_RDWR O_RDONLY\|O_TRUNC O_RDWR\|O_CREAT \
			O_RDWR\|O_CREAT\|O_EXCL O_RDONLY\|O_CREAT O_WRONLY\|O_APPEND \
			O_RDONLY\|O_DIRECTORY O_TMPFILE\|O_RDWR O_PATH O_RDONLY\|O_NOFOLLOW; do
			echo "$u open 1 $p $flags 0600"
			echo "close 1"
		done
		for call in "mkdir $p 0755" "rmdir $p" "unlink $p" "mknod $p S_IFIFO|0600" \
			"symlink a $p" "link $p w/new" "link f $p" "rename $p w/new" \
			"rename f $p" "rename $p f RENAME_EXCHANGE" \
			"rename $p f RENAME_NOREPLACE" "chmod $p 0600" \
			"chown $p 1000 1000" "chown $p -1 -1" "truncate $p 0" \
			"utimens $p now now" "utimens $p 1.0 2.0" \
			"access $p F_OK" "access $p R_OK" "access $p W_OK" "access $p X_OK" \
			"setxattr $p user.a 1 x" "removexattr $p user.a" \
			"getxattr $p user.a 10" "lstat $p" "stat $p" "readlink $p" \
			"ls $p" "sum $p" "chdir $p" "bind $p"; do
			echo "$u $call"
		done
	done
done
cat <<'END'
look descriptors
open 1 f O_RDONLY
open 2 d O_RDONLY
fchmod 1 0600
fchown 1 0 0
futimens 1 now now
ftruncate 1 0
fallocate 1 0 0 100
write 1 1 x
pread 1 0 20000
lseek 1 0 SEEK_HOLE
mread 1 0 10000
mwrite 1 0 10 x
flock 1 LOCK_EX
lock posix 1 F_RDLCK 0 0
lock ofd 1 F_RDLCK 0 0
fsync 1
syncfs 1
fchmod 2 0700
fsync 2
in 2 open 3 new O_CREAT|O_RDWR 0600
in 2 unlink f
END
