/*
 * client.c - attach and detach, and what a server is told of the process.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "client_int.h"
#include "links.h"
#include "runtime.h"

enum { USUAL_FILES = 1024 };		/* a server's own limit */

struct rk_client *rk__clients;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	rk__fork_before(true);
}

static void init(void)
{
	rk__links_init();
	pthread_atfork(before_fork, rk__fork_parent, rk__fork_child);
}

/* --- attach ------------------------------------------------------------------- */

int rk_socket_path(const char *name, char *ret, size_t size)
{
	const char *path = name ? NULL : getenv("RUMP_SOCKET");

	if (name)
		return rk_runtime_socket(name, ret, size);
	if (!path || !path[0])
		return -EINVAL;
	if (strlen(path) >= size)
		return -ENAMETOOLONG;
	strcpy(ret, path);
	return 0;
}

/* Most processes have none that matter. What goes wrong here goes wrong again
 * at the next call, which says so. */
static void tell_limits(struct rk_client *c)
{
	struct rlimit files, size;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
	    (c->limited || files.rlim_cur < USUAL_FILES))
		(void)rk_rlimit(c, RLIMIT_NOFILE, files.rlim_cur);
	if (getrlimit(RLIMIT_FSIZE, &size) < 0)
		return;
	if (c->limited || size.rlim_cur != RLIM_INFINITY)
		(void)rk_rlimit(c, RLIMIT_FSIZE, size.rlim_cur);
	c->size_limited = size.rlim_cur != RLIM_INFINITY;
	c->limited = true;
}

/* Takes over c. */
static int attach(struct rk_client *c, enum rk_hello_kind kind,
		  struct rk_client **ret)
{
	uint64_t mask = rk__block_signals(), inner;
	int r;

	pthread_once(&once, init);
	inner = rk__lock();
	r = rk__link_first(c, kind);
	if (r == 0) {
		c->next = rk__clients;
		rk__clients = c;
		*ret = c;
	}
	rk__unlock(inner);
	rk__restore_signals(mask);
	if (r < 0)
		free(c);
	else if (!(c->flags & RK_ATTACH_POOL) && kind == RK_HELLO_ATTACH)
		tell_limits(c);
	return r;
}

int rk_attach(const char *socket_path, unsigned flags, struct rk_client **ret)
{
	return rk_attach_for(socket_path, flags, 0, ret);
}

int rk_attach_for(const char *socket_path, unsigned flags, uint32_t pid,
		  struct rk_client **ret)
{
	struct rk_client *c;

	if (flags & ~(unsigned)(RK_ATTACH_SOCKET | RK_ATTACH_PAGES |
				RK_ATTACH_POOL))
		return -EINVAL;
	if (strlen(socket_path) >= sizeof c->path)
		return -ENAMETOOLONG;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->flags = flags;
	c->pid = pid;
	strcpy(c->path, socket_path);
	return attach(c, RK_HELLO_ATTACH, ret);
}

void rk_before_sleep(struct rk_client *client, void (*before)(void))
{
	client->before_sleep = before;
}

int rk_attach_child(const struct rk_client *parent, uint32_t pid,
		    struct rk_client **ret)
{
	struct rk_client *c;
	int r;

	if (parent->door)
		return -EOPNOTSUPP;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->flags = parent->flags;
	c->pid = pid;
	c->token = parent->token;
	c->limited = parent->limited;
	c->size_limited = parent->size_limited;
	strcpy(c->path, parent->path);
	rk__hot_share((struct rk_client *)parent);
	r = attach(c, RK_HELLO_FORK, ret);
	rk__hot_shared((struct rk_client *)parent);
	return r;
}

int rk_attach_door(const struct rk_door *door, void *ctx,
		    struct rk_client **ret)
{
	struct rk_client *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->door = door;
	c->door_ctx = ctx;
	return attach(c, RK_HELLO_ATTACH, ret);
}

void rk_detach(struct rk_client *client)
{
	struct rk_client **at = &rk__clients;
	uint64_t mask;

	if (!client)
		return;
	mask = rk__lock();
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	rk__links_end(client);
	rk__hot_end(client);
	rk__unlock(mask);
	if (client->door)
		client->door->end(client->door_ctx);
	free(client);
}

int rk_refresh(struct rk_client *client)
{
	struct rk__link *l;
	int r = rk__link_get(client, (uintptr_t)&l, &l);

	if (r < 0)
		return r;
	r = l->n_busy ? -EBUSY : rk__link_replace(client, l);
	rk__link_put(l);
	rk__hot_refresh(client);
	/* Answered by a server that has heard of it. */
	if (r == 0)
		r = (int)rk_null(client);
	if (r == 0)
		tell_limits(client);
	return r;
}
