/*
 * ask.c - see ask.h. It also runs inside of programs, without libc: plain system
 * calls, no memory but the stack, errno as it was.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "broker/ask.h"

enum { FDS_MAX = 3 };

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r, fd;

	if (strlen(path) >= sizeof addr.sun_path)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	do
		r = connect(fd, (struct sockaddr *)&addr, sizeof addr);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int send_request(int sock, struct rk__proxy_request *q, int placeholder)
{
	struct iovec iov = { q, sizeof *q };
	union control control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof placeholder),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (placeholder >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof placeholder);
		memcpy(CMSG_DATA(&control.head), &placeholder,
		       sizeof placeholder);
	}
	q->magic = RK__PROXY_MAGIC;
	q->version = RK__PROXY_VERSION;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* At most `size` bytes: how many; and descriptors. */
static int receive_answer(int sock, void *ret, size_t size, int fd[FDS_MAX])
{
	struct iovec iov = { ret, size };
	union control control = { .room = { 0 } };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t n;

	for (int i = 0; i < FDS_MAX; i++)
		fd[i] = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (msg.msg_controllen >= sizeof control.head &&
	    control.head.cmsg_level == SOL_SOCKET &&
	    control.head.cmsg_type == SCM_RIGHTS) {
		size_t bytes = control.head.cmsg_len - CMSG_LEN(0);

		memcpy(fd, CMSG_DATA(&control.head),
		       bytes < FDS_MAX * sizeof *fd ? bytes :
						      FDS_MAX * sizeof *fd);
	}
	return n == 0 ? -ECONNRESET : (int)n;
}

static void close_all(int fd[FDS_MAX])
{
	for (int i = 0; i < FDS_MAX; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* One conversation: how many bytes. Descriptors of a failed one are closed. */
static int ask(const char *socket, struct rk__proxy_request *q,
	       int placeholder, struct rk__proxy_answer *ret, size_t size,
	       int fd[FDS_MAX])
{
	int e = errno, sock = connect_to(socket), r = sock;

	for (int i = 0; i < FDS_MAX; i++)
		fd[i] = -1;
	if (sock >= 0) {
		r = send_request(sock, q, placeholder);
		if (r == 0)
			r = receive_answer(sock, ret, size, fd);
		close(sock);
	}
	if (r >= 0 && ((size_t)r < sizeof *ret || ret->error > 0))
		r = -EPROTO;
	else if (r >= 0 && ret->error < 0)
		r = ret->error;
	if (r < 0)
		close_all(fd);
	errno = e;
	return r;
}

static int ask_short(const char *socket, struct rk__proxy_request *q,
		     int placeholder, struct rk__proxy_answer *ret)
{
	int fd[FDS_MAX], r;

	r = ask(socket, q, placeholder, ret, sizeof *ret, fd);
	close_all(fd);
	return r < 0 ? r : 0;
}

static bool is_welcome(const struct rk__proxy_welcome *w, size_t n)
{
	size_t head = offsetof(struct rk__proxy_welcome, config);

	return n >= head + offsetof(struct rk__proxy_config, mount) &&
	       w->config.n_mounts <= RK__PROXY_MOUNTS &&
	       n == head + rk__proxy_config_size(&w->config);
}

int rk__ask_hello(const char *socket, struct rk__proxy_welcome *ret,
		  int ret_fd[3])
{
	struct rk__proxy_request q = { .ask = RK__ASK_HELLO };
	int got[FDS_MAX], r, i = 0;

	r = ask(socket, &q, -1, &ret->answer, sizeof *ret, got);
	if (r >= 0 && !is_welcome(ret, (size_t)r)) {
		close_all(got);
		r = -EPROTO;
	}
	if (r < 0)
		return r;
	/* They come without gaps: which is which, the configuration says. */
	ret_fd[2] = got[i++];
	ret_fd[0] = ret->config.patch ? got[i++] : -1;
	ret_fd[1] = ret->config.report ? got[i++] : -1;
	for (; i < FDS_MAX; i++)
		if (got[i] >= 0)
			close(got[i]);
	return 0;
}

int rk__ask_publish(const char *socket, int placeholder, uint32_t server,
		    const struct rk_ticket *ticket)
{
	struct rk__proxy_request q = {
		.ask = RK__ASK_PUBLISH,
		.server = server,
		.ticket = *ticket,
	};
	struct rk__proxy_answer a;

	return ask_short(socket, &q, placeholder, &a);
}

int rk__ask_claim(const char *socket, int placeholder, uint32_t *ret_server,
		  struct rk_ticket *ret)
{
	struct rk__proxy_request q = { .ask = RK__ASK_CLAIM };
	struct rk__proxy_answer a;
	int r = ask_short(socket, &q, placeholder, &a);

	if (r < 0)
		return r;
	if (a.server >= RK__PROXY_SERVERS)
		return -EPROTO;
	*ret_server = a.server;
	*ret = a.ticket;
	return 0;
}

int rk__ask_cwd(const char *socket, uint32_t server,
		const struct rk_ticket *ticket)
{
	struct rk__proxy_request q = { .ask = RK__ASK_CWD, .server = server };
	struct rk__proxy_answer a;

	if (ticket)
		q.ticket = *ticket;
	return ask_short(socket, &q, -1, &a);
}
