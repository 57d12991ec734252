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

/* NULL: too many, or no memory; conn stays the caller's then. */
struct rk__client *rk__client_add(struct rk__supervisor *s, int conn);
/* Waits for whatever it may do next. */
void rk__client_listen(struct rk__client *c);
/* Takes new connections. */
int rk__control_accept(struct rk__supervisor *s);

/* --- control_hand.c ----------------------------------------------------------- */

/* It wants an upgrade or an export, and says which. */
void rk__client_order(struct rk__client *c);
void rk__client_ordered(uv_poll_t *poll, int error, int events);

/* --- tools.c ---------------------------------------------------------------- */

/* Says how things stand, with an error and a sentence or NULL, and drops it. */
void rk__client_status(struct rk__client *c, int error, const char *message);
/* Is it the owner or root? Otherwise it is answered with the sentence. */
bool rk__client_may_rule(struct rk__client *c, const char *sentence);
/* unused: only if no program uses the server. */
void rk__client_stop(struct rk__client *c, bool unused);
/* Their connections stay. */
void rk__client_share(struct rk__client *c);
void rk__client_watch(struct rk__client *c);

#endif
