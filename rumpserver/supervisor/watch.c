/*
 * watch.c - a thread that learns of the server's death from its robust lock.
 *
 * The server keeps FUTEX_WAITERS set in the word, so the kernel wakes us when
 * it marks the word with FUTEX_OWNER_DIED, long before a pidfd would tell. A
 * successor takes the lock with a plain store that wakes nobody, so as long as
 * nobody holds it we look again after a while, and less often the longer it
 * takes.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include "supervisor/internal.h"

static const long look_first_ns = 200000;
static const long look_last_ns = 10000000;
static const long look_owned_ns = 500000000;	/* in case a wake-up was lost */

static void wait_while(_Atomic uint32_t *word, uint32_t value, long ns)
{
	struct timespec t = { .tv_nsec = ns };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &t, NULL, 0);
}

static void *watch(void *arg)
{
	struct rk__supervisor *s = arg;
	_Atomic uint32_t *lock = &s->board->lock;
	long look = look_first_ns;

	while (atomic_load(&s->watching)) {
		uint32_t v = atomic_load(lock);

		if (v & FUTEX_OWNER_DIED)
			uv_async_send(&s->death);
		if (!(v & FUTEX_OWNER_DIED) && (v & FUTEX_TID_MASK)) {
			look = look_first_ns;
			wait_while(lock, v, look_owned_ns);
			continue;
		}
		wait_while(lock, v, look);
		look = look * 2 < look_last_ns ? look * 2 : look_last_ns;
	}
	return NULL;
}

static void died(uv_async_t *async)
{
	struct rk__supervisor *s = async->data;

	if (!(atomic_load(&s->board->lock) & FUTEX_OWNER_DIED))
		return;
	if (s->active && !s->active->dead)
		rk__supervisor_died(s, -1);
}

int rk__watch_start(struct rk__supervisor *s)
{
	int e;

	uv_async_init(&s->loop, &s->death, died);
	s->death.data = s;
	atomic_store(&s->watching, true);
	e = pthread_create(&s->watcher, NULL, watch, s);
	if (e)
		atomic_store(&s->watching, false);
	return -e;
}

void rk__watch_stop(struct rk__supervisor *s)
{
	if (!atomic_exchange(&s->watching, false))
		return;
	syscall(SYS_futex, &s->board->lock, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(s->watcher, NULL);
}
