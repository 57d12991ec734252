/*
 * policy_ladder.c - the rungs above requests: cold, read-only, the end; and a
 * world at random, in which the policy must never be stuck.
 */
#include <stdlib.h>
#include "../harness/policy_walk.h"

#define WENT_BACK(bad) { .type = RK_EVENT_WENT_BACK, .error = (bad) }
#define BROKEN_ONE DIED(.cause = RK_CAUSE_BROKEN)
#define BACK RK_ACT_GO_BACK, RK_POLICY_GOING_BACK
#define COLD RK_ACT_SPAWN_COLD, RK_POLICY_COLD

static void serving_on_device(struct rk__policy *p)
{
	serving(p);
	p->can_cold = true;
}

Test(policy_ladder, a_state_that_is_refused_is_taken_cold)
{
	struct rk__policy p;

	serving_on_device(&p);
	WALK(&p, { BROKEN_ONE, BACK }, { WENT_BACK(false), COLD },
	     { READY, RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING }, NEXT,
	     { DIED(.progress = 1), AGAIN });
	cr_assert_eq(p.rung, RK_LADDER_COLD);
	cr_assert_eq(p.n_tried, 1);
	cr_assert_eq(p.tried[0].cause, RK_CAUSE_BROKEN);
}

Test(policy_ladder, faults_without_progress_are_taken_cold_and_kills_are_not)
{
	static const struct rk__policy_event die[] = {
		DIED(.cause = RK_CAUSE_FAULT), DIED(.cause = RK_CAUSE_NONE),
	};

	for (unsigned fault = 0; fault < 2; fault++) {
		struct rk__policy_actions a;
		struct rk__policy p;

		serving_on_device(&p);
		for (unsigned n = 0; n <= p.faults_max; n++) {
			cr_assert_eq(p.rung, RK_LADDER_WARM);
			rk__policy_step(&p, &die[fault], &a);
			p.standby = true;
		}
		cr_assert_eq(p.rung, fault ? RK_LADDER_WARM : RK_LADDER_COLD);
		cr_assert_eq(a.what, fault ? RK_ACT_TAKEOVER |
			     RK_ACT_SPAWN_STANDBY : RK_ACT_GO_BACK);
	}
}

Test(policy_ladder, a_request_that_kills_twice_is_run_again_cold)
{
	struct rk__policy_event late = FAULT(1, 20, true);
	struct rk__policy p;

	serving_on_device(&p);
	WALK(&p, { FAULT(1, 10, true), AGAIN }, NEXT,
	     { FAULT(1, 10, true), BACK }, { WENT_BACK(false), COLD },
	     { READY, RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING }, NEXT);
	cr_assert_not(p.quarantine);
	WALK(&p, { FAULT(1, 10, true), AGAIN }, NEXT);
	cr_assert(p.quarantine && p.quarantine_id == 10);
	/* Soon after, another: it is not worth it. */
	WALK(&p, { FAULT(1, 11, true), AGAIN }, NEXT,
	     { FAULT(1, 11, true), AGAIN }, NEXT);
	cr_assert_eq(p.quarantine_id, 11);
	late.progress = 1000 << p.vain;
	WALK(&p, { late, AGAIN }, NEXT, { late, BACK });
	cr_assert_eq(p.quarantine_id, 11);
}

Test(policy_ladder, a_cold_start_that_is_killed_is_begun_again)
{
	struct rk__policy p;

	serving_on_device(&p);
	WALK(&p, { BROKEN_ONE, BACK }, { WENT_BACK(false), COLD },
	     { DIED(.cause = RK_CAUSE_NONE), BACK },
	     { WENT_BACK(false), COLD },
	     { DIED(.cause = RK_CAUSE_FAULT), BACK },
	     { WENT_BACK(false), COLD },
	     { STOP, 0, RK_POLICY_COLD },
	     { READY, RK_ACT_SPAWN_STANDBY | RK_ACT_STOP,
	       RK_POLICY_STOPPING });
}

