/*
 * broker.c - see broker.h. One loop of poll(2): conversations, ends of
 * placeholders and of processes, and the notifier's round.
 *
 * A peer that says nothing, or half of something, costs its place in a small
 * table, and loses it to who comes later. Nothing is ever waited for but a
 * server that is being replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "broker/broker.h"
#include "broker/cwds.h"
#include "broker/registry.h"
#include "broker/nowhere.h"
#include "broker/sites.h"
#include "notify/notify.h"

enum {
	PEERS_MAX = 64,
	FDS_MAX = 4,			/* that one message may bring */
};

struct peer {
	int fd;				/* -1: free */
	uint64_t since;
};

struct broker {
	const struct rk__broker_how *how;
	const struct rk__proxy_config *config;
	struct rk__registry *registry;
	struct rk__cwds *cwds;
	struct rk__notifier *notifier;	/* NULL: none */
	struct rk__proxy_counts *counts, none;
	int nowhere;			/* a directory */
	int sites;			/* memfd, -1: nothing is patched */
	bool over;			/* the lifeline has ended */
	uint64_t came;			/* peers so far */
	struct peer peer[PEERS_MAX];
};

/* --- conversations ------------------------------------------------------------ */

struct message {
	struct rk__proxy_request q;
	pid_t pid;			/* who asks, as the kernel says */
	int placeholder;		/* -1: none came along */
};

static void take_fds(struct msghdr *msg, int *ret)
{
	int fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof fd;
		     i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (*ret < 0)
				*ret = fd;
			else
				close(fd);
		}
	}
}

/* 1: *ret is a request; 0: nothing yet; or a negative errno. */
static int receive(int sock, struct message *ret)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { &ret->q, sizeof ret->q };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	struct ucred who;
	socklen_t len = sizeof who;
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	ret->placeholder = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_fds(&msg, &ret->placeholder);
	if (n != sizeof ret->q || msg.msg_flags & MSG_TRUNC ||
	    ret->q.magic != RK__PROXY_MAGIC ||
	    ret->q.version != RK__PROXY_VERSION)
		return -EPROTO;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return -errno;
	ret->pid = who.pid;
	return 1;
}

static void answer(int sock, const void *p, size_t size, const int *fd,
		   unsigned n_fds)
{
	struct iovec iov = { (void *)p, size };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(n_fds * sizeof *fd),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		memcpy(CMSG_DATA(&control.head), fd, n_fds * sizeof *fd);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof *fd);
	}
	/* Who does not listen has nothing more to hear. */
	(void)sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hello(struct broker *b, int sock, const struct message *m)
{
	static struct rk__proxy_welcome w;
	struct rk__proxy_answer *a = &w.answer;
	int fd[3], n = 0, e;

	memset(a, 0, sizeof *a);
	w.published = rk__registry_count(b->registry);
	memcpy(&w.config, b->config, rk__proxy_config_size(b->config));
	w.config.patch = b->sites >= 0;
	e = rk__cwds_get(b->cwds, m->pid, &a->server, &a->ticket);
	if (e == -ENOENT && b->notifier)
		e = rk__notifier_cwd(b->notifier, m->pid, &a->server,
				     &a->ticket);
	if (e < 0)
		memset(a, 0, sizeof *a);
	fd[n++] = b->nowhere;
	if (b->sites >= 0)
		fd[n++] = b->sites;
	if (b->config->report)
		fd[n++] = b->how->counts;
	b->counts->processes++;
	answer(sock, &w, offsetof(struct rk__proxy_welcome, config) +
	       rk__proxy_config_size(&w.config), fd, n);
}

static bool is_nothing(const struct rk_ticket *t)
{
	return !t->word[0] && !t->word[1];
}

static int claim(struct broker *b, const struct message *m,
		 struct rk__proxy_answer *a)
{
	struct rk__mark mark;
	int e = rk__placeholder_mark(m->placeholder, &mark);

	if (e < 0)
		return -ENOENT;
	return rk__registry_claim(b->registry, &mark, &a->server, &a->ticket);
}

static void serve(struct broker *b, int sock, struct message *m)
{
	struct rk__proxy_answer a = { 0 };

	switch (m->q.ask) {
	case RK__ASK_HELLO:
		hello(b, sock, m);
		break;
	case RK__ASK_PUBLISH:
		a.error = rk__registry_publish(b->registry, m->placeholder,
					       m->q.server, &m->q.ticket);
		break;
	case RK__ASK_CLAIM:
		a.error = claim(b, m, &a);
		break;
	case RK__ASK_CWD:
		a.error = rk__cwds_set(b->cwds, m->pid, m->q.server,
				       is_nothing(&m->q.ticket) ? NULL :
				       &m->q.ticket);
		break;
	default:
		a.error = -EPROTO;
	}
	/* The peer may close its own when it has the answer: ours must not be
	 * the last then. */
	if (m->placeholder >= 0)
		close(m->placeholder);
	m->placeholder = -1;
	if (m->q.ask != RK__ASK_HELLO)
		answer(sock, &a, sizeof a, NULL, 0);
}

static void talk(struct broker *b, struct peer *p)
{
	struct message m = { .placeholder = -1 };
	int e = receive(p->fd, &m);

	if (e == 0)
		return;
	if (e > 0)
		serve(b, p->fd, &m);
	if (m.placeholder >= 0)
		close(m.placeholder);
	close(p->fd);
	p->fd = -1;
}

