# Sticky directories: who may remove and replace what, by owner of the
# directory, owner of the file and who asks.
for dir in 0 1000 1001; do
	for file in 0 1000 1001; do
		for kind in file dir link fifo; do
			for sticky in 01777 0777; do
				echo "case $kind-of-$file-in-$dir-$sticky"
				echo "umask 0"
				echo "mkdir d $sticky"
				echo "chown d $dir $dir"
				echo "chmod d $sticky"
				echo "mkdir e 0777"
				for u in 0 1000 1001 1002; do
					for name in a b c; do
						case $kind in
						file) echo "open 1 d/$name O_CREAT|O_RDWR 0666" ;;
						dir) echo "mkdir d/$name 0777" ;;
						link) echo "symlink t d/$name" ;;
						fifo) echo "mknod d/$name S_IFIFO|0666" ;;
						esac
						echo "lchown d/$name $file $file"
					done
					echo "@$u open 2 e/mine O_CREAT|O_RDWR 0600"
					echo "@$u mkdir e/dir 0755"
					echo "@$u unlink d/a"
					echo "@$u rmdir d/a"
					echo "@$u rename d/b d/n"
					echo "@$u rename d/b e/n"
					echo "@$u rename e/n d/b"
					echo "@$u rename d/n d/b"
					echo "@$u rename e/mine d/c RENAME_EXCHANGE"
					echo "@$u rename e/dir d/c RENAME_EXCHANGE"
					echo "@$u rename e/mine d/c"
					echo "@$u rename e/dir d/c"
					echo "@$u rename d/c d/w RENAME_WHITEOUT"
					echo "@$u link d/c d/hard"
					echo "@$u unlink d/hard"
					echo "ls d"
					echo "ls e"
					for name in a b c n w hard; do
						echo "unlink d/$name"
						echo "rmdir d/$name"
					done
					echo "unlink e/mine"
					echo "rmdir e/dir"
					echo "unlink e/n"
					echo "rmdir e/n"
				done
			done
		done
	done
done
# The sticky bit itself: who may set it, and what is inherited of it.
echo "case bit"
for u in 0 1000 1001; do
	echo "open 1 f O_CREAT|O_RDWR 0644"
	echo "chown f 1000 1000"
	echo "mkdir d 0755"
	echo "chown d 1000 1000"
	for m in 01644 01000 01777 0755; do
		echo "@$u chmod f $m"
		echo "@$u chmod d $m"
		echo "lstat f"
		echo "lstat d"
	done
	echo "chmod d 01777"
	echo "@$u mkdir d/s 01755"
	echo "lstat d/s"
	echo "@$u open 2 d/f O_CREAT|O_RDWR 01644"
	echo "lstat d/f"
	echo "unlink d/f"
	echo "rmdir d/s"
	echo "chown d 1001 -1"
	echo "lstat d"
done
