/*
 * connect.c - the attach conversation, and what a link holds.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "client_int.h"

enum { SPIN_MAX_NS = 20000 };

int rk__connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	strcpy(addr.sun_path, path);
	do
		r = connect(fd, (struct sockaddr *)&addr, sizeof addr);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Sends a descriptor with a hello over the connection of a channel. */
static int hand_over(int conn, int fd)
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = RK_HELLO_CONNECT,
	};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof fd),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec iov = { &hello, sizeof hello };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	return sendmsg(conn, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * A connection for one who may not reach the socket any more, because its ids
 * are others by now: a pair of sockets, which the kernel says was made by who
 * we are now, one of which an older connection brings over.
 */
static int connect_through(const struct rk_client *c)
{
	const struct rk__link *l = c->links;
	int pair[2], r;

	while (l && (!l->channel || l->dead))
		l = l->next_of_client;
	if (!l)
		return -EACCES;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = hand_over(l->fd, pair[1]);
	close(pair[1]);
	if (r == 0)
		return pair[0];
	close(pair[0]);
	return r;
}

enum { WELCOME_FDS = 3 };

/* The welcome with its descriptors. Surplus ones are closed. */
static int receive_welcome(int sock, struct rk_welcome *ret,
			   int fd[WELCOME_FDS])
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { ret, sizeof *ret };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	unsigned n_fds = 0;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c;
	     c = CMSG_NXTHDR(&msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int received;

			memcpy(&received, CMSG_DATA(c) + i * sizeof received,
			       sizeof received);
			if (n_fds < WELCOME_FDS)
				fd[n_fds++] = received;
			else
				close(received);
		}
	}
	if (n == 0)
		return -ECONNREFUSED;
	return n == sizeof *ret && ret->error <= 0 ? ret->error : -EPROTO;
}

static int map(struct rk__link *l, int memfd)
{
	struct stat st;
	void *p;

	/* Nobody may take pages away from under us. */
	if (fstat(memfd, &st) < 0 || st.st_size < (off_t)RK_CHANNEL_SIZE ||
	    !(fcntl(memfd, F_GET_SEALS) & F_SEAL_SHRINK))
		return -EPROTO;
	p = mmap(NULL, RK_CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	l->channel = p;
	if (l->channel->magic == RK_CHANNEL_MAGIC &&
	    l->channel->version == RK_PROTOCOL_VERSION)
		return 0;
	return -EPROTO;
}

static int greet(struct rk__link *l, struct rk_client *c,
		 const struct rk_hello *hello, struct rk_welcome *welcome)
{
	int fd[WELCOME_FDS] = { -1, -1, -1 };
	int r = 0;

	if (send(l->fd, hello, sizeof *hello, MSG_NOSIGNAL) < 0)
		return -errno;
	r = receive_welcome(l->fd, welcome, fd);
	if (r == 0 && hello->transport != RK_TRANSPORT_SOCKET) {
		r = fd[0] >= 0 && fd[1] >= 0 ? map(l, fd[0]) : -EPROTO;
	} else if (r == 0) {
		l->message = malloc(RK_MESSAGE_MAX);
		r = l->message ? 0 : -ENOMEM;
	}
	if (fd[0] >= 0)
		close(fd[0]);
	l->event_fd = fd[1];
	if (fd[2] >= 0) {
		if (r == 0)
			rk__hot_begin(c, fd[2]);
		close(fd[2]);
	}
	return r;
}

/* Numbers must not repeat those of an earlier client of the same channel
 * number: the clock was never there before. */
static uint64_t first_seq(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t spin_max(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 &&
	       CPU_COUNT(&set) > 1 ? SPIN_MAX_NS : 0;
}

enum rk_transport rk__transport_of(const struct rk_client *c)
{
	return c->flags & RK_ATTACH_SOCKET ? RK_TRANSPORT_SOCKET :
	       c->flags & RK_ATTACH_PAGES ? RK_TRANSPORT_PAGES :
					    RK_TRANSPORT_CHANNEL;
}

/* Nobody is connected to: the link is the room for what is sent. */
static int open_door(struct rk__link *l, struct rk_client *c,
		     enum rk_hello_kind kind)
{
	/* What it leads to is not there in a child. */
	if (kind == RK_HELLO_FORK)
		return -ESHUTDOWN;
	l->message = malloc(RK_IN_MAX);
	if (!l->message)
		return -ENOMEM;
	l->fd = l->event_fd = -1;
	l->client = c;
	return 0;
}

int rk__link_open(struct rk__link *l, struct rk_client *c,
		  enum rk_hello_kind kind, enum rk_transport transport,
		  uint64_t *token)
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = kind,
		.transport = transport,
		.token = *token,
		.pid = c->pid,
	};
	struct rk_welcome welcome;
	int r;

	/* Nobody else sees one without a client, but walks over it. */
	memset((char *)l + offsetof(struct rk__link, next_idle), 0,
	       sizeof *l - offsetof(struct rk__link, next_idle));
	if (c->door)
		return open_door(l, c, kind);
	l->event_fd = -1;
	l->guest = rk__is_guest();
	l->seq = first_seq();
	l->budget_ns = l->spin_max_ns = spin_max();
	l->fd = rk__connect_to(c->path);
	if (l->fd == -EACCES)
		l->fd = connect_through(c);
	r = l->fd < 0 ? l->fd : greet(l, c, &hello, &welcome);
	if (r < 0) {
		rk__link_close(l);
		return r;
	}
	*token = welcome.token;
	l->client = c;
	return 0;
}

void rk__link_close(struct rk__link *l)
{
	/* A vfork child's descriptors were in its own table. */
	bool ours = !l->guest || rk__is_guest();

	l->client = NULL;
	if (l->fd >= 0 && ours)
		close(l->fd);
	if (l->event_fd >= 0 && ours)
		close(l->event_fd);
	if (l->channel)
		munmap(l->channel, RK_CHANNEL_SIZE);
	free(l->message);
	rk__watch_free(l->watch);
	l->watch = NULL;
	l->fd = l->event_fd = -1;
	l->channel = NULL;
	l->message = NULL;
}
