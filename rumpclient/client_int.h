/*
 * client_int.h - a client (one process at one server) and its links (one for
 * each thread that used it).
 */
#ifndef RK_CLIENT_INT_H
#define RK_CLIENT_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include "channel.h"
#include "rump/client.h"
#include "rump/door.h"

/* A request in the ring. Everything that is believed of it stands here. */
struct rk__pending {
	uint64_t seq, tag;
	void *back;			/* where output belongs */
	uint32_t op, in_len, out_len;
	bool busy;			/* submitted, completion not taken */
	bool done;			/* on a socket: `completion` has it */
	struct rk_completion completion;
};

struct rk__link {
	struct rk_client *_Atomic client; /* NULL: closed, may be used again */
	struct rk__link *next_of_client;
	struct rk__link *next_of_thread;
	struct rk__link *next_idle;	/* of a pool */
	_Atomic uintptr_t busy;		/* where its call is on the stack, or 0 */
	uint64_t taken_seq;		/* seq when that call began */
	bool ringing;			/* it is one of ring.c */
	bool guest_call;		/* a vfork child's */
	bool guest;			/* the link itself is */
	bool pooled;			/* no thread's */
	bool orphan;			/* the parent's, of before the fork */
	int fd;				/* connection */
	int event_fd;			/* doorbell, -1 on a socket */
	struct rk_channel *channel;	/* NULL on a socket */
	uint8_t *message;		/* without a channel: what is sent */
	bool dead;			/* the supervisor is gone */
	uint64_t seq;			/* of the last request */
	uint32_t budget_ns, spin_max_ns; /* spin before sleeping; 0: one CPU */
	uint32_t misses;		/* calls since the budget was used up */
	struct rk__watch *watch;	/* poll.c */
	/* the ring */
	uint32_t next, oldest;		/* submission numbers */
	uint32_t rung;			/* what the doorbell says */
	uint32_t seen;			/* ring_answered at the last full look */
	uint32_t n_busy;
	struct rk__pending pending[RK_RING_SLOTS];
};

struct rk_client {
	struct rk_client *next;		/* all of this process */
	struct rk__link *links;
	struct rk__link *idle;		/* of RK_ATTACH_POOL */
	unsigned n_idle;
	uint64_t token;
	unsigned flags;
	uint32_t pid;			/* for whom it is; 0: this process */
	int error;			/* of the attach after a fork */
	void (*before_sleep)(void);	/* or NULL */
	const struct rk_door *door;	/* NULL: a server */
	void *door_ctx;
	struct rk__hot *hot;		/* NULL: everything is asked for */
	bool limited;			/* limits were told */
	bool size_limited;		/* RLIMIT_FSIZE is one of them */
	char path[108];
};

/* connect.c: opens a link that is closed. Token: of the process, 0; the new one
 * is returned. */
int rk__link_open(struct rk__link *l, struct rk_client *c,
		  enum rk_hello_kind kind, enum rk_transport transport,
		  uint64_t *token);
/* A connection of the caller's, or a negative errno. */
int rk__connect_to(const char *path);
enum rk_transport rk__transport_of(const struct rk_client *c);
void rk__link_close(struct rk__link *l);	/* keeps *l */

/*
 * links.c: a link for a call, which gives it back. frame: where the call is on
 * the stack, an object that lives as long as it has the link. 0 or a negative
 * errno.
 */
int rk__link_get(struct rk_client *c, uintptr_t frame, struct rk__link **ret);
int rk__link_get_ring(struct rk_client *c, uintptr_t frame,
		      struct rk__link **ret);
void rk__link_put(struct rk__link *l);
void rk__links_init(void);
/* Locks the lists of links and clients, with all signals blocked. */
uint64_t rk__lock(void);
void rk__unlock(uint64_t mask);
uint64_t rk__block_signals(void);
void rk__restore_signals(uint64_t mask);
bool rk__is_guest(void);
/* Under the lock: */
int rk__link_first(struct rk_client *c, enum rk_hello_kind kind);
void rk__links_end(struct rk_client *c);
/* In a child: those of its parent. */
void rk__links_leave(struct rk__link *first, uintptr_t frame);
/* Takes the lock: another one in place of the calling thread's. */
int rk__link_replace(struct rk_client *c, struct rk__link *old);
void rk__link_moved(struct rk__link *l, int from, int to);
/* fork.c */
void rk__link_orphan(struct rk__link *l);
/* client.c: all of this process, under the lock */
extern struct rk_client *rk__clients;

