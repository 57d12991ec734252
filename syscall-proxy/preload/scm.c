/*
 * scm.c - descriptors that travel in messages. One of a server gets a placeholder
 * that nothing else is, published, before it is sent; whoever receives one claims
 * it. To who is not proxied it is a descriptor that fails loudly.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "bare.h"
#include "preload_int.h"

/* Calls `each` for all descriptors of a message; ends with its first error. */
static int for_descriptors(const struct msghdr *msg, int (*each)(int fd))
{
	int r = 0;

	if (!msg || !msg->msg_control)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); r == 0 && c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
		const int *fd = (const int *)(const void *)CMSG_DATA(c);
		size_t n;

		if (c->cmsg_len < CMSG_LEN(0))
			break;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fd;
		for (size_t i = 0; r == 0 && i < n; i++)
			r = each(fd[i]);
	}
	return r;
}

static int publish(int fd)
{
	return rk__fd_is_own(fd) ? -EBADF : rk__fd_publish(fd);
}

static int claim(int fd)
{
	rk__fd_fresh(fd);
	(void)rk__fd_claim(fd);
	return 0;
}

int64_t rk__do_sendmsg(struct rk__task *t, long nr, const uint64_t arg[6])
{
	const struct mmsghdr *many = (const void *)arg[1];
	int64_t r;

	if (rk__fd_is_own((int)arg[0]))
		return -EBADF;
	if (rk__route(t, nr, arg, &r) == RK__DONE)
		return r;
	r = 0;
	if (nr == SYS_sendmsg)
		r = for_descriptors((const void *)arg[1], publish);
	for (unsigned i = 0; nr == SYS_sendmmsg && r == 0 && many &&
	     i < arg[2]; i++)
		r = for_descriptors(&many[i].msg_hdr, publish);
	return r < 0 ? r : RK__RAW(nr, arg);
}

int64_t rk__do_recvmsg(struct rk__task *t, long nr, const uint64_t arg[6])
{
	const struct mmsghdr *many = (const void *)arg[1];
	int64_t r;

	if (rk__fd_is_own((int)arg[0]))
		return -EBADF;
	if (rk__route(t, nr, arg, &r) == RK__DONE)
		return r;
	r = RK__RAW(nr, arg);
	if (nr == SYS_recvmsg && r >= 0)
		(void)for_descriptors((const void *)arg[1], claim);
	for (int64_t i = 0; nr == SYS_recvmmsg && i < r; i++)
		(void)for_descriptors(&many[i].msg_hdr, claim);
	return r;
}
