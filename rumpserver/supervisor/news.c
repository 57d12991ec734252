/*
 * news.c - what happens to servers, made into records for who wants to know:
 * the last ones are kept for who asks later, all go to the watchers of the
 * control socket and on the bus.
 *
 * A death and what came of it are two events. Both are told after the takeover
 * was ordered: nobody waits for the news.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "supervisor/internal.h"

static uint64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

enum rk_death rk__news_death(enum rk__cause cause)
{
	switch (cause) {
	case RK_CAUSE_NONE:
		return RK_DEATH_KILL;
	case RK_CAUSE_FAULT:
		return RK_DEATH_FAULT;
	case RK_CAUSE_DEADLINE:
		return RK_DEATH_DEADLINE;
	case RK_CAUSE_NO_MEMORY:
		return RK_DEATH_MEMORY;
	case RK_CAUSE_BROKEN:
		return RK_DEATH_REFUSED;
	default:
		return RK_DEATH_OTHER;
	}
}

/* --- making and handing out ------------------------------------------------ */

static void begin(const struct rk__supervisor *s, enum rk_event_kind kind,
		  struct rk_event *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->time_ns = real_ns();
	ret->kind = kind;
	ret->restarts = s->restarts;
	ret->pid = s->active && s->active->child ? s->active->child->pid : 0;
	rk__control_name(s, ret->server, sizeof ret->server);
}

static void hand_out(struct rk__supervisor *s, struct rk_event *e)
{
	struct rk__news *n = &s->news;

	e->number = ++n->number;
	n->kept[e->number % RK_NEWS_KEPT] = *e;
	rk__control_publish(s, e);
	rk__bus_publish(n->bus, e);
	rk__journald_tell(s, e);
}

static void say_death(struct rk_event *e)
{
	if (e->death == RK_DEATH_FAULT && e->signal)
		snprintf(e->text, sizeof e->text, "the server died of %s",
			 strsignal(e->signal));
	else
		snprintf(e->text, sizeof e->text, "the server %s",
			 e->death == RK_DEATH_KILL ? "was killed" :
			 e->death == RK_DEATH_FAULT ? "crashed" :
			 e->death == RK_DEATH_DEADLINE ?
			 "took longer than its deadline for a call" :
			 e->death == RK_DEATH_MEMORY ?
			 "had no memory left" :
			 e->death == RK_DEATH_REFUSED ?
			 "could not trust what its predecessor left" : "ended");
}

static void died(struct rk__supervisor *s, const struct rk__policy_event *p)
{
	struct rk__news *n = &s->news;
	struct rk_event e;

	begin(s, RK_HAPPENED_DIED, &e);
	e.pid = n->pid;
	e.death = rk__news_death(p->cause);
	e.signal = p->signal;
	e.request = p->id;
	say_death(&e);
	n->death = e.death;
	e.op = s->deaths.op;
	hand_out(s, &e);
}

static void quarantined(struct rk__supervisor *s)
{
	struct rk_event e;

	s->news.quarantined = s->policy.quarantined;
	s->news.refused = true;
	begin(s, RK_HAPPENED_QUARANTINED, &e);
	e.request = s->policy.quarantine_id;
	e.op = s->deaths.op;
	e.lost = RK_LOST_REQUEST;
	snprintf(e.text, sizeof e.text, "a call that brought the server down "
		 "twice, alone, is answered with an error");
	hand_out(s, &e);
}

/* --- where it comes from --------------------------------------------------- */

