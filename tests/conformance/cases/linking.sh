# link and rename: each pair of kinds, each flag, into itself, through ".",
# ".." and slashes, and names of the same file.
kinds="file dir full fifo sock chr slink dangling ldir none"
mk()
{
	case $1 in
	file) echo "open 9 $2 O_CREAT|O_WRONLY 0644"; echo "write 9 7 x" ;;
	dir) echo "mkdir $2 0755" ;;
	full) echo "mkdir $2 0755"; echo "mkdir $2/sub 0755" ;;
	fifo) echo "mknod $2 S_IFIFO|0644" ;;
	sock) echo "bind $2" ;;
	chr) echo "mknod $2 S_IFCHR|0644 1 3" ;;
	slink) echo "symlink ../target $2" ;;
	dangling) echo "symlink nowhere $2" ;;
	ldir) echo "symlink ../targetdir $2" ;;
	esac
}
for a in $kinds; do
	for b in $kinds; do
		for flag in 0 RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT \
			RENAME_NOREPLACE\|RENAME_WHITEOUT \
			RENAME_EXCHANGE\|RENAME_WHITEOUT 8; do
			echo "case rename-$a-$b-$flag"
			echo "open 1 target O_CREAT|O_RDWR 0644"
			echo "mkdir targetdir 0755"
			echo "mkdir d 0755"
			echo "mkdir e 0755"
			mk $a d/a
			mk $b e/b
			echo "rename d/a e/b $flag"
			echo "ls d"
			echo "ls e"
			echo "lstat d/a"
			echo "lstat e/b"
			echo "lstat d"
			echo "lstat e"
			echo "rename d/a/ e/b $flag"
			echo "rename d/a e/b/ $flag"
			echo "rename e/b/ d/a/ $flag"
			echo "rename e/b d/a $flag"
			echo "ls d"
			echo "ls e"
			echo "lstat d"
			echo "lstat e"
		done
		echo "case link-$a-$b"
		echo "open 1 target O_CREAT|O_RDWR 0644"
		echo "mkdir targetdir 0755"
		echo "mkdir d 0755"
		echo "mkdir e 0755"
		mk $a d/a
		mk $b e/b
		for flag in 0 AT_SYMLINK_FOLLOW; do
			for call in "link d/a e/b $flag" "link d/a/ e/b $flag" \
				"link d/a e/b/ $flag" "link d/a e/new $flag" \
				"link d/a e/new/ $flag" "link e/b d/a $flag" \
				"link d/. e/n $flag" "link d/.. e/n $flag" \
				"link d/a e/. $flag" "link d/a e/.. $flag"; do
				echo "$call"
			done
			echo "lstat d/a"
			echo "lstat e/new"
			echo "unlink e/new"
		done
		echo "lstat d"
		echo "lstat e"
	done
done
for k in file dir fifo slink; do
	echo "case same-$k"
	echo "open 1 target O_CREAT|O_RDWR 0644"
	echo "mkdir d 0777"
	echo "mkdir e 01777"
	mk $k d/a
	for flag in 0 RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT; do
		for to in d/a d/../d/a d/a/ d/a/. d/. d/.. d .; do
			echo "rename d/a $to $flag"
			echo "rename $to d/a $flag"
			echo "@1000 rename d/a $to $flag"
		done
		if [ $k != dir ]; then
			echo "link d/a d/b"
			echo "link d/a e/c"
			echo "mark d/a d e"
			echo "rename d/a d/b $flag"
			echo "changed d/a d e"
			echo "@1000 rename d/a e/c $flag"
			echo "rename d/b e/c $flag"
			echo "changed d/a d e"
			echo "lstat d/a"
			echo "ls d"
			echo "ls e"
			echo "rename d/b d/a"
			echo "unlink d/b"
			echo "unlink e/c"
			echo "lstat d/a"
		fi
	done
done
echo "case below"
cat <<'END'
mkdir a 0755
mkdir a/b 0755
mkdir a/b/c 0755
mkdir x 0755
open 1 a/f O_CREAT|O_RDWR 0644
symlink a/b l
END
for flag in 0 RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT; do
	for pair in "a a/b" "a a/b/c" "a a/n" "a a/b/c/n" "a/b a" "a/b/c a" \
		"a/f a" "a a/f" "a l/n" "a l" "l a" "l a/b/c/l" "x a/b/x" \
		"a/b/x x" "a a/." "a a/.." "a/b/.. x" ". x" ".. x" "x ." \
		"x .." "x/. y" "x/.. y" "a/b x/" "x/ a/b" "x/b a/b"; do
		echo "rename $pair $flag"
	done
	for d in . a a/b x; do
		echo "ls $d"
		echo "lstat $d"
	done
done
# Counts of links of directories as their children come, go and move.
echo "case counts"
echo "mkdir a 0755"
echo "mkdir b 0755"
for i in 1 2 3 4 5; do
	echo "mkdir a/$i 0755"
	echo "lstat a"
done
for i in 1 2 3; do
	echo "rename a/$i b/$i"
	echo "lstat a"
	echo "lstat b"
done
echo "rename a/4 b/1"
echo "lstat a"
echo "lstat b"
echo "open 1 a/f O_CREAT|O_RDWR 0644"
echo "rename a/f b/2 RENAME_EXCHANGE"
echo "lstat a"
echo "lstat b"
echo "rename b a/5"
echo "rmdir a/5"
echo "rename b a/5"
echo "lstat a"
echo "lstat a/5"
echo "lstat a/5/.."
echo "mkmany a/n 20"
echo "lstat a"
echo "case trailing"
world='open 1 f O_CREAT|O_RDWR 0644
mkdir d 0755
symlink f lf
symlink d ld
symlink none ln'
echo "$world"
for from in f d lf ld ln none; do
	for to in f/ d/ lf/ ld/ ln/ none/ new// ./new/; do
		echo "rename $from $to"
		echo "rename $from/ $to"
		echo "link $from $to"
		echo "symlink $from $to"
		echo "mkdir $to 0755"
		echo "ls ."
		for n in f d lf ld ln none new; do
			echo "unlink $n"
			echo "rmdir $n"
		done
		echo "$world"
	done
done
