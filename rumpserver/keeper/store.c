/*
 * store.c - overlay, flush and checkpoint of one device: see store.h.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "keeper/keeper.h"
#include "keeper/store.h"

static bool get_bit(const uint64_t *map, uint64_t n)
{
	return map[n / 64] >> (n % 64) & 1;
}

static int note_logged(struct rk__store *s, uint64_t block, uint64_t at)
{
	if (s->n_logged == s->max_logged) {
		size_t max = s->max_logged ? s->max_logged * 2 : 1024;
		void *p = realloc(s->logged, max * sizeof *s->logged);

		if (!p)
			return -ENOMEM;
		s->logged = p;
		s->max_logged = max;
	}
	s->logged[s->n_logged++] = (struct rk__logged){ block, at };
	return 0;
}

static int note_fresh(struct rk__store *s, uint64_t block)
{
	if (get_bit(s->fresh_bit, block))
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

/* A predecessor left them: nobody knows which of them were fresh. */
static int find_fresh(struct rk__store *s)
{
	for (uint64_t w = 0; w < (s->blocks + 63) / 64; w++) {
		uint64_t bits = atomic_load(&s->bitmap[w]);

		for (; bits; bits &= bits - 1) {
			uint64_t block = w * 64 +
				(unsigned)__builtin_ctzl(bits);
			int r = block < s->blocks ? note_fresh(s, block) : 0;

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int log_found(void *arg, uint64_t block, uint64_t at, const void *data)
{
	(void)data;
	return note_logged(arg, block, at);
}

static void *map_shared(int fd, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int rk__store_open(struct rk__store *s, const struct rk__device *d)
{
	uint64_t identity, size;
	size_t words;
	int r;

	*s = (struct rk__store){
		.device = d,
		.blocks = (d->size + RK_PAGE - 1) / RK_PAGE,
		.journal.fd = -1,
	};
	words = (s->blocks + 63) / 64;
	if (d->journal_fd < 0 || s->blocks == 0)
		return 0;
	s->overlay = map_shared(d->overlay_fd, s->blocks * RK_PAGE);
	s->bitmap = map_shared(d->bitmap_fd, words * 8);
	s->fresh_bit = mmap(NULL, words * 8, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->overlay == MAP_FAILED || (void *)s->bitmap == MAP_FAILED ||
	    s->fresh_bit == MAP_FAILED)
		return -ENOMEM;
	r = rk__journal_identity(d->fd, &identity, &size);
	if (r == 0)
		r = rk__journal_open(&s->journal, d->journal_fd, identity, size,
				     log_found, s);
	return r < 0 ? r : find_fresh(s);
}

int rk__store_put(struct rk__store *s, uint64_t block, const void *data)
{
	int r;

	if (s->device->journal_fd < 0)
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

/* --- flush ----------------------------------------------------------------- */

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
	uint64_t at;
	int r;

	if (s->n_fresh == 0)
		return 0;
	qsort(s->fresh, s->n_fresh, sizeof *s->fresh, by_number);
	r = rk__journal_append(&s->journal, s->fresh, (uint32_t)s->n_fresh,
			       overlay_block, s, &at);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_fresh && r == 0; i++) {
		uint64_t block = s->fresh[i];

		r = note_logged(s, block, at + i * RK_PAGE);
		s->fresh_bit[block / 64] &= ~(1ull << block % 64);
	}
	s->n_fresh = 0;
	return r;
}

/* --- checkpoint ------------------------------------------------------------ */

static int by_block_then_age(const void *a, const void *b)
{
	const struct rk__logged *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Sorts by block and keeps the newest of each. */
static void newest_of_each(struct rk__store *s)
{
	size_t n = 0;

	qsort(s->logged, s->n_logged, sizeof *s->logged, by_block_then_age);
	for (size_t i = 0; i < s->n_logged; i++) {
		if (n > 0 && s->logged[n - 1].block == s->logged[i].block)
			n--;
		s->logged[n++] = s->logged[i];
	}
	s->n_logged = n;
}

static size_t length_at(const struct rk__store *s, uint64_t off, size_t len)
{
	return s->device->size - off < len ? s->device->size - off : len;
}

/* How many from i on follow each other and are as the overlay has them. */
static size_t overlay_run(const struct rk__store *s, size_t i)
{
	size_t n = 0;

	while (i + n < s->n_logged &&
	       s->logged[i + n].block == s->logged[i].block + n &&
	       !get_bit(s->fresh_bit, s->logged[i + n].block))
		n++;
	return n;
}

static int copy_to_image(struct rk__store *s)
{
	static uint8_t old[RK_PAGE];
	int fd = s->device->fd, r = 0;

	for (size_t i = 0; i < s->n_logged && r == 0;) {
		uint64_t off = s->logged[i].block * RK_PAGE;
		size_t n = overlay_run(s, i);

		if (n > 0) {
			r = rk__device_write(fd, s->overlay + off,
				length_at(s, off, n * RK_PAGE), off);
		} else {
			n = 1;
			r = rk__device_read(s->journal.fd, old, RK_PAGE,
					    s->logged[i].at);
			if (r == 0)
				r = rk__device_write(fd, old,
					length_at(s, off, RK_PAGE), off);
		}
		i += n;
		RK_CRASHPOINT(checkpoint_half_done);
	}
	return r < 0 ? r : rk__device_sync(fd);
}

/* What the image has now leaves the overlay: the bits first, so that a server
 * that reads a hole finds its bit gone and turns to the device. */
static void drop_from_overlay(struct rk__store *s)
{
	for (size_t i = 0; i < s->n_logged;) {
		uint64_t first = s->logged[i].block;
		size_t n = overlay_run(s, i);

		for (uint64_t b = first; b < first + n; b++)
			atomic_fetch_and(&s->bitmap[b / 64],
					 ~(1ull << b % 64));
		if (n > 0)
			fallocate(s->device->overlay_fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, (off_t)(first * RK_PAGE),
				  (off_t)(n * RK_PAGE));
		i += n ? n : 1;
	}
}

int rk__store_checkpoint(struct rk__store *s)
{
	int r;

	if (s->device->journal_fd < 0 || s->n_logged == 0)
		return 0;
	newest_of_each(s);
	r = copy_to_image(s);
	if (r == 0)
		r = rk__journal_reset(&s->journal);
	if (r < 0)
		return r;
	drop_from_overlay(s);
	s->n_logged = 0;
	return 0;
}
