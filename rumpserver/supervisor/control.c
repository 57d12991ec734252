/*
 * control.c - the supervisor's socket: who connects, what he may, and the
 * channels that are made for him.
 *
 * A connection starts unknown, says one hello, and then is a client, or is
 * answered and closed. Who the peer is comes from the kernel. The connection
 * of a client is never read again: over it only its end is noticed, or, with
 * the socket transport, the server reads it. A client also ends with its
 * process, as children inherit sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "runtime.h"
#include "supervisor/control.h"
#include "supervisor/message.h"
#include "supervisor/peer.h"

enum {
	ACCEPT_AT_ONCE = 16,
	TOOLS_MAX = 64,			/* connections that are no client */
	FDS_OF_CLIENT = 4,
	FDS_OF_OURS = 320 + TOOLS_MAX,	/* at most; most of them pages */
};

static void freed(uv_handle_t *h)
{
	struct rk__client *c = h->data;

	if (--c->handles == 0)
		free(c);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void tell_both(struct rk__supervisor *s, const struct rk__message *m,
		      const int *fds, unsigned n)
{
	if (s->active)
		rk__server_send(s->active, m, fds, n);
	if (s->standby)
		rk__server_send(s->standby, m, fds, n);
}

void rk__client_drop(struct rk__client *c)
{
	struct rk__supervisor *s = c->sup;
	struct rk__message m = {
		.type = RK_MSG_DETACH, .number = c->attach.number,
	};

	if (s->upgrade.asker == c)
		s->upgrade.asker = NULL;
	if (c->attached) {
		s->control.channel[c->attach.number] = NULL;
		s->control.n_channels--;
		tell_both(s, &m, NULL, 0);
	}
	if (c->prev)
		c->prev->next = c->next;
	else
		s->control.clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->control.n_clients--;
	uv_close((uv_handle_t *)&c->conn_poll, freed);
	if (c->pidfd >= 0)
		uv_close((uv_handle_t *)&c->pid_poll, freed);
	close_fd(&c->conn);
	close_fd(&c->pidfd);
	close_fd(&c->memfd);
	close_fd(&c->eventfd);
}

/* --- attaching ------------------------------------------------------------- */

static unsigned attach_fds(const struct rk__client *c, int *ret)
{
	if (c->attach.transport == RK_TRANSPORT_SOCKET) {
		ret[0] = c->conn;
		return 1;
	}
	ret[0] = c->memfd;
	ret[1] = c->eventfd;
	ret[2] = c->conn;
	return c->pages ? 3 : 2;
}

/* Attributes of all files stand in the cells, whoever may see these. */
static bool may_have_pages(const struct rk__client *c)
{
	return c->sup->views.server.cells_fd >= 0 &&
	       (c->attach.uid == 0 || c->attach.uid == geteuid());
}

static int find_channel(struct rk__supervisor *s, uint32_t *ret)
{
	if (s->control.n_channels >= s->control.limit)
		return -EUSERS;
	/* numbers go round, so that one just freed is not used at once */
	for (uint32_t i = 0; i < RK_CHANNELS_MAX; i++) {
		uint32_t n = (s->control.next + i) % RK_CHANNELS_MAX;

		if (s->control.channel[n])
			continue;
		s->control.next = n + 1;
		*ret = n;
		return 0;
	}
	return -EUSERS;
}

/* Who claims a token is the process that has it, whoever that is by now, or
 * one of the same user. */
static bool may_claim(struct rk__supervisor *s, const struct rk__message *m,
		      uint32_t pid)
{
	for (struct rk__client *c = s->control.clients; c; c = c->next)
		if (c->attached && c->attach.token == m->token &&
		    (c->pid == pid || c->attach.uid == m->uid))
			return true;
	return false;
}

static int make_channel(struct rk__client *c)
{
	struct rk_channel head = {
		.magic = RK_CHANNEL_MAGIC, .version = RK_PROTOCOL_VERSION,
		.id = c->attach.number,
	};

	c->memfd = memfd_create("rump-channel",
				MFD_CLOEXEC | MFD_ALLOW_SEALING);
	c->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->memfd < 0 || c->eventfd < 0 ||
	    ftruncate(c->memfd, RK_CHANNEL_SIZE) < 0)
		return -errno;
	if (pwrite(c->memfd, &head, sizeof head, 0) != sizeof head)
		return -EIO;
	if (fcntl(c->memfd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

static int identify(struct rk__client *c, const struct rk_hello *h)
{
	struct rk__message *m = &c->attach;

	c->pid = m->pid;
	if (rk__pid_is_of(h->pid, m->uid))
		m->pid = h->pid;
	m->token = h->token;
	if (h->kind != RK_HELLO_ATTACH && !may_claim(c->sup, m, c->pid))
		return -ESRCH;
	if (h->kind == RK_HELLO_THREAD)
		return 0;
	m->parent = h->kind == RK_HELLO_FORK ? h->token : 0;
	if (getrandom(&m->token, sizeof m->token, 0) != sizeof m->token)
		return -EAGAIN;
	m->token |= 1;			/* 0 means none */
	return 0;
}

static void process_ended(uv_poll_t *poll, int error, int events)
{
	rk__client_drop(poll->data);
}

static void conn_ended(uv_poll_t *poll, int error, int events)
{
	rk__client_drop(poll->data);
}

static int watch_process(struct rk__client *c)
{
	c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0)
		return -errno;
	if (uv_poll_init(&c->sup->loop, &c->pid_poll, c->pidfd) < 0) {
		close_fd(&c->pidfd);
		return -ENOMEM;
	}
	c->pid_poll.data = c;
	c->handles++;
	return 0;
}

static void hello(uv_poll_t *poll, int error, int events);
static void handed(uv_poll_t *poll, int error, int events);

void rk__client_listen(struct rk__client *c)
{
	if (!c->greeted)
		uv_poll_start(&c->conn_poll, UV_READABLE, hello);
	else if (c->kind == RK_HELLO_ORDER)
		uv_poll_start(&c->conn_poll, UV_READABLE | UV_DISCONNECT,
			      rk__client_ordered);
	else if (c->attached && c->attach.transport == RK_TRANSPORT_CHANNEL)
		uv_poll_start(&c->conn_poll, UV_READABLE | UV_DISCONNECT,
			      handed);
	else
		/* its data are not ours */
		uv_poll_start(&c->conn_poll, UV_DISCONNECT, conn_ended);
	if (c->pidfd >= 0)
		uv_poll_start(&c->pid_poll, UV_READABLE, process_ended);
}

static int attach(struct rk__client *c, const struct rk_hello *h)
{
	struct rk__supervisor *s = c->sup;
	struct rk__message *m = &c->attach;
	int e, fd[RK_MESSAGE_FDS];

	if (s->stage != RK_STAGE_SERVING)
		return -ESHUTDOWN;
	if (h->transport > RK_TRANSPORT_PAGES)
		return -EPROTO;
	e = identify(c, h);
	if (e < 0)
		return e;
	e = find_channel(s, &m->number);
	if (e < 0)
		return e;
	m->type = RK_MSG_ATTACH;
	m->transport = h->transport;
	if (h->transport == RK_TRANSPORT_PAGES) {
		m->transport = RK_TRANSPORT_CHANNEL;
		c->pages = may_have_pages(c);
	}
	e = watch_process(c);
	if (!e && m->transport == RK_TRANSPORT_CHANNEL)
		e = make_channel(c);
	if (e < 0)
		return e;
	c->attached = true;
	rk__client_listen(c);
	rk__notifiers_start(s);
	c->kind = h->kind;
	s->control.channel[m->number] = c;
	s->control.n_channels++;
	tell_both(s, m, fd, attach_fds(c, fd));
	return 0;
}

void rk__control_tell(struct rk__supervisor *s, struct rk__server *v)
{
	int fd[RK_MESSAGE_FDS];

	for (struct rk__client *c = s->control.clients; c; c = c->next)
		if (c->attached)
			rk__server_send(v, &c->attach, fd, attach_fds(c, fd));
}

/* --- connections ----------------------------------------------------------- */

static void welcome(struct rk__client *c, int error)
{
	struct rk_welcome w = { .error = error };
	unsigned n = 0;
	int fd[RK_MESSAGE_FDS];

	if (!error) {
		w.channel = c->attach.number;
		w.token = c->attach.token;
		if (c->attach.transport == RK_TRANSPORT_CHANNEL)
			n = attach_fds(c, fd);
		if (n == 3)
			fd[2] = c->sup->views.server.cells_fd;
	}
	if (rk__message_send(c->conn, &w, sizeof w, fd, n) < 0 || error)
		rk__client_drop(c);
}

static void greet(struct rk__client *c, const struct rk_hello *h)
{
	c->greeted = true;
	rk__client_listen(c);
	if (h->version != RK_PROTOCOL_VERSION ||
	    rk__peer_cred(c->conn, &c->attach) < 0) {
		welcome(c, -EPROTO);
		return;
	}
	switch ((enum rk_hello_kind)h->kind) {
	case RK_HELLO_STATUS:
		rk__client_status(c, 0, NULL);
		break;
	case RK_HELLO_STOP:
	case RK_HELLO_STOP_UNUSED:
		rk__client_stop(c, h->kind == RK_HELLO_STOP_UNUSED);
		break;
	case RK_HELLO_USE:
		rk__client_share(c);
		break;
	case RK_HELLO_WATCH:
		rk__client_watch(c);
		break;
	case RK_HELLO_ORDER:
		rk__client_order(c);
		break;
	case RK_HELLO_ATTACH:
	case RK_HELLO_THREAD:
	case RK_HELLO_FORK:
		welcome(c, attach(c, h));
		break;
	default:
		welcome(c, -EPROTO);
	}
}

static void hello(uv_poll_t *poll, int error, int events)
{
	struct rk__client *c = poll->data;
	struct rk_hello h;
	ssize_t n = rk__message_receive(c->conn, &h, sizeof h, NULL, 0);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n != sizeof h || h.magic != RK_HELLO_MAGIC)
		rk__client_drop(c);
	else
		greet(c, &h);
}

struct rk__client *rk__client_add(struct rk__supervisor *s, int conn)
{
	struct rk__client *c;

	if (s->control.n_clients >= s->control.limit + TOOLS_MAX)
		return NULL;
	c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->sup = s;
	c->conn = conn;
	c->pidfd = c->memfd = c->eventfd = -1;
	if (uv_poll_init(&s->loop, &c->conn_poll, conn) < 0) {
		free(c);
		return NULL;
	}
	c->handles = 1;
	c->conn_poll.data = c;
	rk__client_listen(c);
	c->next = s->control.clients;
	if (c->next)
		c->next->prev = c;
	s->control.clients = c;
	s->control.n_clients++;
	return c;
}

/* A client's connection ended, or brings another one. */
static void handed(uv_poll_t *poll, int error, int events)
{
	struct rk__client *c = poll->data;
	struct rk_hello h;
	int fd = -1;
	ssize_t n = rk__message_receive(c->conn, &h, sizeof h, &fd, 1);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == sizeof h && h.magic == RK_HELLO_MAGIC &&
	    h.kind == RK_HELLO_CONNECT &&
	    rk__socket_is_from(fd, c->pid, c->attach.uid) &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && rk__client_add(c->sup, fd))
		return;
	close_fd(&fd);
	rk__client_drop(c);
}

