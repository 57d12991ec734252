/*
 * store.c - overlay, flush and checkpoint of one device: see store.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "keeper/store.h"

static bool is_fresh(const struct rk__store *s, uint64_t block)
{
	return s->fresh_bit[block / 64] >> (block % 64) & 1;
}

static bool is_present(const struct rk__store *s, uint64_t block)
{
	return atomic_load_explicit(&s->bitmap[block / 64],
				    memory_order_relaxed) >> (block % 64) & 1;
}

static size_t map_size(const struct rk__store *s)
{
	return (s->blocks + 63) / 64 * sizeof(uint64_t);
}

static int note_fresh(struct rk__store *s, uint64_t block)
{
	if (is_fresh(s, block))
		return 0;
	if (s->n_fresh == s->max_fresh) {
		size_t max = s->max_fresh ? s->max_fresh * 2 : 1024;
		void *p = realloc(s->fresh, max * sizeof *s->fresh);

		if (!p)
			return -ENOMEM;
		s->fresh = p;
		s->max_fresh = max;
	}
	s->fresh[s->n_fresh++] = block;
	s->fresh_bit[block / 64] |= 1ull << block % 64;
	return 0;
}

static void punch(const struct rk__store *s, uint64_t block, uint64_t n)
{
	/* Frees memory, no more: what it holds is never read again. */
	fallocate(s->device->overlay_fd,
		  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  (off_t)(block * RK_PAGE), (off_t)(n * RK_PAGE));
}

/* The first block from `block` on that is present, or s->blocks. */
static uint64_t next_present(const struct rk__store *s, uint64_t block)
{
	while (block < s->blocks && !is_present(s, block)) {
		if (block % 64 == 0 && !atomic_load(&s->bitmap[block / 64]))
			block += 64;
		else
			block++;
	}
	return block < s->blocks ? block : s->blocks;
}

/* A predecessor left them: nobody knows which of them were fresh. And it may
 * have died before it freed what was not wanted any more. */
static int take_over(struct rk__store *s)
{
	uint64_t block = 0;

	while (block < s->blocks) {
		uint64_t next = next_present(s, block);
		int r = 0;

		if (next > block)
			punch(s, block, next - block);
		for (; next < s->blocks && is_present(s, next) && r == 0;
		     next++)
			r = note_fresh(s, next);
		if (r < 0)
			return r;
		block = next;
	}
	return 0;
}

