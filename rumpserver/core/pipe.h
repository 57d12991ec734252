/*
 * pipe.h - fifos that are open: readers and writers of one file meet in a pipe.
 */
#ifndef RK_PIPE_H
#define RK_PIPE_H

#include "fd.h"

static inline struct rk__pipe *rk__pipe(const struct rk__ofd *o)
{
	return o->pipe ? &rk__core->pipe[o->pipe] : NULL;
}
/* Joins an ofd that was opened on a fifo to its pipe, which is made if it is
 * the first. -ENFILE. */
int rk__pipe_open(struct rk__ofd *o);
/* An ofd is closed. With the last one the pipe goes, and what is in it. */
void rk__pipe_close(struct rk__ofd *o);
/* Has the other end been open at any time since this ofd was opened? */
bool rk__pipe_met(const struct rk__ofd *o);
/* Bytes moved; 0: it is empty, or full. Wakes who waits for that. */
uint32_t rk__pipe_read(struct rk__pipe *p, void *buf, uint64_t count);
uint32_t rk__pipe_write(struct rk__pipe *p, const void *buf, uint64_t count);
/* POLLIN and so on, of those that are asked for and those that always count. */
unsigned rk__pipe_ready(const struct rk__ofd *o, unsigned events);
/* What waits for anything to happen to a pipe, or to any of several. */
const void *rk__pipe_key(const struct rk__pipe *p);
const void *rk__pipes_key(void);

#endif