static void accept_some(uv_poll_t *poll, int error, int events)
{
	struct rk__supervisor *s = poll->data;

	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(s->control.fd, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		if (!rk__client_add(s, fd))
			close(fd);
	}
}

/* Clients must never be so many that no server could be spawned. */
static uint32_t channel_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 ||
	    r.rlim_cur >= FDS_OF_OURS + FDS_OF_CLIENT * RK_CHANNELS_MAX)
		return RK_CHANNELS_MAX;
	return r.rlim_cur > FDS_OF_OURS ?
	       (r.rlim_cur - FDS_OF_OURS) / FDS_OF_CLIENT : 0;
}

int rk__control_listen(struct rk__supervisor *s)
{
	int e = uv_poll_init(&s->loop, &s->control.poll, s->control.fd);

	s->control.limit = channel_limit();
	if (e < 0)
		return e;
	s->control.open = true;
	s->control.poll.data = s;
	return rk__control_accept(s);
}

int rk__control_accept(struct rk__supervisor *s)
{
	return s->control.open ? uv_poll_start(&s->control.poll, UV_READABLE,
					       accept_some) : 0;
}

void rk__control_drop_all(struct rk__supervisor *s)
{
	struct rk__client *c, *next;

	for (c = s->control.clients; c; c = next) {
		next = c->next;
		if (!c->wants_stop)
			rk__client_drop(c);
	}
}

void rk__control_unlink(struct rk__supervisor *s)
{
	if (s->config.listen_fd && s->control.path[0])
		chmod(s->control.path, RK_SOCKET_ASLEEP);
	else if (s->control.path[0])
		unlink(s->control.path);
	s->control.path[0] = 0;
}

void rk__control_close(struct rk__supervisor *s)
{
	while (s->control.clients)
		rk__client_drop(s->control.clients);
	if (s->control.open)
		uv_close((uv_handle_t *)&s->control.poll, NULL);
	s->control.open = false;
	close_fd(&s->control.fd);
	rk__control_unlink(s);
}
