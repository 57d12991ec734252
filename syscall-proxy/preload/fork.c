/*
 * fork.c - new processes.
 *
 * A child of fork is a client of its own at each server, with its parent's
 * descriptors; while the server makes it one, the parent waits. One that would
 * have none, and is not inside of a server, attaches when it needs to.
 *
 * The server hears of the end of a process a little later than its parent may; so
 * what others can see of an end, it is told before.
 *
 * A child that shares our memory until it execs (vfork, posix_spawn) runs on a
 * view of its own, by its parent's links. It is prepared before, because the
 * child goes straight on with the program; the parent undoes it.
 */
#include <errno.h>
#include <linux/sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include "bare.h"
#include "preload_int.h"
#include "links.h"

static bool anything_ours(void)
{
	return rk__view()->cwd.inside || rk__fd_any() || rk__maps_any();
}

struct before {
	uint64_t mask;
	bool keep;
};

/* No other thread is at our tables when they are copied. */
static void before_fork(struct before *b)
{
	b->mask = rk__signals_off();
	b->keep = anything_ours();
	rk__maps_lock(true);
	rk__clients_lock(true);
	rk__fork_before(b->keep);
}

static void after_fork(const struct before *b, bool child)
{
	if (child)
		rk__fork_child();
	else
		rk__fork_parent();
	rk__clients_lock(false);
	rk__maps_lock(false);
	if (child && !b->keep) {
		rk__clients_forget();
		rk__fdmap_forget();
	}
	if (child && rk__counts)
		atomic_fetch_add(&rk__counts->processes, 1);
	rk__signals_back(b->mask);
}

static int64_t do_fork(long nr, const uint64_t arg[6], uint64_t new_sp,
		       uint64_t sp, uint64_t ip)
{
	struct before b;
	int64_t r;

	before_fork(&b);
	r = rk__clone_raw(nr, arg, sp, ip);
	after_fork(&b, r == 0);
	if (r == 0 && new_sp)
		rk__clone_continue(sp, ip, new_sp);
	return r;
}

__attribute__((visibility("default")))
int rk__preload_fork(int (*real)(void))
{
	int before = errno, r;
	struct before b;

	if (!rk__active)
		return real();
	before_fork(&b);
	r = real();
	after_fork(&b, r == 0);
	errno = before;
	return r;
}

__attribute__((visibility("default")))
int rk__preload_publish(void)
{
	int before = errno, r = rk__active ? rk__prepare_exec() : 0;

	errno = before;
	return r;
}

static int64_t do_vfork(long nr, const uint64_t arg[6], uint64_t sp,
			uint64_t ip)
{
	struct rk__view *v;
	int64_t r;

	rk__clients_attach_all();
	v = rk__view_push();
	if (!v)
		return -ENOMEM;
	rk__vfork_begin();
	r = rk__clone_raw(nr, arg, sp, ip);
	rk__vfork_end();
	rk__view_pop(v);
	return r;
}

static int64_t by_flags(long nr, uint64_t flags, const uint64_t arg[6],
			const uint64_t without_stack[6], uint64_t new_sp,
			uint64_t sp, uint64_t ip)
{
	if (!(flags & CLONE_VM))
		return do_fork(nr, without_stack, new_sp, sp, ip);
	if (flags & CLONE_VFORK && !(flags & CLONE_FILES))
		return do_vfork(nr, arg, sp, ip);
	/* A thread. */
	return rk__clone_raw(nr, arg, sp, ip);
}

static int64_t do_clone3(const uint64_t arg[6], uint64_t sp, uint64_t ip)
{
	struct {
		struct clone_args known;
		uint8_t more[64];
	} copy = { 0 };
	uint64_t other[6] = { (uintptr_t)&copy, arg[1] };
	const struct clone_args *given = (const void *)arg[0];
	uint64_t new_sp = 0;

	/* The kernel says what is wrong with it. */
	if (arg[1] < CLONE_ARGS_SIZE_VER0 || arg[1] > sizeof copy || !given)
		return RK__RAW(SYS_clone3, arg);
	memcpy(&copy, given, arg[1]);
	if (copy.known.stack)
		new_sp = copy.known.stack + copy.known.stack_size;
	copy.known.stack = copy.known.stack_size = 0;
	return by_flags(SYS_clone3, given->flags, arg, other, new_sp, sp, ip);
}

int64_t rk__do_fork(long nr, const uint64_t arg[6], uint64_t sp, uint64_t ip)
{
	uint64_t other[6];

	if (nr == SYS_fork)
		return do_fork(nr, arg, 0, sp, ip);
	if (nr == SYS_vfork)
		return do_vfork(nr, arg, sp, ip);
	if (nr == SYS_clone3)
		return do_clone3(arg, sp, ip);
	memcpy(other, arg, sizeof other);
	other[1] = 0;
	return by_flags(nr, arg[0], arg, other, arg[1], sp, ip);
}

void rk__process_ends(void)
{
	struct rk_client *c;

	if (rk__view()->borrowed || !rk__fd_any())
		return;
	rk__fd_end();
	for (uint32_t i = 0; i < rk__config.n_servers; i++) {
		c = rk__client_attached(i);
		if (c)
			(void)rk_close_range(c, 0, ~0u, 0);
	}
}
