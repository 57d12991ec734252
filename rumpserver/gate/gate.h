/*
 * gate.h - how requests come in. One file a gate: fuse.c, channel.c, socket.c.
 *
 * Every gate keeps requests where a successor finds them and hands them to
 * rk__serve. The loop (server/loop.c) owns epoll; a gate adds its descriptors to
 * it with struct rk__source.
 */
#ifndef RK_GATE_H
#define RK_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "../core/serve.h"
#include "../core/syscalls.h"

/* Something in the loop's epoll set. ready() is called when fd is. */
struct rk__source {
	int fd;
	void (*ready)(struct rk__source *s, uint32_t events);
};
int rk__loop_open(void);
int rk__loop_add(struct rk__source *s, uint32_t events);
void rk__loop_remove(struct rk__source *s);
/* Calls those that are ready; sleeps for that if it may. true: there were. */
bool rk__loop_dispatch(int timeout_ms);
/* Would it find any? Takes nothing away from it. */
bool rk__loop_is_ready(void);

/* --- where the server runs (place.c) --------------------------------------- */

/* follow: may go to the CPU that its caller is bound to. */
void rk__place_start(bool follow);
/* A request of this thread, 0 if it cannot be seen from here. */
void rk__place_request(uint32_t caller);

/* --- fuse: one per mount ------------------------------------------------ */

/* For a standby too: maps and prefaults the inbox; touches no request. */
int rk__fuse_prepare(const struct rk__family *f, uint32_t mount);
/* This process serves now. first: no predecessor. Successors apply what the
 * inbox holds, then ask the kernel to resend (rk__fuse_resume, after the
 * last record's replies were posted). */
int rk__fuse_start(uint32_t mount, bool first);
int rk__fuse_resume(uint32_t mount);
/* A reply of the last record, for a slot of this gate. */
void rk__fuse_repost(const struct rk__reply_head *r, const uint8_t *bytes);
/* Reads and serves what is ready without sleeping; true if there was any. */
bool rk__fuse_poll(uint32_t mount);

/* Some requests that nobody waits for are left for the next commit, if one
 * comes soon: true if there are such, and what serves them. */
bool rk__fuse_forgets_wait(void);
void rk__fuse_settle(void);

/* The supervisor's part: reads INIT from fd, answers it once. Blocks until
 * INIT is there (it is, right after mount(2)). writeback: the kernel may keep
 * what was written, and be told later. *ret_flags: what was agreed. */
int rk__fuse_init(int fd, bool writeback, uint64_t *ret_flags);

/* --- descriptors that go to others (gift.c) ------------------------------------- */

struct rk__pages_links;
const struct rk__pages_links *rk__gift_start(int control);
/* Takes over the descriptor. */
void rk__gift_attach(uint32_t channel, int connection);
void rk__gift_detach(uint32_t channel);

/* --- channels and sockets of the library ---------------------------------- */

/* Takes over both descriptors. Idempotent per channel number. The proc of the
 * channel must be attached (rk__proc_attach) already. */
int rk__channel_attach(uint32_t channel, int memfd, int eventfd);
int rk__socket_attach(uint32_t channel, int fd);
void rk__channel_detach(uint32_t channel);	/* either kind */
void rk__channel_repost(const struct rk__reply_head *r, const uint8_t *bytes);
/* Looks at every channel once: requests a predecessor took and did not end. */
void rk__channel_resume(void);
/* Polls recently active channels without a call; true if there was any. */
bool rk__channel_poll(void);
/* Has one of those a request that nobody has looked at? */
bool rk__channel_has_news(void);
/* Before the loop sleeps: sets `sleeping` on the active channels and looks
 * again; false: something came, do not sleep. Those that ring become active
 * by it: there is nothing to undo afterwards. */
bool rk__channel_sleep(void);
/* Answers every request that stands in a slot or socket, parked ones too, and
 * every later one, with `error`: the server is stopping. Nothing may be
 * uncommitted or queued. */
void rk__channel_refuse_all(int error);

#endif
