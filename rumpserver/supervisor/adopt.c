/*
 * adopt.c - the new program's estate: made of what another supervisor hands
 * over, and of shared memory of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"
#include "cells.h"
#include "core/core.h"
#include "core/external.h"
#include "gate/fuse.h"
#include "keeper/journal.h"
#include "keeper/undo.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"
#include "supervisor/upgrade.h"

#define say(error, ...) \
	((void)snprintf((error), RK_SERVER_ERROR_LEN, __VA_ARGS__))

/* --- the plan ----------------------------------------------------------------- */

static int take_server(struct rk__ext_in *in, const struct rk__ext_item *item,
		       struct rk__config *c)
{
	const struct rk__ext_server *r = &item->as.server;

	if (r->protocol != RK_PROTOCOL_VERSION ||
	    r->inbox != RK_FUSE_INBOX_SIZE ||
	    r->cells != sizeof(struct rk_cells) ||
	    r->fuse_slots != RK_FUSE_SLOTS ||
	    r->channel_slots != RK_SLOTS_PER_CHANNEL)
		return rk__ext_refuse(in, "this build shares memory with "
				      "clients in another way");
	if (r->n_mounts == 0 || r->n_mounts > RK_MOUNTS_MAX ||
	    r->audience > RK_AUDIENCE_SHARED || r->fuse > 1 ||
	    item->tail_len >= sizeof c->name)
		return rk__ext_refuse(in, "the state names no server");
	memcpy(c->name, item->tail, item->tail_len);
	c->name[item->tail_len] = 0;
	c->audience = r->audience;
	c->fuse = r->fuse;
	c->deadline_ms = r->deadline_ms;
	c->flush_ms = r->flush_ms;
	c->patience = r->patience;
	c->limit = r->limit;
	c->kill_every_us = r->kill_every_us;
	return (int)r->n_mounts;
}

/* The next text of a record; false: it is not one, or too long. */
static bool take_text(const struct rk__ext_item *item, size_t *at, char *ret,
		      size_t size)
{
	const char *from = (const char *)item->tail + *at;
	size_t len = strnlen(from, item->tail_len - *at);

	if (len == item->tail_len - *at || len >= size)
		return false;
	memcpy(ret, from, len + 1);
	*at += len + 1;
	return true;
}

static int take_mount(struct rk__ext_in *in, const struct rk__ext_item *item,
		      struct rk__config *c, uint64_t *size)
{
	const struct rk__ext_mount *r = &item->as.mount;
	struct rk__mount_spec *m = &c->mount[r->index % RK_MOUNTS_MAX];
	char path[sizeof m->path], driver[sizeof m->driver];
	char text[sizeof driver + 2];
	size_t at = 0;

	if (r->index >= RK_MOUNTS_MAX || r->index != c->n_mounts ||
	    !take_text(item, &at, path, sizeof path) ||
	    !take_text(item, &at, driver, sizeof driver))
		return rk__ext_refuse(in, "the state names no mount");
	snprintf(text, sizeof text, "%s:", driver);
	if (rk__spec_source(text, m, in->error) < 0)
		return -EPROTO;
	memcpy(m->path, path, sizeof path);
	if (!take_text(item, &at, m->source, sizeof m->source) ||
	    !take_text(item, &at, m->options, sizeof m->options))
		return rk__ext_refuse(in, "the state names no mount");
	m->read_only = r->flags & 1;
	m->rw = r->flags & 2;
	m->writeback = r->flags & 4;
	m->stay = r->flags & 8;
	m->process = r->flags & 16;
	size[c->n_mounts++] = r->size;
	return 0;
}

int rk__plan_read(struct rk__ext_in *in, struct rk__config *c, uint64_t *size)
{
	struct rk__ext_item item;
	int e, n_mounts = 0;

	c->n_mounts = 0;
	while ((e = rk__ext_next(in, &item)) == 1) {
		if (item.record->number == RK_EXT_NO_server)
			e = n_mounts = take_server(in, &item, c);
		else if (item.record->number == RK_EXT_NO_mount)
			e = take_mount(in, &item, c, size);
		if (e < 0)
			return e;
	}
	if (e == 0 && (n_mounts == 0 || c->n_mounts != (uint32_t)n_mounts))
		return rk__ext_refuse(in, "the state names no server");
	return e;
}

static int read_plan(int fd, struct rk__config *c, uint64_t *size, char *error)
{
	struct rk__ext_in in;
	uint8_t *bytes;
	size_t n;
	int e = rk__ext_load(fd, &bytes, &n);

	if (e < 0) {
		say(error, "cannot read the state: %s", strerror(-e));
		return e;
	}
	e = rk__ext_open(&in, bytes, n, error);
	if (!e)
		e = rk__plan_read(&in, c, size);
	free(bytes);
	return e;
}

/* --- what is handed over -------------------------------------------------------- */

static void blank(struct rk__handed *h, int socket)
{
	memset(h, 0, sizeof *h);
	h->socket = socket;
	h->listener = h->user_ns = h->mount_ns = h->cells = -1;
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++) {
		h->image[i] = (struct rk__image){
			.rw_fd = -1, .ro_fd = -1, .journal_fd = -1,
			.undo_fd = -1,
		};
		h->inbox[i] = h->fuse[i] = -1;
		for (unsigned k = 0; k < 4; k++)
			h->overlay[i][k] = -1;
	}
}

