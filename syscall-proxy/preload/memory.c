/*
 * memory.c - whether the program's memory is there, for arguments that point to
 * none: the kernel says EFAULT of these, and so do we, without a signal handler in
 * a program that is not ours.
 *
 * The kernel is asked, by calls that do nothing but look: of a page that can be
 * read, rt_sigprocmask with a `how` that there is none of; of one that can be
 * written, a futex operation that adds zero. What it said is remembered until
 * the program unmaps something. It may be out of date after mprotect, which does
 * not come by here: then it is as if nobody had asked.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include "bare.h"
#include "preload_int.h"

enum {
	PAGE = 4096,
	KNOWN = 256,
	READS = 1, WRITES = 2,		/* in the low bits of a known page */
	NO_HOW = -1,
};

/* Nothing of a program is below, and nothing from there on. */
#define MEMORY_FROM 65536u
#define MEMORY_TO 0x7ffffffff000u

static _Atomic uint64_t known[KNOWN];

static bool ask(uint64_t page, bool write)
{
	static _Atomic uint32_t nobody;
	long r;

	if (write)
		r = RK__R6(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, 0, page,
			   FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
	else
		r = RK__R4(SYS_rt_sigprocmask, NO_HOW, page, 0, 8);
	return r != -EFAULT;
}

static bool has(uint64_t page, bool write)
{
	_Atomic uint64_t *k = &known[page / PAGE % KNOWN];
	uint64_t is = atomic_load_explicit(k, memory_order_relaxed);
	uint64_t want = write ? WRITES : READS;

	if ((is & -(uint64_t)PAGE) == page && (is & want))
		return true;
	if (!ask(page, write))
		return false;
	atomic_store_explicit(k, page | READS | (write ? WRITES : 0),
			      memory_order_relaxed);
	return true;
}

static uint64_t page_of(uint64_t at)
{
	return at & -(uint64_t)PAGE;
}

static bool outside(uint64_t at, uint64_t n)
{
	return at < MEMORY_FROM || at >= MEMORY_TO || n > MEMORY_TO - at;
}

bool rk__readable(uint64_t at, uint64_t n)
{
	return !n || (!outside(at, n) && has(page_of(at), false) &&
		      has(page_of(at + n - 1), false));
}

bool rk__writable(uint64_t at, uint64_t n)
{
	return !n || (!outside(at, n) && has(page_of(at), true));
}

int64_t rk__string_length(uint64_t at, uint64_t max)
{
	uint64_t n = 0, room, k;

	/* A page at a time: what lies behind its end may not be there. */
	for (; n < max; n += room) {
		if (!rk__readable(at + n, 1))
			return -EFAULT;
		room = PAGE - (at + n) % PAGE;
		room = room < max - n ? room : max - n;
		k = strnlen((const char *)at + n, room);
		if (k < room)
			return (int64_t)(n + k);
	}
	return (int64_t)max;
}

void rk__memory_gone(void)
{
	for (unsigned i = 0; i < KNOWN; i++)
		atomic_store_explicit(&known[i], 0, memory_order_relaxed);
}
