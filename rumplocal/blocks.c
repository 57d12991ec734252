/*
 * blocks.c - the device of a mount: struct rk_host of driver.h over a cache of
 * blocks of the image.
 *
 * What ops write stays in the cache until a flush, which writes all of it to
 * the journal beside the image as one transaction, and then to the image: so
 * image and journal are always those of some flush. A block that was read is
 * kept too, as long as there are not too many: the image is ours alone.
 *
 * Each block that the op at hand writes for the first time keeps what it held.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"
#include "keeper/journal.h"
#include "keeper/keeper.h"
#include "keeper/undo.h"
#include "local_int.h"

enum {
	CLEAN_MAX = 16384,		/* blocks kept that are only read */
	CACHED_READ_MAX = 4 * RK_PAGE,	/* longer ones are not kept */
};

struct block {
	uint64_t number;
	uint8_t *data;
	uint8_t *before;		/* what it held when the op began */
	bool used, dirty, was_dirty, staged, was_new;
};

static struct device {
	struct rk__image *image;
	enum rk_source kind;
	struct rk__journal journal;
	struct rk__undo undo;
	bool has_journal;
	int error;			/* of a flush: no other is tried */
	struct block *table;		/* open addressing, never a hole */
	size_t size, n_used, n_dirty;
} devices[RK_MOUNTS_MAX];

/* Blocks that the op at hand wrote. */
static struct {
	struct {
		struct device *d;
		uint64_t number;
	} *at;
	size_t n, max;
} staged;

/* --- the cache ------------------------------------------------------------- */

static struct block *slot_of(struct block *table, size_t size, uint64_t number)
{
	size_t at = (number * 0x9e3779b97f4a7c15ull) >> 20 & (size - 1);

	while (table[at].used && table[at].number != number)
		at = (at + 1) & (size - 1);
	return &table[at];
}

static struct block *lookup(struct device *d, uint64_t number)
{
	struct block *b = d->size ? slot_of(d->table, d->size, number) : NULL;

	return b && b->used ? b : NULL;
}

/* A table of twice what is kept; clean: blocks that are only read stay. */
static int rebuild(struct device *d, bool clean)
{
	size_t n = 1024, kept = 0;
	struct block *table;

	for (size_t i = 0; i < d->size; i++)
		kept += d->table[i].used &&
			(clean || d->table[i].dirty || d->table[i].staged);
	while (n < kept * 4)
		n *= 2;
	table = calloc(n, sizeof *table);
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < d->size; i++) {
		struct block *b = &d->table[i];

		if (!b->used)
			continue;
		if (clean || b->dirty || b->staged)
			*slot_of(table, n, b->number) = *b;
		else
			free(b->data);
	}
	free(d->table);
	d->table = table;
	d->size = n;
	d->n_used = kept;
	return 0;
}

/* Takes over data. NULL: there is no memory. */
static struct block *enter(struct device *d, uint64_t number, uint8_t *data)
{
	struct block *b;

	if (!data ||
	    (d->n_used - d->n_dirty > CLEAN_MAX && rebuild(d, false) < 0) ||
	    (d->n_used * 2 >= d->size && rebuild(d, true) < 0)) {
		free(data);
		return NULL;
	}
	b = slot_of(d->table, d->size, number);
	assert(!b->used);
	*b = (struct block){ .number = number, .data = data, .used = true };
	d->n_used++;
	return b;
}

/* --- reading ---------------------------------------------------------------- */

static int read_block(struct device *d, uint64_t number, struct block **ret)
{
	uint8_t *data;
	int r;

	*ret = lookup(d, number);
	if (*ret)
		return 0;
	data = malloc(RK_PAGE);
	r = data ? rk__device_read(d->image->ro_fd, data, RK_PAGE,
				   number * RK_PAGE) : -ENOMEM;
	if (r < 0) {
		free(data);
		return r;
	}
	*ret = enter(d, number, data);
	return *ret ? 0 : -ENOMEM;
}

static int check_range(const struct device *d, size_t len, uint64_t off)
{
	uint64_t size = d->image ? d->image->size : 0;

	return off > size || len > size - off ? -EIO : 0;
}

