# Who may do what: every call, by owner, group, supplementary group, others and
# root, for each combination of bits that their class has (the others have the
# opposite, so that nobody gets in by another class).
users="1000:1000 2000:1000 2000:2000,1000 3000:3000 0:0"
modes="0077 0177 0277 0377 0477 0577 0677 0777 0707 0717 0727 0737 0747 0757 0767
	0770 0771 0772 0773 0774 0775 0776 0700 0600 0500 0444 0222 0111 0000"
for m in $modes; do
	echo "case file-$m"
	for u in $users; do
		echo "umask 0"
		echo "open 1 f O_CREAT|O_RDWR 0666"
		echo "write 1 10 x"
		echo "chown f 1000 1000"
		echo "setxattr f user.a 3 v"
		echo "chmod f $m"
		for flags in O_RDONLY O_WRONLY O_RDWR O_RDONLY\|O_TRUNC \
			O_WRONLY\|O_TRUNC O_WRONLY\|O_APPEND O_RDWR\|O_CREAT \
			O_RDWR\|O_CREAT\|O_EXCL O_PATH O_RDONLY\|O_NOATIME \
			O_ACCMODE; do
			echo "@$u open 2 f $flags 0600"
		done
		for a in F_OK R_OK W_OK X_OK R_OK\|W_OK R_OK\|W_OK\|X_OK; do
			echo "@$u access f $a"
		done
		for call in "truncate f 3" "utimens f now now" "utimens f 5.0 6.0" \
			"utimens f now omit" "utimens f omit omit" \
			"chown f -1 -1" "chown f 1000 -1" "chown f -1 1000" \
			"chown f -1 2000" "chown f 2000 -1" "chown f 1000 1000" \
			"setxattr f user.a 4 w" "getxattr f user.a 100" \
			"listxattr f 100" "removexattr f user.a" \
			"setxattr f trusted.a 4 w" "getxattr f trusted.a 10" \
			"getxattr f security.a 10" "setxattr f security.a 1 x" \
			"stat f" "link f g" "rename f h" "rename h f" \
			"unlink g" "handle 0 f" "statfs f" "exec f" \
			"setacl f access u::rwx,g::rwx,o::rwx"; do
			echo "@$u $call"
		done
		echo "@$u chmod f $m"
		echo "lstat f"
		echo "unlink f"
	done
	echo "case dir-$m"
	echo "umask 0"
	echo "mkdir out 0777"
	for u in $users; do
		echo "mkdir d 0777"
		echo "open 1 d/f O_CREAT|O_RDWR 0666"
		echo "mkdir d/s 0777"
		echo "symlink f d/l"
		echo "chown d 1000 1000"
		echo "chmod d $m"
		for call in "ls d" "stat d" "stat d/f" "lstat d/none" "stat d/s/." \
			"open 2 d/f O_RDONLY" "open 2 d/n O_CREAT|O_EXCL|O_RDWR 0600" \
			"unlink d/n" "open 2 d O_RDONLY|O_DIRECTORY" \
			"open 2 d O_PATH" "open 2 d O_TMPFILE|O_RDWR 0600" \
			"mkdir d/m 0755" "rmdir d/m" "mknod d/p S_IFIFO|0600" \
			"mknod d/c S_IFCHR|0600 1 3" "unlink d/p" "bind d/k" \
			"unlink d/k" "symlink x d/y" "unlink d/y" "link d/f d/g" \
			"link d/f out/g" "unlink out/g" "unlink d/g" \
			"rename d/f d/e" "rename d/e d/f" "rename d/f out/f" \
			"rename out/f d/f" "rename d/s out/s" "rename out/s d/s" \
			"access d R_OK" "access d W_OK" "access d X_OK" \
			"access d/f F_OK" "access d/none F_OK" "readlink d/l" \
			"readlink d/none" "chdir d" "chdir d/s" "chmod d/f 0666" \
			"chown d/f -1 -1" "truncate d/f 0" "utimens d now now" \
			"utimens d/f now now" "utimens d/none now now" \
			"setxattr d user.a 1 x" "listxattr d 100" \
			"getxattr d/f user.a 10" "statfs d/f" "handle 0 d/f" \
			"setacl d default u::rwx,g::rwx,o::rwx" "unlink d/none" \
			"rmdir d/none" "mkdir d/f 0755" "open 2 d/f/x O_RDONLY" \
			"rename d out/d" "rename out/d d"; do
			echo "@$u $call"
		done
		echo "lstat d"
		echo "unlink d/n"
		echo "unlink d/p"
		echo "unlink d/c"
		echo "unlink d/k"
		echo "unlink d/y"
		echo "rmdir d/m"
		echo "unlink d/g"
		echo "unlink out/g"
		echo "unlink d/f"
		echo "unlink d/l"
		echo "rmdir d/s"
		echo "rmdir d"
	done
