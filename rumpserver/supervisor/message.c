/*
 * message.c - see message.h.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "supervisor/message.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(RK_MESSAGE_FDS * sizeof(int))];
};

int rk__message_send(int fd, const void *bytes, size_t size, const int *fds,
		     unsigned n_fds)
{
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	struct cmsghdr *c;
	ssize_t n;

	if (n_fds > RK_MESSAGE_FDS)
		return -E2BIG;
	if (n_fds) {
		memset(&control, 0, sizeof control);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *msg, int *fds, unsigned max)
{
	unsigned got = 0;

	for (unsigned i = 0; i < max; i++)
		fds[i] = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (got < max)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t rk__message_receive(int fd, void *bytes, size_t size, int *fds,
			    unsigned max)
{
	union control control;
	struct iovec iov = { .iov_base = bytes, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	take_fds(&msg, fds, max);
	if (!(msg.msg_flags & MSG_TRUNC))
		return n;
	for (unsigned i = 0; i < max; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	return -EMSGSIZE;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

bool rk__socket_is_from(int fd, uint32_t pid, uint32_t uid)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	return option(fd, SO_DOMAIN) == AF_UNIX &&
	       option(fd, SO_TYPE) == SOCK_SEQPACKET &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       ((uint32_t)cred.pid == pid || cred.uid == uid);
}
