/*
 * act.c - carries out what the policy decides.
 *
 * The path from a server's death to its successor is short on purpose: read
 * the board, ask the policy, name the standby on the board, wake it. The next
 * standby is forked when the successor says that it serves.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "supervisor/internal.h"
#include "supervisor/message.h"
#include "supervisor/news.h"
#include "supervisor/upgrade.h"

enum { STANDBY_AFTER_MS = 3 };

void rk__tell_holder(struct rk__supervisor *s, enum rk__hold_type type,
			uint32_t mount)
{
	struct rk__hold h = { .type = type, .mount = mount };
	unsigned n = type == RK_HOLD_FUSE;

	if (s->holder < 0)
		return;
	h.flags = s->fuse_flags[mount];
	/* one that is gone keeps nothing: we go on without */
	rk__message_send(s->holder, &h, sizeof h, &s->fuse_fd[mount], n);
}

void rk__tell_baton(struct rk__supervisor *s, int baton_fd, pid_t successor)
{
	struct rk__hold h = {
		.type = RK_HOLD_BATON, .flags = (uint64_t)successor,
	};

	rk__message_send(s->holder, &h, sizeof h, &baton_fd, 1);
}

void rk__supervisor_fail(struct rk__supervisor *s, int error,
			 const char *sentence)
{
	if (s->stage >= RK_STAGE_FAILED)
		return;
	snprintf(s->error, sizeof s->error, "%s", sentence);
	s->failed = error;
	s->stage = RK_STAGE_FAILED;
	/* with the last descriptor of a mount its callers get an error */
	for (uint32_t i = 0; i < s->config.n_mounts; i++) {
		if (s->fuse_fd[i] >= 0)
			close(s->fuse_fd[i]);
		s->fuse_fd[i] = -1;
	}
	rk__tell_holder(s, RK_HOLD_NOTHING, 0);
	if (s->active)
		rk__child_kill(s->active->child, SIGKILL);
	if (s->standby)
		rk__child_kill(s->standby->child, SIGKILL);
	rk__control_drop_all(s);
	uv_stop(&s->loop);
}

static void fail_by_policy(struct rk__supervisor *s)
{
	char text[RK_SERVER_ERROR_LEN], report[RK_SERVER_ERROR_LEN];
	const char *why = s->policy.why;

	if (s->policy.why_board) {
		memcpy(text, s->board->error, sizeof text);
		text[sizeof text - 1] = 0;
		why = text[0] ? text : "the server gave up without a reason";
	}
	if (s->policy.n_tried) {
		rk__ladder_report(&s->policy, s->policy.why_board ? text : why,
			   report);
		why = report;
	}
	rk__supervisor_fail(s, -EIO, why);
}

