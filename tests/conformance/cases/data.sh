# What is in files: holes, sizes, fallocate, maps, copies, flags of open, locks.
cat <<'END'
case holes
open 1 f O_CREAT|O_RDWR 0644
pwrite 1 5G 4096 x
fstat 1
lseek 1 0 SEEK_DATA
lseek 1 0 SEEK_HOLE
lseek 1 5G SEEK_HOLE
lseek 1 5G SEEK_DATA
lseek 1 6G SEEK_DATA
lseek 1 6G SEEK_HOLE
lseek 1 -1 SEEK_DATA
lseek 1 0 SEEK_END
pread 1 4G 8192
pread 1 5G 8192
pwrite 1 16T 1 x
pwrite 1 17592186040319 1 x
fstat 1
ftruncate 1 17592186040320
fstat 1
ftruncate 1 17592186044415
ftruncate 1 17592186044416
pwrite 1 17592186044415 1 x
ftruncate 1 9223372036854775807
ftruncate 1 -1
truncate f -1
truncate none 5
truncate . 5
pwrite 1 -1 1 x
pread 1 -1 1
ftruncate 1 100
pread 1 0 4096
ftruncate 1 5000
pread 1 0 8192
fsync 1
blocks 1
ftruncate 1 0
pwrite 1 0 100K a
ftruncate 1 5000
ftruncate 1 100K
sum f
lseek 1 0 SEEK_HOLE
case fallocate
open 1 f O_CREAT|O_RDWR 0644
fallocate 1 0 0 100K
fstat 1
blocks 1
lseek 1 0 SEEK_DATA
lseek 1 0 SEEK_HOLE
sum f
fallocate 1 FALLOC_FL_KEEP_SIZE 100K 100K
fstat 1
blocks 1
pwrite 1 10000 50000 x
fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 20000 20000
sum f
fallocate 1 FALLOC_FL_PUNCH_HOLE 0 4096
fallocate 1 FALLOC_FL_ZERO_RANGE 11000 3000
sum f
fallocate 1 FALLOC_FL_ZERO_RANGE 90K 20K
fstat 1
fallocate 1 FALLOC_FL_ZERO_RANGE|FALLOC_FL_KEEP_SIZE 100K 50K
fstat 1
sum f
ftruncate 1 0
pwrite 1 0 4096 a
pwrite 1 4096 4096 b
pwrite 1 8192 4096 c
pwrite 1 12288 1000 d
fstat 1
sum f
fstat 1
sum f
fallocate 1 0 0 0
fallocate 1 0 -1 10
fallocate 1 0 10 -1
fallocate 1 0x100 0 10
fallocate 1 0 16T 4096
fallocate 1 0 9223372036854775807 1
posix_fallocate 1 0 300000
fstat 1
posix_fallocate 1 0 0
open 2 f O_RDONLY
fallocate 2 0 0 4096
posix_fallocate 2 0 4096
ftruncate 2 5
open 2 . O_RDONLY|O_DIRECTORY
fallocate 2 0 0 4096
ftruncate 2 5
mknod p S_IFIFO|0644
open 2 p O_RDWR
fallocate 2 0 0 4096
ftruncate 2 5
truncate p 5
case descriptors
open 1 f O_CREAT|O_WRONLY|O_APPEND 0644
write 1 10 a
pwrite 1 0 5 b
sum f
open 2 f O_RDWR
write 2 3 c
write 1 3 d
sum f
read 1 10
lseek 2 0 SEEK_SET
read 2 100
write 1 0 e
copy 2 0 1 0 5
open 3 f O_RDWR|O_SYNC
write 3 100 s
open 3 f O_RDWR|O_DSYNC
write 3 100 t
sum f
open 4 f O_RDWR|O_DIRECT
pwrite 4 0 8192 D
pread 4 0 4096
pread 4 4096 8192
sum f
fsync 4
syncfs 4
open 5 f O_PATH
read 5 1
write 5 1 x
fstat 5
fchmod 5 0600
fsync 5
open 6 . O_RDONLY
read 6 10
fsync 6
lseek 6 0 SEEK_SET
open 7 f O_RDONLY
write 7 1 x
fsync 7
ftruncate 7 0
mread 7 0 100
mwrite 7 0 100 x
open 8 f O_RDWR|O_CREAT|O_EXCL 0644
close 8
write 8 1 x
case maps
open 1 f O_CREAT|O_RDWR 0644
open 2 f O_RDWR
write 1 20000 a
mwrite 1 5000 100 m
pread 2 4900 300
pwrite 2 10000 100 p
mread 1 9900 300
ftruncate 2 5050
mread 1 5000 50
fstat 1
ftruncate 2 20000
mread 1 0 20000
sum f
case copy
open 1 f O_CREAT|O_RDWR 0644
open 2 g O_CREAT|O_RDWR 0644
write 1 100000 a
copy 1 0 2 0 100000
sum g
copy 1 50000 2 200000 100000
sum g
copy 1 100000 2 0 10
copy 1 0 1 50000 100000
copy 1 0 1 200000 1000
sum f
copy 1 0 2 16T 10
open 3 . O_RDONLY|O_DIRECTORY
copy 3 0 2 0 10
case copy-negative
open 1 f O_CREAT|O_RDWR 0644
open 2 g O_CREAT|O_RDWR 0644
write 1 100 a
copy 1 -1 2 0 10
case locks
open 1 f O_CREAT|O_RDWR 0644
open 2 f O_RDWR
open 3 f O_RDONLY
flock 1 LOCK_EX
flock 2 LOCK_SH|LOCK_NB
& flock 2 LOCK_SH|LOCK_NB
flock 1 LOCK_SH
flock 2 LOCK_SH|LOCK_NB
flock 1 LOCK_EX|LOCK_NB
flock 2 LOCK_UN
flock 1 LOCK_EX|LOCK_NB
close 1
flock 2 LOCK_EX|LOCK_NB
flock 2 LOCK_UN
open 1 f O_RDWR
lock posix 1 F_WRLCK 0 100
& lock posix 2 F_WRLCK 50 100
& lock posix 2 F_RDLCK 99 1
& lock posix 2 F_WRLCK 100 100
& getlk posix 2 F_RDLCK 0 0
getlk posix 2 F_WRLCK 0 0
lock posix 1 F_UNLCK 20 20
& getlk posix 2 F_WRLCK 0 0
& getlk posix 2 F_WRLCK 30 0
& getlk posix 2 F_WRLCK 20 20
lock posix 1 F_RDLCK 0 0
& lock posix 2 F_RDLCK 0 0
& lock posix 2 F_WRLCK 500 1
close 3
& lock posix 2 F_WRLCK 500 1
lock posix 2 F_RDLCK 5 -5
lock posix 2 F_RDLCK 0 -5
lock posix 2 F_RDLCK 9223372036854775807 1
lock posix 2 F_UNLCK 0 0
open 3 f O_RDONLY
lock posix 3 F_WRLCK 0 1
lock ofd 3 F_WRLCK 0 1
lock ofd 1 F_WRLCK 0 10
lock ofd 2 F_WRLCK 5 10
getlk ofd 2 F_WRLCK 5 10
& lock ofd 1 F_RDLCK 0 10
lock ofd 2 F_RDLCK 5 10
lock posix 2 F_WRLCK 5 10
close 3
lock ofd 2 F_WRLCK 5 10
close 1
lock ofd 2 F_WRLCK 5 10
case busy
open 1 sh O_CREAT|O_RDWR 0755
exec sh
write 1 10 x
close 1
exec sh
case full
open 1 f O_CREAT|O_RDWR 0644
fill 1 x
fill 1 x
open 2 g O_CREAT|O_RDWR 0644
fallocate 2 0 0 10M
open 2 h O_CREAT|O_RDWR 0644
ftruncate 1 100
pwrite 2 0 100 y
sum h
END
# Only whole blocks: what a read left in memory makes data of the rest.
echo "case sparse"
echo "open 1 f O_CREAT|O_RDWR 0644"
for i in $(seq 0 400); do
	echo "pwrite 1 $((i * 12288)) 4096 x"
done
echo "sum f"
for i in $(seq 0 7 400); do
	echo "fallocate 1 FALLOC_FL_ZERO_RANGE $((i * 12288)) 8192"
	echo "lseek 1 $((i * 12288)) SEEK_DATA"
done
echo "sum f"
for i in $(seq 1 7 100); do
	echo "fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE $((i * 4096)) 8192"
	echo "lseek 1 $((i * 12288)) SEEK_HOLE"
done
echo "sum f"
echo "fstat 1"
