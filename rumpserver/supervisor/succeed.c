/*
 * succeed.c - the new supervisor's part of an upgrade (upgrade.h): makes
 * ready, takes clients and state, has its server prove itself, takes the
 * baton, and serves. Until it has the baton any failure is its end, and
 * nobody notices.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "supervisor/internal.h"
#include "supervisor/upgrade.h"

static void say(struct rk__supervisor *s, enum rk__hand_type type)
{
	struct rk__hand h = { .type = type };

	rk__hand_send(s->handed->socket, &h, NULL);
}

/* The old one's cells as they are: whoever has mapped pages goes on. */
static void copy_cells(struct rk__supervisor *s)
{
	struct rk_cells *to = s->views.server.cells, *from;

	if (s->handed->cells < 0)
		return;
	from = mmap(NULL, sizeof *from, PROT_READ, MAP_SHARED,
		    s->handed->cells, 0);
	if (from == MAP_FAILED)
		return;
	memcpy(to, from, sizeof *to);
	munmap(from, sizeof *from);
	/* they were even before they were closed */
	for (uint32_t i = 0; i < RK_CELLS; i++)
		if (atomic_load(&to->cell[i].seq) & 1)
			atomic_fetch_add(&to->cell[i].seq, 1);
}

static void take_pages(struct rk__supervisor *s, const struct rk__hand *h,
		       int *fds)
{
	struct rk__kept *k = &s->kept[h->number % RK_CELLS];

	if (k->fd >= 0)
		close(k->fd);
	k->fd = fds[0];
	k->generation = h->a;
	fds[0] = -1;
}

static void take_state(struct rk__supervisor *s, int fd)
{
	static const struct rk__message m0 = { .type = RK_MSG_STATE };

	rk__keeper_again(s);
	copy_cells(s);
	rk__control_tell(s, s->active);
	rk__kept_tell(s, s->active);
	rk__server_send(s->active, &m0, &fd, 1);
}

static void heard(struct rk__supervisor *s, const struct rk__hand *h, int *fds)
{
	switch (h->type) {
	case RK_HAND_CLIENT:
		rk__control_take(s, h, fds);
		break;
	case RK_HAND_PAGES:
		take_pages(s, h, fds);
		break;
	case RK_HAND_STATE:
		if (s->active && fds[0] >= 0)
			take_state(s, fds[0]);
		break;
	}
}

static void close_hand(struct rk__supervisor *s)
{
	uv_close((uv_handle_t *)&s->upgrade.poll, NULL);
	close(s->handed->socket);
	s->handed->socket = -1;
}

static void hand_says(uv_poll_t *poll, int error, int events)
{
	struct rk__supervisor *s = poll->data;
	struct rk__hand h;
	int fds[RK_HAND_FDS];
	int e = rk__hand_receive(s->handed->socket, &h, fds);

	if (e == -EAGAIN)
		return;
	if (e < 0) {
		uv_poll_stop(poll);
		rk__supervisor_fail(s, -EPIPE, "the old server ended while it "
				    "handed over");
		return;
	}
	heard(s, &h, fds);
	rk__hand_close(fds);
}

/* From here on it is ours, and the old one touches nothing. */
static void take_baton(struct rk__supervisor *s)
{
	static const struct rk__message go = { .type = RK_MSG_GO };
	struct rk__policy_event e = { .type = RK_EVENT_SERVER_READY };

	if (!rk__baton_take(s->handed->baton, RK_BATON_NEW)) {
		rk__supervisor_fail(s, -ECANCELED, "the old server goes on");
		return;
	}
	s->owns = true;
	RK_CRASHPOINT(upgrade_switched);
	atomic_store(&s->board->devices_held, 0);
	snprintf(s->control.path, sizeof s->control.path, "%s",
		 s->handed->path);
	for (uint32_t i = 0; i < s->config.n_mounts; i++) {
		memcpy(s->image[i].journal, s->handed->image[i].journal,
		       sizeof s->image[i].journal);
		memcpy(s->image[i].undo, s->handed->image[i].undo,
		       sizeof s->image[i].undo);
	}
	rk__server_send(s->active, &go, NULL, 0);
	rk__supervisor_event(s, &e);
	say(s, RK_HAND_DONE);
	close_hand(s);
	s->handed = NULL;
}

/* A state from a file: nobody else wants to serve. */
static void import(struct rk__supervisor *s, const struct rk__message *m)
{
	static const struct rk__message go = { .type = RK_MSG_GO };
	static const struct rk__message state = { .type = RK_MSG_STATE };

	if (m->type == RK_MSG_PREPARED)
		rk__server_send(s->active, &state, &s->config.state_fd, 1);
	else
		rk__server_send(s->active, &go, NULL, 0);
}

void rk__succeed_heard(struct rk__supervisor *s, const struct rk__message *m)
{
	if (!s->handed && s->config.state_fd > 0)
		import(s, m);
	if (!s->handed)
		return;
	if (m->type == RK_MSG_PREPARED) {
		say(s, RK_HAND_READY);
		RK_CRASHPOINT(upgrade_prepared);
	} else if (m->type == RK_MSG_PROVEN) {
		take_baton(s);
	}
}

bool rk__succeed_died(struct rk__supervisor *s)
{
	char text[RK_SERVER_ERROR_LEN];

	memcpy(text, s->board->error, sizeof text);
	text[sizeof text - 1] = 0;
	rk__supervisor_fail(s, -EIO, text[0] ? text :
			    "the new server died before it served");
	return true;
}

int rk__succeed_start(struct rk__supervisor *s)
{
	struct rk__policy_event e = { .type = RK_EVENT_START };

	rk__crash_board = s->board;
	s->control.limit = RK_CHANNELS_MAX;
	s->control.fd = s->handed->listener;
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		rk__image_forget(&s->image[i]);
	/* the keeper has nothing to replay */
	s->keeper_ready.ready = true;
	if (uv_poll_init(&s->loop, &s->upgrade.poll, s->handed->socket) < 0)
		return -ENOMEM;
	s->upgrade.poll.data = s;
	uv_poll_start(&s->upgrade.poll, UV_READABLE, hand_says);
	rk__supervisor_event(s, &e);
	return 0;
}
