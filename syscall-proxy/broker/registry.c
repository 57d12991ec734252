/*
 * registry.c - see registry.h. A table of open files by placeholder, each with
 * the inotify watch that tells of its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "broker/registry.h"
#include "rump/client.h"

enum { BUCKETS = 1024 };

struct holder {
	struct holder *next;
	struct rk_client *client;
	int32_t fd;
};

struct open {
	struct open *next_by_mark, *next_by_watch;
	struct rk__mark mark;
	int watch;
	uint32_t server;
	struct holder *holders;		/* at least one */
};

struct rk__registry {
	const struct rk__proxy_config *config;
	pthread_mutex_t lock;
	int inotify;
	uint32_t n;
	struct rk_client *client[RK__PROXY_SERVERS];
	struct open *by_mark[BUCKETS], *by_watch[BUCKETS];
};

int rk__registry_create(const struct rk__proxy_config *c,
			struct rk__registry **ret)
{
	struct rk__registry *r = calloc(1, sizeof *r);
	int e;

	if (!r)
		return -ENOMEM;
	r->config = c;
	r->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->inotify < 0) {
		e = -errno;
		free(r);
		return e;
	}
	pthread_mutex_init(&r->lock, NULL);
	*ret = r;
	return 0;
}

int rk__registry_fd(const struct rk__registry *r)
{
	return r->inotify;
}

/* --- placeholders ------------------------------------------------------------- */

int rk__placeholder_mark(int fd, struct rk__mark *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* a memfd has no name, so no link */
	if (!S_ISREG(st.st_mode) || st.st_nlink)
		return -EBADF;
	*ret = (struct rk__mark){ st.st_dev, st.st_ino };
	return 0;
}

