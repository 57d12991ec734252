/*
 * wait.c - waiting for an answer: spinning as long as that pays, then sleeping.
 *
 * Theory of operation. Answers of a server that runs on another core come
 * within microseconds; waking a halted core costs tens of them. So a call spins
 * for a budget that is learned: it is full while answers come in time, halves
 * whenever one does not, and is tried in full now and then, because servers
 * wake up. With one CPU to run on, spinning only keeps the server from it.
 */
#include <errno.h>
#include <stdbool.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "client_int.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

enum {
	SPIN_CLOCK_EVERY = 64,		/* looks at the answer between looks at the clock */
	SPIN_MIN_NS = 1000,		/* less than this never paid */
	SPIN_RETRY = 64,		/* calls after which the full budget is tried */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool rk__spin(struct rk__link *l, struct rk__spin *s)
{
	if (l->budget_ns < SPIN_MIN_NS)
		return false;
	if (++s->n % SPIN_CLOCK_EVERY) {
		/* The first answers are near: do not be slow to see them. */
		if (s->n > SPIN_CLOCK_EVERY)
			__builtin_ia32_pause();
		return true;
	}
	if (!s->until_ns)
		s->until_ns = now_ns() + l->budget_ns;
	return now_ns() < s->until_ns;
}

void rk__spin_hit(struct rk__link *l)
{
	l->budget_ns = l->spin_max_ns;
	l->misses = 0;
}

void rk__spin_missed(struct rk__link *l)
{
	l->budget_ns /= 2;
	if (++l->misses % SPIN_RETRY == 0)
		l->budget_ns = l->spin_max_ns;
}

void rk__link_ring(struct rk__link *l)
{
	const uint64_t one = 1;

	/* Either the server sees the request, or we see that it sleeps. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&l->channel->sleeping, memory_order_relaxed))
		(void)!write(l->event_fd, &one, sizeof one);
}

/* What may stand in it is what a server sent and nobody took. */
static bool connection_ended(const struct rk__link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLRDHUP };

	return l->fd < 0 || poll(&p, 1, 0) > 0;
}

/* Of linux/futex.h, which older systems lack. */
struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};
enum { WAITV_32 = 2 };

/*
 * futex_waitv is the one that a signal interrupts as it does any system call:
 * after a handler with SA_RESTART it goes on, its timeout being a point in time.
 * A plain futex with a timeout always ends, and so it does on older kernels.
 */
static long wait_on(_Atomic uint32_t *word, uint32_t value)
{
	static _Atomic bool missing;
	struct waitv w = {
		.value = value, .address = (uintptr_t)word, .flags = WAITV_32,
	};
	struct timespec t;
	long r;

	if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_sec++;
		r = syscall(SYS_futex_waitv, &w, 1, 0, &t, CLOCK_MONOTONIC);
		if (r >= 0 || (errno != ENOSYS && errno != EPERM))
			return r;
		atomic_store_explicit(&missing, true, memory_order_relaxed);
	}
	t = (struct timespec){ .tv_sec = 1 };
	return syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}

int rk__link_sleep(struct rk__link *l, _Atomic uint32_t *word, uint32_t value)
{
	int r;

	if (wait_on(word, value) >= 0)
		return 0;
	if (errno != EINTR && errno != ETIMEDOUT)
		return 0;
	/* Signals that come often must not keep us from looking. */
	r = errno == EINTR ? -EINTR : 0;
	if (connection_ended(l)) {
		l->dead = true;
		return -ESHUTDOWN;
	}
	return r;
}
