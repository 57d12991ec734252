# Reading, writing, seeking and mapping where it gets narrow; limits; vectors;
# copies by the kernel.
echo "case seek"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
pwrite 1 100K 4096 x
pwrite 1 1M 4096 y
fallocate 1 0 2M 100K
ftruncate 1 3M
END
for off in 0 1 4095 4096 50000 102399 102400 102401 106495 106496 500000 1048575 \
	1048576 1052671 1052672 2097152 2150000 3145727 3145728 3145729 -1; do
	for w in SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE 5 -1; do
		echo "lseek 1 1000 SEEK_SET"
		echo "lseek 1 $off $w"
		echo "lseek 1 0 SEEK_CUR"
	done
done
echo "case seek-beyond"
echo "open 1 f O_CREAT|O_RDWR 0644"
for off in 16T 9223372036854775807; do
	for w in SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE; do
		echo "lseek 1 $off $w"
	done
done
echo "case append"
cat <<'END'
open 1 f O_CREAT|O_RDWR|O_APPEND 0644
open 2 f O_RDWR
write 1 10 a
lseek 1 0 SEEK_CUR
write 2 3 b
lseek 2 0 SEEK_CUR
pwrite 1 0 2 c
writev 1 9 d 1
writev 1 9 e
writev 2 6 f 0 RWF_APPEND
writev 2 6 g 2 RWF_APPEND
writev 2 6 h 2 RWF_DSYNC
writev 2 6 h 2 RWF_SYNC
writev 2 6 h 2 0x1000
setfl 2 O_APPEND
write 2 4 i
setfl 2 0
write 2 4 j
setfl 1 0
lseek 1 0 SEEK_SET
write 1 4 k
sum f
fstat 1
dup 3 1
lseek 3 0 SEEK_CUR
write 3 5 l
lseek 1 0 SEEK_CUR
& write 1 5 m
lseek 1 0 SEEK_CUR
sum f
readv 1 30 0
readv 1 30 5
readv 1 100 40
readv 1 30 -5
readv 1 30 0 0x1000
writev 1 0 x 5
END
echo "case appenders"
echo "open 1 f O_CREAT|O_RDWR 0644"
echo "appenders f 8 100"
echo "fstat 1"
echo "case transfer"
echo "open 1 f O_CREAT|O_RDWR 0644"
echo "open 2 g O_CREAT|O_RDWR 0644"
for i in 1 2 3 4 5 6 7 8 9; do
	echo "pwrite 1 $((i * 3000 - 3000)) 3000 $i"
done
for n in 0 1 4096 5000 27000 30000; do
	for off in 0 1 4095 20000 26999 27000 40000; do
		echo "sendfile 2 1 $off $n"
		echo "lseek 1 $off SEEK_SET"
		echo "splice 2 1 $n"
		echo "sum g"
		echo "copy 1 $off 2 $((off / 2)) $n"
		echo "copy 1 $off 1 $((off + 30000)) $n"
		echo "copy 1 $off 1 $((off + 100)) $n"
		echo "sum f"
		echo "sum g"
		echo "ftruncate 1 27000"
	done
done
cat <<'END'
open 3 g O_RDWR|O_APPEND
copy 1 0 3 0 10
sendfile 3 1 0 10
splice 3 1 10
open 4 g O_RDONLY
copy 1 0 4 0 10
sendfile 4 1 0 10
open 4 g O_WRONLY
copy 4 0 1 0 10
sendfile 1 4 0 10
mknod p S_IFIFO|0644
open 5 p O_RDWR
copy 1 0 5 0 10
copy 5 0 1 0 10
copy 1 0 2 9223372036854775807 10
copy 1 0 2 9223372036854775800 10
copy 1 9223372036854775800 2 0 10
copy 1 100G 2 0 10
sum g
END
echo "case limit"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
fsize 10000
write 1 9000 x
write 1 5000 y
write 1 5000 y
fstat 1
pwrite 1 20000 5 z
pwrite 1 9999 5 z
pwrite 1 10000 5 z
ftruncate 1 10001
ftruncate 1 10000
truncate f 10001
fallocate 1 0 0 20000
fallocate 1 FALLOC_FL_KEEP_SIZE 0 20000
fallocate 1 FALLOC_FL_ZERO_RANGE 0 20000
open 2 f O_RDWR|O_APPEND
write 2 5 a
writev 1 9 z 9995
open 3 g O_CREAT|O_RDWR 0644
copy 1 0 3 5000 10000
sendfile 3 1 0 10000
sendfile 3 1 0 10000
fsize 20000
fstat 1
write 2 5 a
fsize 0
open 4 h O_CREAT|O_RDWR 0644
write 4 1 x
write 4 0 x
mkdir d 0755
symlink a b
ftruncate 4 0
fsize -1
write 4 1 x
END
echo "case maps"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0755
write 1 5000 a
open 2 f O_RDONLY
open 3 f O_WRONLY
open 4 f O_PATH
END
for fd in 1 2 3 4; do
	for prot in PROT_NONE PROT_READ PROT_WRITE PROT_READ\|PROT_WRITE PROT_EXEC; do
		for how in MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE 0; do
			echo "mmap $fd 0 4096 $prot $how"
		done
	done
