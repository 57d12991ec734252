# Which of the two times of file, directory and neighbour each call changes,
# also when it fails or does nothing.
go()		# CALL...: with f, d and e marked
{
	echo "case $(echo "$*" | tr ' /|{}*"' '_______')"
	cat <<-'END'
	open 1 f O_CREAT|O_RDWR 0644
	write 1 5000 x
	open 2 g O_CREAT|O_RDWR 0644
	write 2 5000 y
	mkdir d 0755
	mkdir e 0755
	mkdir d/sub 0755
	open 3 d/x O_CREAT|O_RDWR 0644
	open 4 e/y O_CREAT|O_RDWR 0644
	symlink f l
	setxattr f user.a 3 v
	open 5 d O_RDONLY|O_DIRECTORY
	chown g 1000 1000
	chmod g 06755
	END
	for o in f g d/x d/sub e/y d e; do
		echo "utimens $o 1000.5 2000.5"
	done
	echo "mark f d e g"
	echo "$*"
	echo "changed f d e g"
	echo "mark l d/x d/sub e/y"
	echo "$*"
	echo "changed l d/x d/sub e/y"
}
go open 6 f O_RDONLY
go open 6 f O_RDWR
go open 6 f O_RDWR\|O_CREAT 0644
go open 6 f O_RDWR\|O_TRUNC
go open 6 f O_RDWR\|O_CREAT\|O_EXCL 0644
go open 6 d/n O_RDWR\|O_CREAT 0644
go open 6 d O_TMPFILE\|O_RDWR 0644
go open 6 d O_RDONLY\|O_DIRECTORY
go read 1 0
go pread 1 0 100
go pread 1 0 0
go write 1 1 x
go write 1 0 x
go pwrite 1 0 1 x
go pwrite 1 0 0 x
go pwrite 1 100000 1 x
go writev 1 30 x
go truncate f 5000
go truncate f 100
go truncate f 9000
go ftruncate 1 5000
go ftruncate 1 0
go ftruncate 1 -1
go ftruncate 1 100T
go fallocate 1 0 0 100
go fallocate 1 0 0 10000
go fallocate 1 0 0 0
go fallocate 1 FALLOC_FL_KEEP_SIZE 0 100
go fallocate 1 FALLOC_FL_KEEP_SIZE 0 20000
go fallocate 1 FALLOC_FL_PUNCH_HOLE\|FALLOC_FL_KEEP_SIZE 0 10
go fallocate 1 FALLOC_FL_PUNCH_HOLE\|FALLOC_FL_KEEP_SIZE 100K 10
go fallocate 1 FALLOC_FL_ZERO_RANGE 0 10
go fallocate 1 FALLOC_FL_ZERO_RANGE 0 10000
go copy 1 0 2 0 100
go copy 1 0 2 0 0
go copy 1 5000 2 0 100
go sendfile 2 1 0 100
go splice 2 1 100
go mread 1 0 100
go mwrite 1 0 10 z
go fsync 1
go lseek 1 0 SEEK_END
go chmod f 0644
go chmod f 0600
go fchmod 1 0600
go fchmod 5 0700
go chmod d 0755
go chmod none 0644
go @1000 chmod f 0600
go chown f -1 -1
go chown f 0 0
go chown f 1 -1
go chown f -1 1
go chown g -1 -1
go chown g 1000 1000
go fchown 1 -1 -1
go fchown 5 1 1
go lchown l 1 1
go chown l 1 1
go @1000 chown f 1000 1000
go utimens f now now
go utimens f omit omit
go utimens f now omit
go utimens f omit now
go utimens f 1.1 omit
go utimens f omit 1.1
go utimens f 1.1 2.2
go utimens l now now AT_SYMLINK_NOFOLLOW
go utimens d 1.0 2.0
go @1000 utimens f now now
go link f d/h
go link f g
go link f none/g
go symlink t d/s
go symlink t g
go readlink l
go mkdir d/m 0755
go mkdir d 0755
go mkdir none/m 0755
go rmdir d/sub
go rmdir d
go rmdir d/none
go mknod d/p S_IFIFO\|0644
go bind d/k
go unlink d/x
go unlink d/none
go unlink d/sub
go unlink f
go rename f f
go rename f g
go rename f d/f
go rename d/x e/x
go rename d/x d/z
go rename d/x e/y
go rename d/sub e/sub
go rename d/sub d/sub2
go rename d e
go rename d/none e/none
go rename d/x e/y RENAME_EXCHANGE
go rename d/sub e/y RENAME_EXCHANGE
go rename d/x e/y RENAME_NOREPLACE
go rename d/x e/w RENAME_WHITEOUT
go rename l d/l
go setxattr f user.a 3 v
go setxattr f user.b 3 v
go setxattr f user.a 3 v XATTR_CREATE
go setxattr f user.b 3 v XATTR_REPLACE
go setxattr d user.b 3 v
go removexattr f user.a
go removexattr f user.none
go getxattr f user.a 10
go listxattr f 100
go setacl f access u::rw-,g::r--,o::r--
go setacl f access u::rwx,g::r--,o::r--
go setacl f access u::rw-,u:5:rwx,g::r--,m::rwx,o::r--
go setacl d default u::rw-,g::r--,o::r--
go delacl f access
go delacl d default
go stat f
go access f R_OK
go ls d
go statfs f
go flock 1 LOCK_EX
go lock posix 1 F_WRLCK 0 1
go exec f
go handle 0 f
go syncfs 1
go advise 1 0 0 POSIX_FADV_DONTNEED
# Times of the other names of a file are the same.
echo "case names"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
link f g
mark f g
write 1 1 x
changed f g
mark f g
unlink g
changed f
mark f
chmod f 0600
changed f
utimens f 5.5 6.6
link f h
times h
times f
rename h i
times i
END
# Limits of what can be kept.
echo "case range"
echo "open 1 f O_CREAT|O_RDWR 0644"
echo "symlink f l"
echo "mkdir d 0755"
for t in 0 1 -1 0.000000001 0.999999999 -1.999999999 -1.5 2147483647 2147483648 \
	-2147483648 -2147483649 4294967295 4294967296 8589934592 12884901888 \
	15032385535 15032385536 99999999999 -99999999999 1.1000000000; do
	for f in f l d; do
		echo "utimens $f $t $t AT_SYMLINK_NOFOLLOW"
		echo "times $f"
	done
done
echo "futimens 1 3.3 now"
echo "futimens 1 omit 4.4"
echo "times f"
echo "dropcaches"
echo "times f"