static void welcome(struct broker *b)
{
	struct peer *p = b->peer;
	int fd = accept4(b->how->listen, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (int i = 1; i < PEERS_MAX && p->fd >= 0; i++)
		if (b->peer[i].fd < 0 || b->peer[i].since < p->since)
			p = &b->peer[i];
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct peer){ fd, ++b->came };
}

/* --- the loop ----------------------------------------------------------------- */

enum { AT_LISTEN, AT_LIFELINE, AT_REGISTRY, AT_CWDS, AT_NOTIFIER, AT_PEERS };

/* Returns false when the run is over. */
static bool round_of(struct broker *b)
{
	struct pollfd p[AT_PEERS + PEERS_MAX] = {
		[AT_LISTEN] = { b->how->listen, POLLIN, 0 },
		[AT_LIFELINE] = { b->over ? -1 : b->how->lifeline, POLLIN, 0 },
		[AT_REGISTRY] = { rk__registry_fd(b->registry), POLLIN, 0 },
		[AT_CWDS] = { rk__cwds_fd(b->cwds), POLLIN, 0 },
		[AT_NOTIFIER] = { b->notifier ? rk__notifier_fd(b->notifier) :
				  -1, POLLIN, 0 },
	};
	int timeout = -1;
	bool used = b->notifier && rk__notifier_tick(b->notifier, &timeout);

	if (b->over && !used)
		return false;
	for (int i = 0; i < PEERS_MAX; i++)
		p[AT_PEERS + i] = (struct pollfd){ b->peer[i].fd, POLLIN, 0 };
	if (poll(p, AT_PEERS + PEERS_MAX, timeout) <= 0)
		return true;
	/* or else the round begins with it */
	if (p[AT_REGISTRY].revents && !b->notifier)
		rk__registry_settle(b->registry);
	if (p[AT_CWDS].revents)
		rk__cwds_settle(b->cwds);
	for (int i = 0; i < PEERS_MAX; i++)
		if (p[AT_PEERS + i].revents)
			talk(b, &b->peer[i]);
	if (p[AT_LISTEN].revents & POLLIN)
		welcome(b);
	if (p[AT_LIFELINE].revents)
		b->over = true;
	return true;
}

/* --- a life ------------------------------------------------------------------- */

static void ignore_signals(void)
{
	static const int ignored[] = {
		SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP,
		SIGTTIN, SIGTTOU,
	};

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
}

static int map_counts(struct broker *b)
{
	void *p;

	b->counts = &b->none;
	if (b->how->counts < 0)
		return 0;
	p = mmap(NULL, sizeof *b->counts, PROT_READ | PROT_WRITE, MAP_SHARED,
		 b->how->counts, 0);
	if (p == MAP_FAILED)
		return -errno;
	b->counts = p;
	return 0;
}

static int fail(char *error, int e, const char *what)
{
	snprintf(error, RK__BROKER_ERROR, "cannot %s: %s", what, strerror(-e));
	return e;
}

static int prepare(struct broker *b, char *error)
{
	struct rk__notifier_how how = {
		.listener = b->how->notify,
		.config = b->config,
	};
	struct rk__sites_report report;
	int e;

	ignore_signals();
	/* Without a table symbols are interposed, which is less, not wrong. */
	if (b->config->patch &&
	    rk__sites_make(NULL, 0, &report, &b->sites) < 0)
		b->sites = -1;
	b->nowhere = rk__nowhere_open();
	if (b->nowhere < 0)
		return fail(error, b->nowhere,
			    "make a directory that leads nowhere");
	/* Nothing may be kept busy by it. */
	if (chdir("/") < 0 || fcntl(b->how->listen, F_SETFL, O_NONBLOCK) < 0)
		return fail(error, -errno, "prepare the broker");
	e = map_counts(b);
	if (e < 0)
		return fail(error, e, "map the counters");
	e = rk__registry_create(b->config, &b->registry);
	if (e < 0)
		return fail(error, e, "watch descriptors");
	e = rk__cwds_create(b->registry, &b->cwds);
	if (e < 0 || b->how->notify < 0)
		return e < 0 ? fail(error, e, "make the broker") : 0;
	how.counts = b->counts;
	how.registry = b->registry;
	how.cwds = b->cwds;
	e = rk__notifier_create(&how, &b->notifier);
	return e < 0 ? fail(error, e, "start the notifier") : 0;
}

int rk__broker_run(const struct rk__broker_how *how,
		   char error[RK__BROKER_ERROR])
{
	static struct broker b;
	int e;

	b = (struct broker){
		.how = how, .config = how->config, .sites = -1,
		.nowhere = -1,
	};
	for (int i = 0; i < PEERS_MAX; i++)
		b.peer[i].fd = -1;
	e = prepare(&b, error);
	while (e == 0 && round_of(&b))
		;
	rk__notifier_destroy(b.notifier);
	rk__cwds_destroy(b.cwds);
	rk__registry_destroy(b.registry);
	for (int i = 0; i < PEERS_MAX; i++)
		if (b.peer[i].fd >= 0)
			close(b.peer[i].fd);
	if (b.nowhere >= 0)
		close(b.nowhere);
	close(how->listen);
	close(how->lifeline);
	return e;
}
