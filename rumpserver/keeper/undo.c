/*
 * undo.c - saving what blocks of an image held: see undo.h for the file's form.
 *
 * Theory of operation. One process at a time has the image to write, and the
 * file with it; everything it needs to know is in the head and in one bit a
 * block. A batch goes behind what counts and is synced; then the next head, with
 * the new end, is synced; only then the caller may write to the image. Whoever
 * dies in between leaves a batch that does not count, over which the next one
 * goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <xxhash.h>
#include "keeper/undo.h"

enum { RUN_BLOCKS = 64 };		/* written or read in one call */

static uint64_t blocks_of(const struct rk__undo *u)
{
	return (u->image_size + RK_PAGE - 1) / RK_PAGE;
}

static size_t map_size(const struct rk__undo *u)
{
	return (blocks_of(u) + 63) / 64 * sizeof(uint64_t);
}

static bool is_saved(const struct rk__undo *u, uint64_t block)
{
	return u->saved[block / 64] >> (block % 64) & 1;
}

static void set_saved(struct rk__undo *u, uint64_t block)
{
	u->saved[block / 64] |= 1ull << block % 64;
}

/* --- heads -------------------------------------------------------------- */

static size_t head_size(const struct rk__undo_head *h)
{
	return offsetof(struct rk__undo_head, checkpoint) +
	       h->n * sizeof h->checkpoint[0];
}

static uint64_t head_check(struct rk__undo_head *h)
{
	uint64_t had = h->check, check;

	h->check = 0;
	check = XXH3_64bits(h, head_size(h));
	h->check = had;
	return check;
}

/* Void ones come first, and the places of the others are in order. */
static bool list_is_good(const struct rk__undo_head *h)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		const struct rk__checkpoint *c = &h->checkpoint[i];
		uint64_t least = at ? at : RK_UNDO_START;

		if (!rk__label_good(c->label) || c->why >= RK_VOID_END ||
		    (c->why ? at != 0 : c->at < least || c->at > h->end))
			return false;
		at = c->why ? 0 : c->at;
	}
	return true;
}

static bool head_is_good(struct rk__undo_head *h)
{
	return h->magic == RK_UNDO_MAGIC && h->version == RK_UNDO_VERSION &&
	       h->n <= RK_CHECKPOINTS_MAX && h->check == head_check(h) &&
	       h->end >= RK_UNDO_START && h->end % RK_PAGE == 0 &&
	       list_is_good(h);
}

int rk__undo_head(int fd, struct rk__undo_head *ret)
{
	static struct rk__undo_head h;
	uint32_t behind = 0;
	int r;

	ret->n = 0;
	ret->count = 0;
	for (unsigned i = 0; i < 2; i++) {
		r = rk__device_read(fd, &h, sizeof h, i * RK_UNDO_HEAD);
		if (r < 0)
			return r;
		if (head_is_good(&h) && h.count > ret->count)
			*ret = h;
	}
	if (ret->count)
		return 0;
	/* The first head was durable before anything was put behind it. */
	r = rk__device_read(fd, &behind, sizeof behind, RK_UNDO_START);
	if (r == 0 && behind == RK_UNDO_BATCH_MAGIC)
		r = -EUCLEAN;
	return r;
}

int rk__undo_write_head(struct rk__undo *u)
{
	static uint8_t page[RK_UNDO_HEAD];
	struct rk__undo_head *h = &u->head;
	size_t len;
	int r;

	h->magic = RK_UNDO_MAGIC;
	h->version = RK_UNDO_VERSION;
	h->count++;
	h->check = head_check(h);
	len = (head_size(h) + RK_PAGE - 1) & ~(size_t)(RK_PAGE - 1);
	memset(page, 0, len);
	memcpy(page, h, head_size(h));
	r = rk__device_write(u->fd, page, len, h->count % 2 * RK_UNDO_HEAD);
	if (r == 0)
		r = rk__device_sync(u->fd);
	/* The one before it must stay. */
	if (r < 0)
		h->count--;
	return r;
}

