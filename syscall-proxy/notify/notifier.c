/*
 * notifier.c - see notify.h. Threads that wait for calls, and who looks after
 * calls that last.
 *
 * One thread waits for calls, the leader: the kernel would wake all who do, for
 * each call, on the caller's CPU. Most calls are short, and the leader does them
 * itself. Before it sleeps (in a lock, in a fifo, for a server that needs its
 * time) another leads; so it is at once where calls may sleep anywhere, and where
 * several threads call in turn, so that they are served side by side. Who leads
 * and lasts all the same is found by who looks after calls that last.
 *
 * A signal does not take a caller out of a call that was received, or it might be
 * done twice. So what waits long is looked at every few milliseconds: if its
 * caller has a signal to take, or is no more, the worker is interrupted, and the
 * caller told to begin the call again after the signal, as the kernel would.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "notify/notify_int.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1ul << 0)
#endif

enum {
	WAKE_SIGNAL = SIGUSR1,
	/* The kernel's own words for a call that a signal ended (its errno.h):
	 * begun again unless a handler ran that was not told to; unless any. */
	RESTART_SYS = 512,
	RESTART_NO_HANDLER = 514,
	STACK = 256 * 1024,
};

/* --- a call ------------------------------------------------------------------- */

/* poll and its like are not begun again after a handler. */
static int64_t when_interrupted(const struct call *c, enum interrupt why)
{
	if (why != RESTART)
		return -EINTR;
	switch (c->nr) {
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		return -RESTART_NO_HANDLER;
	}
	return -RESTART_SYS;
}

static void serve(struct call *c, struct seccomp_notif_resp *resp)
{
	struct rk__proxy_counts *counts = c->n->how.counts;
	enum interrupt why = NOT_INTERRUPTED;
	int64_t r = 0;
	int e = task_get(c, &c->task);

	if (e < 0) {
		/* It is gone, or nobody can be told of. */
		c->answered = false;
		resp->error = -EAGAIN;
		return;
	}
	do {
		c->go_on = c->refused = c->answered = false;
		call_serve(c, &r);
		memory_end(c);
		why = atomic_exchange(&c->worker->interrupt, NOT_INTERRUPTED);
	} while (!c->go_on && !c->answered && r == -EINTR && why == NOT_INTERRUPTED);
	if (r == -EINTR)
		r = when_interrupted(c, why);
	if (c->go_on)
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (r < 0)
		resp->error = (int)r;
	else
		resp->val = r;
	if (c->go_on)
		counts->continued++;
	else
		counts->notified++;
	if (c->refused)
		counts->refused++;
	task_put(c->n, c->task);
}

static void take(struct call *c, const struct seccomp_notif *req)
{
	c->tid = (pid_t)req->pid;
	c->id = req->id;
	c->nr = req->data.nr;
	for (int i = 0; i < 6; i++)
		c->arg[i] = req->data.args[i];
	if (c->nr >= 0 && c->nr < RK__CALLS)
		c->n->how.counts->by_nr[c->nr]++;
	c->worker->interrupt = NOT_INTERRUPTED;
	c->worker->id = c->id;
	c->worker->tid = c->tid;
	c->worker->since = now();
}

/* --- workers ------------------------------------------------------------------ */

static _Thread_local struct worker *self;

static int start(struct rk__notifier *n);

/* Waits until it leads. False: it is not needed any more. */
static bool lead(struct worker *w)
{
	struct rk__notifier *n = w->n;
	bool needed = true;

	if (n->leader == w)
		return !n->stop;
	pthread_mutex_lock(&n->lock);
	n->idle++;
	while (needed && n->leader && !n->stop) {
		needed = n->idle <= WORKERS_IDLE_MAX;
		if (needed)
			pthread_cond_wait(&n->no_leader, &n->lock);
	}
	n->idle--;
	needed &= !n->stop;
	if (needed)
		n->leader = w;
	pthread_mutex_unlock(&n->lock);
	return needed;
}

/* If it is `w`, another leads; unless there is none to be had. With the lock. */
static void follow(struct worker *w)
{
	struct rk__notifier *n = w->n;

	if (n->leader != w || n->stop || (!n->idle && start(n) < 0))
		return;
	n->leader = NULL;
	pthread_cond_signal(&n->no_leader);
}

static void let_another_lead(struct worker *w)
{
	if (w->n->leader != w)
		return;
	pthread_mutex_lock(&w->n->lock);
	follow(w);
	pthread_mutex_unlock(&w->n->lock);
}

