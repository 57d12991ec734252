# Names of every kind of object: who may make, link, rename and remove them,
# what each refusal is, and which times change.
all="file dir fifo sock chr link"
mk()		# KIND NAME [user prefix]
{
	case $1 in
	file) echo "$3 open 9 $2 O_CREAT|O_EXCL|O_WRONLY 0644" ;;
	dir) echo "$3 mkdir $2 0755" ;;
	fifo) echo "$3 mknod $2 S_IFIFO|0644" ;;
	sock) echo "$3 bind $2" ;;
	chr) echo "$3 mknod $2 S_IFCHR|0644 1 3" ;;
	link) echo "$3 symlink target $2" ;;
	esac
}
rm() { if [ "$1" = dir ]; then echo "$3 rmdir $2"; else echo "$3 unlink $2"; fi; }

for k in $all; do
	echo "case make-$k"
	echo "mkdir d 0755"
	echo "mark d"
	mk "$k" d/x
	echo "changed d"
	echo "lstat d/x"
	mk "$k" d/x
	mk "$k" d/x/y
	mk "$k" none/x
	mk "$k" "d/{n*255}"
	echo "lstat d/{n*255}"
	mk "$k" "d/{n*256}"
	mk "$k" "{d/*2050}x"
	rm "$k" "d/{n*255}"
	mk "$k" d/y @1000
	echo "chmod d 0777"
	mk "$k" d/y @1000
	echo "lstat d/y"
	echo "mark d d/y"
	rm "$k" d/y @1001
	echo "changed d"
	echo "chmod d 01777"
	mk "$k" d/z @1000
	rm "$k" d/z @1001
	echo "@1001 rename d/z d/w"
	rm "$k" d/z @1000
	echo "symlink loop loop"
	mk "$k" loop/x
	echo "chmod d 02777"
	echo "chown d 0 77"
	mk "$k" d/g @1000
	echo "lstat d/g"
	echo "umask 077"
	mk "$k" d/u @1000
	echo "lstat d/u"
	rm "$k" d/u
	rm "$k" d/u
	rm "$k" "d/{n*256}"
	rm "$k" d/x/q

	echo "case link-$k"
	mk "$k" a
	echo "mkdir d 0777"
	echo "mark a d"
	echo "link a d/b"
	echo "changed a d"
	echo "lstat a"
	echo "link a d/b"
	echo "link none d/c"
	echo "@1000 link a d/c"
	echo "link a d/{x*256}"
	rm "$k" a
	echo "lstat d/b"

	for t in $all full; do
		echo "case rename-$k-$t"
		echo "mkdir d 0777"
		echo "mkdir e 0777"
		mk "$k" d/a @1000
		if [ "$t" = full ]; then
			echo "mkdir e/b 0755"
			echo "mkdir e/b/c 0755"
		else
			mk "$t" e/b @1001
		fi
		echo "rename d/a e/b RENAME_NOREPLACE"
		echo "mark d e d/a"
		echo "rename d/a e/b RENAME_EXCHANGE"
		echo "changed d e e/b"
		echo "rename d/a e/b RENAME_EXCHANGE"
		echo "rename d/a e/b RENAME_EXCHANGE|RENAME_NOREPLACE"
		echo "mark d e"
		echo "rename d/a e/b"
		echo "changed d e"
		echo "ls d"
		echo "ls e"
		echo "lstat e"
		echo "lstat d"
		echo "lstat e/b"
	done
	echo "case rename-$k-rights"
	echo "mkdir s 01777"
	mk "$k" s/a @1000
	mk "$k" s/b @1001
	echo "@1001 rename s/a s/c"
	echo "@1001 rename s/b s/a"
	echo "@1000 rename s/a s/b"
	echo "@1000 rename s/a s/c"
	echo "@1001 rename s/b s/c RENAME_EXCHANGE"
	echo "mkdir p 0755"
	echo "@1000 rename s/c p/c"
	mk "$k" p/d
	echo "@1000 rename p/d s/d"
	echo "rename s/c s/c"
	echo "rename s/c s/{x*256}"
	echo "rename s/none s/c"
	echo "rename s/c none/c"
	echo "rename s/c s/c/d"
	echo "rename s/c s/."
	echo "rename s/. s/q"
	echo "rename s/c s/w RENAME_WHITEOUT"
	echo "lstat s/c"
	echo "ls s"