Test(policy_ladder, from_cold_to_the_end)
{
	struct rk__policy p;

	serving_on_device(&p);
	WALK(&p, { BROKEN_ONE, BACK }, { WENT_BACK(false), COLD },
	     { DIED(.cause = RK_CAUSE_BROKEN, .cold_seq = 17),
	       RK_ACT_READ_ONLY | BACK });
	cr_assert_eq(p.rung, RK_LADDER_SALVAGE);
	cr_assert_eq(p.cut, 17);
	WALK(&p, { WENT_BACK(false), COLD },
	     { BROKEN_ONE, RK_ACT_READ_ONLY | BACK });
	cr_assert_eq(p.rung, RK_LADDER_FLUSHED);
	WALK(&p, { WENT_BACK(false), COLD },
	     { BROKEN_ONE, RK_ACT_FAIL, RK_POLICY_BROKEN });
	cr_assert_eq(p.n_tried, 4);
}

Test(policy_ladder, without_a_device_it_is_read_only_and_then_the_end)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p, { BROKEN_ONE, RK_ACT_READ_ONLY | AGAIN },
	     { UP, 0, RK_POLICY_SERVING },
	     { BROKEN_ONE, RK_ACT_FAIL, RK_POLICY_BROKEN });
	cr_assert(p.why_board);
}

Test(policy_ladder, memory_that_is_still_there_is_served_read_only)
{
	struct rk__policy p;

	serving_on_device(&p);
	WALK(&p, { BROKEN_ONE, BACK },
	     { WENT_BACK(true), RK_ACT_READ_ONLY | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_WAITING },
	     { UP, AGAIN },
	     { READY, 0, RK_POLICY_SERVING });
	cr_assert_eq(p.rung, RK_LADDER_READ_ONLY);
}

Test(policy_ladder, a_predecessor_was_on_its_way_back)
{
	struct rk__policy p;

	rk__policy_init(&p);
	p.can_cold = true;
	WALK(&p, { { .type = RK_EVENT_START, .has_state = true,
		     .rung = RK_LADDER_COLD }, BACK },
	     { WENT_BACK(false), COLD },
	     { READY, RK_ACT_STARTED | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING });
}

/* What each state makes of each event, where a table says more than a story. */
Test(policy_ladder, events_that_come_at_the_wrong_time_change_nothing)
{
	static const struct rk__policy_event odd[] = {
		TIMER, UP, GONE, STOP, DIED(.cause = RK_CAUSE_FAULT),
	};
	static const struct rk__policy_event back = WENT_BACK(false);
	struct rk__policy_actions a;
	struct rk__policy p;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		serving_on_device(&p);
		WALK(&p, { BROKEN_ONE, BACK });
		rk__policy_step(&p, &odd[i], &a);
		cr_assert_eq(p.state, RK_POLICY_GOING_BACK);
		cr_assert_eq(a.what, 0);
		cr_assert_not(p.standby);
	}
	serving_on_device(&p);
	WALK(&p, { back, 0, RK_POLICY_SERVING });
}

/* --- at random ------------------------------------------------------------------- */

static uint64_t dice = 1;

static uint32_t throw_dice(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 33) % n;
}

/* A world that carries out what it is told, or fails to. */
struct world {
	struct rk__policy p;
	bool server, standby, timer, going, recovering, due;
	uint64_t progress;
	uint32_t trouble;		/* of 100: how often things go wrong */
};

static void carry_out(struct world *w, const struct rk__policy_actions *a)
{
	if (a->what & RK_ACT_TAKEOVER) {
		cr_assert(w->standby, "nobody can take over");
		w->server = true;
		w->standby = false;
	}
	if (a->what & (RK_ACT_SPAWN_FIRST | RK_ACT_SPAWN_COLD))
		w->server = true;
	if (a->what & RK_ACT_GO_BACK) {
		cr_assert_not(w->server, "it goes back under a server");
		w->standby = w->due = false;
		w->going = true;
	}
	w->due |= (a->what & RK_ACT_SPAWN_STANDBY) != 0;
	w->timer |= (a->what & RK_ACT_TIMER) != 0;
	w->recovering |= (a->what & RK_ACT_RECOVER) != 0;
}

