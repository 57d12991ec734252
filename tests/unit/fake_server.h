/*
 * fake_server.h - a supervisor and server in one thread, for tests of the gates
 * and the client library: the real gates, with a core that knows a few ops.
 */
#ifndef RK_FAKE_SERVER_H
#define RK_FAKE_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "channel.h"
#include "gate/gate.h"
#include "views.h"
#include "../harness/temp.h"

static struct {
	char dir[TEMP_MAX], path[108];
	int listener, epoll;
	uint32_t n_channels;
	int control[RK_CHANNELS_MAX];
	_Atomic uint32_t n_hello[5];
	_Atomic bool stop, refuse;
	_Atomic uint64_t mutations;
	struct rk__handle *parked;
	pthread_t thread;
	struct rk__source source;
} fake;

int rk__loop_add(struct rk__source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	return epoll_ctl(fake.epoll, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

void rk__loop_remove(struct rk__source *s)
{
	epoll_ctl(fake.epoll, EPOLL_CTL_DEL, s->fd, NULL);
}

/* --- a core without files -------------------------------------------------------- */

void rk__serve(struct rk__handle *h)
{
	enum rk__outcome o = h->gate->exec(h);

	if (o == RK_PARKED)
		return;
	h->gate->post(h);
}

void rk__serve_flush(void)
{
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	(void)slot;
	(void)id;
	return false;
}

bool rk__unpark(struct rk__handle *h)
{
	bool parked = h->parked;

	h->parked = false;
	if (fake.parked == h)
		fake.parked = NULL;
	return parked;
}

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8));
}

static void fill(uint8_t *out, uint64_t len, uint64_t offset)
{
	for (uint64_t i = 0; i < len; i++)
		out[i] = pattern(offset + i);
}

enum rk__outcome rk__syscall(struct rk__handle *h, uint32_t channel,
			     const struct rk_request *req, const uint8_t *in,
			     uint8_t *out)
{
	char scratch[RK_SCRATCH_SIZE];
	union {
		struct op_pread pread;
		struct op_read read;
		struct op_pwrite pwrite;
		struct op_flock flock;
		struct op_chdir chdir;
	} a;

	h->out_len = 0;
	switch (req->op) {
	case RK_OP_null:
		h->result = 0;
		break;
	case RK_OP_pread:
		h->result = rk_decode_pread(req, in, scratch, sizeof scratch,
					    &a.pread);
		if (h->result < 0)
			break;
		fill(out, a.pread.count, (uint64_t)a.pread.offset);
		h->out_len = (uint32_t)a.pread.count;
		h->result = h->out_len;
		break;
	case RK_OP_read:
		h->result = rk_decode_read(req, in, scratch, sizeof scratch,
					   &a.read);
		if (h->result < 0)
			break;
		fill(out, a.read.count, 0);
		h->out_len = (uint32_t)a.read.count;
		h->result = h->out_len;
		break;
	case RK_OP_pwrite:
		h->result = rk_decode_pwrite(req, in, scratch, sizeof scratch,
					     &a.pwrite);
		if (h->result < 0)
			break;
		h->result = (int64_t)a.pwrite.count;
		for (uint64_t i = 0; i < a.pwrite.count; i++)
			if (((const uint8_t *)a.pwrite.buf)[i] !=
			    pattern((uint64_t)a.pwrite.offset + i))
				h->result = -EIO;
		atomic_fetch_add(&fake.mutations, 1);
		break;
	case RK_OP_flock:
		if (req->flags & RK_REQ_CANCELLED) {
			h->result = -EINTR;
			break;
		}
		h->parked = true;
		fake.parked = h;
		return RK_PARKED;
	case RK_OP_getfl:
		h->result = channel;
		break;
	default:
		h->result = -ENOSYS;
	}
	return RK_DONE;
}

/* --- a supervisor ------------------------------------------------------------------ */

static void fake_welcome(int sock, uint32_t channel, const int fd[2],
			 unsigned n_fds)
{
	struct rk_welcome w = { .channel = channel, .token = 1 + channel };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &w, sizeof w };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *c = &control.head;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(2 * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(c), fd, 2 * sizeof(int));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		abort();
}

static int fake_memfd(uint32_t channel)
{
	struct rk_channel head = {
		.magic = RK_CHANNEL_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.id = channel,
	};
	int fd = memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, RK_CHANNEL_SIZE) < 0 ||
	    pwrite(fd, &head, sizeof head, 0) != sizeof head ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		abort();
	return fd;
}

static void fake_accept(struct rk__source *s, uint32_t events)
{
	uint32_t channel = fake.n_channels++;
	int sock = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	struct rk_hello hello;
	int fd[2];

	(void)events;
	if (recv(sock, &hello, sizeof hello, 0) != sizeof hello)
		abort();
	atomic_fetch_add(&fake.n_hello[hello.kind], 1);
	if (hello.transport == RK_TRANSPORT_SOCKET) {
		fake.control[channel] = -1;
		fake_welcome(sock, channel, NULL, 0);
		if (rk__socket_attach(channel, sock) < 0)
			abort();
		return;
	}
	fake.control[channel] = sock;
	fd[0] = fake_memfd(channel);
	fd[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_welcome(sock, channel, fd, 2);
	if (rk__channel_attach(channel, fd[0], fd[1]) < 0)
		abort();
}

static void *fake_run(void *unused)
{
	(void)unused;
	while (!atomic_load(&fake.stop)) {
		struct epoll_event e[16];
		unsigned quiet = 0;
		int n;

		while (quiet++ < 2000)
			if (rk__channel_poll())
				quiet = 0;
		if (atomic_load(&fake.refuse))
			rk__channel_refuse_all(-ESHUTDOWN);
		n = epoll_wait(fake.epoll, e, 16, rk__channel_sleep() ? 20 : 0);
		for (int i = 0; i < n; i++) {
			struct rk__source *s = e[i].data.ptr;

			s->ready(s, e[i].events);
		}
	}
	return NULL;
}

static void fake_start(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!temp_dir(fake.dir, "unit"))
		abort();
	snprintf(fake.path, sizeof fake.path, "%s/s", fake.dir);
	strcpy(addr.sun_path, fake.path);
	fake.epoll = epoll_create1(EPOLL_CLOEXEC);
	fake.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(fake.listener, (struct sockaddr *)&addr, sizeof addr) < 0 ||
	    listen(fake.listener, 64) < 0)
		abort();
	fake.source.fd = fake.listener;
	fake.source.ready = fake_accept;
	rk__loop_add(&fake.source, EPOLLIN);
	pthread_create(&fake.thread, NULL, fake_run, NULL);
}

static void fake_stop(void)
{
	atomic_store(&fake.stop, true);
	pthread_join(fake.thread, NULL);
	for (uint32_t i = 0; i < fake.n_channels; i++) {
		rk__channel_detach(i);
		if (fake.control[i] >= 0)
			close(fake.control[i]);
	}
	close(fake.listener);
	close(fake.epoll);
	unlink(fake.path);
	rmdir(fake.dir);
}

#endif
