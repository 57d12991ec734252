/*
 * policy.c - see policy.h for the rules.
 */
#include <string.h>
#include "supervisor/policy.h"

static const uint64_t delay_first_ns = 1000000;
static const uint64_t delay_last_ns = 1000000000;

enum {
	HELD = 1000,			/* progress that makes a rung good enough */
	VAIN_MAX = 20,
};

void rk__policy_init(struct rk__policy *p)
{
	memset(p, 0, sizeof *p);
	p->patience = 16;
	p->limit = 64;
	p->faults_max = 8;
	p->state = RK_POLICY_STARTING;
}

static bool is_fault(enum rk__cause cause)
{
	return cause == RK_CAUSE_FAULT || cause == RK_CAUSE_DEADLINE ||
	       cause == RK_CAUSE_NO_MEMORY;
}

static bool is_refusal(enum rk__cause cause)
{
	return cause == RK_CAUSE_BROKEN || cause == RK_CAUSE_MOUNT_FAILED ||
	       cause == RK_CAUSE_NEEDS_RECOVERY;
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

/* Is one that kills twice to be run once more after a cold start? Not one that
 * hangs: its caller has waited long enough. */
static bool gives_benefit(const struct rk__policy *p, enum rk__cause cause)
{
	if (!p->can_cold || p->rung > RK_LADDER_READ_ONLY ||
	    cause != RK_CAUSE_FAULT)
		return false;
	return p->rung != RK_LADDER_COLD ||
	       p->progress - p->rung_progress >= (uint64_t)HELD << p->vain;
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
	if (gives_benefit(p, e->cause)) {
		p->doubt = true;
		s->strikes = 1;
		return;
	}
	p->vain += p->can_cold && p->vain < VAIN_MAX;
	p->quarantine = true;
	p->quarantine_slot = e->slot;
	p->quarantine_id = e->id;
	p->quarantined++;
	*s = (struct rk__suspect){ 0 };
	/* It will be out of the way. */
	p->idle_deaths -= p->idle_deaths < 2 ? p->idle_deaths : 2;
	p->idle_faults -= p->idle_faults < 2 ? p->idle_faults : 2;
}

static void take_over(struct rk__policy *p, struct rk__policy_actions *ret)
{
	p->state = RK_POLICY_SERVING;
	p->standby = false;
	p->idle_standbys = p->bad_standbys = 0;
	ret->what |= RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY;
	ret->one_by_one = p->one_by_one;
	p->one_by_one = false;
	if (p->stop_wanted) {
		p->state = RK_POLICY_STOPPING;
		ret->what |= RK_ACT_STOP;
	}
}

/* A server for the rung that it is on. */
static void resume(struct rk__policy *p, struct rk__policy_actions *ret);

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

static bool starts_cold(const struct rk__policy *p)
{
	return p->rung != RK_LADDER_WARM && p->rung != RK_LADDER_READ_ONLY;
}

static void resume(struct rk__policy *p, struct rk__policy_actions *ret)
{
	/* One that served since it went back left a state to start warm from. */
	if (!starts_cold(p) || p->served) {
		take_over_or_wait(p, ret);
		return;
	}
	p->state = RK_POLICY_GOING_BACK;
	p->standby = false;
	ret->what |= RK_ACT_GO_BACK;
}

/* Counts it; true if that was one too many. */
static bool count_death(struct rk__policy *p, const struct rk__policy_event *e)
{
	p->deaths++;
	if (e->progress != p->progress)
		p->idle_deaths = p->idle_faults = 0;
	p->progress = e->progress;
	p->last_was_fault = is_fault(e->cause);
	p->idle_faults += p->last_was_fault;
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

/* --- the ladder above requests ---------------------------------------------- */

static void note_tried(struct rk__policy *p, const struct rk__policy_event *e)
{
	uint32_t last = RK_TRIED - 1;

	p->tried[p->n_tried < last ? p->n_tried : last] = (struct rk__tried){
		.rung = p->rung, .cause = e->cause, .signal = e->signal,
		.slot = e->slot, .id = e->id, .deaths = p->deaths,
	};
	p->n_tried += p->n_tried < RK_TRIED;
}

/* Nothing is known of what a successor would do otherwise: it does it again. */
static void again(struct rk__policy *p, struct rk__policy_actions *ret)
{
	if (p->idle_deaths <= p->patience) {
		resume(p, ret);
		return;
	}
	p->state = RK_POLICY_BACKOFF;
	ret->what |= RK_ACT_TIMER;
	ret->delay_ns = delay(p->idle_deaths - p->patience - 1);
}

/* A rung that held for a while may be taken again. */
static enum rk__rung above(const struct rk__policy *p)
{
	bool held = p->progress - p->rung_progress >= HELD;

	switch (p->rung) {
	case RK_LADDER_WARM:
		return p->can_cold ? RK_LADDER_COLD : RK_LADDER_READ_ONLY;
	case RK_LADDER_COLD:
		if (held && !p->refused && p->state != RK_POLICY_COLD)
			return RK_LADDER_COLD;
		/* Memory that is gone cannot be served read-only. */
		return p->went_back ? RK_LADDER_SALVAGE : RK_LADDER_READ_ONLY;
	case RK_LADDER_READ_ONLY:
		return p->can_cold ? RK_LADDER_SALVAGE : RK_LADDER_STOP;
	case RK_LADDER_SALVAGE:
		return p->refused ? RK_LADDER_STOP : RK_LADDER_FLUSHED;
	case RK_LADDER_FLUSHED:
	case RK_LADDER_STOP:
		break;
	}
	return RK_LADDER_STOP;
}

static void next_rung(struct rk__policy *p, const struct rk__policy_event *e,
		      struct rk__policy_actions *ret)
{
	note_tried(p, e);
	p->cut = p->state == RK_POLICY_COLD ? e->cold_seq : 0;
	p->rung = above(p);
	if (p->rung == RK_LADDER_STOP) {
		fail(p, ret, NULL);
		return;
	}
	if (p->rung == RK_LADDER_FLUSHED)
		p->cut = 1;
	if (p->rung >= RK_LADDER_READ_ONLY)
		ret->what |= RK_ACT_READ_ONLY;
	p->rung_progress = p->progress;
	p->idle_deaths = p->idle_faults = p->cold_faults = 0;
	p->idle_standbys = p->bad_standbys = 0;
	p->doubt = false;
	p->refused = p->served = false;
	resume(p, ret);
}

/* As a test wants it. */
static bool is_forced(const struct rk__policy *p)
{
	return p->first && (p->rung < p->first ||
			    (p->rung == RK_LADDER_COLD && p->first == p->rung));
}

static void force(struct rk__policy *p, struct rk__policy_actions *ret)
{
	p->rung = p->first;
	p->served = false;
	if (p->rung >= RK_LADDER_READ_ONLY)
		ret->what |= RK_ACT_READ_ONLY;
	again(p, ret);
}

static bool wants_next_rung(const struct rk__policy *p,
			    const struct rk__policy_event *e)
{
	return is_refusal(e->cause) || p->idle_faults > p->faults_max ||
	       (p->doubt && is_fault(e->cause));
}

/* A kill means nothing, a fault may be bad luck once. */
static void died_cold(struct rk__policy *p, const struct rk__policy_event *e,
		      struct rk__policy_actions *ret)
{
	p->cold_faults += is_fault(e->cause);
	if (is_refusal(e->cause) || p->cold_faults > 1)
		next_rung(p, e, ret);
	else
		again(p, ret);
}

/* Nothing could be forked just now. */
static void cold_later(struct rk__policy *p, struct rk__policy_actions *ret)
{
	if (++p->idle_deaths > p->limit) {
		fail(p, ret, "no server can be started any more");
		return;
	}
	p->state = RK_POLICY_BACKOFF;
	ret->what |= RK_ACT_TIMER;
	ret->delay_ns = delay_last_ns;
}

static void went_back(struct rk__policy *p, const struct rk__policy_event *e,
		      struct rk__policy_actions *ret)
{
	if (p->state != RK_POLICY_GOING_BACK)
		return;
	if (e->error) {
		p->refused = true;
		next_rung(p, e, ret);
		return;
	}
	p->went_back = true;
	p->state = RK_POLICY_COLD;
	ret->what |= RK_ACT_SPAWN_COLD;
}

static void died(struct rk__policy *p, const struct rk__policy_event *e,
		 struct rk__policy_actions *ret)
{
	bool too_often;

	if (p->state == RK_POLICY_GOING_BACK)
		return;
	too_often = count_death(p, e);
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
	if (is_fault(e->cause))
		accuse(p, e);
	if (too_often)
		fail(p, ret, "the server died too often without progress");
	else if (p->state == RK_POLICY_COLD)
		died_cold(p, e, ret);
	else if (is_forced(p))
		force(p, ret);
	else if (wants_next_rung(p, e))
		next_rung(p, e, ret);
	else
		again(p, ret);
}

static bool wants_standby(const struct rk__policy *p)
{
	return p->state == RK_POLICY_SERVING ||
	       p->state == RK_POLICY_WAITING || p->state == RK_POLICY_BACKOFF;
}

static void standby_died(struct rk__policy *p, const struct rk__policy_event *e,
			 struct rk__policy_actions *ret)
{
	p->standby = false;
	if (!wants_standby(p))
		return;
	p->bad_standbys += e->cause != RK_CAUSE_NONE;
	if (p->state == RK_POLICY_WAITING && p->bad_standbys > p->faults_max) {
		next_rung(p, e, ret);
		return;
	}
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
	case RK_POLICY_GOING_BACK:
	case RK_POLICY_COLD:
		p->stop_wanted = true;
		break;
	case RK_POLICY_STOPPING:
	case RK_POLICY_STOPPED:
	case RK_POLICY_BROKEN:
		break;
	}
}

static void ready_cold(struct rk__policy *p, struct rk__policy_actions *ret)
{
	p->served = true;
	p->went_back = false;
	p->state = RK_POLICY_SERVING;
	ret->what |= RK_ACT_SPAWN_STANDBY;
	if (p->stop_wanted) {
		p->state = RK_POLICY_STOPPING;
		ret->what |= RK_ACT_STOP;
	}
}

/* A predecessor may have been on its way back. */
static void start(struct rk__policy *p, const struct rk__policy_event *e,
		  struct rk__policy_actions *ret)
{
	if (!e->has_state) {
		ret->what |= RK_ACT_SPAWN_FIRST;
		return;
	}
	p->rung = e->rung;
	resume(p, ret);
}

static void ready(struct rk__policy *p, struct rk__policy_actions *ret)
{
	bool starting = p->state == RK_POLICY_STARTING;

	if (p->state == RK_POLICY_COLD)
		ready_cold(p, ret);
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
		start(p, e, ret);
		break;
	case RK_EVENT_SERVER_READY:
		ready(p, ret);
		break;
	case RK_EVENT_SERVER_DIED:
		died(p, e, ret);
		break;
	case RK_EVENT_WAS_FAULT:
		p->last_was_fault = true;
		p->idle_faults++;
		accuse(p, e);
		break;
	case RK_EVENT_STANDBY_UP:
		/* Not one that was made for memory that is gone. */
		p->standby = p->state != RK_POLICY_GOING_BACK &&
			     p->state != RK_POLICY_COLD;
		if (p->state == RK_POLICY_WAITING)
			take_over(p, ret);
		break;
	case RK_EVENT_STANDBY_DIED:
		standby_died(p, e, ret);
		break;
	case RK_EVENT_NO_SPAWN:
		if (!e->error && wants_standby(p))
			standby_died(p, e, ret);
		else if (!e->error && p->state == RK_POLICY_COLD)
			cold_later(p, ret);
		else if (p->state != RK_POLICY_SERVING &&
			 p->state != RK_POLICY_STOPPING)
			fail(p, ret, "no server can be started any more");
		break;
	case RK_EVENT_TIMER:
		if (p->state == RK_POLICY_BACKOFF)
			resume(p, ret);
		break;
	case RK_EVENT_WENT_BACK:
		went_back(p, e, ret);
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