int rk__placeholder_make(void)
{
	char path[32];
	int fd, memfd = memfd_create(RK__PLACEHOLDER,
				     MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (memfd < 0)
		return -errno;
	(void)fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
		    F_SEAL_GROW | F_SEAL_WRITE);
	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
	/* Neither for reading nor for writing: what bypasses us gets EBADF. As
	 * O_PATH would, which the kernel puts into no other process. */
	fd = open(path, O_ACCMODE | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(memfd);
	return fd;
}

/* --- the table ---------------------------------------------------------------- */

static struct open **mark_slot(struct rk__registry *r, const struct rk__mark *m)
{
	struct open **at = &r->by_mark[(m->ino ^ m->ino >> 10) % BUCKETS];

	while (*at && ((*at)->mark.ino != m->ino || (*at)->mark.dev != m->dev))
		at = &(*at)->next_by_mark;
	return at;
}

static struct open **watch_slot(struct rk__registry *r, int watch)
{
	struct open **at = &r->by_watch[(unsigned)watch % BUCKETS];

	while (*at && (*at)->watch != watch)
		at = &(*at)->next_by_watch;
	return at;
}

static struct holder *holder_of(struct open *o, const struct rk_client *client)
{
	struct holder *h = o->holders;

	while (h && h->client != client)
		h = h->next;
	return h;
}

static int add_holder(struct open *o, struct rk_client *client, int32_t fd)
{
	struct holder *h = malloc(sizeof *h);

	if (!h)
		return -ENOMEM;
	*h = (struct holder){ o->holders, client, fd };
	o->holders = h;
	return 0;
}

static void drop(struct rk__registry *r, struct open *o)
{
	struct holder *h;

	*mark_slot(r, &o->mark) = o->next_by_mark;
	*watch_slot(r, o->watch) = o->next_by_watch;
	r->n--;
	while ((h = o->holders)) {
		o->holders = h->next;
		rk_close(h->client, h->fd);
		free(h);
	}
	free(o);
}

/* With the lock. */
static void settle(struct rk__registry *r)
{
	char buf[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	struct inotify_event *e;
	struct open *o;
	ssize_t n;

	while ((n = read(r->inotify, buf, sizeof buf)) > 0) {
		for (char *p = buf; p < buf + n; p += sizeof *e + e->len) {
			e = (struct inotify_event *)p;
			o = *watch_slot(r, e->wd);
			if (o && e->mask & (IN_DELETE_SELF | IN_IGNORED))
				drop(r, o);
		}
	}
}

void rk__registry_settle(struct rk__registry *r)
{
	pthread_mutex_lock(&r->lock);
	settle(r);
	pthread_mutex_unlock(&r->lock);
}

static int watch(struct rk__registry *r, int fd)
{
	char path[32];
	int w;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	w = inotify_add_watch(r->inotify, path,
			      IN_DELETE_SELF | IN_MASK_CREATE);
	return w < 0 ? -errno : w;
}

static int add(struct rk__registry *r, int placeholder, uint32_t server,
	       struct rk_client *client, int32_t fd)
{
	struct open *o, **slot;
	struct rk__mark m;
	int e = rk__placeholder_mark(placeholder, &m);

	if (e < 0)
		return e;
	/* The number of one that is gone may be in use again. */
	settle(r);
	if (*mark_slot(r, &m))
		return -EEXIST;
	if (r->n >= RK__REGISTRY_MAX)
		return -ENFILE;
	o = calloc(1, sizeof *o);
	if (!o)
		return -ENOMEM;
	o->mark = m;
	o->server = server;
	o->watch = watch(r, placeholder);
	e = o->watch < 0 ? o->watch : add_holder(o, client, fd);
	if (e < 0) {
		if (o->watch >= 0)
			inotify_rm_watch(r->inotify, o->watch);
		free(o);
		return e;
	}
	slot = mark_slot(r, &m);
	o->next_by_mark = *slot;
	*slot = o;
	slot = watch_slot(r, o->watch);
	o->next_by_watch = *slot;
	*slot = o;
	r->n++;
	return 0;
}

int rk__registry_add(struct rk__registry *r, int placeholder, uint32_t server,
		     struct rk_client *client, int32_t fd)
{
	int e;

	pthread_mutex_lock(&r->lock);
	e = add(r, placeholder, server, client, fd);
	pthread_mutex_unlock(&r->lock);
	if (e < 0)
		rk_close(client, fd);
	return e;
}

/* --- clients ------------------------------------------------------------------ */

static int own_client(struct rk__registry *r, uint32_t server,
		      struct rk_client **ret)
{
	int e = 0;

	if (server >= r->config->n_servers)
		return -EINVAL;
	/* Not of a thread: workers of the notifier come and go. */
	if (!r->client[server])
		e = rk_attach(r->config->server[server],
			      RK_ATTACH_POOL | RK_ATTACH_PAGES,
			      &r->client[server]);
	*ret = r->client[server];
	return e;
}

int rk__registry_client(struct rk__registry *r, uint32_t server,
			struct rk_client **ret)
{
	int e;

	pthread_mutex_lock(&r->lock);
	e = own_client(r, server, ret);
	pthread_mutex_unlock(&r->lock);
	return e;
}

int32_t rk__pass(struct rk_client *from, int32_t fd, struct rk_client *to)
{
	struct rk_ticket ticket;
	int64_t e = rk_offer(from, fd, &ticket);

	if (e >= 0)
		e = rk_take(to, ticket.word[0], ticket.word[1], 0);
	return (int32_t)e;
}

int rk__registry_publish(struct rk__registry *r, int placeholder,
			 uint32_t server, const struct rk_ticket *ticket)
{
	struct rk_client *client;
	int64_t fd;
	int e;

	pthread_mutex_lock(&r->lock);
	e = own_client(r, server, &client);
	pthread_mutex_unlock(&r->lock);
	if (e < 0)
		return e;
	fd = rk_take(client, ticket->word[0], ticket->word[1], 0);
	if (fd < 0)
		return (int)fd;
	return rk__registry_add(r, placeholder, server, client, (int32_t)fd);
}

int rk__registry_claim(struct rk__registry *r, const struct rk__mark *m,
		       uint32_t *ret_server, struct rk_ticket *ret)
{
	struct open *o;
	int64_t e = -ENOENT;

	pthread_mutex_lock(&r->lock);
	o = *mark_slot(r, m);
	if (o) {
		*ret_server = o->server;
		e = rk_offer(o->holders->client, o->holders->fd, ret);
	}
	pthread_mutex_unlock(&r->lock);
	return e < 0 ? (int)e : 0;
}

/* The caller's descriptor, or a new one from another holder's. */
static int hold(struct open *o, struct rk_client *client, int32_t *ret)
{
	struct holder *h = holder_of(o, client);
	int32_t fd;
	int e;

	if (h) {
		*ret = h->fd;
		return 0;
	}
	fd = rk__pass(o->holders->client, o->holders->fd, client);
	if (fd < 0)
		return fd;
	e = add_holder(o, client, fd);
	if (e < 0)
		rk_close(client, fd);
	*ret = fd;
	return e;
}

int rk__registry_find(struct rk__registry *r, const struct rk__mark *m,
		      rk__registry_client_fn *client_of, void *arg,
		      uint32_t *ret_server, struct rk_client **ret_client,
		      int32_t *ret_fd)
{
	struct rk_client *client;
	struct open *o;
	uint32_t server;
	int e;

	pthread_mutex_lock(&r->lock);
	o = *mark_slot(r, m);
	server = o ? o->server : 0;
	pthread_mutex_unlock(&r->lock);
	if (!o)
		return -ENOENT;
	e = client_of(arg, server, &client);
	if (e < 0)
		return e;
	pthread_mutex_lock(&r->lock);
	o = *mark_slot(r, m);
	e = o && o->server == server ? hold(o, client, ret_fd) : -ENOENT;
	pthread_mutex_unlock(&r->lock);
	if (e == 0) {
		*ret_server = server;
		*ret_client = client;
	}
	return e;
}

uint32_t rk__registry_count(struct rk__registry *r)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = r->n;
	pthread_mutex_unlock(&r->lock);
	return n;
}

bool rk__registry_knows(struct rk__registry *r, const struct rk__mark *m)
{
	bool known;

	pthread_mutex_lock(&r->lock);
	known = *mark_slot(r, m) != NULL;
	pthread_mutex_unlock(&r->lock);
	return known;
}

/* The last one that goes leaves it to the broker; a file that cannot even be
 * kept so is lost to who still has it, as when a server is stopped. */
static void leave(struct rk__registry *r, struct open *o,
		  struct rk_client *client)
{
	struct holder *h = holder_of(o, client), **at = &o->holders;
	struct rk_client *own;
	int32_t fd;

	if (!h)
		return;
	if (!h->next && o->holders == h &&
	    own_client(r, o->server, &own) == 0) {
		fd = rk__pass(client, h->fd, own);
		if (fd >= 0 && add_holder(o, own, fd) < 0)
			rk_close(own, fd);
	}
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	free(h);
	if (!o->holders) {
		inotify_rm_watch(r->inotify, o->watch);
		drop(r, o);
	}
}

void rk__registry_leave(struct rk__registry *r, uint32_t server,
			struct rk_client *client)
{
	struct open *o, *next;

	pthread_mutex_lock(&r->lock);
	settle(r);
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (o = r->by_mark[i]; o; o = next) {
			next = o->next_by_mark;
			if (o->server == server)
				leave(r, o, client);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

void rk__registry_destroy(struct rk__registry *r)
{
	struct holder *h;
	struct open *o;

	if (!r)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while ((o = r->by_mark[i])) {
			r->by_mark[i] = o->next_by_mark;
			while ((h = o->holders)) {
				o->holders = h->next;
				free(h);
			}
			free(o);
		}
	}
	/* which closes what they have open */
	for (unsigned i = 0; i < RK__PROXY_SERVERS; i++)
		rk_detach(r->client[i]);
	close(r->inotify);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
