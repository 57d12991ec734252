/*
 * zygote.c - see zygote.h. An order is one message with one descriptor, the
 * answer is the new pid.
 *
 * Children are made with the bare system call, because glibc's fork cannot
 * make a sibling. What glibc's fork does besides: it runs atfork handlers (we
 * have none) and takes locks that other threads might hold (there are none),
 * and has the kernel write the new tid into the thread's control block, which
 * we do too, at the address that the kernel can tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "gate/notice.h"
#include "keeper/keeper.h"
#include "server/loop.h"
#include "supervisor/message.h"
#include "supervisor/proc.h"
#include "supervisor/zygote.h"

enum { ANSWER_LOOK_MS = 100, STOPPED_LOOKS = 10 };

struct order {
	uint32_t kind;			/* enum rk__spawn_kind */
	uint32_t generation;
	uint32_t how;
};

struct hello {
	int32_t error;
	char sentence[RK_SERVER_ERROR_LEN];
};

/* What the zygote and its children know; set before the fork. */
static struct rk__views *views;
static pid_t supervisor;
static unsigned long tid_address;

/* Dies with the supervisor, even if it was too late to ask for that. */
static void bind_life(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(0);
}

static void default_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			sigaction(i, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		sigaction(ignored[i], &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static pid_t fork_sibling(void)
{
	uint64_t flags = CLONE_PARENT |
			 (tid_address ? CLONE_CHILD_SETTID |
			  CLONE_CHILD_CLEARTID : 0);
	struct clone_args a = { .flags = flags, .child_tid = tid_address };
	long pid = syscall(SYS_clone3, &a, sizeof a);

	/* some sandboxes know no clone3 */
	if (pid < 0 && (errno == ENOSYS || errno == EPERM))
		pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, tid_address, 0);
	return pid < 0 ? -errno : pid;
}

static const char *const names[] = {
	[RK_SPAWN_SERVER] = "rumpserver",
	[RK_SPAWN_KEEPER] = "rump-keeper",
	[RK_SPAWN_NOTIFIER] = "rump-notifier",
};

static _Noreturn void become(int zygote_fd, const struct order *o, int fd)
{
	bool keeper = o->kind == RK_SPAWN_KEEPER;
	const struct rk__family *f;

	close(zygote_fd);
	bind_life();
	setsid();
	prctl(PR_SET_NAME, names[o->kind]);
	f = rk__views_keep(views, keeper);
	/* a hostile driver must not write on somebody's terminal */
	if (!keeper && !RK_SANITIZED)
		dup2(STDIN_FILENO, STDERR_FILENO);
	if (keeper)
		rk__keeper_run(f, o->how, fd);
	if (o->kind == RK_SPAWN_NOTIFIER)
		rk__notifier_run(f, o->generation, fd);
	rk__server_run((struct rk__family *)f, fd, o->generation, o->how);
}

static _Noreturn void serve(int fd)
{
	struct order o;
	int32_t pid;
	int given;

	for (;;) {
		ssize_t n = rk__message_receive(fd, &o, sizeof o, &given, 1);

		if (n == -EINTR)
			continue;
		if (n != sizeof o || given < 0)
			_exit(0);
		pid = fork_sibling();
		if (pid == 0 && o.kind != RK_SPAWN_SPARE)
			become(fd, &o, given);
		if (pid == 0) {
			bind_life();
			setsid();
			close(fd);
			fd = given;
			continue;
		}
		close(given);
		if (rk__message_send(fd, &pid, sizeof pid, NULL, 0) < 0)
			_exit(0);
	}
}

/* Nothing but stderr is shared with whoever started us. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static _Noreturn void run(int fd)
{
	struct hello h = { 0 };

	bind_life();
	setsid();
	rk__views_only(views, fd);
	default_signals();
	leave_terminal();
	prctl(PR_SET_NAME, "rump-zygote");
	if (prctl(PR_GET_TID_ADDRESS, &tid_address) < 0)
		tid_address = 0;
	h.error = rk__sandbox_make(&views->server);
	snprintf(h.sentence, sizeof h.sentence,
		 "cannot make the sandbox: %s", strerror(-h.error));
	if (rk__message_send(fd, &h, sizeof h, NULL, 0) < 0 || h.error)
		_exit(0);
	serve(fd);
}

static int greet(struct rk__zygote *z, char *error)
{
	struct hello h;
	ssize_t n;

	do
		n = rk__message_receive(z->fd, &h, sizeof h, NULL, 0);
	while (n == -EINTR);
	if (n == sizeof h && !h.error)
		return 0;
	if (n == sizeof h)
		snprintf(error, RK_SERVER_ERROR_LEN, "%.*s",
			 RK_SERVER_ERROR_LEN - 1, h.sentence);
	else
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "the process that makes servers ended");
	return n == sizeof h ? h.error : -ECHILD;
}

int rk__zygote_start(struct rk__views *v, struct rk__zygote *ret, char *error)
{
	struct rk__zygote z;
	int pair[2], e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto fail;
	views = v;
	supervisor = getpid();
	fflush(NULL);
	z.pid = fork();
	if (z.pid == 0) {
		close(pair[0]);
		run(pair[1]);
	}
	e = errno;
	close(pair[1]);
	z.fd = pair[0];
	errno = e;
	if (z.pid < 0) {
		close(z.fd);
		goto fail;
	}
	e = greet(&z, error);
	if (e < 0)
		rk__zygote_stop(&z);
	else
		*ret = z;
	return e;
fail:
	e = -errno;
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot fork: %s", strerror(-e));
	return e;
}

/* However slow the machine is, there is one, unless it is stopped: then it dies,
 * so that it forks nobody later. */
static int wait_for_answer(const struct rk__zygote *z)
{
	struct pollfd p = { .fd = z->fd, .events = POLLIN };
	unsigned stopped = 0;
	int n;

	while ((n = poll(&p, 1, ANSWER_LOOK_MS)) <= 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		stopped = rk__proc_stopped(z->pid) ? stopped + 1 : 0;
		if (stopped < STOPPED_LOOKS)
			continue;
		kill(z->pid, SIGKILL);
		return -EPIPE;
	}
	return 0;
}

pid_t rk__zygote_spawn(const struct rk__zygote *z, enum rk__spawn_kind kind,
		       uint32_t generation, uint32_t how, int fd)
{
	struct order o = {
		.kind = kind, .generation = generation, .how = how,
	};
	int32_t pid;
	ssize_t n;

	if (!z->pid)
		return -EPIPE;
	n = rk__message_send(z->fd, &o, sizeof o, &fd, 1);
	if (n == 0)
		n = wait_for_answer(z);
	if (n < 0)
		return n;
	do
		n = rk__message_receive(z->fd, &pid, sizeof pid, NULL, 0);
	while (n == -EINTR);
	return n == sizeof pid ? pid : -EPIPE;
}

int rk__zygote_spare(const struct rk__zygote *z, struct rk__zygote *ret)
{
	int pair[2], pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = rk__zygote_spawn(z, RK_SPAWN_SPARE, 0, 0, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return pid;
	}
	*ret = (struct rk__zygote){ .pid = pid, .fd = pair[0] };
	return 0;
}

void rk__zygote_stop(struct rk__zygote *z)
{
	if (!z->pid)
		return;
	close(z->fd);
	while (waitpid(z->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*z = (struct rk__zygote){ .fd = -1 };
}
