/*
 * control.h - a connection to the supervisor's socket, for control.c, which
 * has all of them, and tools.c, which answers who is no client of the library.
 */
#ifndef RK_CONTROL_H
#define RK_CONTROL_H

#include "supervisor/internal.h"

struct rk__client {
	struct rk__supervisor *sup;
	struct rk__client *next, *prev;
	uv_poll_t conn_poll, pid_poll;
	unsigned handles;		/* not closed yet */
	int conn, pidfd, memfd, eventfd;
	bool greeted, attached, wants_stop, pages;
	enum rk_hello_kind kind;
	/* what every server is told */
	struct rk__message attach;
	uint32_t pid;			/* of who connected */
};

/* Ends it. It is freed by the loop. */
void rk__client_drop(struct rk__client *c);

/* --- tools.c ---------------------------------------------------------------- */

/* Says how things stand, with an error and a sentence or NULL, and drops it. */
void rk__client_status(struct rk__client *c, int error, const char *message);
/* unused: only if no program uses the server. */
void rk__client_stop(struct rk__client *c, bool unused);
/* Their connections stay. */
void rk__client_share(struct rk__client *c);
void rk__client_watch(struct rk__client *c);

#endif