static void *map_shared(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_all(struct rk__store *s)
{
	const struct rk__device *d = s->device;
	void *p = mmap(NULL, map_size(s), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	s->fresh_bit = p == MAP_FAILED ? NULL : p;
	s->overlay = map_shared(d->overlay_fd, s->blocks * RK_PAGE);
	s->bitmap = map_shared(d->bitmap_fd, map_size(s));
	return s->fresh_bit && s->overlay && s->bitmap ? 0 : -ENOMEM;
}

int rk__store_open(struct rk__store *s, const struct rk__device *d)
{
	int r;

	*s = (struct rk__store){
		.device = d,
		.unsynced = true,	/* a predecessor may have left some */
		.blocks = (d->size + RK_PAGE - 1) / RK_PAGE,
	};
	if (d->journal_fd < 0 || s->blocks == 0)
		return 0;
	r = map_all(s);
	if (r == 0)
		r = rk__journal_open(&s->journal, d->journal_fd, d->fd,
				     d->size);
	if (r == 0)
		r = take_over(s);
	if (r < 0) {
		rk__store_close(s);
		return r;
	}
	/* Without them, if that must be: the file says why. */
	(void)rk__undo_open(&s->undo, d->undo_fd, d->fd, d->size);
	s->journal.undo = &s->undo;
	return 0;
}

void rk__store_close(struct rk__store *s)
{
	if (s->overlay)
		munmap(s->overlay, s->blocks * RK_PAGE);
	if (s->bitmap)
		munmap(s->bitmap, map_size(s));
	if (s->fresh_bit)
		munmap(s->fresh_bit, map_size(s));
	free(s->fresh);
	rk__journal_close(&s->journal);
	rk__undo_close(&s->undo);
	*s = (struct rk__store){ 0 };
}

int rk__store_put(struct rk__store *s, uint64_t block, const void *data)
{
	int r;

	if (!s->overlay)
		return -EROFS;
	if (block >= s->blocks)
		return -EINVAL;
	r = note_fresh(s, block);
	if (r < 0)
		return r;
	memcpy(s->overlay + block * RK_PAGE, data, RK_PAGE);
	/* The content first: a server that sees the bit reads it. */
	atomic_fetch_or(&s->bitmap[block / 64], 1ull << block % 64);
	return 0;
}

static bool any_present(const struct rk__store *s, uint64_t block, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_present(s, block + i))
			return true;
	return false;
}

/* Block 0 tells which image it is: it changes with flush points only. */
int rk__store_put_new(struct rk__store *s, uint64_t block, uint32_t n,
		      const uint8_t *data, int *ret_failed)
{
	int r = 0;

	*ret_failed = 0;

	if (!s->overlay)
		return -EROFS;
	if (block >= s->blocks || n > s->blocks - block)
		return -EINVAL;
	if (block > 0 && (block + n) * RK_PAGE <= s->device->size &&
	    !any_present(s, block, n) && rk__undo_covers(&s->undo, block, n)) {
		s->unsynced = true;
		*ret_failed = rk__device_write(s->device->fd, data,
					       n * (size_t)RK_PAGE,
					       block * RK_PAGE);
		if (*ret_failed == 0)
			return 0;
	}
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = rk__store_put(s, block + i, data + i * (size_t)RK_PAGE);
	return r;
}

/* --- flush -------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static const void *overlay_block(void *arg, uint32_t i)
{
	struct rk__store *s = arg;

	return s->overlay + s->fresh[i] * RK_PAGE;
}

int rk__store_flush(struct rk__store *s)
{
	int r = 0;

	if (s->overlay && s->unsynced)
		r = rk__device_sync(s->device->fd);
	if (r < 0)
		return r;
	s->unsynced = false;
	if (s->n_fresh == 0)
		return 0;
	if (s->n_fresh > UINT32_MAX)
		return -EFBIG;
	qsort(s->fresh, s->n_fresh, sizeof *s->fresh, by_number);
	r = rk__journal_append(&s->journal, s->fresh, (uint32_t)s->n_fresh,
			       overlay_block, s);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_fresh; i++)
		s->fresh_bit[s->fresh[i] / 64] &= ~(1ull << s->fresh[i] % 64);
	s->n_fresh = 0;
	return 0;
}

/* --- checkpoint --------------------------------------------------------- */

/* How many follow each other from l on, and are what the image has now. */
static size_t run_at(const struct rk__store *s, const struct rk__logged *l,
		     size_t max)
{
	size_t n = 0;

	while (n < max && l[n].block == l->block + n &&
	       !is_fresh(s, l[n].block))
		n++;
	return n;
}

static void drop_from_overlay(struct rk__store *s, const struct rk__logged *l,
			      size_t n_logged)
{
	for (size_t i = 0, n; i < n_logged; i += n ? n : 1) {
		uint64_t first = l[i].block;

		n = run_at(s, &l[i], n_logged - i);
		for (uint64_t b = first; b < first + n; b++)
			atomic_fetch_and(&s->bitmap[b / 64],
					 ~(1ull << b % 64));
		if (n > 0)
			punch(s, first, n);
	}
}

int rk__store_checkpoint(struct rk__store *s)
{
	size_t n;
	int r;

	if (!s->overlay || s->journal.n_logged == 0)
		return 0;
	r = rk__journal_copy(&s->journal, false);
	n = s->journal.n_logged;
	if (r == 0)
		r = rk__journal_reset(&s->journal);
	if (r == 0)
		drop_from_overlay(s, s->journal.logged, n);
	return r;
}

/* A bit at a time: whoever dies in between leaves what can be done again. */
int rk__store_go_back(struct rk__store *s)
{
	uint64_t block = 0;
	int r = rk__store_checkpoint(s);

	if (r < 0 || !s->overlay)
		return r;
	while ((block = next_present(s, block)) < s->blocks) {
		atomic_store(&s->bitmap[block / 64], 0);
		RK_CRASHPOINT(cold_reset);
	}
	punch(s, 0, s->blocks);
	for (size_t i = 0; i < s->n_fresh; i++)
		s->fresh_bit[s->fresh[i] / 64] = 0;
	s->n_fresh = 0;
	return 0;
}
