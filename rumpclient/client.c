/*
 * client.c - attach and detach, a link for each thread, and fork.
 *
 * Theory of operation. A link belongs to the thread that opened it: that
 * thread's list finds it, and frees it when the thread ends. The client has all
 * of its links on a list too, so that rk_detach can close them; the struct of
 * another thread's link stays with that thread, marked by client NULL.
 *
 * fork: the parent waits until the child has attached, because what the child
 * inherits are the descriptors of that moment. The lock is held across the
 * fork, so that nothing changes in the child's copy.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <fcntl.h>
#include "client_int.h"
#include "runtime.h"

enum {
	FORK_WAIT_MS = 2000,
	USUAL_FILES = 1024,		/* a server's own limit */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct rk_client *clients;
static pthread_key_t key;
static int fork_pipe[2] = { -1, -1 };

static _Thread_local struct rk__link *own
	__attribute__((tls_model("initial-exec")));

static void forget(struct rk__link *l)
{
	struct rk__link **at = l->client ? &l->client->links : NULL;

	while (at && *at && *at != l)
		at = &(*at)->next_of_client;
	if (at && *at)
		*at = l->next_of_client;
}

static void thread_ends(void *unused)
{
	struct rk__link *l, *next;

	(void)unused;
	pthread_mutex_lock(&lock);
	for (l = own; l; l = next) {
		next = l->next_of_thread;
		forget(l);
		rk__link_close(l);
		free(l);
	}
	own = NULL;
	pthread_mutex_unlock(&lock);
}

/* --- fork --------------------------------------------------------------------- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	if (clients && pipe2(fork_pipe, O_CLOEXEC) < 0)
		fork_pipe[0] = fork_pipe[1] = -1;
}

static void close_pipe_end(int i)
{
	if (fork_pipe[i] >= 0)
		close(fork_pipe[i]);
	fork_pipe[i] = -1;
}

static void after_fork_parent(void)
{
	struct pollfd p = { .fd = fork_pipe[0], .events = POLLIN };

	close_pipe_end(1);
	/* The end of the pipe: the child has attached, or is no more. */
	while (p.fd >= 0 && poll(&p, 1, FORK_WAIT_MS) < 0 && errno == EINTR)
		;
	close_pipe_end(0);
	pthread_mutex_unlock(&lock);
}

/* Links whose client was detached, by this thread or another. */
static void drop_detached(void)
{
	struct rk__link **at = &own, *l;

	while ((l = *at)) {
		if (l->client) {
			at = &l->next_of_thread;
			continue;
		}
		*at = l->next_of_thread;
		free(l);
	}
}

static void own_link(struct rk_client *c, struct rk__link *l)
{
	drop_detached();
	l->next_of_client = c->links;
	c->links = l;
	l->next_of_thread = own;
	own = l;
	pthread_setspecific(key, &own);
}

static void attach_child(struct rk_client *c)
{
	struct rk__link *l = c->links, *mine = NULL, *next;

	/* It may need one of its parent's connections to come to its own. */
	if (c->error == 0)
		c->error = rk__link_open(c, RK_HELLO_FORK, rk__transport_of(c),
					 &c->token, &mine);
	for (; l; l = next) {
		next = l->next_of_client;
		rk__link_close(l);
		free(l);
	}
	c->links = NULL;
	if (mine)
		own_link(c, mine);
}

static void after_fork_child(void)
{
	close_pipe_end(0);
	/* Links of detached clients are on no client's list. */
	drop_detached();
	own = NULL;
	for (struct rk_client *c = clients; c; c = c->next)
		attach_child(c);
	close_pipe_end(1);
	pthread_mutex_unlock(&lock);
}

static void init(void)
{
	pthread_key_create(&key, thread_ends);
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
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
static int attach(struct rk_client *c, struct rk_client **ret)
{
	struct rk__link *l;
	int r;

	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
	r = rk__link_open(c, RK_HELLO_ATTACH, rk__transport_of(c), &c->token,
			  &l);
	if (r == 0) {
		own_link(c, l);
		c->next = clients;
		clients = c;
		*ret = c;
	}
	pthread_mutex_unlock(&lock);
	if (r < 0)
		free(c);
	else
		tell_limits(c);
	return r;
}

int rk_attach(const char *socket_path, unsigned flags, struct rk_client **ret)
{
	struct rk_client *c;

	if (flags & ~(unsigned)(RK_ATTACH_SOCKET | RK_ATTACH_PAGES))
		return -EINVAL;
	if (strlen(socket_path) >= sizeof c->path)
		return -ENAMETOOLONG;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->flags = flags;
	strcpy(c->path, socket_path);
	return attach(c, ret);
}

int rk_attach_door(const struct rk_door *door, void *ctx,
		    struct rk_client **ret)
{
	struct rk_client *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->door = door;
	c->door_ctx = ctx;
	return attach(c, ret);
}

void rk_detach(struct rk_client *client)
{
	struct rk_client **at = &clients;
	struct rk__link *l, *next;

	if (!client)
		return;
	pthread_mutex_lock(&lock);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	for (l = client->links; l; l = next) {
		next = l->next_of_client;
		rk__link_close(l);
	}
	drop_detached();
	pthread_mutex_unlock(&lock);
	if (client->door)
		client->door->end(client->door_ctx);
	free(client);
}

static int open_for_thread(struct rk_client *c, struct rk__link **ret)
{
	uint64_t token;
	int r;

	pthread_mutex_lock(&lock);
	token = c->token;
	r = c->error;
	if (r == 0)
		r = rk__link_open(c, RK_HELLO_THREAD, rk__transport_of(c),
				  &token, ret);
	if (r == 0)
		own_link(c, *ret);
	pthread_mutex_unlock(&lock);
	return r;
}

int rk__link_get(struct rk_client *c, struct rk__link **ret)
{
	for (struct rk__link *l = own; l; l = l->next_of_thread) {
		if (l->client != c)
			continue;
		*ret = l;
		return l->dead ? -ESHUTDOWN : 0;
	}
	return open_for_thread(c, ret);
}

/* A new connection, because the kernel tells of a connection who made it. */
static int replace_link(struct rk_client *c, struct rk__link *old)
{
	uint64_t token = c->token;
	struct rk__link *l, **at = &own;
	int r;

	pthread_mutex_lock(&lock);
	r = rk__link_open(c, RK_HELLO_THREAD, rk__transport_of(c), &token,
			  &l);
	if (r == 0) {
		while (*at != old)
			at = &(*at)->next_of_thread;
		*at = old->next_of_thread;
		forget(old);
		rk__link_close(old);
		free(old);
		own_link(c, l);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int rk_refresh(struct rk_client *client)
{
	struct rk__link *l;
	int r = rk__link_get(client, &l);

	if (r < 0)
		return r;
	if (l->n_busy)
		return -EBUSY;
	r = replace_link(client, l);
	/* Answered by a server that has heard of it. */
	if (r == 0)
		r = (int)rk_null(client);
	if (r == 0)
		tell_limits(client);
	return r;
}