done
cat <<'END'
mmap 1 4096 100000 PROT_READ MAP_SHARED
mmap 1 16T 4096 PROT_READ MAP_SHARED
mmap 1 9223372036854771712 8192 PROT_READ MAP_SHARED
touch 1 0 r
touch 1 4999 r
touch 1 5001 r
touch 1 8191 w
touch 1 8192 r
touch 1 8192 w
touch 1 12288 r
fstat 1
sum f
private 1 0 5000 p
private 1 4096 3000 p
sum f
ftruncate 1 100
touch 1 4096 r
touch 1 200 r
touch 1 200 w
ftruncate 1 5000
sum f
ftruncate 1 0
touch 1 0 r
touch 1 0 w
ftruncate 1 10000
touch 1 9000 w
blocks 1
fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 8192 4096
mread 1 8192 1000
sum f
mwrite 1 100 9000 q
pread 1 0 10000
pwrite 1 50 100 r
mread 1 0 10000
open 5 f O_RDWR|O_DIRECT
pread 5 0 8192
pwrite 5 4096 4096 d
mread 1 0 10000
mwrite 1 4096 4096 e
pread 5 4096 4096
pwrite 5 512 512 g
pread 5 512 512
sum f
END
echo "case direct"
cat <<'END'
open 1 f O_CREAT|O_RDWR|O_DIRECT 0644
write 1 4096 a
write 1 8192 b
pread 1 0 16384
pread 1 12288 4096
pread 1 4096 4096
lseek 1 0 SEEK_SET
read 1 1M
ftruncate 1 5000
pread 1 4096 4096
pwrite 1 1M 1M c
sum f
fallocate 1 0 4M 1M
pread 1 4M 64K
pwrite 1 4M 64K d
sum f
END
echo "case sync"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
write 1 100000 x
fsync 1
syncfs 1
syncrange 1 0 100 SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER
syncrange 1 0 0 0x100
advise 1 0 0 POSIX_FADV_DONTNEED
advise 1 0 0 POSIX_FADV_WILLNEED
nread 1
lseek 1 100 SEEK_SET
nread 1
lseek 1 200000 SEEK_SET
nread 1
open 2 . O_RDONLY
fsync 2
syncfs 2
END
echo "case ranges"
for size in 0 1000 4096 10000; do
	for mode in 0 FALLOC_FL_KEEP_SIZE FALLOC_FL_ZERO_RANGE \
		FALLOC_FL_ZERO_RANGE\|FALLOC_FL_KEEP_SIZE \
		FALLOC_FL_PUNCH_HOLE\|FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE \
		FALLOC_FL_ZERO_RANGE\|FALLOC_FL_PUNCH_HOLE\|FALLOC_FL_KEEP_SIZE \
		FALLOC_FL_COLLAPSE_RANGE\|FALLOC_FL_KEEP_SIZE; do
		for range in "0 1" "0 4096" "1 4096" "4095 2" "4096 4096" "8000 10000" \
			"100000 100" "0 1000000" "-1 10" "0 0" "0 -5" "5000 1" \
			"9223372036854775807 1" "9223372036854775806 1" "16T 1" \
			"17592186040320 4096"; do
			echo "open 1 f O_CREAT|O_TRUNC|O_RDWR 0644"
			echo "write 1 $size x"
			echo "fallocate 1 $mode $range"
			echo "fstat 1"
			echo "sum f"
		done
	done
done
echo "case map-sync"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0755
write 1 5000 a
open 2 f O_RDONLY
mmap 1 0 4096 PROT_READ MAP_SHARED_VALIDATE|MAP_SYNC
mmap 2 0 4096 PROT_WRITE MAP_SHARED_VALIDATE|MAP_SYNC
END
echo "case unshare"
echo "open 1 f O_CREAT|O_RDWR 0644"
for range in "0 1" "0 4096" "0 0" "-1 5" "16T 1" "9223372036854775806 1"; do
	echo "fallocate 1 FALLOC_FL_UNSHARE_RANGE $range"
done
echo "case insert"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
pwrite 1 0 4096 a
pwrite 1 4096 4096 b
pwrite 1 8192 4096 c
fallocate 1 FALLOC_FL_COLLAPSE_RANGE 4096 4096
fstat 1
sum f
fallocate 1 FALLOC_FL_INSERT_RANGE 4096 4096
fstat 1
sum f
END