void worker_may_sleep(void)
{
	if (self)
		let_another_lead(self);
}

/* Calls that may sleep here, and not only where worker_may_sleep() is told. */
static bool sleeps(long nr)
{
	switch (nr) {
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_splice:
	case SYS_tee:
	case SYS_vmsplice:
	case SYS_sendfile:
	case SYS_copy_file_range:
	case SYS_execve:
	case SYS_execveat:
		return true;
	}
	return false;
}

/* Of the leader, with a call. */
static void keep_lead_or_not(struct call *c)
{
	struct rk__notifier *n = c->n;

	if (c->tid != n->last)
		n->many = MANY_CALLS;
	else if (n->many)
		n->many--;
	n->last = c->tid;
	if (n->many || sleeps(c->nr))
		let_another_lead(c->worker);
}

/* Returns false when there is nothing more to wait for. */
static bool receive(struct call *c, struct seccomp_notif *req)
{
	struct rk__notifier *n = c->n;

	for (;;) {
		memset(req, 0, sizeof *req);
		if (n->stop)
			return false;
		if (ioctl(n->how.listener, SECCOMP_IOCTL_NOTIF_RECV, req) == 0)
			return true;
		/* ENOENT: who called was killed, or all have ended */
		if (errno == ENOENT) {
			struct pollfd p = { .fd = n->how.listener };

			if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP)
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
}

static void answer(struct rk__notifier *n, struct seccomp_notif_resp *resp)
{
	while (ioctl(n->how.listener, SECCOMP_IOCTL_NOTIF_SEND, resp) < 0 &&
	       errno == EINTR)
		;
}

/* There is nothing more to wait for. */
static void stop(struct rk__notifier *n)
{
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_broadcast(&n->no_leader);
	pthread_mutex_unlock(&n->lock);
}

static void work(struct worker *w)
{
	struct rk__notifier *n = w->n;
	struct call c = { .n = n, .worker = w, .umask = 022 };
	struct seccomp_notif req;

	self = w;
	/* A directory and a umask of its own. */
	(void)unshare(CLONE_FS);
	umask(022);
	while (lead(w)) {
		struct seccomp_notif_resp resp = { 0 };

		if (!receive(&c, &req)) {
			stop(n);
			break;
		}
		resp.id = req.id;
		take(&c, &req);
		keep_lead_or_not(&c);
		tasks_settle(n);
		serve(&c, &resp);
		w->since = 0;
		if (!c.answered)
			answer(n, &resp);
	}
	if (c.arena)
		munmap(c.arena, ARENA);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg, **at;
	struct rk__notifier *n = w->n;

	work(w);
	pthread_mutex_lock(&n->lock);
	for (at = &n->workers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	n->n_workers--;
	pthread_cond_signal(&n->ended);
	pthread_mutex_unlock(&n->lock);
	free(w);
	return NULL;
}

/* With the lock. */
static int start(struct rk__notifier *n)
{
	struct worker *w = calloc(1, sizeof *w);
	pthread_attr_t attr;
	int e = 0;

	if (!w)
		return -ENOMEM;
	w->n = n;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	if (n->n_workers >= WORKERS_MAX || n->stop)
		e = -EAGAIN;
	else
		e = -pthread_create(&w->thread, &attr, worker_main, w);
	if (e == 0) {
		w->next = n->workers;
		n->workers = w;
		n->n_workers++;
	}
	pthread_attr_destroy(&attr);
	if (e < 0)
		free(w);
	return e;
}

/* --- calls that last ---------------------------------------------------------- */

/* Whether the caller has a signal to take, and how its call is to end then. */
static enum interrupt interrupt_of(pid_t tid)
{
	struct status s;

	if (status_read(tid, &s) < 0)
		return CANCELLED;
	if (s.pending & ~s.blocked)
		return RESTART;
	if (!(s.shared_pending & ~s.blocked))
		return NOT_INTERRUPTED;
	/* Of several threads the kernel has chosen one, the first if it can. To
	 * another, a call that begins again could be one too many. */
	return s.tgid == tid || s.threads == 1 ? RESTART : INTERRUPTED;
}

/* With the lock. Returns whether its call lasts. */
static bool look_after(struct rk__notifier *n, struct worker *w, uint64_t at)
{
	uint64_t since = w->since, id = w->id;
	enum interrupt why = CANCELLED;

	if (!since || at - since < LONG_NS)
		return since != 0;
	follow(w);
	if (ioctl(n->how.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0)
		why = interrupt_of(w->tid);
	if (why != NOT_INTERRUPTED && w->id == id && w->since == since) {
		w->interrupt = why;
		pthread_kill(w->thread, WAKE_SIGNAL);
	}
	return true;
}

bool rk__notifier_tick(struct rk__notifier *n, int *ret_next_ms)
{
	struct pollfd p = { .fd = n->how.listener };
	uint64_t at = now();
	bool lasts = false;

	tasks_settle(n);
	pthread_mutex_lock(&n->lock);
	for (struct worker *w = n->workers; w; w = w->next)
		lasts |= look_after(n, w, at);
	pthread_mutex_unlock(&n->lock);
	*ret_next_ms = lasts ? LONG_TICK_MS : RK__NOTIFY_TICK_MS;
	return poll(&p, 1, 0) <= 0 || !(p.revents & POLLHUP);
}

/* --- a life ------------------------------------------------------------------- */

static void woken(int sig)
{
}

static void prepare_signals(void)
{
	struct sigaction sa = { .sa_handler = woken };

	sigaction(WAKE_SIGNAL, &sa, NULL);
}

static int prepare(struct rk__notifier *n)
{
	struct epoll_event e = { .events = EPOLLIN };
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;

	prepare_signals();
	/* Since Linux 6.6; before, a call takes longer. */
	(void)ioctl(n->how.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	n->may_switch = geteuid() == 0;
	n->events = epoll_create1(EPOLL_CLOEXEC);
	if (n->events < 0 ||
	    epoll_ctl(n->events, EPOLL_CTL_ADD,
		      rk__registry_fd(n->how.registry), &e) < 0)
		return -errno;
	return ids_own(&n->own);
}

int rk__notifier_create(const struct rk__notifier_how *how,
			struct rk__notifier **ret)
{
	struct rk__notifier *n = calloc(1, sizeof *n);
	int e;

	if (!n)
		return -ENOMEM;
	n->how = *how;
	pthread_mutex_init(&n->lock, NULL);
	pthread_mutex_init(&n->settling, NULL);
	pthread_mutex_init(&n->install, NULL);
	pthread_mutex_init(&n->pinning, NULL);
	pthread_cond_init(&n->ended, NULL);
	pthread_cond_init(&n->no_leader, NULL);
	e = prepare(n);
	pthread_mutex_lock(&n->lock);
	if (e == 0)
		e = start(n);
	pthread_mutex_unlock(&n->lock);
	if (e < 0)
		rk__notifier_destroy(n);
	else
		*ret = n;
	return e;
}

int rk__notifier_fd(const struct rk__notifier *n)
{
	return n->events;
}

int rk__notifier_cwd(struct rk__notifier *n, pid_t pid, uint32_t *ret_server,
		     struct rk_ticket *ret)
{
	struct task *t;
	int e;

	pthread_mutex_lock(&n->lock);
	t = n->task[(unsigned)pid % TASK_BUCKETS];
	while (t && t->pid != pid)
		t = t->next;
	if (t)
		t->refs++;
	pthread_mutex_unlock(&n->lock);
	if (!t)
		return -ENOENT;
	e = task_cwd_ticket(n, t, ret_server, ret);
	task_put(n, t);
	return e;
}

/* Until the last is out of its call. */
static void stop_workers(struct rk__notifier *n)
{
	struct timespec t;

	stop(n);
	pthread_mutex_lock(&n->lock);
	while (n->n_workers) {
		for (struct worker *w = n->workers; w; w = w->next) {
			w->interrupt = CANCELLED;
			pthread_kill(w->thread, WAKE_SIGNAL);
		}
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += LONG_TICK_MS * 1000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&n->ended, &n->lock, &t);
	}
	pthread_mutex_unlock(&n->lock);
}

void rk__notifier_destroy(struct rk__notifier *n)
{
	if (!n)
		return;
	stop_workers(n);
	pinned_destroy(n);
	tasks_destroy(n);
	close(n->how.listener);
	if (n->events >= 0)
		close(n->events);
	pthread_mutex_destroy(&n->lock);
	pthread_mutex_destroy(&n->settling);
	pthread_mutex_destroy(&n->install);
	pthread_mutex_destroy(&n->pinning);
	pthread_cond_destroy(&n->ended);
	pthread_cond_destroy(&n->no_leader);
	free(n);
}
