# open: each combination of flags on each kind of thing, by root and by others.
more=
if [ "${LONG:-0}" = 1 ]; then more="|O_APPEND |O_NOATIME"; fi
for what in none file dir lfile ldir dangling fifo sock null; do
	for acc in O_RDONLY O_WRONLY O_RDWR O_ACCMODE; do
		echo "case $what-$acc"
		echo "umask 0"
		for flags in $(
			for a in "" "|O_CREAT"; do for b in "" "|O_EXCL"; do
			for c in "" "|O_TRUNC"; do for d in "" "|O_DIRECTORY"; do
			for e in "" "|O_NOFOLLOW"; do for f in "" "|O_PATH" $more; do
				echo "$acc|O_NONBLOCK$a$b$c$d$e$f"
			done; done; done; done; done; done); do
			case $what in
			file) echo "open 1 x O_CREAT|O_RDWR 0664"; echo "write 1 9 x" ;;
			dir) echo "mkdir x 0755" ;;
			lfile) echo "open 1 t O_CREAT|O_RDWR 0664"; echo "symlink t x" ;;
			ldir) echo "mkdir t 0755"; echo "symlink t x" ;;
			dangling) echo "symlink t x" ;;
			fifo) echo "mknod x S_IFIFO|0666" ;;
			sock) echo "bind x" ;;
			null) echo "mknod x S_IFCHR|0666 1 3" ;;
			esac
			echo "open 2 x $flags 0604"
			echo "fstat 2"
			echo "getfl 2"
			echo "@1000 open 3 x $flags 0640"
			echo "close 2"
			echo "close 3"
			for n in x t; do
				echo "lstat $n"
				echo "unlink $n"
				echo "rmdir $n"
			done
		done
	done
done
# Where a new file may be made by opening, and what it is then.
echo "case new"
for m in 0 0400 0200 0777 04755 02755 01755 07777 010000 0100644 040755 0170777; do
	for u in 000 022 077 0777; do
		echo "umask $u"
		echo "open 1 f O_CREAT|O_RDWR $m"
		echo "write 1 5 x"
		echo "pread 1 0 5"
		echo "lstat f"
		echo "unlink f"
		echo "@1000 open 1 f O_CREAT|O_RDWR|O_EXCL $m"
		echo "write 1 5 x"
		echo "lstat f"
		echo "unlink f"
		echo "mkdir d $m"
		echo "lstat d"
		echo "rmdir d"
		echo "mknod p S_IFIFO|$m"
		echo "lstat p"
		echo "unlink p"
	done
done
# openat2 refuses what open lets pass, and keeps to where it is told.
echo "case openat2"
cat <<'END'
mkdir d 0755
mkdir d/e 0755
open 1 d/f O_CREAT|O_RDWR 0644
open 2 f O_CREAT|O_RDWR 0644
symlink ../f d/up
symlink /f d/root
symlink e d/in
symlink f d/same
open 3 d O_RDONLY|O_DIRECTORY
END
for p in f e ../f up root in same in/../f e/../../f . .. /f / e/.. none in/none \
	/e/../../f /in/../same; do
	for r in 0 RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_NO_SYMLINKS \
		RESOLVE_NO_XDEV RESOLVE_BENEATH\|RESOLVE_NO_SYMLINKS \
		RESOLVE_BENEATH\|RESOLVE_IN_ROOT 0x1000; do
		# Without them "/" is the machine's own.
		case $p$r in /*IN_ROOT*|/*BENEATH*|[!/]*) ;; *) continue ;; esac
		case $p$r in root0|rootRESOLVE_NO*) continue ;; esac
		echo "in 3 openat2 4 $p O_RDONLY 0 $r"
		echo "in 3 openat2 4 $p O_RDONLY|O_NOFOLLOW 0 $r"
		echo "in 3 openat2 4 $p O_PATH|O_NOFOLLOW 0 $r"
		echo "in 3 openat2 4 $p O_CREAT|O_RDWR 0600 $r"
	done
done
echo "in 3 openat2 4 f O_RDONLY 0600 0"
echo "in 3 openat2 4 f 0x40000000 0 0"
echo "in 3 openat2 4 g O_CREAT|O_RDWR 0100644 0"
echo "in 3 openat2 4 g O_CREAT|O_RDWR 07777 0"
echo "in 3 openat2 4 . O_TMPFILE|O_RDWR 0600 0"
echo "in 3 openat2 4 . O_TMPFILE|O_RDWR 0600 RESOLVE_BENEATH"
echo "ls d"
