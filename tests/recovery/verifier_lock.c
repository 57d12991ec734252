/*
 * verifier_lock.c - locks from their difficult side: what is refused, waits
 * that a signal ends, circles of waits, holders and waiters that are killed. In
 * the worker's own directory, so that each result is known.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "verifier.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct pair {
	int a, b;		/* two open descriptions of one file */
};

static int range(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start,
		.l_len = len,
	};

	return fcntl(fd, command, &l);
}

/* --- what is refused ------------------------------------------------------------ */

static void refuse(struct worker *w, const struct pair *p)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	MUST(flock(p->a, LOCK_EX), 0);
	MUST_FAIL(flock(p->b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	MUST(flock(p->a, LOCK_SH), 0);
	MUST(flock(p->b, LOCK_SH | LOCK_NB), 0);
	MUST_FAIL(flock(p->b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	MUST(flock(p->a, LOCK_UN), 0);
	/* What was asked for in vain has cost what it had. */
	MUST(flock(p->a, LOCK_EX | LOCK_NB), 0);
	MUST(flock(p->a, LOCK_UN), 0);
	MUST(flock(p->b, LOCK_UN), 0);

	MUST(range(p->a, F_OFD_SETLK, F_WRLCK, 0, 100), 0);
	MUST(range(p->a, F_OFD_SETLK, F_UNLCK, 40, 20), 0);
	MUST_FAIL(range(p->b, F_OFD_SETLK, F_RDLCK, 39, 2), EAGAIN);
	MUST(range(p->b, F_OFD_SETLK, F_WRLCK, 40, 20), 0);
	MUST(fcntl(p->b, F_OFD_GETLK, &l), 0);
	MUST_BE(l.l_type == F_WRLCK && l.l_start == 0 && l.l_len == 40);
	MUST(range(p->b, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
	MUST(range(p->a, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
}

/* --- waits that a signal ends ----------------------------------------------------- */

/* More than one signal: the first may come before the wait. */
static int make_timer(timer_t *ret)
{
	struct sigevent e = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1,
	};

	e.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	return timer_create(CLOCK_MONOTONIC, &e, ret);
}

static void ring(timer_t timer, long ns)
{
	struct itimerspec t = {
		.it_value.tv_nsec = ns, .it_interval.tv_nsec = ns,
	};

	timer_settime(timer, 0, &t, NULL);
}

static void end_waits(struct worker *w, const struct pair *p, timer_t timer)
{
	long ns = 200000 + draw(w, 3000000);

	MUST(flock(p->a, LOCK_EX), 0);
	ring(timer, ns);
	MUST_FAIL(flock(p->b, LOCK_EX), EINTR);
	ring(timer, 0);
	MUST(flock(p->a, LOCK_UN), 0);
	/* Nobody was given it who was told EINTR. */
	MUST(flock(p->a, LOCK_EX | LOCK_NB), 0);
	MUST(flock(p->a, LOCK_UN), 0);

	MUST(range(p->a, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
	ring(timer, ns);
	MUST_FAIL(range(p->b, F_OFD_SETLKW, F_WRLCK, 5, 10), EINTR);
	ring(timer, 0);
	MUST(range(p->a, F_OFD_SETLK, F_UNLCK, 0, 10), 0);
	MUST(range(p->a, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
	MUST(range(p->a, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
}

static void interrupt(struct worker *w, const struct pair *p)
{
	timer_t timer;

	MUST(make_timer(&timer), 0);
	end_waits(w, p, timer);
	MUST(timer_delete(timer), 0);
}

/* --- a circle of waits ------------------------------------------------------------- */

static _Noreturn void wait_in_circle(const char *name, int dir, int tell)
{
	int fd = openat(dir, name, O_RDWR);

	if (fd < 0 || range(fd, F_SETLK, F_WRLCK, 1, 1) < 0)
		_exit(2);
	(void)!write(tell, "", 1);
	if (range(fd, F_SETLKW, F_WRLCK, 0, 1) == 0)
		_exit(0);
	_exit(errno == EDEADLK ? 1 : 2);
}

/* One of the two is told EDEADLK, and the other gets the lock. */
static void circle(struct worker *w, const struct pair *p, const char *name)
{
	int ready[2], status = -1;
	long long r;
	pid_t pid;
	char c;

	MUST(range(p->a, F_SETLK, F_WRLCK, 0, 1), 0);
	MUST(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		wait_in_circle(name, w->own, ready[1]);
	MUST_BE(pid > 0);
	close(ready[1]);
	MUST(read(ready[0], &c, 1), 1);
	close(ready[0]);
	usleep(draw(w, 2000));
	r = OR_ERRNO(range(p->a, F_SETLKW, F_WRLCK, 1, 1));
	MUST_BE(r == 0 || r == -EDEADLK);
	MUST(range(p->a, F_SETLK, F_UNLCK, 0, 0), 0);
	MUST(waitpid(pid, &status, 0), pid);
	MUST_BE(WIFEXITED(status));
	MUST(WEXITSTATUS(status), r == 0);
}

/* --- holders and waiters that are killed -------------------------------------------- */

static _Noreturn void hold(const struct pair *p, int tell)
{
	if (flock(p->a, LOCK_EX) < 0 ||
	    range(p->a, F_SETLK, F_WRLCK, 0, 10) < 0)
		_exit(1);
	(void)!write(tell, "", 1);
	for (;;)
		pause();
}

/* Both waits are one after the other, whichever the kill meets. */
static _Noreturn void wait_long(const struct pair *p)
{
	(void)!range(p->b, F_SETLKW, F_WRLCK, 5, 1);
	(void)!flock(p->b, LOCK_EX);
	for (;;)
		pause();
}

static void reap(struct worker *w, pid_t pid)
{
	int status = 0;

	MUST(kill(pid, SIGKILL), 0);
	MUST(waitpid(pid, &status, 0), pid);
	MUST_BE(WIFSIGNALED(status));
}

/* The children open the file themselves: a description is shared by fork. */
static pid_t start(const char *name, int dir, bool holder, int tell)
{
	struct pair p;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	p.a = p.b = openat(dir, name, O_RDWR);
	if (p.a < 0)
		_exit(1);
	if (holder)
		hold(&p, tell);
	wait_long(&p);
}

static void kill_holders(struct worker *w, const struct pair *p,
			 const char *name)
{
	pid_t holder, waiter;
	int ready[2];
	char c;

	MUST(pipe2(ready, O_CLOEXEC), 0);
	holder = start(name, w->own, true, ready[1]);
	MUST_BE(holder > 0);
	close(ready[1]);
	MUST(read(ready[0], &c, 1), 1);
	close(ready[0]);
	MUST_FAIL(flock(p->b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	MUST_FAIL(range(p->b, F_OFD_SETLK, F_RDLCK, 9, 5), EAGAIN);
	waiter = start(name, w->own, false, -1);
	MUST_BE(waiter > 0);
	usleep(draw(w, 3000));
	if (draw(w, 2)) {
		reap(w, waiter);
		reap(w, holder);
	} else {
		reap(w, holder);
		usleep(draw(w, 1000));
		reap(w, waiter);
	}
	/* The kernel tells of a dead holder's close a little later: wait. */
	MUST(flock(p->b, LOCK_EX), 0);
	MUST(range(p->b, F_OFD_SETLKW, F_WRLCK, 0, 0), 0);
	MUST(range(p->b, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
	MUST(flock(p->b, LOCK_UN), 0);
}

void lock_step(struct worker *w)
{
	uint32_t what = draw(w, 10);
	struct pair p;
	char name[40];

	snprintf(name, sizeof name, "k%lu", (unsigned long)++w->serial);
	MUST_OPEN(p.a, openat(w->own, name, O_RDWR | O_CREAT | O_EXCL |
			      O_CLOEXEC, 0644));
	MUST_OPEN(p.b, openat(w->own, name, O_RDWR | O_CLOEXEC));
	if (what < 5)
		refuse(w, &p);
	else if (what < 7)
		interrupt(w, &p);
	else if (what < 8)
		circle(w, &p, name);
	else
		kill_holders(w, &p, name);
	MUST(close(p.a), 0);
	MUST(close(p.b), 0);
	MUST(unlinkat(w->own, name, 0), 0);
}
