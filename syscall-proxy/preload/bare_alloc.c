/*
 * bare_alloc.c - memory. Blocks of powers of two come from lists that are
 * changed by one compare-and-swap, so that a signal handler, another thread, or
 * a child of fork may come at any point; they are never given back to the kernel,
 * so that the list may be read without care. Large blocks are mappings.
 *
 * A list's head has a counter in the 16 bits that an address has no use for:
 * a block that was taken and put back meanwhile is noticed.
 */
#include <errno.h>
#include <linux/mman.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "bare.h"

enum {
	MIN_SHIFT = 5,			/* 32 bytes, head included */
	MAX_SHIFT = 17,			/* from there on, mappings */
	CHUNK = 256 << 10,		/* what is asked of the kernel at once */
	HEAD = 16,
};

struct block {
	uint64_t size;			/* all of it; a power of two, or a mapping */
	struct block *_Atomic next;
};

static _Atomic uint64_t lists[MAX_SHIFT];

static struct block *address(uint64_t head)
{
	return (struct block *)(uintptr_t)(head & 0xffffffffffffu);
}

static void push(unsigned shift, struct block *b)
{
	uint64_t head = atomic_load(&lists[shift]), new;

	do {
		atomic_store_explicit(&b->next, address(head),
				      memory_order_relaxed);
		new = (uintptr_t)b | ((head >> 48) + 1) << 48;
	} while (!atomic_compare_exchange_weak(&lists[shift], &head, new));
}

static struct block *pop(unsigned shift)
{
	uint64_t head = atomic_load(&lists[shift]), new;
	struct block *b;

	do {
		b = address(head);
		if (!b)
			return NULL;
		new = (uintptr_t)atomic_load_explicit(&b->next,
						      memory_order_relaxed) |
		      ((head >> 48) + 1) << 48;
	} while (!atomic_compare_exchange_weak(&lists[shift], &head, new));
	return b;
}

static void *from_kernel(size_t n)
{
	long r = RK__R6(SYS_mmap, 0, n, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return r < 0 && r > -4096 ? NULL : (void *)r;
}

static struct block *refill(unsigned shift)
{
	size_t size = (size_t)1 << shift;
	uint8_t *p = from_kernel(CHUNK);

	if (!p)
		return NULL;
	for (size_t at = size; at + size <= CHUNK; at += size) {
		struct block *b = (struct block *)(p + at);

		b->size = size;
		push(shift, b);
	}
	((struct block *)p)->size = size;
	return (struct block *)p;
}

static struct block *large(size_t n)
{
	size_t size = (n + HEAD + 4095) & ~(size_t)4095;
	struct block *b = from_kernel(size);

	if (b)
		b->size = size;
	return b;
}

static unsigned shift_of(size_t n)
{
	unsigned shift = MIN_SHIFT;

	while (((size_t)1 << shift) < n + HEAD)
		shift++;
	return shift;
}

static void *get(size_t n, bool *ret_fresh)
{
	struct block *b;
	unsigned shift;

	*ret_fresh = n + HEAD > (size_t)1 << (MAX_SHIFT - 1);
	if (n > PTRDIFF_MAX)
		return NULL;
	if (*ret_fresh) {
		b = large(n);
	} else {
		shift = shift_of(n);
		b = pop(shift);
		if (!b)
			b = refill(shift);
	}
	if (!b)
		errno = ENOMEM;
	return b ? (uint8_t *)b + HEAD : NULL;
}

void *malloc(size_t n)
{
	bool fresh;

	return get(n, &fresh);
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	bool fresh;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	p = get(bytes, &fresh);
	if (p && !fresh)
		memset(p, 0, bytes);
	return p;
}

void free(void *p)
{
	struct block *b;

	if (!p)
		return;
	b = (struct block *)((uint8_t *)p - HEAD);
	if (b->size < (size_t)1 << MAX_SHIFT && !(b->size & (b->size - 1)))
		push((unsigned)__builtin_ctzll(b->size), b);
	else
		(void)RK__R2(SYS_munmap, b, b->size);
}

void *realloc(void *p, size_t n)
{
	struct block *b;
	void *new;

	if (!p)
		return malloc(n);
	b = (struct block *)((uint8_t *)p - HEAD);
	if (n <= b->size - HEAD)
		return p;
	new = malloc(n);
	if (new) {
		memcpy(new, p, b->size - HEAD);
		free(p);
	}
	return new;
}
