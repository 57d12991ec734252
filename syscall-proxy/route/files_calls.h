/*
 * files_calls.h - the calls on descriptors: X(name, class), one a row. Each has a
 * handler rk__call_<name>, in files_*.c.
 */
#ifndef RK_FILES_CALLS_H
#define RK_FILES_CALLS_H

#define RK__FILE_CALLS(X)						\
	X(read, FD0)							\
	X(write, FD0)							\
	X(pread64, FD0)							\
	X(pwrite64, FD0)						\
	X(readv, FD0)							\
	X(writev, FD0)							\
	X(preadv, FD0)							\
	X(pwritev, FD0)							\
	X(preadv2, FD0)							\
	X(pwritev2, FD0)						\
	X(lseek, FD0)							\
	X(ftruncate, FD0)						\
	X(fallocate, FD0)						\
	X(fadvise64, FD0)						\
	X(readahead, FD0)						\
	X(fsync, FD0)							\
	X(fdatasync, FD0)						\
	X(syncfs, FD0)							\
	X(sync, ANY)							\
	X(sync_file_range, FD0)						\
	X(fstat, FD0)							\
	X(fstatfs, FD0)							\
	X(fchmod, FD0)							\
	X(fchown, FD0)							\
	X(fgetxattr, FD0)						\
	X(fsetxattr, FD0)						\
	X(flistxattr, FD0)						\
	X(fremovexattr, FD0)						\
	X(open_by_handle_at, ANY)					\
	X(getdents, FD0)						\
	X(getdents64, FD0)						\
	X(flock, FD0)							\
	X(fcntl, FD0)							\
	X(ioctl, FD0)							\
	X(copy_file_range, ANY)						\
	X(sendfile, ANY)						\
	X(splice, ANY)							\
	X(tee, ANY)							\
	X(vmsplice, FD0)						\
	X(poll, ANY)							\
	X(ppoll, ANY)							\
	X(select, ANY)							\
	X(pselect6, ANY)						\
	X(epoll_ctl, ANY)						\
	X(epoll_wait, FD0)						\
	X(epoll_pwait, FD0)						\
	X(epoll_pwait2, FD0)						\
	X(mmap, ANY)							\
	X(accept, FD0)							\
	X(accept4, FD0)							\
	X(getpeername, FD0)						\
	X(getsockname, FD0)						\
	X(getsockopt, FD0)						\
	X(setsockopt, FD0)						\
	X(listen, FD0)							\
	X(recvfrom, FD0)						\
	X(recvmmsg, FD0)						\
	X(sendmmsg, FD0)						\
	X(sendto, FD0)							\
	X(shutdown, FD0)						\
	X(inotify_rm_watch, FD0)					\
	X(signalfd4, FD0)						\
	X(timerfd_gettime, FD0)						\
	X(timerfd_settime, FD0)

#endif
