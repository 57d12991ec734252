/*
 * files_none.c - calls on descriptors of another kind than files are: what the
 * kernel says when it is given a file.
 */
#include <sys/mman.h>
#include "files_int.h"

static enum rk__routed refuse(struct rk__task *t, const uint64_t arg[6],
			      int64_t *ret, int error)
{
	struct rk__target f;

	return rk__find(t, arg[0], &f) ? rk__done(ret, -error) : RK__NATIVE;
}

#define NOT(name, error)						\
	RK__FILE_CALL(name)						\
	{								\
		return refuse(t, arg, ret, error);			\
	}

NOT(accept, ENOTSOCK)
NOT(accept4, ENOTSOCK)
NOT(getpeername, ENOTSOCK)
NOT(getsockname, ENOTSOCK)
NOT(getsockopt, ENOTSOCK)
NOT(setsockopt, ENOTSOCK)
NOT(listen, ENOTSOCK)
NOT(recvfrom, ENOTSOCK)
NOT(recvmmsg, ENOTSOCK)
NOT(sendmmsg, ENOTSOCK)
NOT(sendto, ENOTSOCK)
NOT(shutdown, ENOTSOCK)
NOT(inotify_rm_watch, EINVAL)
NOT(signalfd4, EINVAL)
NOT(timerfd_gettime, EINVAL)
NOT(timerfd_settime, EINVAL)
NOT(epoll_wait, EINVAL)
NOT(epoll_pwait, EINVAL)
NOT(epoll_pwait2, EINVAL)

/*
 * What waits in an epoll set must be told of by the kernel. Regular files and
 * directories never could; a FIFO of a server cannot either, and is refused in
 * the same way: poll and select wait for it.
 */
RK__FILE_CALL(epoll_ctl)
{
	struct rk__target f;

	if (rk__find(t, arg[2], &f))
		return rk__done(ret, -EPERM);
	return rk__find(t, arg[0], &f) ? rk__done(ret, -EINVAL) : RK__NATIVE;
}

/* A process maps files for itself, which the preload does before it comes here:
 * nobody can do it for another. */
RK__FILE_CALL(mmap)
{
	struct rk__target f;

	if ((arg[3] & MAP_ANONYMOUS) || !rk__find(t, arg[4], &f))
		return RK__NATIVE;
	return rk__done(ret, -ENODEV);
}
