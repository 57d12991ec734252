/*
 * policy.c - the policy of restarts as tables: a list of events, and what each
 * must lead to.
 */
#include "../harness/policy_walk.h"

Test(policy, another_supervisor_goes_on)
{
	struct rk__policy p;

	rk__policy_init(&p);
	WALK(&p,
	     { { .type = RK_EVENT_START, .has_state = true },
	       RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING },
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING },
	     { READY, RK_ACT_STARTED, RK_POLICY_SERVING });
}

Test(policy, a_kill_is_a_takeover)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p,
	     { DIED(.progress = 1), RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING },
	     { READY, 0, RK_POLICY_SERVING },
	     { UP, 0, RK_POLICY_SERVING });
	cr_assert_eq(p.faults, 0);
	cr_assert_not(p.quarantine);
}

Test(policy, without_a_standby_one_is_waited_for)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p,
	     { GONE, RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING },
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING });
	serving(&p);
	WALK(&p,
	     { GONE, RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING },
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { { .type = RK_EVENT_NO_SPAWN, .error = true }, RK_ACT_FAIL,
	       RK_POLICY_BROKEN },
	     { UP, 0, RK_POLICY_BROKEN });
	/* it may be possible later */
	serving(&p);
	WALK(&p,
	     { { .type = RK_EVENT_NO_SPAWN }, RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING },
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { { .type = RK_EVENT_NO_SPAWN }, RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING });
}

Test(policy, starting)
{
	static const struct {
		enum rk__cause cause;
		uint32_t what;
		enum rk__policy_state state;
	} table[] = {
		{ RK_CAUSE_NONE, RK_ACT_SPAWN_FIRST, RK_POLICY_STARTING },
		{ RK_CAUSE_MOUNT_FAILED, RK_ACT_FAIL, RK_POLICY_BROKEN },
		{ RK_CAUSE_BROKEN, RK_ACT_FAIL, RK_POLICY_BROKEN },
		{ RK_CAUSE_FAULT, RK_ACT_FAIL, RK_POLICY_BROKEN },
		{ RK_CAUSE_DEADLINE, RK_ACT_FAIL, RK_POLICY_BROKEN },
		{ RK_CAUSE_NO_MEMORY, RK_ACT_FAIL, RK_POLICY_BROKEN },
		{ RK_CAUSE_NEEDS_RECOVERY, RK_ACT_RECOVER,
		  RK_POLICY_RECOVERING },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct rk__policy p;

		rk__policy_init(&p);
		WALK(&p, { DIED_NEW(table[i].cause), table[i].what,
			   table[i].state });
		if (table[i].state == RK_POLICY_BROKEN)
			cr_assert(p.why || p.why_board);
	}
}

Test(policy, recovery_of_the_file_system_is_tried_once)
{
	struct rk__policy p;

	rk__policy_init(&p);
	WALK(&p,
	     { DIED_NEW(RK_CAUSE_NEEDS_RECOVERY), RK_ACT_RECOVER,
	       RK_POLICY_RECOVERING },
	     { RECOVERED(false), RK_ACT_SPAWN_FIRST, RK_POLICY_STARTING },
	     { DIED_NEW(RK_CAUSE_NEEDS_RECOVERY), RK_ACT_FAIL,
	       RK_POLICY_BROKEN });
	rk__policy_init(&p);
	WALK(&p,
	     { DIED_NEW(RK_CAUSE_NEEDS_RECOVERY), RK_ACT_RECOVER,
	       RK_POLICY_RECOVERING },
	     { RECOVERED(true), RK_ACT_FAIL, RK_POLICY_BROKEN });
}

Test(policy, killed_between_first_commit_and_ready)
{
	struct rk__policy p;

	rk__policy_init(&p);
	WALK(&p,
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING },
	     { READY, RK_ACT_STARTED, RK_POLICY_SERVING },
	     { READY, 0, RK_POLICY_SERVING });
}

Test(policy, a_request_that_kills_twice_alone_is_refused)
{
	struct rk__policy p;
	struct rk__policy_actions a;
	struct rk__policy_event in_batch = FAULT(7, 70, false);

	serving(&p);
	rk__policy_step(&p, &in_batch, &a);
	cr_assert(a.one_by_one);
	cr_assert_not(p.quarantine);
	WALK(&p, NEXT, { FAULT(7, 70, true), AGAIN });
	cr_assert_not(p.quarantine, "once is not twice");
	WALK(&p, NEXT, { FAULT(7, 70, true), AGAIN });
	cr_assert(p.quarantine);
	cr_assert_eq(p.quarantine_slot, 7);
	cr_assert_eq(p.quarantine_id, 70);
	cr_assert_eq(p.quarantined, 1);
}

Test(policy, a_fault_that_is_known_too_late_counts_too)
{
	const struct rk__policy_event died =
		DIED(.slot = 7, .id = 70, .alone = true);
	const struct rk__policy_event late = {
		.type = RK_EVENT_WAS_FAULT, .slot = 7, .id = 70, .alone = true,
	};
	struct rk__policy p;

	serving(&p);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_not(p.quarantine);
		WALK(&p, { died, AGAIN }, { late, 0, RK_POLICY_SERVING }, NEXT);
	}
	cr_assert(p.quarantine && p.quarantine_slot == 7 &&
		  p.quarantine_id == 70);
}

