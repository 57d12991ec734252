/*
 * tools.c - what the supervisor answers to who is no client of the library:
 * how things stand, stop, share your mounts, tell me what happens.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "supervisor/control.h"
#include "supervisor/message.h"

static uint32_t pid_of(const struct rk__child *c)
{
	return c ? c->pid : 0;
}

void rk__control_users(const struct rk__supervisor *s, uint32_t *ret_clients,
		       uint32_t *ret_programs)
{
	*ret_clients = *ret_programs = 0;
	for (struct rk__client *c = s->control.clients; c; c = c->next) {
		*ret_clients += c->attached && c->kind != RK_HELLO_THREAD;
		*ret_programs += c->kind == RK_HELLO_USE;
	}
}

static bool is_used(const struct rk__supervisor *s)
{
	uint32_t clients, programs;

	rk__control_users(s, &clients, &programs);
	return clients + programs > 0;
}

static void fill_kills(const struct rk__supervisor *s, struct rk_status *ret)
{
	struct rk__summary summary;

	rk__supervisor_summary(s, &summary);
	ret->kills = summary.kills;
	ret->recovered = summary.recovered;
	ret->quarantined = summary.quarantined;
	ret->p50_ns = summary.p50_ns;
	ret->p99_ns = summary.p99_ns;
	ret->max_ns = summary.max_ns;
}

void rk__control_name(const struct rk__supervisor *s, char *ret, size_t size)
{
	const char *name = strrchr(s->control.path, '/');
	size_t len;

	snprintf(ret, size, "%s", name ? name + 1 : "");
	len = strlen(ret);
	if (len > 5)
		ret[len - 5] = 0;		/* .sock */
}

static void fill_status(const struct rk__supervisor *s, struct rk_status *ret)
{
	size_t used = 0;

	memset(ret, 0, sizeof *ret);
	fill_kills(s, ret);
	rk__report_fill(s, ret);
	rk__control_users(s, &ret->clients, &ret->programs);
	ret->audience = s->config.audience;
	ret->n_mounts = s->config.n_mounts;
	ret->supervisor = getpid();
	ret->server = s->active ? pid_of(s->active->child) : 0;
	ret->standby = s->standby ? pid_of(s->standby->child) : 0;
	ret->zygote = s->zygote.pid;
	ret->keeper = pid_of(s->keeper);
	ret->holder = s->holder >= 0 ? getppid() : 0;
	ret->restarts = s->restarts;
	ret->started_s = s->started_s;
	rk__control_name(s, ret->name, sizeof ret->name);
	for (uint32_t i = 0; i < s->config.n_mounts; i++) {
		const struct rk__mount_spec *m = &s->config.mount[i];
		int n = snprintf(ret->mounts + used,
				 sizeof ret->mounts - used, "%s=%s:%s\n",
				 m->path, m->driver, m->source);

		if (n < 0 || (size_t)n >= sizeof ret->mounts - used) {
			ret->mounts[used] = 0;
			break;
		}
		used += n;
	}
}

void rk__client_status(struct rk__client *c, int error, const char *message)
{
	struct rk_status status;

	fill_status(c->sup, &status);
	status.error = error;
	if (message)
		snprintf(status.message, sizeof status.message, "%s", message);
	rk__message_send(c->conn, &status, sizeof status, NULL, 0);
	rk__client_drop(c);
}

void rk__control_answer_stop(struct rk__supervisor *s, int error,
			     const char *message)
{
	struct rk__client *c, *next;

	for (c = s->control.clients; c; c = next) {
		next = c->next;
		if (c->wants_stop)
			rk__client_status(c, error, message);
	}
}

bool rk__client_may_rule(struct rk__client *c, const char *sentence)
{
	if (c->attach.uid == geteuid() || c->attach.uid == 0)
		return true;
	rk__client_status(c, -EPERM, sentence);
	return false;
}

void rk__client_stop(struct rk__client *c, bool unused)
{
	const struct rk__supervisor *s = c->sup;

	if (!rk__client_may_rule(c, "only its owner and root may stop a server"))
		return;
	if (unused && is_used(s)) {
		rk__client_status(c, -EBUSY, NULL);
		return;
	}
	c->wants_stop = true;
	rk__supervisor_begin_stop(c->sup, false);
}

/* Its connection stays, and is counted. */
void rk__client_share(struct rk__client *c)
{
	struct rk__supervisor *s = c->sup;
	struct rk_status status;

	if (!rk__client_may_rule(c, "only its owner and root may use a server"))
		return;
	if (s->stage != RK_STAGE_SERVING) {
		rk__client_status(c, -ESHUTDOWN, "it is being stopped");
		return;
	}
	c->kind = RK_HELLO_USE;
	fill_status(s, &status);
	if (rk__message_send(c->conn, &status, sizeof status, s->namespace,
			     s->namespace[1] >= 0 ? 2 : 0) < 0)
		rk__client_drop(c);
}

/* --- who watches ----------------------------------------------------------- */

static int tell_watcher(void *ctx, const struct rk_event *e)
{
	const struct rk__client *c = ctx;

	return rk__message_send(c->conn, e, sizeof *e, NULL, 0);
}

void rk__client_watch(struct rk__client *c)
{
	static const struct rk_event end = { .kind = RK_HAPPENED_NOTHING };

	if (!rk__client_may_rule(c, "only its owner and root may watch a server"))
		return;
	c->kind = RK_HELLO_WATCH;
	rk__news_each(c->sup, tell_watcher, c);
	tell_watcher(c, &end);
}

void rk__control_publish(struct rk__supervisor *s, const struct rk_event *e)
{
	for (struct rk__client *c = s->control.clients; c; c = c->next)
		if (c->kind == RK_HELLO_WATCH)
			tell_watcher(c, e);
}
