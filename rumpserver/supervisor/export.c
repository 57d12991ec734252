/*
 * export.c - a server's state for a file: the plan from the supervisor, the
 * state from the server, which pauses for it and goes on.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "core/external.h"
#include "supervisor/control.h"
#include "supervisor/upgrade.h"

enum { EXPORT_MS = 600000 };

static int put(void *ctx, const void *bytes, size_t n)
{
	ssize_t done = write(*(int *)ctx, bytes, n);

	return done == (ssize_t)n ? 0 : done < 0 ? -errno : -EIO;
}

int rk__plan_write(const struct rk__supervisor *s, int fd)
{
	struct rk__ext_out o = { .put = put, .ctx = &fd };
	uint64_t size[RK_MOUNTS_MAX];

	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++)
		size[i] = s->image[i].size;
	rk__ext_begin(&o);
	rk__ext_put_config(&o, &s->config, size);
	return rk__ext_end(&o);
}

void rk__export_end(struct rk__supervisor *s, int error, const char *sentence)
{
	static const struct rk__message resume = { .type = RK_MSG_RESUME };
	struct rk__client *asker = s->upgrade.asker;

	s->upgrade.step = RK_UPGRADE_NONE;
	s->upgrade.asker = NULL;
	uv_timer_stop(&s->upgrade.deadline);
	if (s->active && !s->active->dead)
		rk__server_send(s->active, &resume, NULL, 0);
	if (asker)
		rk__client_status(asker, error, sentence);
}

static void deadline(uv_timer_t *timer)
{
	rk__export_end(timer->data, -ETIMEDOUT, "it takes too long");
}

void rk__export_begin(struct rk__supervisor *s, struct rk__client *asker,
		      int fd, bool images)
{
	struct rk__message m = {
		.type = RK_MSG_PAUSE, .number = images ? RK_PAUSE_IMAGES : 0,
	};
	int e;

	if (s->upgrade.step != RK_UPGRADE_NONE ||
	    s->stage != RK_STAGE_SERVING || !s->active || s->active->dead) {
		rk__client_status(asker, -EBUSY, "it is being started, "
				  "stopped, upgraded or restarted");
		return;
	}
	e = fd < 0 ? -EBADF : rk__plan_write(s, fd);
	if (e < 0) {
		rk__client_status(asker, e, NULL);
		return;
	}
	s->upgrade.step = RK_UPGRADE_EXPORTING;
	s->upgrade.asker = asker;
	uv_timer_start(&s->upgrade.deadline, deadline, EXPORT_MS, 0);
	m.a = ++s->upgrade.attempt;
	m.token = (uint64_t)lseek(fd, 0, SEEK_CUR);
	rk__server_send(s->active, &m, &fd, 1);
}
