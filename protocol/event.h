/*
 * event.h - what happens to the servers of a family, as its supervisor tells
 * clients, tools and the bus: one record of fixed size for each event.
 *
 * Whoever sends RK_HELLO_WATCH to a supervisor's socket gets the last events,
 * oldest first, as messages of one rk_event each, then one of kind
 * RK_HAPPENED_NOTHING, and from then on each new one when it happens, until the
 * connection ends. Numbers grow by one; what is
 * missing was lost because the reader was too slow, or is too long ago.
 */
#ifndef RK_EVENT_H
#define RK_EVENT_H

#include <stdint.h>

/* What happened. X(NAME, word): the word is that of the bus and of tools. */
#define RK_EVENTS(X)							\
	X(STARTED, "started")		/* the first server serves */	\
	X(INHERITED, "inherited")	/* a supervisor goes on for a dead one */ \
	X(UPGRADED, "upgraded")		/* another build serves */	\
	X(DIED, "died")			/* a server did; cause, signal */	\
	X(RECOVERED, "recovered")	/* a successor serves; rung, down_ns */ \
	X(QUARANTINED, "quarantined")	/* a request gets EIO from now on */ \
	X(GAVE_UP, "gave-up")		/* nobody serves any more; text */	\
	X(STOPPING, "stopping")						\
	X(STOPPED, "stopped")						\
	X(ENDED, "ended")		/* the supervisor is gone (client's own) */

enum rk_event_kind {
	RK_HAPPENED_NOTHING,
#define RK_HAPPENED(name, word) RK_HAPPENED_##name,
	RK_EVENTS(RK_HAPPENED)
#undef RK_HAPPENED
};

/* Why a server died. */
#define RK_DEATHS(X)							\
	X(KILL, "kill")			/* a SIGKILL from outside */	\
	X(FAULT, "fault")		/* a signal of its own doing */	\
	X(DEADLINE, "deadline")		/* an op took too long */	\
	X(MEMORY, "memory")		/* it had no memory left */	\
	X(REFUSED, "refused")		/* it could not trust what it found */ \
	X(OTHER, "other")

enum rk_death {
	RK_DEATH_NONE,
#define RK_DEATH(name, word) RK_DEATH_##name,
	RK_DEATHS(RK_DEATH)
#undef RK_DEATH
	RK_DEATH_KINDS
};

/* How a successor went on: the rungs of the ladder. */
#define RK_RUNGS(X)							\
	X(WARM, "warm")							\
	X(ONE_BY_ONE, "one-by-one")					\
	X(QUARANTINE, "quarantine")					\
	X(COLD, "cold")							\
	X(READ_ONLY, "read-only")

enum rk_rung {
	RK_RUNG_NONE,
#define RK_RUNG(name, word) RK_RUNG_##name,
	RK_RUNGS(RK_RUNG)
#undef RK_RUNG
};

/* What was not kept, for whoever must do something about it. */
enum {
	RK_LOST_REQUEST = 1 << 0,	/* one call was answered with EIO */
	RK_LOST_WRITING = 1 << 1,	/* nothing can be written any more */
	RK_LOST_CLIENTS = 1 << 2,	/* descriptors of clients of the library */
	RK_LOST_ALL = 1 << 3,		/* whatever was not yet in the image */
};

struct rk_event {
	uint64_t number;		/* 1, 2, 3 ... of this supervisor */
	uint64_t time_ns;		/* CLOCK_REALTIME */
	uint64_t down_ns;		/* RECOVERED: since the death was seen */
	uint64_t request;		/* id of the one that ran, or 0 */
	uint32_t kind;			/* enum rk_event_kind */
	uint32_t death;			/* enum rk_death */
	uint32_t signal;
	uint32_t rung;			/* enum rk_rung */
	uint32_t lost;			/* RK_LOST_* */
	uint32_t pid;			/* of the server that died or serves */
	uint32_t restarts;		/* so far */
	/* What the server that died was at, 0: nothing: enum rk_op, or, with
	 * the top bit, what the kernel's FUSE calls it. */
	uint32_t op;
	char server[64];		/* its name */
	char text[256];			/* one sentence for a person */
};
_Static_assert(sizeof(struct rk_event) == 384, "an event is six cache lines");

/* The word of a kind, death or rung; "none" of what there is not. */
static inline const char *rk_event_word(uint32_t kind)
{
	switch (kind) {
#define RK_WORD(name, word) case RK_HAPPENED_##name: return word;
	RK_EVENTS(RK_WORD)
#undef RK_WORD
	default: return "none";
	}
}

static inline const char *rk_death_word(uint32_t death)
{
	switch (death) {
#define RK_WORD(name, word) case RK_DEATH_##name: return word;
	RK_DEATHS(RK_WORD)
#undef RK_WORD
	default: return "none";
	}
}

static inline const char *rk_rung_word(uint32_t rung)
{
	switch (rung) {
#define RK_WORD(name, word) case RK_RUNG_##name: return word;
	RK_RUNGS(RK_WORD)
#undef RK_WORD
	default: return "none";
	}
}

#endif