done
# A directory in the middle of the way that may be searched, or not.
for m in 0700 0100 0600 0710 0010 0701 0001 0666; do
	echo "case way-$m"
	echo "umask 0"
	echo "mkdir a 0777"
	echo "mkdir a/b 0777"
	echo "mkdir a/b/c 0777"
	echo "open 1 a/b/c/f O_CREAT|O_RDWR 0666"
	echo "symlink a/b/c/f l"
	echo "symlink a/b/c ld"
	echo "chown a/b 1000 1000"
	echo "chmod a/b $m"
	for u in $users; do
		for call in "open 2 a/b/c/f O_RDONLY" "open 2 a/b/c/n O_CREAT|O_RDWR 0600" \
			"open 2 l O_RDWR" "stat l" "lstat l" "readlink l" "ls ld" \
			"mkdir a/b/c/d 0755" "rmdir a/b/c/d" "mkdir ld/d 0755" \
			"rmdir ld/d" "mknod a/b/c/p S_IFIFO|0600" "unlink a/b/c/p" \
			"symlink x a/b/c/y" "readlink a/b/c/y" "unlink a/b/c/y" \
			"link a/b/c/f a/g" "link l a/g" "link a/g a/b/c/g" "unlink a/g" \
			"rename a/b/c/f a/f" "rename a/f a/b/c/f" "unlink a/b/c/none" \
			"chmod a/b/c/f 0666" "chmod l 0666" "chown a/b/c/f -1 -1" \
			"lchown l -1 -1" "truncate a/b/c/f 5" "truncate l 6" \
			"utimens l now now" "utimens a/b/c/f now now" \
			"access l R_OK" "access a/b/c/f W_OK" "chdir a/b/c" \
			"chdir ld" "chdir a/b" "setxattr l user.x 1 y" \
			"getxattr a/b/c/f user.x 10" "statfs a/b/c/f" "handle 0 a/b/c/f" \
			"bind a/b/c/k" "unlink a/b/c/k" "exec a/b/c/f" \
			"stat a/b/.." "stat a/b/c/../.." "openat2 2 a/b/c/f O_RDONLY 0 0"; do
			echo "@$u $call"
		done
		echo "unlink a/g"
		echo "unlink a/b/c/n"
		echo "unlink a/b/c/g"
	done
done
# A directory held by a descriptor, taken away from its holder meanwhile.
for m in 0777 0666 0111 0000; do
	echo "case held-$m"
	echo "mkdir d 0777"
	echo "open 1 d/f O_CREAT|O_RDWR 0666"
	for u in $users; do
		echo "chmod d 0777"
		echo "@$u open 3 d O_RDONLY|O_DIRECTORY"
		echo "@$u open 4 d O_PATH|O_DIRECTORY"
		echo "chmod d $m"
		for fd in 3 4; do
			for call in "open 5 f O_RDONLY" "stat f" "mkdir s 0755" \
				"rmdir s" "unlink g" "link f g" "rename f f" \
				"symlink a b" "unlink b" "readlink b" \
				"access f R_OK" "chmod f 0666" "utimens f now now" \
				"mknod p S_IFIFO|0644" "unlink p" "stat ." "stat .." \
				"open 5 . O_RDONLY" "openat2 5 f O_RDONLY 0 RESOLVE_BENEATH"; do
				echo "@$u in $fd $call"
			done
			echo "@$u fchdir $fd"
			echo "@$u fstat $fd"
			echo "@$u fchmod $fd 0777"
			echo "@$u fchown $fd -1 -1"
			echo "chmod d $m"
		done
		echo "unlink d/g"
		echo "unlink d/p"
		echo "rmdir d/s"
		echo "unlink d/b"
	done
done
