/*
 * undo_list.c - the list of checkpoints in an undo file: making one, removing
 * one, and what happens to them when something could not be saved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "keeper/undo.h"

static const char *const why_text[RK_VOID_END] = {
	[RK_VOID_FULL] = "there was no space for what it needed",
	[RK_VOID_FAILED] = "what it needed could not be written",
	[RK_VOID_CHANGED] = "the image was changed by another program",
	[RK_VOID_DAMAGED] = "its file is damaged",
};

const char *rk__undo_void_text(uint32_t why)
{
	return why < RK_VOID_END && why_text[why] ? why_text[why] :
	       "nobody knows why";
}

static enum rk__void why_of(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return RK_VOID_FULL;
	case -EMEDIUMTYPE:
		return RK_VOID_CHANGED;
	case -EUCLEAN:
		return RK_VOID_DAMAGED;
	default:
		return RK_VOID_FAILED;
	}
}

int rk__undo_find(const struct rk__undo_head *h, const char *label)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (!strncmp(h->checkpoint[i].label, label, RK_LABEL_SIZE))
			return (int)i;
	return -ENOENT;
}

/* The head that says so may itself not get there: then both go, if that can be,
 * and else the image's first block will soon not fit any more. */
void rk__undo_void(struct rk__undo *u, enum rk__void why)
{
	uint64_t end = u->head.end;
	int r;

	for (uint32_t i = 0; i < u->head.n; i++)
		if (!u->head.checkpoint[i].why) {
			u->head.checkpoint[i].why = why;
			u->head.checkpoint[i].blocks = 0;
		}
	u->head.end = RK_UNDO_START;
	r = rk__undo_write_head(u);
	if (r < 0) {
		rk__device_punch(u->fd, 0, end);
		u->error = r;
		u->fd = -1;
		return;
	}
	rk__device_punch(u->fd, RK_UNDO_START, end - RK_UNDO_START);
}

void rk__undo_keep(struct rk__undo *u, const uint64_t *block, size_t n,
		   const uint8_t *block0)
{
	int r = rk__undo_save(u, block, n, block0);

	if (r < 0)
		rk__undo_void(u, why_of(r));
}

static int fit_image(struct rk__undo *u)
{
	int r = rk__undo_probe(u, u->head.before);

	memcpy(u->head.after, u->head.before, sizeof u->head.after);
	u->head.image_size = u->image_size;
	while (r == 0 && u->head.epoch == 0)
		if (getrandom(&u->head.epoch, sizeof u->head.epoch, 0) < 0 &&
		    errno != EINTR)
			r = -errno;
	return r;
}

/* Of both heads, which must have their space when there is no other left. */
static int take_space(struct rk__undo *u)
{
	static const uint8_t zeros[RK_UNDO_START];

	return u->head.count ? 0 :
	       rk__device_write(u->fd, zeros, sizeof zeros, 0);
}

int rk__undo_mark(struct rk__undo *u, const struct rk__order *o)
{
	struct rk__undo_head *h = &u->head;
	int r = rk__undo_find(h, o->label);

	if (u->fd < 0)
		return u->error ? u->error : -ENOTSUP;
	if (r >= 0)
		return h->checkpoint[r].token == o->token ? 0 : -EEXIST;
	if (h->n == RK_CHECKPOINTS_MAX)
		return -EDQUOT;
	r = take_space(u);
	if (r == 0)
		r = fit_image(u);
	if (r < 0)
		return r;
	if (!rk__undo_active(u))
		h->end = RK_UNDO_START;
	h->checkpoint[h->n] = (struct rk__checkpoint){
		.token = o->token,
		.sec = o->sec,
		.nsec = o->nsec,
		.at = h->end,
	};
	memcpy(h->checkpoint[h->n++].label, o->label, RK_LABEL_SIZE);
	r = rk__undo_write_head(u);
	if (r < 0)
		h->n--;
	return r < 0 ? r : rk__undo_learn(u);
}

/* --- removing ------------------------------------------------------------- */

/* Batches [from, to) became those of an earlier checkpoint, which has saved some
 * of their blocks before: these are not needed. */
struct merge {
	struct rk__undo *u;
	uint64_t *had;			/* bits */
	uint64_t from;
	uint64_t blocks;		/* with content, that are needed */
};

static int look_at(void *arg, const struct rk__saved *s)
{
	struct merge *m = arg;
	uint64_t *word = &m->had[s->block / 64], bit = 1ull << s->block % 64;

	if (!(*word & bit))
		m->blocks += s->at != 0;
	else if (s->at)
		rk__device_punch(m->u->fd, s->at, RK_PAGE);
	*word |= bit;
	return 0;
}

/* Frees what nobody will read, and counts the rest. What cannot be done is left:
 * it is merely in the way. */
static int tidy(struct rk__undo *u, uint32_t i, uint64_t to)
{
	uint64_t blocks = (u->image_size + RK_PAGE - 1) / RK_PAGE;
	struct merge m = { .u = u, .had = calloc((blocks + 63) / 64, 8) };
	int r = -ENOMEM;

	if (m.had)
		r = rk__undo_walk(u, u->head.checkpoint[i].at, to, look_at, &m);
	free(m.had);
	if (r < 0)
		return r;
	u->head.checkpoint[i].blocks = m.blocks;
	return rk__undo_write_head(u);
}

static uint64_t end_of(const struct rk__undo_head *h, uint32_t i)
{
	return i + 1 < h->n ? h->checkpoint[i + 1].at : h->end;
}

/* What only the first that is not void needed lies before the next one. */
static void free_front(struct rk__undo *u, uint64_t from)
{
	const struct rk__undo_head *h = &u->head;
	uint32_t i = 0;

	while (i < h->n && h->checkpoint[i].why)
		i++;
	if (i < h->n && h->checkpoint[i].at > from)
		rk__device_punch(u->fd, from, h->checkpoint[i].at - from);
}

int rk__undo_delete(struct rk__undo *u, const char *label)
{
	struct rk__undo_head *h = &u->head;
	int i = rk__undo_find(h, label), r;
	struct rk__checkpoint gone;
	uint64_t end = h->end, to;
	bool newest;

	if (u->fd < 0)
		return u->error ? u->error : -ENOENT;
	if (i < 0)
		return i;
	gone = h->checkpoint[i];
	to = end_of(h, (uint32_t)i);
	newest = (uint32_t)i == h->n - 1;
	memmove(&h->checkpoint[i], &h->checkpoint[i + 1],
		(--h->n - (uint32_t)i) * sizeof gone);
	if (!rk__undo_active(u))
		h->end = RK_UNDO_START;
	r = rk__undo_write_head(u);
	if (r < 0 || gone.why)
		return r;
	if (h->end == RK_UNDO_START)
		rk__device_punch(u->fd, RK_UNDO_START, end - RK_UNDO_START);
	else if (i == 0 || h->checkpoint[i - 1].why)
		free_front(u, gone.at);
	else
		(void)tidy(u, (uint32_t)i - 1, to);
	return newest ? rk__undo_learn(u) : 0;
}
