/*
 * stop.c - the end of a family, in order: unmount (the kernel writes back what
 * it still holds, so the server must serve), stop the server (it makes its
 * last flush point), wait until the keeper has it in the image, end every
 * process, remove what is left.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"
#include "supervisor/internal.h"

enum { DRAIN_LOOK_MS = 1, DRAIN_MAX_MS = 60000 };

/* --- unmount and stop ------------------------------------------------------ */

static void stop_server(struct rk__supervisor *s)
{
	struct rk__policy_event e = { .type = RK_EVENT_STOP };

	s->stage = RK_STAGE_STOPPING;
	rk__news_tell(s, RK_HAPPENED_STOPPING, "the server was told to stop");
	rk__supervisor_event(s, &e);
}

static void unmount(uv_work_t *work)
{
	struct rk__supervisor *s = work->data;

	s->unmount_result = s->unmount(s->unmount_ctx, s->unmount_how);
}

static void start_unmount(struct rk__supervisor *s);

static void unmount_done(uv_work_t *work, int cancelled)
{
	struct rk__supervisor *s = work->data;
	int e = s->unmount_result;

	s->unmounting = false;
	if (e < 0 && s->owner_stops && s->unmount_how == RK_UNMOUNT) {
		s->unmount_how = RK_UNMOUNT_LAZY;
		start_unmount(s);
		return;
	}
	s->unmounted = e == 0 || s->unmount_how != RK_UNMOUNT;
	if (s->stage != RK_STAGE_UNMOUNTING)
		return;
	if (s->unmounted) {
		stop_server(s);
		return;
	}
	s->stage = RK_STAGE_SERVING;
	rk__control_answer_stop(s, e, e == -EBUSY ? "something uses the mount; "
				"end it, or unmount with --lazy" : NULL);
}

static void start_unmount(struct rk__supervisor *s)
{
	s->work.data = s;
	s->unmounting = true;
	uv_queue_work(&s->loop, &s->work, unmount, unmount_done);
}

void rk__supervisor_begin_stop(struct rk__supervisor *s, bool owner)
{
	s->owner_stops |= owner;
	rk__upgrade_stop(s);
	if (s->stage != RK_STAGE_SERVING)
		return;
	s->stage = RK_STAGE_UNMOUNTING;
	if (s->unmount && !s->unmounted)
		start_unmount(s);
	else
		stop_server(s);
}

void rk__supervisor_on_stop(struct rk__supervisor *s, rk__unmount_fn *fn,
			    void *ctx)
{
	s->unmount = fn;
	s->unmount_ctx = ctx;
}

void rk__supervisor_ask_stop(struct rk__supervisor *s)
{
	rk__supervisor_begin_stop(s, true);
}

/* --- drain ----------------------------------------------------------------- */

static bool no_device_changes(const struct rk__supervisor *s)
{
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		if (s->config.mount[i].kind == RK_SOURCE_IMAGE &&
		    !s->config.mount[i].read_only)
			return false;
	return true;
}

/* flushed_seq alone would not do: the checkpoint, after which the journal may
 * go, comes between it and `applied`. */
static bool drained(const struct rk__supervisor *s)
{
	const struct rk__log_server *server = s->log.server;
	const struct rk__log_keeper *keeper = s->log.keeper;

	return no_device_changes(s) ||
	       (atomic_load(&keeper->flushed_seq) >=
		atomic_load(&server->published_seq) &&
		atomic_load(&keeper->applied) >=
		atomic_load(&server->published));
}

static void look(uv_timer_t *timer)
{
	/* the loop's turn is all that is wanted */
}

