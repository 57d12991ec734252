/*
 * run_child.c - calls that return twice, and who looks at the stack while a
 * call waits: cancellation and backtraces.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"

/* --- children ---------------------------------------------------------------- */

static int child_run(void *arg)
{
	struct stat st;

	*(int *)arg = stat("/", &st) ? 1 : 42;
	return 5;
}

static void child_of_clone(int flags)
{
	size_t size = 65536;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result = 0, status;
	pid_t pid;

	pid = clone(child_run, stack + size, flags | SIGCHLD, &result);
	check(pid > 0);
	check(waitpid(pid, &status, 0) == pid);
	check(status == 5 << 8);
	check(result == (flags & CLONE_VM ? 42 : 0));
	munmap(stack, size);
}

/* Not inlined: its frame is what a child of vfork could spoil. */
static __attribute__((noinline)) int vfork_once(int n)
{
	volatile int local[64];
	int status;
	pid_t pid;

	for (int i = 0; i < 64; i++)
		local[i] = n + i;
	pid = vfork();
	if (!pid) {
		char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 9",
				NULL};

		if (n & 1)
			_exit(9);
		/* Other calls of it meanwhile. */
		close(dup(0));
		execv("/bin/sh", argv);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	for (int i = 0; i < 64; i++)
		if (local[i] != n + i)
			return -2;
	return WEXITSTATUS(status);
}

static void *vfork_run(void *arg)
{
	for (int i = 0; i < 10; i++)
		if (vfork_once(i) != 9)
			return NULL;
	return arg;
}

void children(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 3", NULL};
	char *env[] = {NULL}, line[16];
	posix_spawn_file_actions_t actions;
	pthread_t t[4];
	int status;
	pid_t pid;
	void *r;
	FILE *f;

	patch_all(true);
	child_of_clone(0);
	child_of_clone(CLONE_VM);
	child_of_clone(CLONE_VM | CLONE_VFORK);
	for (int i = 0; i < 20; i++)
		check(vfork_once(i) == 9);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, vfork_run, t);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		check(r == t);
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 9);
	check(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, env) == 0);
	check(waitpid(pid, &status, 0) == pid);
	check(status == 3 << 8);
	check(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, env) ==
	      ENOENT);
	check(system("exit 4") == 4 << 8);
	f = popen("echo hello", "r");
	check(f && fgets(line, sizeof(line), f));
	check(!strcmp(line, "hello\n"));
	check(pclose(f) == 0);
	check(probe_calls[SYS_vfork] >= 60);
	pid = (pid_t)syscall(SYS_fork);
	if (!pid)
		_exit(6);
	check(waitpid(pid, &status, 0) == pid);
	check(status == 6 << 8);
}

/* --- who looks at the stack -------------------------------------------------- */

static _Atomic int cleaned, entered;

static void clean(int *p)
{
	cleaned += *p;
}

static void *wait_for_ever(void *arg)
{
	__attribute__((cleanup(clean), unused)) int one = 1;
	char c;

	entered = 1;
	while (read(*(int *)arg, &c, 1) != 0)
		;
	return NULL;
}

static void cancelled(bool stub)
{
	int p[2];
	void *r;

	patch_all(stub);
	check(pipe(p) == 0);
	for (int i = 0; i < 200; i++) {
		pthread_t t;

		cleaned = entered = 0;
		check(pthread_create(&t, NULL, wait_for_ever, p) == 0);
		while (!entered)
			sched_yield();
		/* At any place of the call. */
		usleep((unsigned)(i % 5) * 100);
		pthread_cancel(t);
		pthread_join(t, &r);
		check(r == PTHREAD_CANCELED);
		check(cleaned == 1);
	}
}

void cancel_unwinds(void)
{
	cancelled(false);
}

void cancel_unwinds_out_of_the_stub_page(void)
{
	cancelled(true);
}

static void *frames[32];
static volatile int n_frames;

static void on_signal(int n)
{
	n_frames = backtrace(frames, 32);
}

static __attribute__((noinline)) int reads(int fd)
{
	char c;
	int n = (int)read(fd, &c, 1);

	__asm__ volatile("" ::: "memory");
	return n + 1;
}

void backtrace_passes(void)
{
	struct sigaction a = {.sa_handler = on_signal};
	struct itimerval soon = {{0, 0}, {0, 50000}};
	bool found = false;
	int p[2];

	backtrace(frames, 1);
	patch_all(true);
	check(pipe(p) == 0);
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	check(reads(p[0]) == 0);
	for (int i = 0; i < n_frames; i++)
		found |= (uintptr_t)frames[i] - (uintptr_t)reads < 200;
	check(found);
}
