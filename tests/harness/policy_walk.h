/*
 * policy_walk.h - for tests of the policy: a list of events, and what each must
 * lead to.
 */
#ifndef RK_POLICY_WALK_H
#define RK_POLICY_WALK_H

#include <criterion/criterion.h>
#include "supervisor/policy.h"

struct step {
	struct rk__policy_event event;
	uint32_t what;
	enum rk__policy_state state;
};

#define READY	{ .type = RK_EVENT_SERVER_READY }
#define UP	{ .type = RK_EVENT_STANDBY_UP }
#define GONE	{ .type = RK_EVENT_STANDBY_DIED }
#define STOP	{ .type = RK_EVENT_STOP }
#define TIMER	{ .type = RK_EVENT_TIMER }
#define DIED(...) { .type = RK_EVENT_SERVER_DIED, .has_state = true, __VA_ARGS__ }
#define DIED_NEW(c) { .type = RK_EVENT_SERVER_DIED, .cause = (c) }
#define RECOVERED(bad) { .type = RK_EVENT_RECOVERED, .error = (bad) }

static inline void walk(struct rk__policy *p, const struct step *step, size_t n)
{
	struct rk__policy_actions a;

	for (size_t i = 0; i < n; i++) {
		rk__policy_step(p, &step[i].event, &a);
		cr_assert_eq(a.what, step[i].what, "step %zu: actions %x, not "
			     "%x", i, a.what, step[i].what);
		cr_assert_eq(p->state, step[i].state, "step %zu: state %d, not "
			     "%d", i, p->state, step[i].state);
	}
}

#define WALK(p, ...) do {						\
	const struct step steps_[] = { __VA_ARGS__ };			\
	walk((p), steps_, sizeof steps_ / sizeof *steps_);		\
} while (0)

static inline void serving(struct rk__policy *p)
{
	rk__policy_init(p);
	WALK(p,
	     { { .type = RK_EVENT_START }, RK_ACT_SPAWN_FIRST,
	       RK_POLICY_STARTING },
	     { READY, RK_ACT_STARTED | RK_ACT_SPAWN_STANDBY,
	       RK_POLICY_SERVING },
	     { UP, 0, RK_POLICY_SERVING });
}

#define FAULT(s, i, a) DIED(.cause = RK_CAUSE_FAULT, .slot = (s), .id = (i), \
			    .alone = (a))
#define NEXT { UP, 0, RK_POLICY_SERVING }
#define AGAIN RK_ACT_TAKEOVER | RK_ACT_SPAWN_STANDBY, RK_POLICY_SERVING

#endif
