/*
 * gift.c - descriptors that a server sends: pages of files, to its supervisor,
 * which keeps them, and to clients, over the connections of their channels.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/pages.h"
#include "gate.h"
#include "supervisor/supervisor.h"

static struct {
	int control;
	int connection[RK_CHANNELS_MAX];	/* + 1 */
} gift;

static bool send_fd(int socket, const void *bytes, size_t n, int fd, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)bytes, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL | flags) == (ssize_t)n;
}

/* Blocks while the supervisor has too much to read: it must have it. */
static void keep(uint32_t cell, uint32_t generation, int fd)
{
	struct rk__message m = {
		.type = RK_MSG_PAGES, .number = cell, .a = generation,
	};

	(void)send_fd(gift.control, &m, sizeof m, fd, 0);
}

static bool give(uint32_t channel, const struct rk_gift *g, int fd)
{
	return gift.connection[channel] &&
	       send_fd(gift.connection[channel] - 1, g, sizeof *g, fd,
		       MSG_DONTWAIT);
}

const struct rk__pages_links *rk__gift_start(int control)
{
	static const struct rk__pages_links links = {
		.keep = keep, .give = give,
	};

	gift.control = control;
	return &links;
}

void rk__gift_attach(uint32_t channel, int connection)
{
	rk__gift_detach(channel);
	gift.connection[channel] = connection + 1;
}

void rk__gift_detach(uint32_t channel)
{
	if (gift.connection[channel])
		close(gift.connection[channel] - 1);
	gift.connection[channel] = 0;
}
