/*
 * policy.c - see policy.h for the rules.
 */
#include <string.h>
#include "supervisor/policy.h"

static const uint64_t delay_first_ns = 1000000;
static const uint64_t delay_last_ns = 1000000000;

void rk__policy_init(struct rk__policy *p)
{
	memset(p, 0, sizeof *p);
	p->patience = 16;
	p->limit = 64;
	p->state = RK_POLICY_STARTING;
}

static bool is_fault(enum rk__cause cause)
{
	return cause == RK_CAUSE_FAULT || cause == RK_CAUSE_DEADLINE ||
	       cause == RK_CAUSE_NO_MEMORY;
}

/* 1 ms, 2 ms, 4 ms ... 1 s */
static uint64_t delay(uint32_t n)
{
	return n < 10 ? delay_first_ns << n : delay_last_ns;
}

static void fail(struct rk__policy *p, struct rk__policy_actions *ret,
		 const char *why)
{
	p->state = RK_POLICY_BROKEN;
	p->why = why;
	p->why_board = !why;
	ret->what |= RK_ACT_FAIL;
}

static struct rk__suspect *find_suspect(struct rk__policy *p, uint32_t slot,
					uint64_t id)
{
	struct rk__suspect *oldest = &p->suspect[0];

	for (unsigned i = 0; i < RK_SUSPECTS; i++) {
		struct rk__suspect *s = &p->suspect[i];

		if (s->id == id && s->slot == slot)
			return s;
		if (s->last < oldest->last)
			oldest = s;
	}
	*oldest = (struct rk__suspect){ .slot = slot, .id = id };
	return oldest;
}

static void accuse(struct rk__policy *p, const struct rk__policy_event *e)
{
	struct rk__suspect *s;

	p->faults++;
	p->one_by_one = true;
	if (!e->alone || !e->id)
		return;
	s = find_suspect(p, e->slot, e->id);
	s->last = p->deaths;
	if (++s->strikes < 2)
		return;
	p->quarantine = true;
	p->quarantine_slot = e->slot;
	p->quarantine_id = e->id;
	p->quarantined++;
	*s = (struct rk__suspect){ 0 };
}

static void take_over(struct rk__policy *p, struct rk__policy_actions *ret)
{
	p->state = RK_POLICY_SERVING;
	p->standby = false;
	p->idle_standbys = 0;
	ret->what |= RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY;
	ret->one_by_one = p->one_by_one;
	p->one_by_one = false;
	if (p->stop_wanted) {
		p->state = RK_POLICY_STOPPING;
		ret->what |= RK_ACT_STOP;
	}
}

static void take_over_or_wait(struct rk__policy *p,
			      struct rk__policy_actions *ret)
{
	if (p->standby) {
		take_over(p, ret);
		return;
	}
	p->state = RK_POLICY_WAITING;
	ret->what |= RK_ACT_SPAWN_STANDBY;
}

/* Counts it; true if that was one too many. */
static bool count_death(struct rk__policy *p, const struct rk__policy_event *e)
{
	p->deaths++;
	if (e->progress != p->progress)
		p->idle_deaths = 0;
	p->progress = e->progress;
	p->last_was_fault = is_fault(e->cause);
	return ++p->idle_deaths > p->limit;
}

/* Nothing was committed, so whoever comes next starts from nothing too. */
static void died_starting(struct rk__policy *p,
			  const struct rk__policy_event *e,
			  struct rk__policy_actions *ret)
{
	if (p->stop_wanted) {
		p->state = RK_POLICY_STOPPED;
		ret->what |= RK_ACT_STOPPED;
		return;
	}
	switch (e->cause) {
	case RK_CAUSE_MOUNT_FAILED:
	case RK_CAUSE_BROKEN:
	case RK_CAUSE_STOP:
		fail(p, ret, NULL);
		return;
	case RK_CAUSE_NEEDS_RECOVERY:
		if (p->recovered) {
			fail(p, ret, "the file system asks for recovery again "
			     "after it was recovered; run e2fsck on it");
			return;
		}
		p->state = RK_POLICY_RECOVERING;
		ret->what |= RK_ACT_RECOVER;
		return;
	case RK_CAUSE_FAULT:
		fail(p, ret, "the driver crashed while it mounted; "
		     "the image may be damaged");
		return;
	case RK_CAUSE_DEADLINE:
		fail(p, ret, "the driver did not end mounting in time");
		return;
	case RK_CAUSE_NO_MEMORY:
		fail(p, ret, "not enough memory to mount");
		return;
	case RK_CAUSE_NONE:
		break;
	}
	if (p->idle_deaths > p->patience)
		fail(p, ret, "the server was killed again and again while it "
		     "started");
	else
		ret->what |= RK_ACT_SPAWN_FIRST;
}

static void died(struct rk__policy *p, const struct rk__policy_event *e,
		 struct rk__policy_actions *ret)
{
	bool too_often = count_death(p, e);