static void take(struct rk__handed *h, const struct rk__hand *m, const int *fd)
{
	uint32_t i = m->number % RK_MOUNTS_MAX;

	switch (m->type) {
	case RK_HAND_DEVICE:
		h->image[i].rw_fd = fd[0];
		h->image[i].ro_fd = fd[1];
		h->image[i].journal_fd = fd[2];
		h->image[i].undo_fd = fd[3];
		h->image[i].size = m->a;
		break;
	case RK_HAND_OVERLAY:
		memcpy(h->overlay[i], fd, sizeof h->overlay[i]);
		break;
	case RK_HAND_INBOX:
		h->inbox[i] = fd[0];
		h->fuse[i] = fd[1];
		h->fuse_flags[i] = m->a;
		break;
	case RK_HAND_SOCKET:
		h->listener = fd[0];
		h->listener_given = m->a == 1;
		h->user_ns = fd[1];
		h->mount_ns = fd[2];
		snprintf(h->path, sizeof h->path, "%s", m->text);
		break;
	}
}

/* Names of journals, and of files of checkpoints, are where the old one made
 * them. */
static void find_journals(const struct rk__config *c, struct rk__handed *h)
{
	for (uint32_t i = 0; i < c->n_mounts; i++) {
		struct rk__image *image = &h->image[i];
		const char *source = c->mount[i].source;

		if (image->journal_fd >= 0 &&
		    rk__journal_path(source, image->journal,
				     sizeof image->journal) < 0)
			image->journal[0] = 0;
		if (image->undo_fd >= 0 &&
		    rk__undo_path(source, image->undo,
				  sizeof image->undo) < 0)
			image->undo[0] = 0;
	}
}

static int take_plan(struct rk__handed *h, struct rk__config *c, char *error)
{
	uint64_t size[RK_MOUNTS_MAX];
	struct rk__hand m;
	int fd[RK_HAND_FDS], e;

	e = rk__hand_receive(h->socket, &m, fd);
	if (!e && m.type != RK_HAND_PLAN)
		e = -EPROTO;
	if (e < 0) {
		say(error, "%s", e == -EPROTO ? "this build hands servers over "
		    "in another way" : "nobody hands a server over");
		return e;
	}
	h->baton = rk__baton_map(fd[1]);
	h->cells = fd[2];
	e = h->baton ? read_plan(fd[0], c, size, error) : -ENOMEM;
	close(fd[0]);
	close(fd[1]);
	for (uint32_t i = 0; !e && i < c->n_mounts; i++)
		h->image[i].size = size[i];
	return e;
}

/* What a driver holds in memory only another server of the same build has. */
static int refuse_drivers(const struct rk__config *c, char *error)
{
	for (uint32_t i = 0; i < c->n_mounts; i++) {
		const struct rk_driver *top = rk__driver[i];

		if (c->mount[i].kind == RK_SOURCE_IMAGE ||
		    (top->flags & RK_DRIVER_REOPEN))
			continue;
		say(error, "driver %s keeps files in memory that only the "
		    "build which made them can read", c->mount[i].driver);
		return -EOPNOTSUPP;
	}
	return 0;
}

int rk__handed_receive(int socket, struct rk__handed *ret,
		       struct rk__config *c, char *error)
{
	struct rk__hand m;
	int fd[RK_HAND_FDS], e;

	blank(ret, socket);
	e = take_plan(ret, c, error);
	if (!e)
		e = rk__drivers_load(c, error);
	if (!e)
		e = refuse_drivers(c, error);
	while (!e) {
		e = rk__hand_receive(socket, &m, fd);
		if (e < 0)
			say(error, "the old server ended");
		if (e < 0 || m.type == RK_HAND_BEGIN)
			break;
		take(ret, &m, fd);
	}
	if (!e)
		find_journals(c, ret);
	return e;
}

void rk__handed_fail(int socket, const char *sentence)
{
	struct rk__hand m = { .type = RK_HAND_FAILED };

	snprintf(m.text, sizeof m.text, "%s", sentence);
	rk__hand_send(socket, &m, NULL);
}

int rk__estate_adopt(const struct rk__config *config,
		     struct rk__handed *handed, struct rk__estate **ret,
		     char *error)
{
	struct rk__estate *e = calloc(1, sizeof *e);
	int r;

	if (!e) {
		say(error, "not enough memory");
		return -ENOMEM;
	}
	e->config = *config;
	e->started_s = (uint64_t)time(NULL);
	e->holder = -1;
	e->handed = handed;
	e->baton = handed->baton;
	memcpy(e->image, handed->image, sizeof e->image);
	memcpy(e->fuse_fd, handed->fuse, sizeof e->fuse_fd);
	memcpy(e->fuse_flags, handed->fuse_flags, sizeof e->fuse_flags);
	r = rk__views_adopt(&e->config, &e->views, handed, error);
	if (!r)
		r = rk__estate_plant(e, error);
	if (r < 0) {
		free(e);
		return r;
	}
	*ret = e;
	return 0;
}