static void tell(struct world *w, struct rk__policy_event e)
{
	struct rk__policy_actions a;

	e.progress = w->progress;
	rk__policy_step(&w->p, &e, &a);
	carry_out(w, &a);
}

static struct rk__policy_event some_death(void)
{
	return (struct rk__policy_event){
		.type = RK_EVENT_SERVER_DIED,
		.has_state = true, .cause = throw_dice(RK_CAUSE_BROKEN + 1),
		.slot = throw_dice(3), .id = throw_dice(4),
		.alone = throw_dice(2), .cold_seq = throw_dice(100),
	};
}

/* One thing that may happen now. Without trouble: what must, in the end. */
static void happen(struct world *w)
{
	bool bad = throw_dice(100) < w->trouble;
	struct rk__policy_event e = { 0 };

	if (w->timer) {
		w->timer = false;
		tell(w, (struct rk__policy_event)TIMER);
	} else if (w->recovering) {
		w->recovering = false;
		tell(w, (struct rk__policy_event)RECOVERED(bad));
	} else if (w->going) {
		w->going = false;
		tell(w, (struct rk__policy_event)WENT_BACK(bad));
	} else if (w->server && bad) {
		w->server = false;
		e = some_death();
		e.has_state = w->p.started || throw_dice(2);
		tell(w, e);
	} else if (w->server && w->p.state == RK_POLICY_STOPPING) {
		w->server = false;
		tell(w, (struct rk__policy_event)DIED(.cause = RK_CAUSE_STOP));
	} else if (w->due && !w->standby) {
		w->due = false;
		w->standby = true;
		tell(w, (struct rk__policy_event)UP);
	} else if (w->standby && bad) {
		w->standby = false;
		tell(w, (struct rk__policy_event)GONE);
	} else if (w->server) {
		w->progress += throw_dice(2000);
		tell(w, (struct rk__policy_event)READY);
	}
}

static bool is_settled(const struct world *w)
{
	return w->p.state == RK_POLICY_STOPPED ||
	       w->p.state == RK_POLICY_BROKEN ||
	       (w->server && w->p.state == RK_POLICY_SERVING);
}

static void begin(struct world *w)
{
	struct rk__policy_event e = { .type = RK_EVENT_START };

	*w = (struct world){ 0 };
	rk__policy_init(&w->p);
	w->p.can_cold = throw_dice(2);
	w->p.patience = throw_dice(17);
	w->p.limit = w->p.patience + throw_dice(60);
	w->p.first = throw_dice(8) ? 0 : throw_dice(2) ? RK_LADDER_COLD :
		     RK_LADDER_READ_ONLY;
	if (!w->p.can_cold && w->p.first == RK_LADDER_COLD)
		w->p.first = 0;
	w->trouble = throw_dice(100);
	e.has_state = throw_dice(4) == 0;
	if (e.has_state && w->p.can_cold)
		e.rung = throw_dice(RK_LADDER_STOP);
	tell(w, e);
}

Test(policy_ladder, no_sequence_of_events_leaves_it_stuck, .timeout = 120)
{
	const char *many = getenv("LONG");
	unsigned long left = many && *many == '1' ? 500000000 : 20000000;
	unsigned reached[RK_POLICY_BROKEN + 1] = { 0 };
	struct world w;

	begin(&w);
	for (; left; left--) {
		unsigned patience = 0;

		happen(&w);
		if (throw_dice(200) == 0)
			tell(&w, (struct rk__policy_event)STOP);
		reached[w.p.state]++;
		if (throw_dice(100))
			continue;
		/* From here on all goes well. */
		w.trouble = 0;
		while (!is_settled(&w) && ++patience < 20)
			happen(&w);
		cr_assert_lt(patience, 20, "stuck in state %d", w.p.state);
		begin(&w);
	}
	for (int i = 0; i <= RK_POLICY_BROKEN; i++)
		cr_assert(reached[i], "state %d was never tried", i);
}
