/*
 * report.c - what is known of a server besides its events: why its predecessors
 * died, for whoever asks for its status, and that it lives, which the holder is
 * told once a second.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "gate/fuse.h"
#include "supervisor/internal.h"
#include "views.h"

enum { BEAT_NS = 1000000000 };

/* --- deaths --------------------------------------------------------------------- */

const char *rk__report_op(uint32_t op)
{
	const struct rk_op_info *info;
	const struct rk__fuse_op *fuse;

	if (op & RK_OP_OF_FUSE) {
		fuse = rk__fuse_op(op & ~RK_OP_OF_FUSE);
		return fuse ? fuse->name : "";
	}
	info = rk_op_info(op);
	return info ? info->name : "";
}

void rk__report_death(struct rk__supervisor *s,
		      const struct rk__policy_event *e, int status)
{
	struct rk__deaths *d = &s->deaths;
	struct rk__board *b = s->board;

	/* it ended as it was to end */
	if (e->cause == RK_CAUSE_STOP)
		return;
	d->last = rk__news_death(e->cause);
	d->n[d->last]++;
	d->at_s = time(NULL);
	d->signal = d->last == RK_DEATH_FAULT ? e->signal : 0;
	if (!d->signal && status >= 0 && WIFSIGNALED(status))
		d->signal = WTERMSIG(status);
	/* odd: in the middle of it */
	d->op = atomic_load(&b->progress) & 1 ?
		atomic_load(&b->current_op) : 0;
	d->open = true;
}

void rk__report_was_fault(struct rk__supervisor *s, int signal)
{
	struct rk__deaths *d = &s->deaths;

	if (d->last != RK_DEATH_KILL)
		return;
	d->n[RK_DEATH_KILL]--;
	d->n[RK_DEATH_FAULT]++;
	d->last = RK_DEATH_FAULT;
	d->signal = signal;
}

void rk__report_ready(struct rk__supervisor *s)
{
	struct rk__deaths *d = &s->deaths;

	if (d->open)
		d->outage_us = (rk__now_ns() -
				atomic_load(&s->board->death_ns)) / 1000;
	d->open = false;
}

/* --- the holder ------------------------------------------------------------------- */

/* One that does not listen just now is told the next time. */
void rk__report_beat(struct rk__supervisor *s)
{
	struct rk__hold h = { .type = RK_HOLD_STATUS };
	uint64_t now = rk__now_ns();
	uint32_t programs;

	if (s->holder < 0 || now - s->deaths.beat_ns < BEAT_NS)
		return;
	s->deaths.beat_ns = now;
	rk__control_users(s, &h.users, &programs);
	h.users += programs;
	h.restarts = s->restarts;
	(void)!send(s->holder, &h, sizeof h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- the answer to tools ------------------------------------------------------------ */

static enum rk_state state_of(const struct rk__supervisor *s)
{
	if (s->stage >= RK_STAGE_UNMOUNTING)
		return RK_STATE_STOPPING;
	switch (s->policy.state) {
	case RK_POLICY_STARTING:
	case RK_POLICY_RECOVERING:
		return RK_STATE_STARTING;
	case RK_POLICY_WAITING:
	case RK_POLICY_BACKOFF:
		return RK_STATE_RESTARTING;
	case RK_POLICY_SERVING:
		return RK_STATE_SERVING;
	default:
		return RK_STATE_STOPPING;
	}
}

void rk__report_fill(const struct rk__supervisor *s, struct rk_status *ret)
{
	const struct rk__deaths *d = &s->deaths;
	uint64_t published = atomic_load(&s->log.server->published_seq);
	uint64_t flushed = atomic_load(&s->log.keeper->flushed_seq);

	ret->state = state_of(s);
	ret->managed = s->config.managed;
	memcpy(ret->deaths, d->n, sizeof ret->deaths);
	ret->last_death = d->last;
	ret->last_signal = d->signal;
	ret->last_death_s = d->at_s;
	ret->last_outage_us = d->outage_us;
	snprintf(ret->last_op, sizeof ret->last_op, "%s", rk__report_op(d->op));
	ret->idle_deaths = s->policy.idle_deaths;
	ret->limit = s->policy.limit;
	ret->ops = atomic_load(&s->board->ops);
	ret->commits = atomic_load(&s->board->commits);
	ret->unflushed = published > flushed ? published - flushed : 0;
}
