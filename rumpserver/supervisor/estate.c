/*
 * estate.c - what a supervisor passes on to the next, as its holder keeps it.
 *
 * The holder makes it before there is a supervisor, and learns only one thing
 * later: the descriptors of /dev/fuse, once the mounts are there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include "supervisor/drivers.h"
#include "supervisor/make.h"
#include "supervisor/message.h"
#include "supervisor/spec.h"
#include "supervisor/upgrade.h"

int rk__estate_plant(struct rk__estate *e, char *error)
{
	struct rk__board *b = e->views.server.board;
	const char *spec = getenv("RUMP_CRASH"), *skip;
	char name[64];
	int point;

	if (!spec || !*spec)
		return 0;
	skip = strchr(spec, ':');
	snprintf(name, sizeof name, "%.*s",
		 skip ? (int)(skip - spec) : (int)strlen(spec), spec);
	point = rk__crashpoint_find(name);
	if (point < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "RUMP_CRASH: there is no crash point '%s'", name);
		return -EINVAL;
	}
	atomic_store(&b->crash_skip, skip ? strtoul(skip + 1, NULL, 10) : 0);
	atomic_store(&b->crash_at, point);
	return 0;
}

int rk__estate_init(const struct rk__config *config, struct rk__estate *ret,
		    char *error)
{
	int e;

	memset(ret, 0, sizeof *ret);
	ret->config = *config;
	ret->started_s = time(NULL);
	ret->holder = -1;
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		ret->fuse_fd[i] = -1;
	e = config->fuse ? rk__spec_apart(config, error) : 0;
	if (e == 0)
		e = rk__drivers_load(&ret->config, error);
	if (e < 0)
		return e;
	e = rk__views_init(&ret->config, &ret->views, ret->image, error);
	if (e < 0)
		return e;
	e = rk__estate_plant(ret, error);
	if (e < 0)
		rk__estate_finish(ret);
	return e;
}

/* Nothing was done with it. */
void rk__estate_finish(struct rk__estate *e)
{
	for (uint32_t i = 0; i < e->config.n_mounts; i++)
		rk__image_unmake(&e->image[i]);
	rk__views_finish(&e->views);
}

int rk__estate_create(const struct rk__config *config, struct rk__estate **ret,
		      char *error)
{
	struct rk__estate *e = malloc(sizeof *e);
	int r = e ? rk__estate_init(config, e, error) : -ENOMEM;

	if (!e)
		snprintf(error, RK_SERVER_ERROR_LEN, "not enough memory");
	if (r < 0) {
		free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void rk__estate_destroy(struct rk__estate *e)
{
	rk__estate_abort(e);
	rk__views_finish(&e->views);
	free(e);
}

bool rk__estate_is_ours(struct rk__estate *e)
{
	if (!e->baton)
		return true;
	if (!e->handed)
		return rk__baton_take(e->baton, RK_BATON_OLD);
	if (atomic_load(&e->baton->owner) != RK_BATON_NEW)
		return false;
	/* from here on it is an estate like others */
	e->handed = NULL;
	atomic_store(&e->views.server.board->devices_held, 0);
	return true;
}

pid_t rk__estate_successor(const struct rk__estate *e)
{
	return e->successor;
}

void rk__estate_abort(struct rk__estate *e)
{
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++) {
		if (e->fuse_fd[i] >= 0)
			close(e->fuse_fd[i]);
		e->fuse_fd[i] = -1;
	}
}

bool rk__estate_lives(const struct rk__estate *e)
{
	bool mounted = false;

	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		mounted |= e->fuse_fd[i] >= 0;
	return mounted && atomic_load(&e->views.server.board->booted);
}

uint64_t rk__estate_progress(const struct rk__estate *e)
{
	struct rk__board *b = e->views.server.board;

	return atomic_load(&b->ops) + atomic_load(&b->commits);
}

const struct rk__estate_status *rk__estate_status(const struct rk__estate *e)
{
	return &e->status;
}

bool rk__estate_hear(struct rk__estate *e, int socket)
{
	struct rk__hold h;
	int fd;
	ssize_t n = rk__message_receive(socket, &h, sizeof h, &fd, 1);

	if (n != sizeof h)
		return n == -EINTR;
	if (h.type == RK_HOLD_FUSE && fd >= 0 && h.mount < RK_MOUNTS_MAX &&
	    e->fuse_fd[h.mount] < 0) {
		e->fuse_fd[h.mount] = fd;
		e->fuse_flags[h.mount] = h.flags;
		return true;
	}
	if (h.type == RK_HOLD_BATON && fd >= 0) {
		rk__baton_unmap(e->baton);
		e->baton = rk__baton_map(fd);
		e->successor = (pid_t)h.flags;
		/* now we are the old one */
		e->handed = NULL;
	}
	if (fd >= 0)
		close(fd);
	if (h.type == RK_HOLD_NOTHING)
		rk__estate_abort(e);
	if (h.type == RK_HOLD_STATUS) {
		e->status.beats++;
		e->status.restarts = h.restarts;
		e->status.users = h.users;
	}
	return true;
}
