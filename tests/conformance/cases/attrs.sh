# Extended attributes, flags, statx, statfs, file handles.
cat <<'END'
case statx
open 1 f O_CREAT|O_RDWR 0644
statx f
mkdir d 0755
statx d
symlink f l
statx l
statfs .
room .
END
echo "case xattr"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0666
mkdir d 0777
symlink f l
mknod p S_IFIFO|0666
END
for o in f d l p; do
	for n in user.a trusted.a security.a system.a foo user. {x*256} user.{x*250} user.{x*251}; do
		for who in "" @1000; do
			echo "$who setxattr $o $n 5 v"
			echo "$who getxattr $o $n 100"
			echo "$who listxattr $o 65536"
			echo "$who removexattr $o $n"
		done
	done
done
cat <<'END'
setxattr f user.a 5 v XATTR_REPLACE
setxattr f user.a 5 v XATTR_CREATE
setxattr f user.a 5 w XATTR_CREATE
setxattr f user.a 6 w XATTR_REPLACE
setxattr f user.a 6 w 4
setxattr f user.a 6 w XATTR_CREATE|XATTR_REPLACE
getxattr f user.a 0
getxattr f user.a 3
getxattr f user.a 6
getxattr f user.none 6
listxattr f 0
listxattr f 3
setxattr f user.empty 0 x
getxattr f user.empty 0
getxattr f user.empty 10
removexattr f user.none
setxattr f user.big 3000 b
getxattr f user.big 5000
setxattr f user.big2 1000 c
setxattr f user.big2 500 c
setxattr f user.huge 4096 d
setxattr f user.huge 65536 d
setxattr f user.huge 65537 d
listxattr f 65536
link f g
getxattr g user.big 4096
removexattr g user.big
setxattr f user.big 100 e
listxattr f 65536
mkdir s 01777
@1000 setxattr s user.a 3 v
chmod f 0600
@1000 setxattr f user.a 3 v
@1000 getxattr f user.a 10
@1000 listxattr f 65536
case flags
open 1 f O_CREAT|O_RDWR 0644
write 1 100 x
mkdir d 0777
open 2 d O_RDONLY|O_DIRECTORY
open 3 d/x O_CREAT|O_RDWR 0666
getflags 1
getflags 2
getversion 1
badioctl 1
fsgetxattr 1
setflags 1 FS_NODUMP_FL|FS_EXTENT_FL
getflags 1
statx f
fsgetxattr 1
fssetxattr 1 0 0
getflags 1
setflags 1 FS_APPEND_FL|FS_EXTENT_FL
getflags 1
statx f
write 1 10 y
open 4 f O_RDWR
open 4 f O_RDONLY
open 4 f O_WRONLY|O_APPEND
write 4 10 z
pwrite 4 0 10 z
open 5 f O_WRONLY|O_APPEND|O_TRUNC
ftruncate 1 5
ftruncate 1 500
truncate f 5
fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 0 10
fallocate 1 0 0 1000
chmod f 0600
chown f 1 1
utimens f 1.0 2.0
utimens f now now
setxattr f user.a 3 v
unlink f
link f g
rename f g
sum f
@1000 setflags 4 0
setflags 1 FS_EXTENT_FL
write 1 10 y
setflags 1 FS_IMMUTABLE_FL|FS_EXTENT_FL
getflags 1
statx f
write 1 10 y
open 4 f O_RDWR
open 4 f O_RDONLY
open 4 f O_WRONLY|O_APPEND
ftruncate 1 5
truncate f 5
fallocate 1 0 0 1000
chmod f 0600
fchmod 1 0600
chown f 1 1
utimens f 1.0 2.0
utimens f now now
setxattr f user.a 3 v
removexattr f user.a
unlink f
link f g
rename f g
rename d/x f
rename f d/x RENAME_EXCHANGE
setacl f access u::rwx,g::r--,o::---
pread 1 0 10
setflags 1 FS_EXTENT_FL
unlink f
setflags 2 FS_APPEND_FL|FS_EXTENT_FL
getflags 2
open 4 d/new O_CREAT|O_RDWR 0644
mkdir d/dir 0755
link d/x d/y
unlink d/x
rename d/x d/z
rename d/x z
rmdir d/dir
rename d/new d/x RENAME_EXCHANGE
chmod d 0700
rmdir d
rename d e
write 3 10 x
truncate d/x 0
setflags 2 FS_IMMUTABLE_FL|FS_EXTENT_FL
open 4 d/new2 O_CREAT|O_RDWR 0644
open 4 d/new O_RDWR
mkdir d/dir2 0755
link d/x d/w
unlink d/x
rename d/x d/z
rename d/x z
open 4 q O_CREAT|O_RDWR 0644
rename q d/q
link q d/q
symlink a d/s
mknod d/p S_IFIFO|0644
open 5 d O_TMPFILE|O_RDWR 0600
chmod d 0700
setxattr d user.a 3 v
rmdir d
rename d e
setflags 2 FS_EXTENT_FL
@1000 chmod d 0700
chown d 1000 1000
open 5 d O_RDONLY
@1000 setflags 5 FS_NODUMP_FL|FS_EXTENT_FL
@1000 setflags 5 FS_IMMUTABLE_FL|FS_EXTENT_FL
@1001 setflags 5 FS_EXTENT_FL
getflags 5
setflags 5 FS_ENCRYPT_FL|FS_EXTENT_FL
setflags 5 FS_NODUMP_FL|FS_EXTENT_FL|FS_NOATIME_FL|FS_DIRSYNC_FL|FS_SYNC_FL
getflags 5
mkdir d/sub 0755
open 6 d/sub O_RDONLY
getflags 6
open 6 d/file O_CREAT|O_RDWR 0644
getflags 6
case handles
open 1 f O_CREAT|O_RDWR 0644
write 1 1000 x
mkdir d 0755
mkdir d/e 0755
open 2 d/e/g O_CREAT|O_RDWR 0644
write 2 500 y
handle 0 f
handle 1 d/e/g
handle 2 d/e
close 1
close 2
dropcaches
openhandle 1 0 O_RDWR
pread 1 0 2000
openhandle 2 1 O_RDONLY
pread 2 0 2000
openhandle 3 2 O_RDONLY|O_DIRECTORY
fstat 3
unlink d/e/g
dropcaches
fstat 2
close 2
dropcaches
openhandle 2 1 O_RDONLY
open 2 d/e/new O_CREAT|O_RDWR 0644
openhandle 4 1 O_RDONLY
close 1
unlink f
dropcaches
openhandle 1 0 O_RDWR
@1000 openhandle 1 2 O_RDONLY
END
