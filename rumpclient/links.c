/*
 * links.c - which link a call uses.
 *
 * Theory of operation. A thread has a list of links, found without a lock,
 * because only it changes it: by appending, never by removing, so that a signal
 * handler may do so too while the list is being walked. Links that were closed
 * stay on it to be used again. The client has all of its links on a list too, so
 * that rk_detach can close them.
 *
 * A link in use is marked with the place of its call on the stack. A handler
 * that interrupts the call sees the mark and takes another link. One that was
 * left by longjmp leaves the mark behind; it is found out by a call whose place
 * is not below the mark: what was marked is no longer on the stack. Such a call
 * is done as a system call would be, before anything else: its answer is waited
 * for.
 *
 * The lock is held with all signals blocked: no handler waits for what it
 * interrupted. Clients for many others (RK_ATTACH_POOL) have no threads' links,
 * but a list of idle ones, and no business in handlers.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "client_int.h"
#include "links.h"

enum { IDLE_MAX = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;

static _Thread_local struct rk__link *own
	__attribute__((tls_model("initial-exec")));
/* A child runs in the memory of this thread. */
static _Thread_local bool guest __attribute__((tls_model("initial-exec")));

uint64_t rk__block_signals(void)
{
	const uint64_t all = ~(uint64_t)0;
	uint64_t old = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof old);
	return old;
}

