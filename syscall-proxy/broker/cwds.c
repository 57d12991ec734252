/*
 * cwds.c - see cwds.h. A small list, looked up when programs start and when a
 * process is first seen. An entry goes when its process does, which its pidfd
 * tells; until then the number is not another's.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "broker/cwds.h"
#include "rump/client.h"

struct entry {
	struct entry *next;
	pid_t pid;
	int pidfd;
	uint32_t server;
	struct rk_client *client;
	int32_t fd;			/* -1: known to be in no server */
};

struct rk__cwds {
	struct rk__registry *registry;
	pthread_mutex_t lock;
	int epoll;
	uint32_t n;
	_Atomic uint32_t changes;
	struct entry *first;
};

int rk__cwds_create(struct rk__registry *r, struct rk__cwds **ret)
{
	struct rk__cwds *c = calloc(1, sizeof *c);
	int e;

	if (!c)
		return -ENOMEM;
	c->registry = r;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0) {
		e = -errno;
		free(c);
		return e;
	}
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

int rk__cwds_fd(const struct rk__cwds *c)
{
	return c->epoll;
}

uint32_t rk__cwds_changes(const struct rk__cwds *c)
{
	return c->changes;
}

static void forget(struct rk__cwds *c, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	c->n--;
	if (e->fd >= 0)
		rk_close(e->client, e->fd);
	close(e->pidfd);
	free(e);
}

static bool ended(const struct entry *e)
{
	struct pollfd p = { .fd = e->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void settle(struct rk__cwds *c)
{
	struct epoll_event event;
	struct entry **at = &c->first;

	if (epoll_wait(c->epoll, &event, 1, 0) <= 0)
		return;
	while (*at) {
		if (ended(*at))
			forget(c, at);
		else
			at = &(*at)->next;
	}
}

void rk__cwds_settle(struct rk__cwds *c)
{
	pthread_mutex_lock(&c->lock);
	settle(c);
	pthread_mutex_unlock(&c->lock);
}

static struct entry **slot(struct rk__cwds *c, pid_t pid)
{
	struct entry **at = &c->first;

	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	return at;
}

static int make(struct rk__cwds *c, pid_t pid, struct entry **ret)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct entry *e;
	int r = 0;

	if (c->n >= RK__CWDS_MAX)
		return -ENFILE;
	e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->pid = pid;
	e->fd = -1;
	e->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (e->pidfd < 0 ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, e->pidfd, &event) < 0)
		r = -errno;
	if (r < 0) {
		if (e->pidfd >= 0)
			close(e->pidfd);
		free(e);
		return r;
	}
	e->next = c->first;
	c->first = e;
	c->n++;
	*ret = e;
	return 0;
}

/* With the lock. fd: in the broker's client of the server, taken over. */
static int put(struct rk__cwds *c, pid_t pid, uint32_t server,
	       struct rk_client *client, int32_t fd)
{
	struct entry *e;
	int r = 0;

	settle(c);
	e = *slot(c, pid);
	if (!e)
		r = make(c, pid, &e);
	if (r < 0)
		return r;
	if (e->fd >= 0)
		rk_close(e->client, e->fd);
	e->server = server;
	e->client = client;
	e->fd = fd;
	c->changes++;
	return 0;
}

int rk__cwds_set(struct rk__cwds *c, pid_t pid, uint32_t server,
		 const struct rk_ticket *ticket)
{
	struct rk_client *client = NULL;
	int64_t fd = -1;
	int r = 0;

	if (ticket) {
		r = rk__registry_client(c->registry, server, &client);
		if (r < 0)
			return r;
		fd = rk_take(client, ticket->word[0], ticket->word[1], 0);
		if (fd < 0)
			return (int)fd;
	}
	pthread_mutex_lock(&c->lock);
	r = put(c, pid, server, client, (int32_t)fd);
	pthread_mutex_unlock(&c->lock);
	if (r < 0 && fd >= 0)
		rk_close(client, (int32_t)fd);
	return r;
}

int rk__cwds_get(struct rk__cwds *c, pid_t pid, uint32_t *ret_server,
		 struct rk_ticket *ret)
{
	struct entry *e;
	int64_t r = -ENOENT;

	pthread_mutex_lock(&c->lock);
	settle(c);
	e = *slot(c, pid);
	if (e && e->fd >= 0) {
		*ret_server = e->server;
		r = rk_offer(e->client, e->fd, ret);
	} else if (e) {
		r = -ENODATA;
	}
	pthread_mutex_unlock(&c->lock);
	return r < 0 ? (int)r : 0;
}

void rk__cwds_forget(struct rk__cwds *c, pid_t pid)
{
	struct entry **at;

	pthread_mutex_lock(&c->lock);
	at = slot(c, pid);
	if (*at)
		forget(c, at);
	pthread_mutex_unlock(&c->lock);
}

void rk__cwds_destroy(struct rk__cwds *c)
{
	if (!c)
		return;
	while (c->first)
		forget(c, &c->first);
	close(c->epoll);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
