/*
 * news.h - what happens to servers is told in one place: to who watches the
 * control socket, and on the bus. Nothing here waits for a listener; who is too
 * slow loses events.
 */
#ifndef RK_NEWS_H
#define RK_NEWS_H

#include "event.h"
#include "supervisor/policy.h"

struct rk__supervisor;

enum { RK_NEWS_KEPT = 64 };

/* What it remembers between a death and what came of it. */
struct rk__news {
	struct rk_event kept[RK_NEWS_KEPT];	/* a ring, by number */
	uint64_t number;			/* of the last */
	uint64_t died_ns;			/* CLOCK_MONOTONIC; 0: nobody died */
	uint64_t quarantined;			/* that were told */
	bool refused;				/* one of them since the death */
	enum rk_rung rung;			/* of the takeover that is on */
	enum rk_death death;			/* and what it came after */
	uint32_t pid;				/* of the server that serves */
	bool heir;				/* of a supervisor that died */
	int bus;				/* of nanomsg; -1: none */
	int journal;				/* systemd's; -1: none */
};

/* After the threads' time has come: no fork follows. Without a bus it goes on:
 * a supervisor is needed more than its news. */
void rk__news_open(struct rk__supervisor *s);
void rk__news_close(struct rk__supervisor *s);
/* The bus alone, after that. */
void rk__news_again(struct rk__supervisor *s);

/* The policy was asked, and what it said was done. */
void rk__news_step(struct rk__supervisor *s, const struct rk__policy_event *e,
		     const struct rk__policy_actions *a);
/* Why it died, in the words of events. */
enum rk_death rk__news_death(enum rk__cause cause);
/* A server serves, the first or a successor. */
void rk__news_ready(struct rk__supervisor *s);
/* Any other: kind, and a sentence or NULL. */
void rk__news_tell(struct rk__supervisor *s, enum rk_event_kind kind,
		     const char *sentence);
/* Those that are kept, oldest first, until fn returns a negative errno. */
void rk__news_each(const struct rk__supervisor *s,
		     int (*fn)(void *ctx, const struct rk_event *e), void *ctx);

/* --- bus.c ---------------------------------------------------------------- */

/* One event as the bus has it: "NAME {JSON}". Returns its length, at most
 * size - 1; or -ENAMETOOLONG. */
int rk__bus_format(const struct rk_event *e, char *ret, size_t size);
int rk__bus_open(const char *socket_path);
void rk__bus_publish(int bus, const struct rk_event *e);
void rk__bus_close(int bus, const char *socket_path);

/* --- journald.c: systemd's journal ------------------------------------------- */

/* -1: there is none. */
int rk__journald_open(void);
/* Never waits: what a journal that is stopped or full does not take is lost. */
void rk__journald_tell(const struct rk__supervisor *s,
		       const struct rk_event *e);

#endif
