# Several processes and one file: locks that wait, deadlocks, signals, fifos and
# sockets met by name, unlinked files, notices.
for kind in posix ofd flock; do
	for type in F_RDLCK F_WRLCK; do
		for end in unlock close die; do
			echo "case wait-$kind-$type-$end"
			echo "open 1 f O_CREAT|O_RDWR 0666"
			echo "waitlock $kind f $type $end"
		done
	done
	for restart in restart -; do
		echo "case signal-$kind-$restart"
		echo "open 1 f O_CREAT|O_RDWR 0666"
		echo "intlock $kind 1 f $restart"
	done
done
cat <<'END'
case deadlock
open 1 f O_CREAT|O_RDWR 0666
deadlock f
case fifo
mknod p S_IFIFO|0644
meet p
link p q
unlink p
meet q
open 1 q O_WRONLY|O_NONBLOCK
open 1 q O_RDONLY|O_NONBLOCK
open 2 q O_WRONLY|O_NONBLOCK
write 2 10 x
read 1 10
lseek 1 0 SEEK_SET
pread 1 0 1
ftruncate 2 0
fstat 1
case socket
connect s
lstat s
connect s
open 1 s O_RDWR
unlink s
connect s
mkdir d 0755
connect d/t
@1000 connect d/u
chmod d 0777
@1000 connect d/u
lstat d/u
case inotify
mkdir d 0755
open 1 d/f O_CREAT|O_RDWR 0644
watch d
open 2 d/g O_CREAT|O_RDWR 0644
write 2 10 x
close 2
events
chmod d/f 0600
rename d/f d/h
events
mkdir d/s 0755
rmdir d/s
unlink d/h
events
link d/g d/i
symlink x d/l
truncate d/g 5
utimens d/g now now
setxattr d/g user.a 1 x
events
watch d/g
unlink d/g
unlink d/i
events
watch none
chmod d 0700
watch d
rmdir d
unlink d/l
rmdir d
events
case posix-locks
open 1 f O_CREAT|O_RDWR 0644
open 2 f O_RDWR
open 3 g O_CREAT|O_RDWR 0644
write 1 100 x
END
for first in F_RDLCK F_WRLCK; do
	for range in "0 0" "0 10" "10 10" "50 0" "9223372036854775806 1"; do
		echo "lock posix 1 $first $range"
		for second in F_RDLCK F_WRLCK; do
			for other in "0 0" "0 1" "9 1" "9 2" "10 1" "19 1" "20 1" \
				"49 1" "49 2" "1000 1" "9223372036854775806 1"; do
				echo "& lock posix 2 $second $other"
				echo "& lock ofd 2 $second $other"
				echo "& getlk posix 2 $second $other"
				echo "lock ofd 2 $second $other"
				echo "lock ofd 2 F_UNLCK 0 0"
			done
		done
		echo "lock posix 1 F_UNLCK 0 0"
	done
done
cat <<'END'
lock posix 1 F_WRLCK 0 10
unlink f
& lock posix 2 F_RDLCK 0 1
close 2
& lock posix 1 F_RDLCK 0 1
lock posix 1 F_WRLCK 0 10
dup 4 1
close 4
getlk ofd 1 F_WRLCK 0 10
case gone
mkdir d 0755
mkdir d/e 0755
open 1 d/f O_CREAT|O_RDWR 0644
open 2 d/e O_RDONLY|O_DIRECTORY
open 3 d O_RDONLY|O_DIRECTORY
write 1 100 x
unlink d/f
rmdir d/e
rmdir d
in 2 stat .
in 2 stat ..
in 2 mkdir x 0755
in 2 open 4 x O_CREAT|O_RDWR 0644
in 2 symlink a b
in 2 mknod p S_IFIFO|0644
in 2 open 4 . O_TMPFILE|O_RDWR 0600
in 2 open 4 . O_RDONLY
in 2 link ../f g
in 2 rename a b
in 2 rmdir .
in 2 rmdir ..
in 2 unlink x
fchdir 2
ls d
fchmod 2 0700
fchown 2 5 5
futimens 2 1.0 2.0
fstat 2
fsync 2
in 3 mkdir e 0755
in 3 rmdir e
write 1 5000 y
pread 1 0 6000
ftruncate 1 10
fallocate 1 0 0 100K
fchmod 1 04755
fchown 1 1000 1000
futimens 1 now now
fstat 1
mread 1 0 5000
mwrite 1 0 50 z
lock posix 1 F_WRLCK 0 0
flock 1 LOCK_EX
getflags 1
dup 5 1
close 1
fstat 5
pread 5 0 6000
in 5 link "" back AT_EMPTY_PATH
linkfd 5 back
lstat back
case cursors
mkdir d 0755
mkmany d/entry- 500
cursor d
mkmany d/long-name-that-takes-its-room-in-a-block-of-the-directory-again-and-again- 700
walk d 1
walk d 2
walk d 3
ls d
rmmany d/long-name-that-takes-its-room-in-a-block-of-the-directory-again-and-again- 700
cursor d
rmdir d
case leases
open 1 f O_CREAT|O_RDWR 0644
open 2 f O_RDONLY
lease 2 F_RDLCK
lease 1 F_WRLCK
lease 2 F_UNLCK
END