/* --- the image's first block ---------------------------------------------- */

static void hash_sectors(const uint8_t *block, uint64_t *ret)
{
	for (unsigned i = 0; i < RK_PROBES; i++)
		ret[i] = XXH3_64bits(block + i * RK_SECTOR, RK_SECTOR);
}

int rk__undo_probe(const struct rk__undo *u, uint64_t *ret)
{
	static uint8_t block[RK_PAGE];
	int r = rk__device_read(u->image_fd, block, sizeof block, 0);

	hash_sectors(block, ret);
	return r;
}

/* -EMEDIUMTYPE: somebody else has written to the image. */
static int check_image(const struct rk__undo *u, uint64_t *ret_is)
{
	const struct rk__undo_head *h = &u->head;
	int r = rk__undo_probe(u, ret_is);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < RK_PROBES; i++)
		if (ret_is[i] != h->before[i] && ret_is[i] != h->after[i])
			return -EMEDIUMTYPE;
	return u->image_size == h->image_size ? 0 : -EMEDIUMTYPE;
}

/* --- open ----------------------------------------------------------------- */

static int note_saved(void *arg, const struct rk__saved *s)
{
	set_saved(arg, s->block);
	return 0;
}

int rk__undo_learn(struct rk__undo *u)
{
	void *p;

	if (u->saved)
		memset(u->saved, 0, map_size(u));
	if (!u->saved) {
		p = mmap(NULL, map_size(u), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return -ENOMEM;
		u->saved = p;
	}
	if (!rk__undo_active(u))
		return 0;
	return rk__undo_walk(u, u->head.checkpoint[u->head.n - 1].at,
			     u->head.end, note_saved, u);
}

int rk__undo_open(struct rk__undo *u, int fd, int image_fd, uint64_t image_size)
{
	uint64_t is[RK_PROBES];
	int r;

	memset(u, 0, sizeof *u);
	u->fd = fd;
	u->image_fd = image_fd;
	u->image_size = image_size;
	if (fd < 0 || image_size == 0)
		return 0;
	r = rk__undo_head(fd, &u->head);
	if (r == 0 && rk__undo_active(u))
		r = check_image(u, is);
	if (r == -EMEDIUMTYPE) {
		rk__undo_void(u, RK_VOID_CHANGED);
		r = u->error;
	}
	if (r == 0)
		r = rk__undo_learn(u);
	if (r == -EUCLEAN && u->saved) {
		rk__undo_void(u, RK_VOID_DAMAGED);
		r = u->error;
	}
	if (r < 0) {
		u->error = r;
		u->fd = -1;
	}
	return r;
}

void rk__undo_close(struct rk__undo *u)
{
	if (u->saved)
		munmap(u->saved, map_size(u));
	u->saved = NULL;
	u->fd = -1;
}

bool rk__undo_active(const struct rk__undo *u)
{
	return u->fd >= 0 && u->head.n > 0 &&
	       !u->head.checkpoint[u->head.n - 1].why;
}

bool rk__undo_covers(const struct rk__undo *u, uint64_t block, uint32_t n)
{
	if (!rk__undo_active(u))
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (!is_saved(u, block + i))
			return false;
	return true;
}

/* --- saving --------------------------------------------------------------- */

static bool is_zeros(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, RK_PAGE - 1) == 0;
}

/* A batch on its way to the file. */
struct draft {
	struct rk__undo *u;
	struct rk__undo_batch *batch;
	uint8_t *buf;			/* RUN_BLOCKS */
	size_t len;
	uint64_t at;			/* where buf goes */
	uint64_t stored;		/* blocks with content */
};

static int write_run(struct draft *d)
{
	int r = d->len ? rk__device_write(d->u->fd, d->buf, d->len, d->at) : 0;

	d->at += d->len;
	d->len = 0;
	return r;
}