void rk__restore_signals(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

uint64_t rk__lock(void)
{
	uint64_t mask = rk__block_signals();

	pthread_mutex_lock(&lock);
	return mask;
}

void rk__unlock(uint64_t mask)
{
	pthread_mutex_unlock(&lock);
	rk__restore_signals(mask);
}

/* --- the lists; the lock is held ------------------------------------------------ */

static void forget(struct rk__link *l)
{
	struct rk_client *c = l->client;
	struct rk__link **at = c ? &c->links : NULL;

	while (at && *at && *at != l)
		at = &(*at)->next_of_client;
	if (at && *at)
		*at = l->next_of_client;
}

static void drop(struct rk__link *l)
{
	forget(l);
	rk__link_close(l);
}

static bool is_own(const struct rk__link *l)
{
	const struct rk__link *o = own;

	while (o && o != l)
		o = o->next_of_thread;
	return o != NULL;
}

/* One that can be opened: of the thread's list. NULL: no memory. */
static struct rk__link *spare(void)
{
	struct rk__link *l, **at = &own;

	for (; (l = *at); at = &l->next_of_thread)
		if (!l->client && !l->orphan)
			return l;
	l = calloc(1, sizeof *l);
	if (l) {
		*at = l;
		pthread_setspecific(key, &own);
	}
	return l;
}

static void add(struct rk_client *c, struct rk__link *l)
{
	l->next_of_client = c->links;
	c->links = l;
}

static int open_own(struct rk_client *c, enum rk_hello_kind kind,
		    uint64_t *token, uintptr_t busy, struct rk__link **ret)
{
	struct rk__link *l = spare();
	int r = l ? rk__link_open(l, c, kind, rk__transport_of(c), token) :
		    -ENOMEM;

	if (r < 0)
		return r;
	add(c, l);
	atomic_store_explicit(&l->busy, busy, memory_order_relaxed);
	*ret = l;
	return 0;
}

int rk__link_first(struct rk_client *c, enum rk_hello_kind kind)
{
	bool pooled = c->flags & RK_ATTACH_POOL;
	struct rk__link *l;
	int r;

	if (!pooled)
		return open_own(c, kind, &c->token, 0, &l);
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	r = rk__link_open(l, c, kind, rk__transport_of(c), &c->token);
	if (r < 0) {
		free(l);
		return r;
	}
	add(c, l);
	l->pooled = true;
	c->idle = l;
	c->n_idle = 1;
	return 0;
}

void rk__links_end(struct rk_client *c)
{
	struct rk__link *l, *next;

	for (l = c->links; l; l = next) {
		next = l->next_of_client;
		rk__link_close(l);
		if (l->pooled)
			free(l);
	}
	c->links = c->idle = NULL;
	c->n_idle = 0;
}

/* --- calls that nobody will come back to ------------------------------------------ */

static bool on_signal_stack(void)
{
	stack_t s = { .ss_flags = SS_DISABLE };

	return syscall(SYS_sigaltstack, NULL, &s) == 0 &&
	       (s.ss_flags & SS_ONSTACK);
}

/* Stacks grow down. On a handler's own stack nothing can be told. */
static bool is_over(uintptr_t busy, uintptr_t frame)
{
	return busy <= frame && !on_signal_stack();
}

/* Can the link be used again? */
static bool settle(struct rk__link *l)
{
	if (!l->channel || l->ringing)
		return false;
	rk__call_settle(l);
	return true;
}

static void discard(struct rk__link *l)
{
	uint64_t mask = rk__lock();

	drop(l);
	l->ringing = false;
	rk__unlock(mask);
}

/* --- a call's link ---------------------------------------------------------------- */

static int open_for_thread(struct rk_client *c, uintptr_t frame,
			   struct rk__link **ret)
{
	uint64_t mask = rk__lock(), token = c->token;
	int r = c->error;

	if (r == 0)
		r = open_own(c, RK_HELLO_THREAD, &token, frame, ret);
	if (r == 0) {
		(*ret)->taken_seq = (*ret)->seq;
		(*ret)->guest_call = guest;
	}
	rk__unlock(mask);
	return r;
}

static int open_for_pool(struct rk_client *c, struct rk__link **ret)
{
	struct rk__link *l = calloc(1, sizeof *l);
	uint64_t token = c->token;
	int r = !l ? -ENOMEM : c->error;

	if (r == 0)
		r = rk__link_open(l, c, RK_HELLO_THREAD, rk__transport_of(c),
				  &token);
	if (r < 0) {
		free(l);
		return r;
	}
	add(c, l);
	l->pooled = true;
	*ret = l;
	return 0;
}

static int from_pool(struct rk_client *c, struct rk__link **ret)
{
	uint64_t mask = rk__lock();
	int r = 0;

	*ret = c->idle;
	if (*ret) {
		c->idle = (*ret)->next_idle;
		c->n_idle--;
	} else {
		r = open_for_pool(c, ret);
	}
	rk__unlock(mask);
	return r;
}

static void to_pool(struct rk__link *l)
{
	uint64_t mask = rk__lock();
	struct rk_client *c = l->client;

	if (!c) {
		/* it was replaced */
		free(l);
	} else if (c->n_idle < IDLE_MAX && !l->dead) {
		l->next_idle = c->idle;
		c->idle = l;
		c->n_idle++;
	} else {
		drop(l);
		free(l);
	}
	rk__unlock(mask);
}

static bool take(struct rk__link *l, uintptr_t frame)
{
	uintptr_t busy = atomic_load_explicit(&l->busy, memory_order_relaxed);

	if (busy && !is_over(busy, frame))
		return false;
	atomic_store_explicit(&l->busy, frame, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	l->taken_seq = l->seq;
	l->guest_call = guest;
	if (!busy || settle(l))
		return true;
	discard(l);
	return false;
}

int rk__link_get(struct rk_client *c, uintptr_t frame, struct rk__link **ret)
{
	if (c->flags & RK_ATTACH_POOL)
		return from_pool(c, ret);
	for (struct rk__link *l = own; l; l = l->next_of_thread) {
		if (l->client != c || !take(l, frame))
			continue;
		*ret = l;
		if (!l->dead)
			return 0;
		rk__link_put(l);
		return -ESHUTDOWN;
	}
	return open_for_thread(c, frame, ret);
}

/* The link with the thread's ring is the one that has something in it. */
int rk__link_get_ring(struct rk_client *c, uintptr_t frame,
		      struct rk__link **ret)
{
	struct rk__link *l = own;
	int r = 0;

	if (c->flags & RK_ATTACH_POOL)
		return -EINVAL;
	while (l && (l->client != c || !l->n_busy || l->dead ||
		     !take(l, frame)))
		l = l->next_of_thread;
	if (l)
		*ret = l;
	else
		r = rk__link_get(c, frame, ret);
	if (r == 0)
		(*ret)->ringing = true;
	return r;
}

void rk__link_put(struct rk__link *l)
{
	if (l->pooled) {
		to_pool(l);
		return;
	}
	if (l->orphan) {
		rk__link_close(l);
		l->orphan = false;
	}
	l->ringing = false;
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&l->busy, 0, memory_order_relaxed);
}

/* The kernel tells of a connection who made it: so it is made anew. */
int rk__link_replace(struct rk_client *c, struct rk__link *old)
{
	uint64_t mask = rk__lock(), token = c->token;
	struct rk__link *l;
	int r = old->pooled ? open_for_pool(c, &l) :
			      open_own(c, RK_HELLO_THREAD, &token, 0, &l);

	if (r == 0 && old->pooled) {
		l->next_idle = c->idle;
		c->idle = l;
		c->n_idle++;
	}
	if (r == 0) {
		drop(old);
		old->client = NULL;
	}
	rk__unlock(mask);
	return r;
}

/* --- threads and children ----------------------------------------------------------- */

void rk__thread_end(void)
{
	uint64_t mask = rk__lock();
	struct rk__link *l, *next;

	for (l = own; l; l = next) {
		next = l->next_of_thread;
		drop(l);
		free(l);
	}
	own = NULL;
	rk__unlock(mask);
}

static void thread_ends(void *unused)
{
	(void)unused;
	rk__thread_end();
}

void rk__links_init(void)
{
	pthread_key_create(&key, thread_ends);
}

void rk__links_leave(struct rk__link *first, uintptr_t frame)
{
	struct rk__link *l, *next;

	for (l = first; l; l = next) {
		uintptr_t busy = atomic_load_explicit(&l->busy,
						      memory_order_relaxed);

		next = l->next_of_client;
		if (is_own(l) && busy && !is_over(busy, frame)) {
			rk__link_orphan(l);
			continue;
		}
		rk__link_close(l);
		if (!is_own(l))
			free(l);
	}
}

bool rk__is_guest(void)
{
	return guest;
}

void rk__vfork_begin(void)
{
	guest = true;
}

void rk__vfork_end(void)
{
	guest = false;
	for (struct rk__link *l = own; l; l = l->next_of_thread) {
		if (!l->client)
			continue;
		if (rk__watch_is_guest(l->watch)) {
			rk__watch_free(l->watch);
			l->watch = NULL;
		}
		if (!l->guest && !(l->guest_call && l->busy))
			continue;
		discard(l);
		l->busy = 0;
	}
}

static void moved(int *fd, int from, int to)
{
	if (*fd == from)
		*fd = to;
}

void rk__link_moved(struct rk__link *l, int from, int to)
{
	moved(&l->fd, from, to);
	moved(&l->event_fd, from, to);
	rk__watch_moved(l->watch, from, to);
}

void rk__fd_moved(int from, int to)
{
	uint64_t mask = rk__lock();

	for (struct rk_client *c = rk__clients; c; c = c->next) {
		for (struct rk__link *l = c->links; l; l = l->next_of_client)
			rk__link_moved(l, from, to);
		rk__hot_moved(c, from, to);
	}
	rk__unlock(mask);
}