static void drain(struct rk__supervisor *s)
{
	uint64_t end = rk__now_ns() + DRAIN_MAX_MS * 1000000ull;

	uv_timer_start(&s->drain, look, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
	while (s->stage == RK_STAGE_STOPPED && !drained(s) &&
	       s->failed != -EROFS &&
	       !atomic_load(&s->log.keeper->error) && rk__now_ns() < end)
		uv_run(&s->loop, UV_RUN_ONCE);
	uv_timer_stop(&s->drain);
	s->clean = s->stage == RK_STAGE_STOPPED && drained(s) &&
		   !atomic_load(&s->log.keeper->error);
}

/* --- the end --------------------------------------------------------------- */

static void end_processes(struct rk__supervisor *s)
{
	s->stage = RK_STAGE_ENDING;
	if (s->program)
		rk__child_forget(s->program);
	s->program = NULL;
	if (s->active)
		rk__child_kill(s->active->child, SIGKILL);
	if (s->standby)
		rk__child_kill(s->standby->child, SIGKILL);
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		rk__child_kill(s->notifier[i].child, SIGKILL);
	rk__child_kill(s->keeper, SIGKILL);
	rk__child_kill(s->spare_child, SIGKILL);
	rk__child_kill(s->zygote_child, SIGKILL);
	while (s->n_children || s->unmounting)
		uv_run(&s->loop, UV_RUN_ONCE);
}

/* Recovery needs no journal after a clean stop, nor one in which nothing can
 * be, as no server ever was ready. */
static void remove_journals(struct rk__supervisor *s)
{
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		if (s->clean ||
		    (s->image[i].journal_new && !s->policy.started))
			rk__image_settled(&s->image[i]);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void rk__supervisor_free(struct rk__supervisor *s)
{
	end_processes(s);
	rk__watch_stop(s);
	rk__news_close(s);
	rk__control_close(s);
	remove_journals(s);
	uv_walk(&s->loop, close_handle, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		if (s->fuse_fd[i] >= 0)
			close(s->fuse_fd[i]);
	if (s->zygote.fd >= 0)
		close(s->zygote.fd);
	if (s->kill.fd >= 0)
		close(s->kill.fd);
	if (s->mountinfo.fd >= 0)
		close(s->mountinfo.fd);
	if (s->keeper_ready.fd >= 0)
		close(s->keeper_ready.fd);
	if (s->holder >= 0)
		close(s->holder);
	rk__kept_finish(s);
	rk__log_unmap(&s->log);
	rk__views_finish(&s->views);
	free(s->kill.sample);
	free(s);
}

static int result(struct rk__supervisor *s, char *error)
{
	int e = atomic_load(&s->log.keeper->error);

	if (s->stage == RK_STAGE_FAILED) {
		snprintf(error, RK_SERVER_ERROR_LEN, "%s", s->error);
		return s->failed;
	}
	if (s->clean && !s->failed)
		return 0;
	if (!e)
		e = s->failed ? s->failed : -ETIMEDOUT;
	snprintf(error, RK_SERVER_ERROR_LEN,
		 "not everything could be written to the image: %s",
		 strerror(-e));
	return e;
}

/* A server that is gone can't help to unmount, so nothing is waited for. */
static void unmount_failed(struct rk__supervisor *s)
{
	if (!s->unmount || s->unmounted)
		return;
	s->owner_stops = true;
	s->unmount_how = RK_UNMOUNT_ABORT;
	if (!s->unmounting)
		start_unmount(s);
}

/* Another program has what we hold: nothing of it is touched. */
static void leave(struct rk__supervisor *s)
{
	s->control.path[0] = 0;
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		rk__image_forget(&s->image[i]);
	if (s->upgrade.child)
		rk__child_forget(s->upgrade.child);
	s->upgrade.child = NULL;
	rk__supervisor_free(s);
}

int rk__supervisor_stop(struct rk__supervisor *s,
			struct rk__summary *ret_summary, char *error)
{
	int e;

	if (s->stage == RK_STAGE_HANDED) {
		leave(s);
		return 0;
	}
	rk__supervisor_begin_stop(s, true);
	while (s->stage < RK_STAGE_STOPPED)
		uv_run(&s->loop, UV_RUN_ONCE);
	if (s->stage == RK_STAGE_STOPPED)
		drain(s);
	else
		unmount_failed(s);
	e = result(s, error);
	if (ret_summary)
		rk__supervisor_summary(s, ret_summary);
	end_processes(s);
	rk__news_tell(s, RK_HAPPENED_STOPPED, e < 0 ? error :
		      "the server has stopped");
	/* whoever is told that it stopped may use image and name at once */
	remove_journals(s);
	rk__news_close(s);
	rk__control_unlink(s);
	rk__views_unlock(&s->views);
	rk__control_answer_stop(s, e, e < 0 ? error : NULL);
	rk__supervisor_free(s);
	return e;
}
