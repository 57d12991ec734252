/*
 * arena.c - the drivers' heap, in the driver region of recoverable memory.
 *
 * Theory of operation. A commit copies every page written since the last one,
 * so the allocator is made to touch few pages: chunks of one size class are
 * reused last in, first out, and all of its own state is the region's first
 * page. There are four classes to each power of two; a freed chunk goes to the
 * list of its class and is never merged. A chunk has a 16-byte head that names
 * its class; an aligned chunk has a second head right before the pointer that
 * says how far back the first one is.
 *
 * All of it is rolled back and inherited with the region: nothing here knows
 * of crashes.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "recovery/recovery.h"
#include "recovery/region.h"

enum {
	CLASS_STEPS = 4,	/* classes per doubling */
	CLASS_MIN_SHIFT = 5,
	CLASSES = 27 * CLASS_STEPS,
};

#define CHUNK_MAGIC	0x63686e6bu
#define CHUNK_FREE	0x66726565u
#define CHUNK_ALIGNED	0x616c676eu

struct chunk {
	uint32_t magic;
	uint32_t class;		/* of an aligned head: bytes back to the real one */
	uint64_t reserved;	/* keeps what follows 16-byte aligned */
};

struct free_chunk {
	struct free_chunk *next;
};

struct arena {
	uint64_t magic;
	uint64_t brk;		/* offset of the first byte never used */
	uint64_t used;
	struct free_chunk *free[CLASSES];
};
_Static_assert(sizeof(struct arena) <= RK_PAGE, "arena head is one page");

#define ARENA		((struct arena *)RK_DRIVER_AT)
#define ARENA_MAGIC	0x616e657261ull

static size_t class_size(unsigned class)
{
	size_t base = (size_t)1 << (CLASS_MIN_SHIFT + class / CLASS_STEPS);

	/* Whole 16 bytes, so that all chunks are aligned to that. */
	return (base + base / CLASS_STEPS * (class % CLASS_STEPS) + 15) &
	       ~(size_t)15;
}

/* The smallest class that holds size bytes; CLASSES if none does. */
static unsigned class_of(size_t size)
{
	unsigned shift, class;

	if (size <= (size_t)1 << CLASS_MIN_SHIFT)
		return 0;
	shift = 63 - (unsigned)__builtin_clzl(size - 1);
	if (shift >= CLASS_MIN_SHIFT + CLASSES / CLASS_STEPS)
		return CLASSES;
	class = (shift - CLASS_MIN_SHIFT) * CLASS_STEPS;
	while (class < CLASSES && class_size(class) < size)
		class++;
	return class;
}

static bool in_region(const void *p)
{
	return (uintptr_t)p - RK_DRIVER_AT < RK_DRIVER_HEAP;
}

void rk__arena_format(void)
{
	memset(ARENA, 0, sizeof *ARENA);
	ARENA->magic = ARENA_MAGIC;
	ARENA->brk = RK_PAGE;
}

uint64_t rk__arena_brk(void)
{
	return ARENA->magic == ARENA_MAGIC ? ARENA->brk : 0;
}

size_t rk__arena_used(void)
{
	return ARENA->used;
}

static struct chunk *chunk_of(void *p)
{
	struct chunk *c = (struct chunk *)p - 1;

	if (c->magic == CHUNK_ALIGNED)
		c = (struct chunk *)((char *)c - c->class);
	assert(c->magic == CHUNK_MAGIC && c->class < CLASSES);
	return c;
}

void *rk__arena_malloc(size_t size)
{
	struct arena *a = ARENA;
	struct free_chunk *f;
	struct chunk *c;
	unsigned class;
	size_t full;

	if (size > RK_DRIVER_HEAP)
		goto no_memory;
	class = class_of(size);
	if (class == CLASSES)
		goto no_memory;
	full = class_size(class) + sizeof *c;
	f = a->free[class];
	if (f) {
		a->free[class] = f->next;
		c = (struct chunk *)f - 1;
		assert(c->magic == CHUNK_FREE && c->class == class);
	} else {
		if (a->brk + full > RK_DRIVER_HEAP)
			goto no_memory;
		c = (struct chunk *)(RK_DRIVER_AT + a->brk);
		a->brk += full;
		c->class = class;
	}
	c->magic = CHUNK_MAGIC;
	a->used += class_size(class);
	return c + 1;
no_memory:
	errno = ENOMEM;
	return NULL;
}

