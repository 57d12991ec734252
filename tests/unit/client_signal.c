/*
 * client_signal.c - the client library in signal handlers that interrupt its
 * calls, are left by siglongjmp, or fork; pools of channels, and children without
 * the C library's fork.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "fake_server.h"
#include "links.h"
#include "rump/client.h"

TestSuite(client_signal, .init = fake_start, .fini = fake_stop, .timeout = 600);

enum { SIGNALS = 1500 };

static struct rk_client *client;
static sigjmp_buf back;
static volatile sig_atomic_t signals, jumps, wrong, may_jump;
static _Atomic bool stop, sent;

static struct rk_client *attach(unsigned flags)
{
	cr_assert_eq(rk_attach(fake.path, flags, &client), 0);
	return client;
}

static void io(uint64_t len)
{
	uint8_t buf[3000];

	if (rk_pread(client, 3, buf, len, 7) != (int64_t)len)
		wrong = 1;
	for (uint64_t i = 0; i < len; i++)
		if (buf[i] != pattern(7 + i))
			wrong = 2;
	if (rk_pwrite(client, 3, buf, len, 7) != (int64_t)len)
		wrong = 3;
}

static void on_signal(int signal)
{
	(void)signal;
	signals++;
	io(1 + (uint64_t)signals % 100);
	if (may_jump && signals % 7 == 0) {
		jumps++;
		siglongjmp(back, 1);
	}
	atomic_store(&sent, false);
}

/* One at a time: siglongjmp lets the next in before it leaves. */
static void *send_signals(void *arg)
{
	while (!atomic_load(&stop)) {
		if (atomic_load(&sent))
			continue;
		for (volatile int i = 0; i < 300; i++)
			;
		atomic_store(&sent, true);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

/* Deeper or less deep, so that marks of dead calls lie on both sides. */
static __attribute__((noinline)) void io_below(unsigned depth)
{
	volatile char room[200];

	room[0] = room[199] = 1;
	if (depth)
		io_below(depth - 1);
	else
		io(1000);
	room[1] = room[0];
}

static void under_signals(unsigned flags, int sa_flags, bool jump)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = sa_flags };
	pthread_t self = pthread_self(), other;

	attach(flags);
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&other, NULL, send_signals, &self);
	if (sigsetjmp(back, 1))
		atomic_store(&sent, false);
	may_jump = jump;
	while (signals < SIGNALS)
		io_below((unsigned)signals % 5);
	may_jump = 0;
	atomic_store(&stop, true);
	pthread_join(other, NULL);
	cr_assert_eq(wrong, 0, "%d", wrong);
	cr_assert(!jump || jumps > SIGNALS / 10);
	io(3000);
	cr_assert_eq(wrong, 0);
	rk_detach(client);
}

Test(client_signal, a_handler_makes_calls)
{
	under_signals(0, 0, false);
	cr_expect_leq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 1);
}

Test(client_signal, a_handler_makes_calls_on_a_socket)
{
	under_signals(RK_ATTACH_SOCKET, 0, false);
}

Test(client_signal, a_handler_is_left)
{
	under_signals(0, SA_RESTART, true);
	/* What was left is used again. */
	cr_expect_leq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 12);
}

/* As it was before, again: a sanitizer has one of its own, and takes it down. */
static void on_alternate_stack(bool left)
{
	const stack_t s = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	stack_t before;

	sigaltstack(&s, &before);
	under_signals(0, SA_ONSTACK, left);
	sigaltstack(&before, NULL);
	free(s.ss_sp);
}

Test(client_signal, a_handler_on_a_stack_of_its_own)
{
	on_alternate_stack(false);
	cr_expect_leq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 1);
}

Test(client_signal, a_handler_on_a_stack_of_its_own_is_left)
{
	on_alternate_stack(true);
	cr_expect_leq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 12);
}

/* A thread's stack may lie below or above that of its handlers. */
static void *on_a_thread(void *arg)
{
	(void)arg;
	on_alternate_stack(true);
	return NULL;
}

Test(client_signal, a_thread_with_two_stacks)
{
	pthread_t t;

	pthread_create(&t, NULL, on_a_thread, NULL);
	pthread_join(t, NULL);
}

static void leave(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

Test(client_signal, a_wait_that_is_left)
{
	struct sigaction sa = { .sa_handler = leave };
	const struct itimerval soon = { .it_value.tv_usec = 20000 };

	attach(0);
	sigaction(SIGALRM, &sa, NULL);
	for (volatile int i = 0; i < 5; i++) {
		if (sigsetjmp(back, 1) == 0) {
			setitimer(ITIMER_REAL, &soon, NULL);
			rk_flock(client, 3, LOCK_EX);
		}
		cr_assert_eq(rk_null(client), 0);
	}
	cr_expect_eq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 0);
	rk_detach(client);
}

/* --- children ------------------------------------------------------------------- */

static pid_t child;
static volatile sig_atomic_t forked;
static const struct itimerval often = {
	.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000,
};

/* Again, should the call not have begun yet. */
static void fork_in_handler(int signal)
{
	(void)signal;
	if (forked)
		return;
	forked = 1;
	child = fork();
	if (child == 0)
		setitimer(ITIMER_REAL, &often, NULL);
}

/* Both come back to the call, and both have its answer. */
Test(client_signal, a_handler_forks)
{
	struct sigaction sa = { .sa_handler = fork_in_handler };
	const struct itimerval never = { 0 };
	int status;

	attach(0);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	cr_assert_eq(rk_flock(client, 3, LOCK_EX), -EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	if (child == 0)
		_exit(rk_null(client) != 0);
	cr_assert_eq(rk_null(client), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	rk_detach(client);
}

Test(client_signal, a_child_that_forgets)
{
	struct rk_client *again;
	int status;
	pid_t pid;

	attach(0);
	rk__thread_end();
	cr_assert_eq(rk_null(client), 0);
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_ATTACH]), 1);
	rk_detach(client);
	rk__fork_before(false);
	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0) {
		rk__fork_child();
		_exit(rk_attach(fake.path, 0, &again) || rk_null(again));
	}
	rk__fork_parent();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_FORK]), 0);
}

Test(client_signal, a_child_in_the_same_process)
{
	struct rk_client *c = attach(RK_ATTACH_POOL), *other;
	int64_t mine = rk_getfl(c, 0);

	cr_assert_eq(rk_attach_child(c, 0, &other), 0);
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_FORK]), 1);
	cr_assert_neq(rk_getfl(other, 0), mine);
	cr_assert_eq(rk_getfl(c, 0), mine);
	rk_detach(c);
	cr_assert_eq(rk_null(other), 0);
	rk_detach(other);
}

/* --- pools ------------------------------------------------------------------------ */

static void *many_calls(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++)
		io(500);
	return NULL;
}

Test(client_signal, a_pool)
{
	struct rk_completion done;
	pthread_t t[20];

	attach(RK_ATTACH_POOL);
	for (int i = 0; i < 1000; i++)
		io(10);
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 0);
	for (int i = 0; i < 20; i++)
		pthread_create(&t[i], NULL, many_calls, NULL);
	for (int i = 0; i < 20; i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(wrong, 0);
	cr_assert_eq(rk_submit_null(client, 1), -EINVAL);
	cr_assert_eq(rk_complete(client, &done, 1, 0), -EINVAL);
	rk_detach(client);
}