/* wait.c */
struct rk__spin {
	uint64_t until_ns;
	unsigned n;
};
/* True while it pays to look again without sleeping. */
bool rk__spin(struct rk__link *l, struct rk__spin *s);
void rk__spin_hit(struct rk__link *l);
void rk__spin_missed(struct rk__link *l);
/* Wakes a server that sleeps. After the store that it shall see. */
void rk__link_ring(struct rk__link *l);
/* Sleeps while *word == value, a second at most, then looks whether anybody is
 * there. 0, -EINTR, or -ESHUTDOWN. */
int rk__link_sleep(struct rk__link *l, _Atomic uint32_t *word, uint32_t value);

/* call.c: one call, between encoding and answer. */
struct rk__call {
	struct rk__link *link;
	struct rk_request req;		/* private: copied to the slot */
	uint8_t *payload;
	size_t room;
	uint32_t index;			/* slot; for the ring, 1 and up */
	bool ringing;			/* ring.c gives the link back */
};
int rk__call_begin(struct rk_client *c, struct rk__call *ret);
void rk__call_prepare(struct rk__call *call, struct rk__link *l);
/* Gives the link back, as does who begins a call and does not end it. */
int64_t rk__call_end(struct rk__call *call, void *back, uint32_t *ret_out_len);
/* Another one that carries no payload, while this one is encoded. */
int64_t rk__call_between(struct rk__link *l, const struct rk_request *req);
/* The call's caller left it; its answer comes, and nobody takes it. */
void rk__call_settle(struct rk__link *l);
int64_t rk__socket_call(struct rk__call *call, void *back,
			uint32_t *ret_out_len);

/* What one message or slot carries. */
uint64_t rk__piece_of(const struct rk_client *c, uint64_t count);

/* poll.c */
void rk__watch_free(struct rk__watch *w);
bool rk__watch_is_guest(const struct rk__watch *w);
void rk__watch_moved(struct rk__watch *w, int from, int to);

/* hot.c */
struct rk__hot;
/* It is mapped; the descriptor stays the caller's. */
void rk__hot_begin(struct rk_client *c, int cells);
void rk__hot_end(struct rk_client *c);
/* Before a call, and after it with what it came to; one of a ring when it is
 * completed. c->hot must be. */
void rk__hot_around(struct rk_client *c, const struct rk_request *req);
void rk__hot_result(struct rk_client *c, const struct rk_request *req,
		    int64_t result);
void rk__hot_completed(struct rk_client *c, uint32_t op, int64_t result);
/* Offsets that are kept here, to the server over this link, if the call needs them;
 * and when it is over. */
void rk__hot_give_back(struct rk_client *c, struct rk__link *l,
		       const struct rk_request *req);
void rk__hot_gave_back(struct rk_client *c, const struct rk_request *req);
/* All of them, and none is taken until the second: open files are shared. */
void rk__hot_share(struct rk_client *c);
void rk__hot_shared(struct rk_client *c);
void rk__hot_refresh(struct rk_client *c);	/* other ids */
void rk__hot_moved(struct rk_client *c, int from, int to);

/* ring.c */
int rk__submit_begin(struct rk_client *c, struct rk__call *ret);
int rk__submit_end(struct rk__call *call, uint64_t tag, void *back);

static inline struct rk_slot *rk__slot(const struct rk__link *l, uint32_t i)
{
	return (struct rk_slot *)((uint8_t *)l->channel +
				  RK_CHANNEL_SLOTS_AT) + i;
}

static inline uint8_t *rk__payload(const struct rk__link *l, uint32_t i)
{
	return (uint8_t *)l->channel + rk_slot_payload_at(i);
}

/* Copies what a slot answers, as far as it can be believed. */
int64_t rk__take_answer(struct rk__link *l, uint32_t i, uint32_t op,
			uint32_t in_len, uint32_t out_len, void *back,
			uint32_t *ret_out_len);

#endif
