# Modes, owners, set-id bits, sticky directories, times.
for m in 0 0111 0444 0755 01777 02755 04755 06777 07777; do
	echo "case mode-$m"
	echo "open 1 f O_CREAT|O_RDWR 0644"
	echo "mkdir d 0755"
	for o in f d; do
		echo "mark $o"
		echo "chmod $o $m"
		echo "changed $o"
		echo "lstat $o"
		echo "@1000 chmod $o 0777"
		echo "chown $o 1000 1000"
		echo "lstat $o"
		echo "@1000 chmod $o $m"
		echo "lstat $o"
		echo "@1000:1000,1001 chown $o -1 1001"
		echo "lstat $o"
		echo "@1000 chmod $o $m"
		echo "lstat $o"
		echo "@1000 chown $o 1001 -1"
		echo "@1000 chown $o 1000 -1"
		echo "lstat $o"
		echo "@1000 chown $o -1 2000"
		echo "chmod $o $m"
		echo "mark $o"
		echo "@1000 chown $o -1 -1"
		echo "changed $o"
		echo "lstat $o"
		echo "@1001 chown $o -1 -1"
		echo "chown $o -1 -1"
		echo "lstat $o"
		for who in @1000 @1001 @2000:1001 @2000; do
			for a in R_OK W_OK X_OK; do
				echo "$who access $o $a"
			done
		done
	done
	echo "chown f 1000 1000"
	for how in "write 2 10 x" "pwrite 2 0 0 x" "ftruncate 2 5" \
		"fallocate 2 0 0 100" "fallocate 2 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 0 4096" \
		"copy 3 0 2 0 10" "mwrite 2 0 3 z" "futimens 2 now now"; do
		echo "chmod f 0666"
		echo "open 2 f O_RDWR"
		echo "open 3 src O_CREAT|O_RDWR 0666"
		echo "write 3 20 s"
		for who in "" @1000 @1001; do
			echo "chmod f $m"
			echo "$who $how"
			echo "lstat f"
		done
	done
	for who in "" @1000 @1001; do
		echo "chmod f $m"
		echo "mark f"
		echo "$who truncate f 3"
		echo "changed f"
		echo "lstat f"
		echo "$who open 2 f O_WRONLY|O_TRUNC"
		echo "lstat f"
		echo "chmod f $m"
		echo "$who open 2 f O_RDONLY"
		echo "$who open 2 f O_RDWR"
		echo "$who open 2 f O_RDONLY|O_NOATIME"
	done
	for s in 02755 02777; do
		echo "mkdir s$s 0755"
		echo "chown s$s 1000 55"
		echo "chmod s$s $s"
		echo "@1000 open 1 s$s/f O_CREAT|O_RDWR $m"
		echo "lstat s$s/f"
		echo "@1000 mkdir s$s/d $m"
		echo "lstat s$s/d"
		echo "@1000:55 open 1 s$s/g O_CREAT|O_RDWR $m"
		echo "lstat s$s/g"
		echo "@1000 mknod s$s/p S_IFIFO|$m"
		echo "lstat s$s/p"
	done
done
echo "case search"
cat <<'END'
mkdir d 0700
open 1 d/f O_CREAT|O_RDWR 0666
@1000 stat d/f
@1000 open 1 d/f O_RDONLY
@1000 chmod d/f 0777
@1000 truncate d/f 0
@1000 unlink d/f
@1000 ls d
chmod d 0711
@1000 stat d/f
@1000 ls d
@1000 unlink d/f
chmod d 0744
@1000 ls d
@1000 stat d/f
@1000 mkdir d/x 0755
@1000 link d/f g
@1000 rename d/f g
@1000 symlink a d/y
END
echo "case times"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
mkdir d 0755
symlink f l
utimens f 1000000000.123456789 1000000001.987654321
times f
utimens f omit 5.000000005
times f
utimens f 7.7 omit
times f
utimens f -1000.5 -2000.6
times f
utimens f 2147483648.1 4294967296.2
times f
utimens f 15032385535.1 15032385536.2
times f
utimens f 99999999999.3 -99999999999.4
times f
mark f
utimens f now now
changed f
mark f
utimens f omit omit
changed f
mark f
utimens f now omit
changed f
utimens l 3.3 4.4 AT_SYMLINK_NOFOLLOW
times l
utimens l 5.5 6.6
times f
@1000 utimens f now now
@1000 utimens f 1.0 2.0
@1000 utimens f omit omit
@1000 utimens f now omit
chmod f 0666
@1000 utimens f now now
@1000 utimens f now omit
@1000 utimens f 1.0 2.0
chown f 1000 1000
chmod f 0
@1000 utimens f now now
@1000 utimens f 1.0 2.0
utimens none now now
utimens f 1.1000000000 1.0
mark f
write 1 10 x
changed f
mark f
write 1 0 x
changed f
mark f
ftruncate 1 10
changed f
mark f
ftruncate 1 100
changed f
mark f
truncate f 100
changed f
mark f
fallocate 1 0 0 50
changed f
mark f
fallocate 1 FALLOC_FL_KEEP_SIZE 0 50000
changed f
mark f
fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 0 5
changed f
mark f
mwrite 1 0 5 c
changed f
mark f
setxattr f user.a 3 v
changed f
mark f
removexattr f user.a
changed f
mark f
open 2 f O_RDWR|O_TRUNC
changed f
mark f
open 2 f O_RDWR|O_TRUNC
changed f
mark d
mkdir d/e 0755
changed d
mark d
chmod d/e 0700
changed d
mark d
rmdir d/e
changed d
mark f
link f g
changed f
mark f
rename f h
END
