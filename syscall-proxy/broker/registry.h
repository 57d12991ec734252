/*
 * registry.h - the open files that have a placeholder of their own: known by the
 * memfd's (device, inode), alive until the kernel says that nobody has it any
 * more.
 *
 * An open file is held by one client of its server, or several: each *holder* is
 * a descriptor there. The first is the task's that opened it or, of one that was
 * published, the broker's own client's; a task that uses what another holds gets
 * a descriptor by offer and take. While the placeholder lives there is at least
 * one holder; when it dies, all are closed.
 *
 * Threads: every function may be called by any, and takes the lock, across the
 * requests that it makes. A client must not be detached before
 * rk__registry_leave().
 */
#ifndef RK_REGISTRY_H
#define RK_REGISTRY_H

#include <stdbool.h>
#include "proxy.h"

struct rk_client;
struct rk__registry;

enum { RK__REGISTRY_MAX = 65536 };

/* Which placeholder. */
struct rk__mark {
	uint64_t dev, ino;
};

int rk__registry_create(const struct rk__proxy_config *c,
			struct rk__registry **ret);
/* Closes what is left, detaches its clients. NULL is allowed. */
void rk__registry_destroy(struct rk__registry *r);

/* Readable when rk__registry_settle() has something to do. */
int rk__registry_fd(const struct rk__registry *r);
/* Closes the open files whose placeholder is gone. Never blocks on the kernel. */
void rk__registry_settle(struct rk__registry *r);

/* The client of the broker itself. 0 or a negative errno. */
int rk__registry_client(struct rk__registry *r, uint32_t server,
			struct rk_client **ret);

/* -EBADF: it is no memfd that can be a placeholder. */
int rk__placeholder_mark(int fd, struct rk__mark *ret);
/* A placeholder that nothing else is, good for neither reading nor writing,
 * close-on-exec; or a negative errno. */
int rk__placeholder_make(void);

/*
 * A new open file: `fd` of `client`, which it takes over, also if it fails.
 * `placeholder` stays the caller's, and must be closed before anybody is told.
 * -EEXIST, -ENFILE, -EBADF, -ENOSPC (the kernel watches no more).
 */
int rk__registry_add(struct rk__registry *r, int placeholder, uint32_t server,
		     struct rk_client *client, int32_t fd);
/* As rk__registry_add, of what a ticket says. */
int rk__registry_publish(struct rk__registry *r, int placeholder,
			 uint32_t server, const struct rk_ticket *ticket);
/* A ticket for it. -ENOENT: it is none. */
int rk__registry_claim(struct rk__registry *r, const struct rk__mark *m,
		       uint32_t *ret_server, struct rk_ticket *ret);

/* Gives the client of a server for the caller, who is `arg`. */
typedef int rk__registry_client_fn(void *arg, uint32_t server,
				   struct rk_client **ret);
/* The caller's own descriptor of it. -ENOENT: it is none. The client is asked
 * for with the lock not held. */
int rk__registry_find(struct rk__registry *r, const struct rk__mark *m,
		      rk__registry_client_fn *client_of, void *arg,
		      uint32_t *ret_server, struct rk_client **ret_client,
		      int32_t *ret_fd);
/* How many there are. */
uint32_t rk__registry_count(struct rk__registry *r);
bool rk__registry_knows(struct rk__registry *r, const struct rk__mark *m);

/* The client is about to be detached: what only it holds goes to another. */
void rk__registry_leave(struct rk__registry *r, uint32_t server,
			struct rk_client *client);

/* From one client of a server to another: its descriptor, or a negative errno. */
int32_t rk__pass(struct rk_client *from, int32_t fd, struct rk_client *to);

#endif