void rk__arena_free(void *p)
{
	struct arena *a = ARENA;
	struct free_chunk *f;
	struct chunk *c;

	if (!p)
		return;
	if (!in_region(p)) {
		free(p);
		return;
	}
	c = chunk_of(p);
	c->magic = CHUNK_FREE;
	a->used -= class_size(c->class);
	f = (struct free_chunk *)(c + 1);
	f->next = a->free[c->class];
	a->free[c->class] = f;
}

void *rk__arena_calloc(size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = rk__arena_malloc(total);
	if (p)
		memset(p, 0, total);
	return p;
}

/* Bytes that may be used from p on. */
static size_t usable(void *p)
{
	struct chunk *c = chunk_of(p);

	return class_size(c->class) - (size_t)((char *)p - (char *)(c + 1));
}

void *rk__arena_realloc(void *p, size_t size)
{
	size_t had;
	void *q;

	if (!p)
		return rk__arena_malloc(size);
	if (!in_region(p))
		return realloc(p, size);
	had = usable(p);
	if (size <= had && size >= had / 4)
		return p;
	q = rk__arena_malloc(size);
	if (!q)
		return size <= had ? p : NULL;
	memcpy(q, p, had < size ? had : size);
	rk__arena_free(p);
	return q;
}

int rk__arena_memalign(void **ret, size_t align, size_t size)
{
	struct chunk *c;
	uintptr_t at;
	char *p;

	if (align < sizeof(void *) || (align & (align - 1)))
		return EINVAL;
	if (align <= sizeof *c) {
		p = rk__arena_malloc(size);
		if (!p)
			return ENOMEM;
		*ret = p;
		return 0;
	}
	if (size > RK_DRIVER_HEAP - align)
		return ENOMEM;
	p = rk__arena_malloc(size + align);
	if (!p)
		return ENOMEM;
	at = ((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1);
	if (at != (uintptr_t)p) {
		/* Chunks are 16-byte aligned: the gap holds a head. */
		c = (struct chunk *)at - 1;
		c->magic = CHUNK_ALIGNED;
		c->class = (uint32_t)((char *)c - (p - sizeof *c));
	}
	*ret = (void *)at;
	return 0;
}

static char *copy_string(const char *s, size_t len)
{
	char *p = rk__arena_malloc(len + 1);

	if (p) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

char *rk__arena_strndup(const char *s, size_t n)
{
	return copy_string(s, strnlen(s, n));
}

char *rk__arena_strdup(const char *s)
{
	return copy_string(s, strlen(s));
}

/* --- does it make sense? ------------------------------------------------------- */

/* The chunks one after the other, up to the first byte never used. */
static bool chunks_hold(uint64_t *ret_used, uint64_t *ret_free)
{
	const struct arena *a = ARENA;
	uint64_t at = RK_PAGE;

	*ret_used = *ret_free = 0;
	while (at < a->brk) {
		const struct chunk *c = (void *)(RK_DRIVER_AT + at);

		if (a->brk - at < sizeof *c || c->class >= CLASSES)
			return false;
		if (c->magic == CHUNK_MAGIC)
			*ret_used += class_size(c->class);
		else if (c->magic == CHUNK_FREE)
			++*ret_free;
		else
			return false;
		at += class_size(c->class) + sizeof *c;
	}
	return at == a->brk;
}

/* left: how many free chunks there are. */
static bool list_holds(unsigned class, uint64_t *left)
{
	uintptr_t at = (uintptr_t)ARENA->free[class];
	const struct chunk *c;

	while (at) {
		if (at - sizeof *c - RK_DRIVER_AT >= ARENA->brk ||
		    at % sizeof *c || !(*left)--)
			return false;
		c = (const struct chunk *)(at - sizeof *c);
		if (c->magic != CHUNK_FREE || c->class != class)
			return false;
		at = (uintptr_t)((const struct free_chunk *)(c + 1))->next;
	}
	return true;
}

bool rk__arena_check(void)
{
	const struct arena *a = ARENA;
	uint64_t used, left;

	if (a->magic != ARENA_MAGIC || a->brk < RK_PAGE ||
	    a->brk > RK_DRIVER_HEAP || !chunks_hold(&used, &left) ||
	    used != a->used)
		return false;
	for (unsigned class = 0; class < CLASSES; class++)
		if (!list_holds(class, &left))
			return false;
	return left == 0;
}