/* A long piece: past the cache, but for what was written. */
static int read_around(struct device *d, uint8_t *buf, size_t len, uint64_t off)
{
	int r = rk__device_read(d->image->ro_fd, buf, len, off);

	for (uint64_t k = off / RK_PAGE; r == 0 && k * RK_PAGE < off + len;
	     k++) {
		const struct block *b = lookup(d, k);
		uint64_t from = k * RK_PAGE < off ? off : k * RK_PAGE;
		uint64_t to = (k + 1) * RK_PAGE < off + len ?
			(k + 1) * RK_PAGE : off + len;

		if (b)
			memcpy(buf + (from - off), b->data + from % RK_PAGE,
			       to - from);
	}
	return r;
}

static int host_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct device *d = ctx;
	uint8_t *to = buf;
	int r = check_range(d, len, off);

	if (r == 0 && len > CACHED_READ_MAX)
		return read_around(d, buf, len, off);
	while (r == 0 && len > 0) {
		size_t at = off % RK_PAGE, n = RK_PAGE - at;
		struct block *b;

		n = n < len ? n : len;
		r = read_block(d, off / RK_PAGE, &b);
		if (r < 0)
			return r;
		memcpy(to, b->data + at, n);
		to += n;
		len -= n;
		off += n;
	}
	return r;
}

/* --- writing ---------------------------------------------------------------- */

static int remember(struct device *d, struct block *b, bool new)
{
	if (b->staged)
		return 0;
	if (staged.n == staged.max) {
		size_t max = staged.max ? staged.max * 2 : 256;
		void *p = realloc(staged.at, max * sizeof *staged.at);

		if (!p)
			return -ENOMEM;
		staged.at = p;
		staged.max = max;
	}
	b->before = malloc(RK_PAGE);
	if (!b->before)
		return -ENOMEM;
	if (!new)
		memcpy(b->before, b->data, RK_PAGE);
	b->was_dirty = b->dirty;
	b->was_new = new;
	b->staged = true;
	staged.at[staged.n].d = d;
	staged.at[staged.n++].number = b->number;
	if (!b->dirty)
		d->n_dirty++;
	b->dirty = true;
	return 0;
}

static int write_block(struct device *d, uint64_t number, const uint8_t *from,
		       size_t at, size_t n)
{
	bool whole = n == RK_PAGE, new = whole && !lookup(d, number);
	struct block *b;
	int r = 0;

	if (new) {
		b = enter(d, number, malloc(RK_PAGE));
		r = b ? 0 : -ENOMEM;
	} else {
		r = read_block(d, number, &b);
	}
	if (r == 0)
		r = remember(d, b, new);
	if (r == 0)
		memcpy(b->data + at, from, n);
	return r;
}

static int host_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct device *d = ctx;
	const uint8_t *from = buf;
	int r = check_range(d, len, off);

	rk__change_driver();
	while (r == 0 && len > 0) {
		size_t at = off % RK_PAGE, n = RK_PAGE - at;

		n = n < len ? n : len;
		r = write_block(d, off / RK_PAGE, from, at, n);
		from += n;
		len -= n;
		off += n;
	}
	return r;
}

void rk__blocks_commit(void)
{
	for (size_t i = 0; i < staged.n; i++) {
		struct block *b = lookup(staged.at[i].d, staged.at[i].number);

		free(b->before);
		b->before = NULL;
		b->staged = false;
	}
	staged.n = 0;
}

void rk__blocks_rollback(void)
{
	for (size_t i = 0; i < staged.n; i++) {
		struct device *d = staged.at[i].d;
		struct block *b = lookup(d, staged.at[i].number);

		if (b->was_new)		/* what the image holds */
			(void)rk__device_read(d->image->ro_fd, b->before,
					      RK_PAGE, b->number * RK_PAGE);
		free(b->data);
		b->data = b->before;
		b->before = NULL;
		b->dirty = b->was_dirty;
		b->staged = false;
		if (!b->dirty)
			d->n_dirty--;
	}
	staged.n = 0;
}