void rk__news_step(struct rk__supervisor *s, const struct rk__policy_event *p,
		   const struct rk__policy_actions *a)
{
	struct rk__news *n = &s->news;
	bool refused = s->policy.quarantined > n->quarantined;

	if (p->type == RK_EVENT_SERVER_DIED && p->cause != RK_CAUSE_STOP) {
		if (!n->died_ns)
			n->died_ns = rk__now_ns();
		died(s, p);
	}
	if (refused)
		quarantined(s);
	if (a->what & RK_ACT_TAKEOVER)
		n->rung = refused ? RK_RUNG_QUARANTINE :
			  a->one_by_one ? RK_RUNG_ONE_BY_ONE : RK_RUNG_WARM;
	if (a->what & RK_ACT_SPAWN_COLD)
		n->rung = RK_RUNG_COLD;
	if (atomic_load(&s->board->read_only))
		n->rung = RK_RUNG_READ_ONLY;
	if (a->what & RK_ACT_FAIL)
		rk__news_tell(s, RK_HAPPENED_GAVE_UP, s->error);
}

void rk__news_ready(struct rk__supervisor *s)
{
	struct rk__news *n = &s->news;
	struct rk_event e;

	n->pid = s->active->child->pid;
	if (!n->died_ns)
		return;
	begin(s, RK_HAPPENED_RECOVERED, &e);
	e.down_ns = rk__now_ns() - n->died_ns;
	e.death = n->death;
	e.op = s->deaths.op;
	e.rung = n->rung;
	e.lost = (n->refused ? RK_LOST_REQUEST : 0) |
		 (n->rung == RK_RUNG_READ_ONLY ? RK_LOST_WRITING : 0);
	snprintf(e.text, sizeof e.text, "a successor goes on after %.2f ms "
		 "(%s)", (double)e.down_ns / 1e6, rk_rung_word(e.rung));
	n->died_ns = 0;
	n->refused = false;
	hand_out(s, &e);
}

void rk__news_tell(struct rk__supervisor *s, enum rk_event_kind kind,
		   const char *sentence)
{
	struct rk_event e;

	begin(s, kind, &e);
	if (kind == RK_HAPPENED_GAVE_UP)
		e.lost = RK_LOST_CLIENTS | RK_LOST_ALL;
	if (kind == RK_HAPPENED_INHERITED)
		e.lost = RK_LOST_CLIENTS;
	snprintf(e.text, sizeof e.text, "%s", sentence ? sentence : "");
	hand_out(s, &e);
}

void rk__news_each(const struct rk__supervisor *s,
		   int (*fn)(void *ctx, const struct rk_event *e), void *ctx)
{
	const struct rk__news *n = &s->news;
	uint64_t i = n->number < RK_NEWS_KEPT ? 1 :
		     n->number - RK_NEWS_KEPT + 1;

	for (; i <= n->number; i++)
		if (fn(ctx, &n->kept[i % RK_NEWS_KEPT]) < 0)
			return;
}

/* The bus stands beside the socket: NAME.bus. */
static bool bus_path(const struct rk__supervisor *s, char *ret, size_t size)
{
	size_t len = strlen(s->control.path);

	if (len < 5 || len >= size)
		return false;
	memcpy(ret, s->control.path, len - 5);
	strcpy(ret + len - 5, ".bus");
	return true;
}

void rk__news_again(struct rk__supervisor *s)
{
	char path[sizeof s->control.path];

	s->news.journal = rk__journald_open();
	s->news.bus = bus_path(s, path, sizeof path) ? rk__bus_open(path) : -1;
}

static void tell_start(struct rk__supervisor *s)
{
	if (s->owns)
		rk__news_tell(s, RK_HAPPENED_UPGRADED, "another build serves");
	else if (s->news.heir)
		rk__news_tell(s, RK_HAPPENED_INHERITED,
			      "the supervisor died; another one goes on");
	else
		rk__news_tell(s, RK_HAPPENED_STARTED,
			      "the server can be used");
}

void rk__news_open(struct rk__supervisor *s)
{
	rk__news_again(s);
	if (s->active && s->active->child)
		s->news.pid = s->active->child->pid;
	tell_start(s);
}

void rk__news_close(struct rk__supervisor *s)
{
	char path[sizeof s->control.path];

	rk__bus_close(s->news.bus, bus_path(s, path, sizeof path) ? path : "");
	s->news.bus = -1;
	if (s->news.journal >= 0)
		close(s->news.journal);
	s->news.journal = -1;
}
