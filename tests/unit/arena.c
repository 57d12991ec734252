/* arena.c - the drivers' heap: no overlap, contents kept, all given back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "recovery/recovery.h"
#include "recovery/region.h"

enum { LIVE = 600, ROUNDS = 60000 };

struct block {
	unsigned char *p;
	size_t size;
	unsigned char fill;
};

static void map_arena(void)
{
	void *p = mmap((void *)RK_DRIVER_AT, RK_DRIVER_HEAP,
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		       MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	cr_assert_eq(p, (void *)RK_DRIVER_AT);
	rk__arena_format();
}

static void check(const struct block *b)
{
	for (size_t i = 0; i < b->size; i++)
		cr_assert_eq(b->p[i], b->fill, "byte %zu of %zu", i, b->size);
}

static size_t any_size(void)
{
	switch (rand() % 8) {
	case 0:
		return (size_t)rand() % 70000;
	case 1:
		return 0;
	default:
		return (size_t)rand() % 300;
	}
}

static void renew(struct block *b)
{
	size_t align = (size_t)16 << rand() % 9;
	void *p;

	check(b);
	if (b->p && rand() % 3 == 0) {
		size_t size = any_size() + 1;

		b->p = rk__arena_realloc(b->p, size);
		cr_assert(b->p);
		b->size = size < b->size ? size : b->size;
		check(b);
		b->size = size;
	} else {
		rk__arena_free(b->p);
		b->size = any_size();
		if (rand() % 4) {
			b->p = rk__arena_malloc(b->size);
		} else {
			cr_assert_eq(rk__arena_memalign(&p, align, b->size), 0);
			cr_assert_eq((uintptr_t)p % align, 0);
			b->p = p;
		}
	}
	cr_assert((uintptr_t)b->p % 16 == 0);
	b->fill = (unsigned char)rand();
	memset(b->p, b->fill, b->size);
}

Test(arena, random_use)
{
	static struct block block[LIVE];
	uint64_t brk;

	map_arena();
	srand(7);
	for (unsigned i = 0; i < ROUNDS; i++)
		renew(&block[rand() % LIVE]);
	brk = rk__arena_brk();
	for (unsigned i = 0; i < ROUNDS; i++)
		renew(&block[rand() % LIVE]);
	cr_assert(rk__arena_brk() < brk * 3, "the heap grows for ever");
	cr_assert(rk__arena_check());
	for (unsigned i = 0; i < LIVE; i++) {
		check(&block[i]);
		rk__arena_free(block[i].p);
	}
	cr_assert_eq(rk__arena_used(), 0);
}

Test(arena, refuses_what_it_cannot_hold)
{
	void *p = NULL;

	map_arena();
	cr_assert_null(rk__arena_malloc(SIZE_MAX));
	cr_assert_null(rk__arena_malloc(RK_DRIVER_HEAP));
	cr_assert_null(rk__arena_calloc(SIZE_MAX / 2, 3));
	cr_assert_eq(rk__arena_memalign(&p, 3, 10), EINVAL);
	cr_assert_eq(rk__arena_memalign(&p, 64, SIZE_MAX - 8), ENOMEM);
	cr_assert_eq(rk__arena_used(), 0);
}

Test(arena, zeroed_and_copied)
{
	char *p, *q;

	map_arena();
	p = rk__arena_malloc(1000);
	memset(p, 1, 1000);
	rk__arena_free(p);
	q = rk__arena_calloc(10, 100);
	cr_assert_eq(p, q, "the last freed is the first used");
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_eq(q[i], 0);
	cr_assert_str_eq(rk__arena_strdup("rump"), "rump");
	cr_assert_str_eq(rk__arena_strndup("rumpled", 4), "rump");
	/* What the C library allocated may be given back here too. */
	rk__arena_free(malloc(10));
	rk__arena_free(NULL);
}

/* Turns one bit over: is it seen? What it was comes back. */
static bool is_seen(uint8_t *at)
{
	uint8_t had = *at;
	bool good;

	*at ^= (uint8_t)(1 << rand() % 8);
	good = rk__arena_check();
	*at = had;
	cr_assert(rk__arena_check());
	return !good;
}

/* Whatever bit is turned over, looking at it does no harm; and in what the arena
 * goes by, it is seen. */
Test(arena, sees_what_was_overwritten)
{
	static struct block block[LIVE];
	uint32_t head;

	map_arena();
	srand(8);
	for (unsigned i = 0; i < 2 * LIVE; i++)
		renew(&block[rand() % LIVE]);
	for (unsigned i = 0; i < LIVE; i++) {
		if (!block[i].p)
			continue;
		memcpy(&head, block[i].p - 16, sizeof head);
		/* of one that was aligned, its head lies within */
		if (head == 0x63686e6b)
			cr_assert(is_seen(block[i].p - 16 + rand() % 8));
	}
	/* the first page: what it is, where it ends, what is used, the lists */
	for (unsigned i = 0; i < 24; i++)
		cr_assert(is_seen((uint8_t *)RK_DRIVER_AT + i));
	for (unsigned i = 24; i < RK_PAGE; i++)
		is_seen((uint8_t *)RK_DRIVER_AT + i);
	for (unsigned i = 0; i < LIVE; i++) {
		if (!block[i].p || i % 2)
			continue;
		rk__arena_free(block[i].p);
		memcpy(&head, block[i].p - 16, sizeof head);
		if (head == 0x66726565)
			cr_assert(is_seen(block[i].p + rand() % 6));
	}
}
