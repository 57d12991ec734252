# What takes set-user-ID and set-group-ID bits away, from whom and by whom.
for m in 0444 04755 02755 06755 06711 02644 06644 07777 04666 06666 02711 04011 02010 06000; do
	for who in 0:0 1000:1000 2000:1000 3000:3000; do
		echo "case $m-by-$who"
		for how in "write 1 3 x" "write 1 0 x" "pwrite 1 5 10 x" \
			"writev 1 30 x" "writev 1 30 x 3 RWF_APPEND" "ftruncate 1 2" \
			"ftruncate 1 100" "truncate f 2" "truncate f 100" \
			"fallocate 1 0 0 200" "fallocate 1 FALLOC_FL_KEEP_SIZE 0 9000" \
			"fallocate 1 FALLOC_FL_ZERO_RANGE 0 50" \
			"fallocate 1 FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE 0 50" \
			"copy 2 0 1 0 10" "sendfile 1 2 0 10" "splice 1 2 10" \
			"mwrite 1 0 5 m" "open 3 f O_WRONLY|O_TRUNC" \
			"open 3 f O_WRONLY" "chown f 1000 -1" \
			"chown f -1 1000" "chown f 2000 3000" \
			"lchown f 1000 1000" "chmod f 06777" "chmod f 02755" \
			"fchmod 1 04755" "utimens f now now" "setxattr f user.a 1 x" \
			"link f g" "rename f f2" "setacl f access u::rwx,g::r-x,o::r--" \
			"setacl f access u::rwx,u:5:rwx,g::r-x,m::rwx,o::---" \
			"setflags 1 FS_EXTENT_FL|FS_NODUMP_FL"; do
			echo "open 1 f O_CREAT|O_RDWR 0600"
			echo "write 1 50 x"
			echo "open 2 src O_CREAT|O_RDWR 0666"
			echo "write 2 50 s"
			echo "lseek 2 0 SEEK_SET"
			echo "chown f 1000 1000"
			echo "chmod f $m"
			echo "@$who $how"
			echo "lstat f"
			echo "rename f2 f"
			echo "unlink g"
			echo "unlink f"
		done
	done
	echo "case dir-$m"
	for who in 0:0 1000:1000 2000:1000 3000:3000; do
		for how in "chown d -1 -1" "chown d 1000 -1" "chown d 2000 2000" \
			"chmod d 06777" "chmod d 02755" "mkdir d/s 0755" \
			"rename d e" "utimens d now now" "setxattr d user.a 1 x"; do
			echo "mkdir d 0755"
			echo "chown d 1000 1000"
			echo "chmod d $m"
			echo "@$who $how"
			echo "lstat d"
			echo "lstat d/s"
			echo "rename e d"
			echo "rmdir d/s"
			echo "rmdir d"
		done
	done
done
# A change of nothing by all of them.
for m in 0644 04755 02755 06755 06711 02644 06644 06777; do
	for who in 0:0 1000:1000 2000:1000 3000:3000; do
		echo "case unchanged-$m-by-$who"
		echo "open 1 f O_CREAT|O_RDWR 0600"
		echo "chown f 1000 1000"
		echo "chmod f $m"
		echo "@$who chown f -1 -1"
		echo "lstat f"
		echo "chmod f $m"
		echo "@$who fchown 1 -1 -1"
		echo "lstat f"
	done
done