static void take_over(struct rk__supervisor *s, bool one_by_one)
{
	static const struct rk__message synced = { .type = RK_MSG_SYNCED };
	struct rk__board *b = s->board;

	if (s->policy.quarantine) {
		atomic_store(&b->quarantine_slot, s->policy.quarantine_slot);
		atomic_store(&b->quarantine_id, s->policy.quarantine_id);
		atomic_store(&b->quarantine, 1);
	}
	if (one_by_one)
		atomic_store(&b->one_by_one, 1);
	atomic_store(&b->doubted, s->policy.last_was_fault ||
		     atomic_load(&b->cause) != RK_CAUSE_NONE);
	atomic_store(&b->current_id, 0);
	atomic_store(&b->cause, RK_CAUSE_NONE);
	/* a late look at it must not find the predecessor's mark */
	atomic_store(&b->lock, 0);
	s->active = s->standby;
	s->standby = NULL;
	atomic_store(&b->takeover, s->active->generation);
	syscall(SYS_futex, &b->takeover, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	rk__server_send(s->active, &synced, NULL, 0);
	s->restarts++;
}

static void no_spawn(struct rk__supervisor *s)
{
	/* what has no memory or no process now may have it later */
	struct rk__policy_event e = {
		.type = RK_EVENT_NO_SPAWN, .error = !s->zygote.pid,
	};

	rk__supervisor_event(s, &e);
}

static void spawn_first(struct rk__supervisor *s)
{
	struct rk__server *v = rk__server_create(s, RK_START_FIRST);

	if (!v) {
		no_spawn(s);
		return;
	}
	s->standby = v;
	take_over(s, false);
	s->restarts--;			/* it restarts nobody */
}

static void spawn_standby(struct rk__supervisor *s)
{
	struct rk__policy_event e = { .type = RK_EVENT_STANDBY_UP };

	uv_timer_stop(&s->standby_timer);
	if (s->standby || s->stage >= RK_STAGE_STOPPED ||
	    s->policy.state == RK_POLICY_GOING_BACK ||
	    s->policy.state == RK_POLICY_COLD)
		return;
	s->standby = rk__server_create(s, RK_START_WARM);
	if (s->standby)
		rk__supervisor_event(s, &e);
	else
		no_spawn(s);
}

/* --- the ladder above warm ---------------------------------------------------- */

static void spawn_cold(struct rk__supervisor *s)
{
	struct rk__server *v = rk__server_create(s, RK_START_COLD);

	if (!v) {
		no_spawn(s);
		return;
	}
	s->standby = v;
	take_over(s, false);
}

/* A standby has the memory mapped that goes. */
static void go_back(struct rk__supervisor *s)
{
	uv_timer_stop(&s->standby_timer);
	if (s->standby)
		rk__child_kill(s->standby->child, SIGKILL);
	s->standby = NULL;
	atomic_store(&s->board->cold_cut, s->policy.cut);
	atomic_store(&s->board->cold_seq, 0);
	atomic_store(&s->board->cold, s->policy.rung);
	rk__keeper_go_back(s, s->policy.rung != RK_LADDER_COLD);
}

enum rk__rung rk__rung_of_predecessor(struct rk__board *b)
{
	enum rk__rung r = atomic_load(&b->cold);

	return r ? r : atomic_load(&b->read_only) ? RK_LADDER_READ_ONLY :
	       RK_LADDER_WARM;
}

static void standby_due(uv_timer_t *timer)
{
	spawn_standby(timer->data);
}

static void backoff_over(uv_timer_t *timer)
{
	struct rk__policy_event e = { .type = RK_EVENT_TIMER };

	rk__supervisor_event(timer->data, &e);
}

static void keeper_due(uv_timer_t *timer)
{
	struct rk__supervisor *s = timer->data;
	/* a predecessor's keeper has replayed what was there to replay */
	enum rk__keeper_start first = !s->keeper_ready.ready &&
		!atomic_load(&s->board->booted) ? RK_KEEPER_REPLAY :
		RK_KEEPER_GO_ON;

	uv_timer_stop(timer);
	if (s->stage >= RK_STAGE_FAILED)
		return;
	if (rk__keeper_start(s, s->keeper_ready.going ?: first) < 0)
		rk__keeper_lost(s);
}

static uint64_t in_ms(uint64_t ns)
{
	return (ns + 999999) / 1000000;
}

void rk__keeper_again(struct rk__supervisor *s)
{
	uv_timer_start(&s->keeper_timer, keeper_due, 0, 1);
}

/* While nobody serves it is urgent; otherwise the successor comes first. */
static void schedule_standby(struct rk__supervisor *s, uint64_t delay_ns)
{
	if (s->policy.state == RK_POLICY_WAITING && !delay_ns)
		spawn_standby(s);
	else
		uv_timer_start(&s->standby_timer, standby_due,
			       STANDBY_AFTER_MS + in_ms(delay_ns), 0);
}

static void tell_stop(struct rk__supervisor *s)
{
	static const struct rk__message m = { .type = RK_MSG_STOP };

	rk__server_send(s->active, &m, NULL, 0);
}

void rk__supervisor_event(struct rk__supervisor *s,
			  const struct rk__policy_event *e)
{
	struct rk__policy_actions a;

	if (s->stage >= RK_STAGE_STOPPED)
		return;
	rk__policy_step(&s->policy, e, &a);
	if (a.what & RK_ACT_READ_ONLY)
		atomic_store(&s->board->read_only, RK_FROZEN_SUSPECT);
	if (a.what & RK_ACT_TAKEOVER)
		take_over(s, a.one_by_one);
	if (a.what & RK_ACT_GO_BACK)
		go_back(s);
	if (a.what & RK_ACT_SPAWN_COLD)
		spawn_cold(s);
	if (a.what & RK_ACT_SPAWN_FIRST)
		spawn_first(s);
	if (a.what & RK_ACT_STARTED)
		s->stage = RK_STAGE_SERVING;
	if (a.what & RK_ACT_STOP)
		tell_stop(s);
	if (a.what & RK_ACT_STOPPED)
		s->stage = RK_STAGE_STOPPED;
	if (a.what & RK_ACT_RECOVER)
		rk__recover_start(s);
	if (a.what & RK_ACT_TIMER)
		uv_timer_start(&s->backoff_timer, backoff_over,
			       in_ms(a.delay_ns), 0);
	if (a.what & RK_ACT_FAIL)
		fail_by_policy(s);
	if (a.what & RK_ACT_SPAWN_STANDBY)
		schedule_standby(s, a.delay_ns);
	rk__news_step(s, e, &a);
}

void rk__supervisor_died(struct rk__supervisor *s, int status)
{
	struct rk__board *b = s->board;
	struct rk__policy_event e = {
		.type = RK_EVENT_SERVER_DIED,
		.cause = atomic_load(&b->cause),
		.slot = atomic_load(&b->current_slot),
		.id = atomic_load(&b->current_id),
		.signal = (int)atomic_load(&b->cause_signal),
		.alone = atomic_load(&b->alone),
		.progress = atomic_load(&b->ops) + atomic_load(&b->commits),
		.has_state = atomic_load(&b->booted),
		.cold_seq = atomic_load(&b->cold_seq),
	};

	s->active->dead = true;
	rk__server_hear(s->active);
	if (rk__upgrade_server_died(s))
		return;
	rk__timers_killed(s);
	if (s->views.server.fragile && e.cause != RK_CAUSE_STOP) {
		rk__supervisor_fail(s, -EIO, "a server that was to be fragile "
				    "died (RUMP_FRAGILE=1)");
		return;
	}
	/* it may have been too broken to say so itself */
	if (e.cause == RK_CAUSE_NONE && status >= 0 && WIFSIGNALED(status) &&
	    WTERMSIG(status) != SIGKILL) {
		e.cause = RK_CAUSE_FAULT;
		e.signal = WTERMSIG(status);
	}
	/* else it is of an earlier one */
	if (e.cause != RK_CAUSE_FAULT)
		e.signal = 0;
	rk__report_death(s, &e, status);
	s->active->unexplained = e.cause == RK_CAUSE_NONE && status < 0;
	s->active->death = e;
	rk__supervisor_event(s, &e);
}

void rk__supervisor_explain(struct rk__server *v, int status)
{
	if (!v->unexplained || !WIFSIGNALED(status) ||
	    WTERMSIG(status) == SIGKILL)
		return;
	v->death.type = RK_EVENT_WAS_FAULT;
	rk__report_was_fault(v->sup, WTERMSIG(status));
	rk__supervisor_event(v->sup, &v->death);
}

void rk__supervisor_ready(struct rk__supervisor *s, struct rk__server *v)
{
	struct rk__policy_event e = { .type = RK_EVENT_SERVER_READY };

	if (v != s->active || v->dead)
		return;
	rk__report_ready(s);
	rk__timers_ready(s);
	rk__supervisor_event(s, &e);
	rk__news_ready(s);
	if (uv_is_active((uv_handle_t *)&s->standby_timer) &&
	    uv_timer_get_due_in(&s->standby_timer) <= STANDBY_AFTER_MS)
		spawn_standby(s);
}