Test(policy, two_that_take_turns_are_both_found)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p, { FAULT(1, 10, true), AGAIN }, NEXT,
	     { FAULT(2, 20, true), AGAIN }, NEXT,
	     { FAULT(1, 10, true), AGAIN }, NEXT);
	cr_assert_eq(p.quarantine_id, 10);
	WALK(&p, { FAULT(2, 20, true), AGAIN });
	cr_assert_eq(p.quarantine_id, 20);
	cr_assert_eq(p.quarantined, 2);
}

Test(policy, what_does_not_count_against_a_request)
{
	static const struct rk__policy_event never[] = {
		DIED(.slot = 1, .id = 10, .alone = true),
		DIED(.cause = RK_CAUSE_FAULT, .slot = 1, .id = 10),
		DIED(.cause = RK_CAUSE_FAULT, .slot = 1, .alone = true),
	};

	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		struct rk__policy_actions a;
		struct rk__policy p;

		serving(&p);
		for (int n = 0; n < 10; n++) {
			rk__policy_step(&p, &never[i], &a);
			cr_assert(a.what & RK_ACT_TAKEOVER);
			p.standby = true;
		}
		cr_assert_not(p.quarantine);
	}
}

Test(policy, hangs_and_lack_of_memory_count_like_faults)
{
	static const enum rk__cause cause[] = {
		RK_CAUSE_DEADLINE, RK_CAUSE_NO_MEMORY,
	};

	for (size_t i = 0; i < sizeof cause / sizeof *cause; i++) {
		struct rk__policy p;

		serving(&p);
		WALK(&p, { DIED(.cause = cause[i], .slot = 3, .id = 1,
				.alone = true), AGAIN }, NEXT,
		     { DIED(.cause = cause[i], .slot = 3, .id = 1,
			    .alone = true), AGAIN });
		cr_assert(p.quarantine);
	}
}

Test(policy, deaths_without_progress_back_off_and_end)
{
	struct rk__policy_event die = DIED(.progress = 0), timer = TIMER;
	struct rk__policy_actions a;
	uint64_t last = 0;
	struct rk__policy p;
	unsigned n;

	serving(&p);
	for (n = 1; n <= p.patience; n++) {
		rk__policy_step(&p, &die, &a);
		cr_assert_eq(a.what, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY);
		p.standby = true;
	}
	for (; n <= p.limit; n++) {
		rk__policy_step(&p, &die, &a);
		cr_assert_eq(a.what, RK_ACT_TIMER);
		cr_assert_geq(a.delay_ns, last);
		cr_assert_leq(a.delay_ns, 1000000000);
		last = a.delay_ns;
		cr_assert_eq(p.state, RK_POLICY_BACKOFF);
		rk__policy_step(&p, &timer, &a);
		cr_assert(a.what & RK_ACT_TAKEOVER);
		p.standby = true;
	}
	cr_assert_eq(last, 1000000000);
	rk__policy_step(&p, &die, &a);
	cr_assert_eq(a.what, RK_ACT_FAIL);
	cr_assert_eq(p.state, RK_POLICY_BROKEN);
}

Test(policy, progress_forgives_everything)
{
	struct rk__policy_actions a;
	struct rk__policy p;

	serving(&p);
	for (unsigned n = 1; n < 10000; n++) {
		struct rk__policy_event die = DIED(.progress = n);

		rk__policy_step(&p, &die, &a);
		cr_assert_eq(a.what, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY);
		p.standby = true;
	}
}

Test(policy, standbys_that_die_are_replaced_ever_more_slowly)
{
	struct rk__policy_event gone = GONE;
	struct rk__policy_actions a;
	uint64_t last = 0;
	struct rk__policy p;

	serving(&p);
	for (int n = 0; n < 20; n++) {
		rk__policy_step(&p, &gone, &a);
		cr_assert_eq(a.what, RK_ACT_SPAWN_STANDBY);
		cr_assert_geq(a.delay_ns, last);
		last = a.delay_ns;
	}
	cr_assert_eq(last, 1000000000);
}

Test(policy, stop)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p,
	     { STOP, RK_ACT_STOP, RK_POLICY_STOPPING },
	     { STOP, 0, RK_POLICY_STOPPING },
	     { DIED(.cause = RK_CAUSE_STOP), RK_ACT_STOPPED,
	       RK_POLICY_STOPPED },
	     { UP, 0, RK_POLICY_STOPPED });
}

Test(policy, killed_while_it_stops)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p,
	     { STOP, RK_ACT_STOP, RK_POLICY_STOPPING },
	     { DIED(.progress = 1), RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY |
	       RK_ACT_STOP, RK_POLICY_STOPPING },
	     { DIED(.progress = 2), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY | RK_ACT_STOP,
	       RK_POLICY_STOPPING },
	     { DIED(.cause = RK_CAUSE_STOP), RK_ACT_STOPPED,
	       RK_POLICY_STOPPED });
}

Test(policy, stop_while_nobody_serves)
{
	struct rk__policy p;

	serving(&p);
	WALK(&p,
	     { GONE, RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING },
	     { DIED(.progress = 1), RK_ACT_SPAWN_STANDBY, RK_POLICY_WAITING },
	     { STOP, 0, RK_POLICY_WAITING },
	     { UP, RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY | RK_ACT_STOP,
	       RK_POLICY_STOPPING });
}
