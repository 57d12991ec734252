/*
 * pinned.c - shared mappings of files in a mount: of the file's own pages, which
 * all who map it share with the server.
 *
 * The server keeps such pages until it is told that no mapping is left. Nobody
 * tells us: mappings are copied by fork, cut, moved and end with their process.
 * So the broker holds them, not the task, and looks through the memory maps of
 * all processes for what has gone when there are many. msync asks there too,
 * which pages are meant.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "notify/notify_int.h"

enum { MANY = 32 };
/* After which time who was given pages has mapped them. */
static const uint64_t given_ns = 30 * 1000000000ull;

struct pinned {
	struct pinned *next;
	struct rk__mark mark;		/* of the pages */
	bool write;
	uint32_t server;
	uint32_t handle;		/* of the broker's client */
	uint64_t given;			/* when, the last time */
	bool found;			/* while it is looked for */
};

/* A line of a memory map. */
struct stretch {
	uint64_t from, to, offset;
	struct rk__mark mark;
};

static bool next_stretch(FILE *f, struct stretch *ret)
{
	unsigned long long from, to, offset, ino;
	unsigned major, minor;
	char line[512];

	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%llx-%llx %*s %llx %x:%x %llu", &from, &to,
			   &offset, &major, &minor, &ino) != 6)
			continue;
		*ret = (struct stretch){ from, to, offset,
					 { makedev(major, minor), ino } };
		return true;
	}
	return false;
}

static FILE *open_map(const char *pid)
{
	char path[300];

	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	return fopen(path, "re");
}

static bool same(const struct rk__mark *a, const struct rk__mark *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

/* --- what has gone, with the lock --------------------------------------------- */

static void look_into(struct rk__notifier *n, const char *pid)
{
	FILE *f = open_map(pid);
	struct stretch s;

	while (f && next_stretch(f, &s))
		for (struct pinned *p = n->pinned; p; p = p->next)
			p->found |= same(&p->mark, &s.mark);
	if (f)
		fclose(f);
}

static void unpin(struct rk__notifier *n, struct pinned *p)
{
	struct rk_client *own;

	if (rk__registry_client(n->how.registry, p->server, &own) == 0)
		(void)rk_unmap(own, p->handle);
	free(p);
}

static void drop_unused(struct rk__notifier *n)
{
	struct pinned **at = &n->pinned, *p;
	DIR *proc = opendir("/proc");
	struct dirent *d;

	n->n_pinned = 0;
	for (p = n->pinned; p; p = p->next)
		p->found = !proc || now() - p->given < given_ns;
	while (proc && (d = readdir(proc)))
		if (d->d_name[0] >= '0' && d->d_name[0] <= '9')
			look_into(n, d->d_name);
	if (proc)
		closedir(proc);
	while ((p = *at)) {
		n->n_pinned += p->found;
		if (p->found) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		unpin(n, p);
	}
	n->pinned_many = 2 * n->n_pinned > MANY ? 2 * n->n_pinned : MANY;
}

/* --- a new one ---------------------------------------------------------------- */

static struct pinned *find(struct rk__notifier *n, const struct rk__mark *m,
			   bool write)
{
	struct pinned *p = n->pinned;

	while (p && (!same(&p->mark, m) || (write && !p->write)))
		p = p->next;
	return p;
}

/* The handle is the broker's client's, and taken over. */
static int keep(struct rk__notifier *n, uint32_t server, bool write, int memfd,
		struct rk_client *own, uint32_t handle)
{
	struct pinned *p = malloc(sizeof *p), *known = NULL;
	struct rk__mark mark;
	int e = p ? rk__placeholder_mark(memfd, &mark) : -ENOMEM;

	pthread_mutex_lock(&n->pinning);
	if (e == 0)
		known = find(n, &mark, write);
	if (known)
		known->given = now();
	if (e < 0 || known) {
		(void)rk_unmap(own, handle);
		free(p);
	} else {
		if (n->n_pinned >= n->pinned_many)
			drop_unused(n);
		*p = (struct pinned){ n->pinned, mark, write, server, handle,
				      now(), true };
		n->pinned = p;
		n->n_pinned++;
	}
	pthread_mutex_unlock(&n->pinning);
	return e;
}

/* For the broker, what the task may map. */
static int pin(struct call *c, const struct rk__target *f, int64_t offset,
	       uint64_t length, int prot)
{
	struct rk_client *own;
	uint64_t at;
	int64_t handle = rk__registry_client(c->n->how.registry, f->server,
					     &own);
	int32_t fd;
	int memfd, e;

	if (handle < 0)
		return (int)handle;
	fd = rk__pass(f->client, f->fd, own);
	if (fd < 0)
		return fd;
	handle = rk_map(own, fd, offset, length, prot, MAP_SHARED, &memfd,
			&at);
	rk_close(own, fd);
	if (handle < 0)
		return (int)handle;
	e = handle ? keep(c->n, f->server, prot & PROT_WRITE, memfd, own,
			  (uint32_t)handle) : -ENODEV;
	if (e < 0) {
		close(memfd);
		return e;
	}
	return memfd;
}

/* One that cannot be mapped for writing later. */
static int read_only(int memfd)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -EACCES;
	close(memfd);
	return fd;
}

int pinned_pages(struct call *c, const struct rk__target *f, int64_t offset,
		 uint64_t length, int prot, int flags)
{
	uint64_t at;
	int memfd;
	int64_t handle = rk_map(f->client, f->fd, offset, length, prot, flags,
				&memfd, &at);

	/* What the task may, its own client was told. */
	if (handle < 0)
		return (int)handle;
	close(memfd);
	if (!handle)
		return -ENOENT;
	memfd = pin(c, f, offset, length, prot);
	(void)rk_unmap(f->client, (uint32_t)handle);
	if (memfd < 0 || prot & PROT_WRITE)
		return memfd;
	ids_leave(c);
	memfd = read_only(memfd);
	ids_enter(c);
	return memfd;
}

/* --- msync -------------------------------------------------------------------- */

static int sync_stretch(struct rk__notifier *n, const struct stretch *s,
			uint64_t from, uint64_t to, bool wait)
{
	uint64_t begin = from > s->from ? from : s->from;
	uint64_t end = to < s->to ? to : s->to;
	struct pinned *p = begin < end ? find(n, &s->mark, true) : NULL;
	struct rk_client *own;
	int e;

	if (!p)
		return 0;
	e = rk__registry_client(n->how.registry, p->server, &own);
	return e < 0 ? e : rk_map_sync(own, p->handle,
				       (int64_t)(s->offset + begin - s->from),
				       end - begin, wait);
}

int pinned_sync(struct call *c, uint64_t from, uint64_t length, bool wait)
{
	struct stretch s;
	char pid[16];
	FILE *f;
	int e = 0;

	if (!c->n->pinned || from + length < from)
		return 0;
	snprintf(pid, sizeof pid, "%d", c->task->pid);
	ids_leave(c);
	f = open_map(pid);
	ids_enter(c);
	pthread_mutex_lock(&c->n->pinning);
	while (f && e == 0 && next_stretch(f, &s))
		e = sync_stretch(c->n, &s, from, from + length, wait);
	pthread_mutex_unlock(&c->n->pinning);
	if (f)
		fclose(f);
	return e;
}

void pinned_destroy(struct rk__notifier *n)
{
	struct pinned *p;

	while ((p = n->pinned)) {
		n->pinned = p->next;
		unpin(n, p);
	}
}