done
echo "case directories"
cat <<'END'
mkdir a 0755
mkdir a/b 0755
mkdir a/b/c 0755
lstat a
rename a a/b/d
rename a a/b/c
rename a/b a
rmdir a
rmdir a/b/c/
rmdir a/b/.
rmdir a/b/..
rmdir a/
unlink a
unlink a/b/
rename a/b b
lstat a
lstat b
open 1 b O_RDONLY|O_DIRECTORY
rmdir b
fstat 1
ls a
open 2 f O_CREAT|O_RDWR 0644
open 3 f/ O_RDONLY
open 3 f O_RDONLY|O_DIRECTORY
open 3 a O_WRONLY
open 3 a O_RDWR|O_CREAT 0644
open 3 a O_RDONLY|O_CREAT 0644
open 3 a O_RDONLY|O_TRUNC
symlink f l
open 3 l O_RDONLY|O_NOFOLLOW
open 3 l O_RDONLY|O_CREAT|O_EXCL 0644
symlink nowhere m
open 3 m O_RDONLY
open 3 m O_RDWR|O_CREAT 0600
lstat nowhere
symlink {x*4095} long
readlink long
symlink {x*4096} longer
symlink {x*60} s60
readlink s60
readlink s60 10
symlink {x*59} s59
readlink s59
lstat s59
mkdir {y*255} 0755
mkdir {y*255}/{z*255} 0755
lstat {y*255}/{z*255}
symlink l1 l2
symlink l2 l1
open 3 l1 O_RDONLY
stat l1
chmod l1 0644
truncate l1 3
link l1 l3
lstat l3
rename l1 l4
mkdir l2 0755
mkdir l2/x 0755
mkdir f/x 0755
rename l4 l4/
rename f f/
link f g/
open 3 new/ O_CREAT|O_RDWR 0644
mkdir new/ 0755
link a a2
link a a2/
END
echo "case unlinked"
cat <<'END'
open 1 f O_CREAT|O_RDWR 0644
write 1 10000 q
link f g
mark f
unlink g
changed f
unlink f
fstat 1
pread 1 0 20000
write 1 100 r
ftruncate 1 50000
fstat 1
fallocate 1 0 0 100000
fstat 1
linkfd 1 h
fchmod 1 0600
fchown 1 5 6
fstat 1
open 2 f O_CREAT|O_EXCL|O_RDWR 0644
rename f h
pread 1 0 200000
mkdir d 0755
open 3 d O_RDONLY|O_DIRECTORY
rmdir d
fchmod 3 0700
fstat 3
END
echo "case tmpfile"
cat <<'END'
mkdir d 0777
mark d
@1000 open 1 d O_TMPFILE|O_RDWR 0640
changed d
fstat 1
write 1 5000 a
linkfd 1 d/t
lstat d/t
fstat 1
open 2 d O_TMPFILE|O_RDWR|O_EXCL 0600
linkfd 2 d/u
open 3 d O_TMPFILE|O_RDONLY 0600
open 3 none O_TMPFILE|O_RDWR 0600
open 3 d/t O_TMPFILE|O_RDWR 0600
chmod d 0755
@1000 open 3 d O_TMPFILE|O_RDWR 0600
chmod d 02777
chown d 0 77
@1000 open 3 d O_TMPFILE|O_RDWR 02770
fstat 3
umask 027
open 4 d O_TMPFILE|O_RDWR 0666
fstat 4
ls d
sum d/t
END
echo "case many"
cat <<'END'
mkdir d 0755
mkmany d/some-rather-long-name-of-a-file- 3000
ls d
rmmany d/some-rather-long-name-of-a-file- 3000 3
ls d
cursor d
rmdir d
open 1 f O_CREAT|O_RDWR 0644
END
