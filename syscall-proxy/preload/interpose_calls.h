/*
 * interpose_calls.h - symbols whose arguments are those of a system call:
 * X(symbol, call), one a row.
 */
#ifndef RK_INTERPOSE_CALLS_H
#define RK_INTERPOSE_CALLS_H

#define RK__INTERPOSED(X)						\
	X(read, read) X(write, write)					\
	X(pread, pread64) X(pread64, pread64)				\
	X(pwrite, pwrite64) X(pwrite64, pwrite64)			\
	X(readv, readv) X(writev, writev)				\
	X(lseek, lseek) X(lseek64, lseek)				\
	X(close, close) X(close_range, close_range)			\
	X(dup, dup) X(dup2, dup2) X(dup3, dup3)				\
	X(truncate, truncate) X(truncate64, truncate)			\
	X(ftruncate, ftruncate) X(ftruncate64, ftruncate)		\
	X(fallocate, fallocate) X(fallocate64, fallocate)		\
	X(fsync, fsync) X(fdatasync, fdatasync)				\
	X(syncfs, syncfs) X(sync, sync)					\
	X(sync_file_range, sync_file_range)				\
	X(statx, statx)							\
	X(stat, stat) X(stat64, stat)					\
	X(lstat, lstat) X(lstat64, lstat)				\
	X(fstat, fstat) X(fstat64, fstat)				\
	X(fstatat, newfstatat) X(fstatat64, newfstatat)			\
	X(statfs, statfs) X(statfs64, statfs)				\
	X(fstatfs, fstatfs) X(fstatfs64, fstatfs)			\
	X(access, access)						\
	X(chmod, chmod) X(fchmod, fchmod)				\
	X(chown, chown) X(lchown, lchown) X(fchown, fchown)		\
	X(fchownat, fchownat)						\
	X(link, link) X(linkat, linkat)					\
	X(symlink, symlink) X(symlinkat, symlinkat)			\
	X(unlink, unlink) X(unlinkat, unlinkat) X(rmdir, rmdir)		\
	X(rename, rename) X(renameat, renameat)				\
	X(renameat2, renameat2)						\
	X(mkdir, mkdir) X(mkdirat, mkdirat)				\
	X(mknod, mknod) X(mknodat, mknodat)				\
	X(readlink, readlink) X(readlinkat, readlinkat)			\
	X(__readlink_chk, readlink) X(__readlinkat_chk, readlinkat)	\
	X(__read_chk, read)						\
	X(__pread_chk, pread64) X(__pread64_chk, pread64)		\
	X(chdir, chdir) X(fchdir, fchdir) X(umask, umask)		\
	X(utime, utime) X(utimes, utimes) X(utimensat, utimensat)	\
	X(futimesat, futimesat)						\
	X(getxattr, getxattr) X(lgetxattr, lgetxattr)			\
	X(fgetxattr, fgetxattr) X(setxattr, setxattr)			\
	X(lsetxattr, lsetxattr) X(fsetxattr, fsetxattr)			\
	X(listxattr, listxattr) X(llistxattr, llistxattr)		\
	X(flistxattr, flistxattr) X(removexattr, removexattr)		\
	X(lremovexattr, lremovexattr)					\
	X(fremovexattr, fremovexattr)					\
	X(getdents64, getdents64)					\
	X(flock, flock) X(ioctl, ioctl)					\
	X(fcntl, fcntl) X(fcntl64, fcntl)				\
	X(copy_file_range, copy_file_range)				\
	X(sendfile, sendfile) X(sendfile64, sendfile)			\
	X(splice, splice) X(tee, tee) X(vmsplice, vmsplice)		\
	X(poll, poll) X(select, select)					\
	X(epoll_ctl, epoll_ctl) X(epoll_wait, epoll_wait)		\
	X(sendmsg, sendmsg) X(recvmsg, recvmsg)				\
	X(sendmmsg, sendmmsg) X(recvmmsg, recvmmsg)			\
	X(mmap, mmap) X(mmap64, mmap)					\
	X(munmap, munmap) X(msync, msync)				\
	X(execve, execve)

#endif
