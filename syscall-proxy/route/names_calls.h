/*
 * names_calls.h - the calls that name files: X(name, class), one a row. Each has
 * a handler rk__call_<name>, in names_*.c.
 */
#ifndef RK_NAMES_CALLS_H
#define RK_NAMES_CALLS_H

#define RK__NAME_CALLS(X)						\
	X(open, ANY)							\
	X(openat, ANY)							\
	X(openat2, ANY)							\
	X(creat, ANY)							\
	X(stat, ANY)							\
	X(lstat, ANY)							\
	X(newfstatat, ANY)						\
	X(statx, ANY)							\
	X(access, ANY)							\
	X(faccessat, ANY)						\
	X(faccessat2, ANY)						\
	X(mkdir, ANY)							\
	X(mkdirat, ANY)							\
	X(mknod, ANY)							\
	X(mknodat, ANY)							\
	X(unlink, ANY)							\
	X(unlinkat, ANY)						\
	X(rmdir, ANY)							\
	X(rename, ANY)							\
	X(renameat, ANY)						\
	X(renameat2, ANY)						\
	X(link, ANY)							\
	X(linkat, ANY)							\
	X(symlink, ANY)							\
	X(symlinkat, ANY)						\
	X(readlink, ANY)						\
	X(readlinkat, ANY)						\
	X(truncate, ANY)						\
	X(chmod, ANY)							\
	X(fchmodat, ANY)						\
	X(fchmodat2, ANY)						\
	X(chown, ANY)							\
	X(lchown, ANY)							\
	X(fchownat, ANY)						\
	X(utime, ANY)							\
	X(utimes, ANY)							\
	X(futimesat, ANY)						\
	X(utimensat, ANY)						\
	X(statfs, ANY)							\
	X(chdir, ANY)							\
	X(fchdir, ANY)							\
	X(getcwd, ANY)							\
	X(umask, ANY)							\
	X(getxattr, ANY)						\
	X(lgetxattr, ANY)						\
	X(setxattr, ANY)						\
	X(lsetxattr, ANY)						\
	X(listxattr, ANY)						\
	X(llistxattr, ANY)						\
	X(removexattr, ANY)						\
	X(lremovexattr, ANY)						\
	X(name_to_handle_at, ANY)					\
	X(inotify_add_watch, ANY)					\
	X(fanotify_mark, ANY)						\
	X(chroot, ANY)							\
	X(unshare, ANY)							\
	X(setns, ANY)							\
	X(pivot_root, ANY)						\
	X(mount, ANY)							\
	X(umount2, ANY)							\
	X(swapon, ANY)							\
	X(swapoff, ANY)							\
	X(acct, ANY)							\
	X(uselib, ANY)							\
	X(bind, ANY)							\
	X(connect, ANY)

#endif