/* --- flushing ------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct content {
	struct device *d;
	const uint64_t *number;
};

static const void *content_of(void *arg, uint32_t i)
{
	const struct content *c = arg;

	return lookup(c->d, c->number[i])->data;
}

static int copy_journal(struct device *d)
{
	int r = rk__journal_copy(&d->journal, false);

	return r < 0 ? r : rk__journal_reset(&d->journal);
}

int rk__blocks_flush(uint32_t mount)
{
	struct device *d = &devices[mount];
	struct content c = { .d = d };
	uint64_t *number;
	uint32_t n = 0;
	int r;

	if (!d->n_dirty || d->error)
		return d->error;
	number = malloc(d->n_dirty * sizeof *number);
	if (!number)
		return -ENOMEM;
	for (size_t i = 0; i < d->size; i++)
		if (d->table[i].used && d->table[i].dirty)
			number[n++] = d->table[i].number;
	qsort(number, n, sizeof *number, by_number);
	c.number = number;
	r = rk__journal_append(&d->journal, number, n, content_of, &c);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		lookup(d, number[i])->dirty = false;
	if (r == 0)
		d->n_dirty = 0;
	free(number);
	/* What is read from the image from here on has to be there. */
	if (r == 0)
		r = copy_journal(d);
	d->error = r;
	return r;
}

int rk__blocks_finish(uint32_t mount)
{
	struct device *d = &devices[mount];
	int r = rk__blocks_flush(mount);

	if (r == 0 && d->has_journal)
		rk__image_settled(d->image);
	return r;
}

int rk__blocks_order(const struct rk__order *o)
{
	bool make = o->action == RK_ORDER_MAKE, any = false;
	int r = 0;

	for (unsigned i = 0; i < RK_MOUNTS_MAX && r == 0 && make; i++)
		if (devices[i].has_journal &&
		    rk__undo_find(&devices[i].undo.head, o->label) >= 0)
			r = -EEXIST;
	for (unsigned i = 0; i < RK_MOUNTS_MAX && r == 0; i++) {
		if (!devices[i].has_journal)
			continue;
		r = make ? rk__undo_mark(&devices[i].undo, o) :
			   rk__undo_delete(&devices[i].undo, o->label);
		any |= r == 0;
		r = r == -ENOENT ? 0 : r;
	}
	return r == 0 && !any ? -ENOENT : r;
}

uint64_t rk__blocks_dirty(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		n += devices[i].n_dirty;
	return n * RK_PAGE;
}

/* --- as drivers see it ------------------------------------------------------------ */

static int host_discard(void *ctx, uint64_t off, uint64_t len)
{
	return 0;
}

static uint64_t host_size(void *ctx)
{
	const struct device *d = ctx;

	return d->image ? d->image->size : 0;
}

static void host_change(void *ctx)
{
	rk__change_driver();
}

static struct rk_time host_now(void *ctx)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct rk_time){ .sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec };
}

void rk__blockstore_host(unsigned dev,
			 void (*complain)(void *ctx, const char *sentence),
			 struct rk_host *ret)
{
	struct device *d = &devices[dev];

	*ret = (struct rk_host){
		.ctx = d,
		.read = host_read,
		.write = host_write,
		.write_new = host_write,
		.discard = host_discard,
		.size = host_size,
		.change = host_change,
		.now = host_now,
		.complain = complain,
		.dirfd = d->kind == RK_SOURCE_DIRECTORY ? d->image->ro_fd : -1,
	};
}

int rk__blocks_open(uint32_t mount, const struct rk__mount_spec *spec,
		    struct rk__image *image, char *error)
{
	struct device *d = &devices[mount];
	unsigned replayed;
	int r = 0;

	*d = (struct device){ .image = image, .kind = spec->kind };
	if (image->journal_fd < 0)
		return 0;
	if (!image->journal_new)
		r = rk__journal_replay(image->rw_fd, image->journal_fd,
				       image->undo_fd, &replayed, error);
	if (r < 0)
		return r;
	r = rk__journal_open(&d->journal, image->journal_fd, image->rw_fd,
			     image->size);
	if (r < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot use the journal of %s: %s", spec->source,
			 strerror(-r));
		return r;
	}
	rk__journal_sync_name(image->journal_fd);
	rk__journal_sync_name(image->undo_fd);
	/* Without them, if that must be: the file says why. */
	(void)rk__undo_open(&d->undo, image->undo_fd, image->rw_fd,
			    image->size);
	d->journal.undo = &d->undo;
	d->has_journal = true;
	return 0;
}

void rk__blocks_close(uint32_t mount)
{
	struct device *d = &devices[mount];

	for (size_t i = 0; i < d->size; i++)
		if (d->table[i].used)
			free(d->table[i].data);
	free(d->table);
	if (d->has_journal) {
		rk__journal_close(&d->journal);
		rk__undo_close(&d->undo);
	}
	*d = (struct device){ 0 };
}
