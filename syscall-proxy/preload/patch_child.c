/*
 * patch_child.c - system calls that return twice, for a patched site.
 *
 * A child with a stack of its own cannot return through ours, and one on the same
 * stack in the same memory (vfork) spoils it before the parent returns. Both go
 * straight to where the site goes on; what stands where it can be found by them
 * is the caller's registers, in the frame of rk__entry below its stack pointer.
 */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "preload/patch.h"
#include "preload/preload.h"

struct rk__same {
	uint64_t back, own, sp, ip;
};

_Static_assert(sizeof(struct rk__same) == RK__SAME_COPY, "area.h");

int64_t rk__clone_stack(long nr, uint64_t rdi, uint64_t rsi, uint64_t sp);
int64_t rk__clone_same(long nr, const uint64_t arg[6], struct rk__same *s);

/* The new stack's top for the child: what the stub takes from it. */
static uint64_t top_make(uint64_t top, uint64_t sp, uint64_t ip)
{
	uint64_t *p = (uint64_t *)top - 3;

	p[0] = *(const uint64_t *)(sp + RK__FRAME_RDI);
	p[1] = *(const uint64_t *)(sp + RK__FRAME_RSI);
	p[2] = ip;
	return (uintptr_t)p;
}

static int64_t same(long nr, const uint64_t arg[6], uint64_t sp, uint64_t ip)
{
	size_t own = sp - (uintptr_t)__builtin_frame_address(0);
	size_t size = RK__SAME_ROOM + RK__SAME_COPY + own + RK__PAGE;
	struct rk__same *s;
	int64_t n;
	long p;

	size = (size + RK__PAGE - 1) & -(size_t)RK__PAGE;
	p = rk__raw(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p < 0 && p > -4096)
		return -ENOMEM;
	s = (void *)(p + RK__SAME_ROOM);
	s->sp = sp;
	s->ip = ip;
	n = rk__clone_same(nr, arg, s);
	rk__raw(SYS_munmap, p, size);
	return n;
}

static int64_t clone3(const uint64_t arg[6], uint64_t sp, uint64_t ip)
{
	const struct clone_args *given = (const void *)arg[0];
	struct clone_args a;

	/* Too small for a stack, or of a kernel that we do not know. */
	if (arg[1] < offsetof(struct clone_args, tls) || arg[1] > sizeof(a))
		return rk__raw(SYS_clone3, arg[0], arg[1]);
	memset(&a, 0, sizeof(a));
	memcpy(&a, given, arg[1]);
	if (!a.stack) {
		if (a.flags & CLONE_VM)
			return same(SYS_clone3, arg, sp, ip);
		return rk__raw(SYS_clone3, arg[0], arg[1]);
	}
	if (a.stack_size < 64)
		return -EINVAL;
	a.stack_size = top_make(a.stack + a.stack_size, sp, ip) - a.stack;
	return rk__clone_stack(SYS_clone3, (uintptr_t)&a, arg[1], sp);
}

int64_t rk__clone_raw(long nr, const uint64_t arg[6], uint64_t sp, uint64_t ip)
{
	switch (nr) {
	case SYS_vfork:
		return same(nr, arg, sp, ip);
	case SYS_clone3:
		return clone3(arg, sp, ip);
	case SYS_clone:
		if (!arg[1])
			return arg[0] & CLONE_VM ? same(nr, arg, sp, ip) :
						   rk__raw(nr, arg[0], arg[1],
							   arg[2], arg[3],
							   arg[4]);
		/* The rest is in the registers of the caller, as it was. */
		return rk__clone_stack(nr, arg[0], top_make(arg[1], sp, ip),
				       sp);
	}
	return rk__raw(nr);
}
