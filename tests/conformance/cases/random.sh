# Calls at random over few names, so that they meet. SEED and COUNT choose. No
# supplementary groups: a FUSE server is not told of them, so that it takes a
# set-gid bit away where a member of the group might have left it.
awk -v alone="${ALONE:-0}" -v seed="${SEED:-1}" -v count="${COUNT:-3000}" '
function r(n) { return int(rand() * n) }
function pick(list,	a, n) { n = split(list, a, " "); return a[r(n) + 1] }
function name(	s) {
	s = pick("a b c d")
	while (rand() < 0.4)
		s = s "/" pick("a b c d")
	return s
}
function who() {
	if (alone)
		return ""
	return rand() < 0.6 ? "" : pick("@1000 @1001 @1002:1000 @1001:5") " "
}
function size() { return pick("0 1 100 4095 4096 4097 8192 20000 65536 100000") }
function mode() { return "0" r(8) r(8) r(8) r(8) }
function acl() {
	return "u::" perm() ",u:1000:" perm() ",g::" perm() ",g:5:" perm() \
		",m::" perm() ",o::" perm()
}
function perm() { return pick("rwx rw- r-x r-- --- -wx") }
BEGIN {
	srand(seed)
	print "case random-" seed
	for (i = 0; i < count; i++) {
		k = r(32); n = name(); w = who(); fd = r(6)
		if (k < 4) print w "open", fd, n, pick("O_RDWR O_RDONLY O_WRONLY") "|O_NONBLOCK" \
			"|" pick("O_CREAT O_CREAT|O_EXCL O_CREAT|O_TRUNC O_APPEND O_DIRECTORY O_NOFOLLOW O_TRUNC"), mode()
		else if (k < 7) print w "mkdir", n, mode()
		else if (k == 7) print w "rmdir", n
		else if (k == 8) print w "unlink", n
		else if (k == 9) print w "link", n, name()
		else if (k == 10) print w "symlink", name(), n
		else if (k < 13) print w "rename", n, name(), pick("0 0 0 RENAME_NOREPLACE RENAME_EXCHANGE" (alone ? "" : " RENAME_WHITEOUT"))
		else if (k == 13) print w "chmod", n, mode()
		else if (k == 14) print w "chown", n, pick("-1 1000 1001"), pick("-1 1000 5")
		else if (k == 15) print w "write", fd, size(), pick("x y z")
		else if (k == 16) print w "pwrite", fd, size(), size(), pick("p q r")
		else if (k == 17) print w "pread", fd, size(), size()
		else if (k == 18) print w "ftruncate", fd, size()
		else if (k == 19) print w "truncate", n, size()
		else if (k == 20) print w "fallocate", fd, \
			pick("0 FALLOC_FL_KEEP_SIZE FALLOC_FL_ZERO_RANGE FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE"), size(), size()
		else if (k == 21) print w "copy", fd, size(), r(6), size(), size()
		else if (k == 22) print w "setxattr", n, "user." pick("a b c"), pick("0 1 50 1000"), "v"
		else if (k == 23) print w "listxattr", n, 65536
		else if (k == 24) print w "setacl", n, pick("access default"), acl()
		else if (k == 25) print w "getacl", n, pick("access default")
		else if (k == 26) print w "access", n, pick("R_OK W_OK X_OK")
		else if (k == 27) print w "open", fd, n, "O_TMPFILE|O_RDWR", mode()
		else if (k == 28) print w "linkfd", fd, n
		else if (k == 29) print w "lseek", fd, size(), "SEEK_SET"
		else if (k == 30) print "umask", pick("0 022 077")
		else print w "mknod", n, pick(alone ? "S_IFREG S_IFSOCK" : "S_IFIFO S_IFREG") "|" mode()
		print "lstat", n
		if (i % 10 == 0) print "ls", name()
		if (i % 7 == 0) print "fstat", r(6)
		if (i % 200 == 199) {
			print "sum", name()
			print "ls ."
		}
		if (i % 500 == 499) print "case random-" seed "-" i
	}
}'