	if (p->state == RK_POLICY_STARTING && !e->has_state) {
		died_starting(p, e, ret);
		return;
	}
	if (e->cause == RK_CAUSE_STOP && p->state == RK_POLICY_STOPPING) {
		p->state = RK_POLICY_STOPPED;
		ret->what |= RK_ACT_STOPPED;
		return;
	}
	if (p->state == RK_POLICY_STOPPING)
		p->stop_wanted = true;
	if (e->cause == RK_CAUSE_BROKEN || e->cause == RK_CAUSE_MOUNT_FAILED ||
	    e->cause == RK_CAUSE_NEEDS_RECOVERY) {
		fail(p, ret, NULL);
		return;
	}
	if (is_fault(e->cause))
		accuse(p, e);
	if (too_often) {
		fail(p, ret, "the server died too often without progress");
		return;
	}
	if (p->idle_deaths <= p->patience) {
		take_over_or_wait(p, ret);
		return;
	}
	p->state = RK_POLICY_BACKOFF;
	ret->what |= RK_ACT_TIMER;
	ret->delay_ns = delay(p->idle_deaths - p->patience - 1);
}

static bool wants_standby(const struct rk__policy *p)
{
	return p->state == RK_POLICY_SERVING ||
	       p->state == RK_POLICY_WAITING || p->state == RK_POLICY_BACKOFF;
}

static void standby_died(struct rk__policy *p, struct rk__policy_actions *ret)
{
	p->standby = false;
	if (!wants_standby(p))
		return;
	if (p->state == RK_POLICY_WAITING && p->idle_standbys >= p->limit) {
		fail(p, ret, "no server lives long enough to take over");
		return;
	}
	ret->what |= RK_ACT_SPAWN_STANDBY;
	/* the first one is replaced at once */
	if (p->idle_standbys)
		ret->delay_ns = delay(p->idle_standbys - 1);
	p->idle_standbys++;
}

static void stop(struct rk__policy *p, struct rk__policy_actions *ret)
{
	switch (p->state) {
	case RK_POLICY_SERVING:
		p->state = RK_POLICY_STOPPING;
		ret->what |= RK_ACT_STOP;
		break;
	case RK_POLICY_STARTING:
	case RK_POLICY_RECOVERING:
	case RK_POLICY_WAITING:
	case RK_POLICY_BACKOFF:
		p->stop_wanted = true;
		break;
	case RK_POLICY_STOPPING:
	case RK_POLICY_STOPPED:
	case RK_POLICY_BROKEN:
		break;
	}
}

static void ready(struct rk__policy *p, struct rk__policy_actions *ret)
{
	bool starting = p->state == RK_POLICY_STARTING;

	if (p->started) {
		if (!p->last_was_fault)
			p->idle_deaths = 0;
		return;
	}
	p->started = true;
	ret->what |= RK_ACT_STARTED;
	if (!starting)
		return;
	p->state = RK_POLICY_SERVING;
	p->idle_deaths = 0;
	ret->what |= RK_ACT_SPAWN_STANDBY;
	if (p->stop_wanted) {
		p->state = RK_POLICY_STOPPING;
		ret->what = RK_ACT_STOP;
	}
}

void rk__policy_step(struct rk__policy *p, const struct rk__policy_event *e,
		     struct rk__policy_actions *ret)
{
	memset(ret, 0, sizeof *ret);
	if (p->state == RK_POLICY_BROKEN || p->state == RK_POLICY_STOPPED)
		return;
	switch (e->type) {
	case RK_EVENT_START:
		if (e->has_state)
			take_over_or_wait(p, ret);
		else
			ret->what |= RK_ACT_SPAWN_FIRST;
		break;
	case RK_EVENT_SERVER_READY:
		ready(p, ret);
		break;
	case RK_EVENT_SERVER_DIED:
		died(p, e, ret);
		break;
	case RK_EVENT_WAS_FAULT:
		p->last_was_fault = true;
		accuse(p, e);
		break;
	case RK_EVENT_STANDBY_UP:
		p->standby = true;
		if (p->state == RK_POLICY_WAITING)
			take_over(p, ret);
		break;
	case RK_EVENT_STANDBY_DIED:
		standby_died(p, ret);
		break;
	case RK_EVENT_NO_SPAWN:
		if (!e->error && wants_standby(p))
			standby_died(p, ret);
		else if (p->state != RK_POLICY_SERVING &&
			 p->state != RK_POLICY_STOPPING)
			fail(p, ret, "no server can be started any more");
		break;
	case RK_EVENT_TIMER:
		if (p->state == RK_POLICY_BACKOFF)
			take_over_or_wait(p, ret);
		break;
	case RK_EVENT_RECOVERED:
		p->recovered = true;
		p->state = RK_POLICY_STARTING;
		if (e->error)
			fail(p, ret, NULL);
		else
			ret->what |= RK_ACT_SPAWN_FIRST;
		break;
	case RK_EVENT_STOP:
		stop(p, ret);
		break;
	}
}