static int add_block(struct draft *d, uint64_t block)
{
	struct rk__undo_entry *e = &d->batch->entry[d->batch->n++];
	uint8_t *to = d->buf + d->len;
	int r = rk__device_read(d->u->image_fd, to, RK_PAGE, block * RK_PAGE);

	if (r < 0)
		return r;
	e->block = block;
	if (is_zeros(to)) {
		e->block |= RK_UNDO_ZEROS;
		return 0;
	}
	e->check = XXH3_64bits_withSeed(to, RK_PAGE, block);
	d->stored++;
	d->len += RK_PAGE;
	return d->len < RUN_BLOCKS * (size_t)RK_PAGE ? 0 : write_run(d);
}

/* The next n blocks that are not saved, from *block on, which moves behind
 * them. */
static int write_batch(struct draft *d, const uint64_t **block, uint32_t n)
{
	struct rk__undo *u = d->u;
	struct rk__undo_batch *b = d->batch;
	int r = 0;

	memset(b, 0, rk__undo_table_size(n));
	b->magic = RK_UNDO_BATCH_MAGIC;
	b->epoch = u->head.epoch;
	b->at = u->head.end;
	d->at = b->at + rk__undo_table_size(n);
	for (; b->n < n && r == 0; ++*block)
		if (!is_saved(u, **block))
			r = add_block(d, **block);
	if (r == 0)
		r = write_run(d);
	RK_CRASHPOINT(undo_half_saved);
	b->check = rk__undo_batch_check(b);
	if (r == 0)
		r = rk__device_write(u->fd, b, rk__undo_table_size(n), b->at);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		set_saved(u, b->entry[i].block & ~RK_UNDO_ZEROS);
	u->head.end = d->at;
	return 0;
}

static size_t count_unsaved(const struct rk__undo *u, const uint64_t *block,
			    size_t n)
{
	size_t unsaved = 0;

	for (size_t i = 0; i < n; i++)
		unsaved += !is_saved(u, block[i]);
	return unsaved;
}

static int write_batches(struct rk__undo *u, const uint64_t *block,
			 size_t unsaved)
{
	size_t max = unsaved < RK_UNDO_BATCH_MAX ? unsaved : RK_UNDO_BATCH_MAX;
	struct draft d = { .u = u };
	int r = 0;

	d.batch = malloc(rk__undo_table_size(max));
	d.buf = malloc(RUN_BLOCKS * (size_t)RK_PAGE);
	if (!d.batch || !d.buf)
		r = -ENOMEM;
	for (size_t left = unsaved, n; left > 0 && r == 0; left -= n) {
		n = left < max ? left : max;
		r = write_batch(&d, &block, (uint32_t)n);
	}
	free(d.batch);
	free(d.buf);
	u->head.checkpoint[u->head.n - 1].blocks += d.stored;
	return r < 0 ? r : rk__device_sync(u->fd);
}

int rk__undo_save(struct rk__undo *u, const uint64_t *block, size_t n,
		  const uint8_t *block0)
{
	uint64_t is[RK_PROBES], after[RK_PROBES];
	size_t unsaved;
	int r;

	if (!rk__undo_active(u))
		return 0;
	r = check_image(u, is);
	if (r < 0)
		return r;
	memcpy(after, is, sizeof after);
	if (block0)
		hash_sectors(block0, after);
	unsaved = count_unsaved(u, block, n);
	if (unsaved)
		r = write_batches(u, block, unsaved);
	if (r < 0)
		return r;
	RK_CRASHPOINT(undo_not_counted);
	/* The head fits both what the image is and what it will be. */
	if (!unsaved && !memcmp(after, u->head.after, sizeof after))
		return 0;
	memcpy(u->head.before, is, sizeof is);
	memcpy(u->head.after, after, sizeof after);
	return rk__undo_write_head(u);
}
