/*
 * program.c - see run.h. The child is forked before there is anything of the
 * supervisor's that it could inherit, and stays in the process group and on
 * the terminal, so that job control sees the program as it always does.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "run.h"
#include "supervisor/message.h"

enum step { STEP_VIEW, STEP_GO };

struct order {
	enum step step;
	char socket_path[128];		/* STEP_GO */
};

/* One for each mount, and one at the end. */
struct answer {
	int32_t error;
	bool done;
	uint32_t mount;
	char sentence[RK_SERVER_ERROR_LEN];
};

/* --- is it there? ------------------------------------------------------------ */

struct wanted {
	const char *path;
	bool found;
};

static void compare(void *arg, const char *mount)
{
	struct wanted *w = arg;

	w->found |= strncmp(w->path, mount, strlen(mount)) == 0;
}

static bool may_be_in_mount(const struct run *r, const char *path)
{
	struct wanted w = { .path = path };

	/* what a link or `..` leads to is seen when it is executed */
	if (*path == '/')
		view_each_path(r, compare, &w);
	return w.found;
}

/* Without a mount the kernel would not find it, nor the working directory. */
static bool proxy_alone_finds(const struct run *r, const char *name)
{
	const char *dir = getenv("PATH");
	char path[PATH_MAX];
	bool found = getcwd(path, sizeof path) && may_be_in_mount(r, path);

	if (r->config.fuse)
		return false;
	if (strchr(name, '/'))
		return found || may_be_in_mount(r, name) ||
		       access(name, X_OK) < 0;
	for (; dir && *dir && !found;
	     dir += strcspn(dir, ":"), dir += *dir == ':') {
		snprintf(path, sizeof path, "%.*s/", (int)strcspn(dir, ":"),
			 dir);
		found = may_be_in_mount(r, path);
	}
	return found;
}

static int not_found(const char *name)
{
	complain("program not found: %s", name);
	return RUMP_NOT_FOUND;
}

static int not_executable(const char *name, int e)
{
	complain("cannot execute %s: %s", name, strerror(e));
	return RUMP_CANNOT_RUN;
}

static int look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? ENOENT : errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return access(path, X_OK) < 0 ? EACCES : 0;
}

int program_find(const struct run *r, const char *name)
{
	const char *dir = getenv("PATH");
	char path[PATH_MAX];
	int e = ENOENT;

	/* then nothing here says what is there */
	if (view_has_root(r) || r->n_binds)
		return 0;
	if (strchr(name, '/')) {
		e = may_be_in_mount(r, name) ? 0 : look_at(name);
		return e == ENOENT ? not_found(name) :
		       e ? not_executable(name, e) : 0;
	}
	for (; dir && *dir; dir += strcspn(dir, ":"), dir += *dir == ':') {
		snprintf(path, sizeof path, "%.*s/%s", (int)strcspn(dir, ":"),
			 dir, name);
		if (may_be_in_mount(r, path) || look_at(path) == 0)
			return 0;
		if (look_at(path) == EACCES)
			e = EACCES;
	}
	return e == EACCES ? not_executable(name, e) : not_found(name);
}

/* --- the child --------------------------------------------------------------- */

static int answer(int fd, struct answer *a, int passed)
{
	return rk__message_send(fd, a, sizeof *a, &passed, passed >= 0);
}

static int mounted(void *arg, uint32_t i, int fuse)
{
	struct answer a = { .mount = i };

	return answer(*(int *)arg, &a, fuse);
}

static void make_view(int fd, const struct run *r)
{
	struct answer a = { .done = true };

	a.error = view_make(r, mounted, &fd, a.sentence);
	answer(fd, &a, -1);
}

static _Noreturn void become(const struct run *r, char **argv,
			     const struct order *o,
			     const struct rlimit *limits, pid_t parent)
{
	int e;

	setrlimit(RLIMIT_NOFILE, limits);
	setenv("RUMP_SOCKET", o->socket_path, 1);
	/* Entering a user namespace would have undone it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(RUMP_FAILED);
	if (proxy_is_on(r))
		proxy_become(r, argv, o->socket_path,
			     proxy_alone_finds(r, argv[0]));
	else
		execvp(argv[0], argv);
	e = errno;
	_exit(e == ENOENT || e == ENOTDIR ? not_found(argv[0]) :
	      not_executable(argv[0], e));
}

static _Noreturn void child(int fd, const struct run *r, char **argv,
			    const struct rlimit *limits, pid_t parent)
{
	struct order o;
	ssize_t n;

	for (;;) {
		n = rk__message_receive(fd, &o, sizeof o, NULL, 0);
		if (n == -EINTR)
			continue;
		if (n != sizeof o)
			_exit(RUMP_FAILED);
		if (o.step == STEP_GO)
			become(r, argv, &o, limits, parent);
		make_view(fd, r);
	}
}

/* --- the supervisor's side --------------------------------------------------- */

int program_fork(struct run *r, char **argv,
		 const struct rlimit *limits, struct program *ret, char *error)
{
	pid_t parent = getpid();
	int pair[2], e;

	if (proxy_is_on(r) && proxy_fork(r, error) < 0)
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto fail;
	fflush(NULL);
	ret->pid = fork();
	if (ret->pid == 0) {
		close(pair[0]);
		child(pair[1], r, argv, limits, parent);
	}
	e = errno;
	close(pair[1]);
	if (proxy_is_on(r))
		close(r->proxy.listener[0]);
	ret->fd = pair[0];
	if (ret->pid > 0)
		return 0;
	close(pair[0]);
	errno = e;
fail:
	e = -errno;
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot fork: %s", strerror(-e));
	return e;
}

static int receive(const struct program *p, struct answer *ret, int *ret_fd,
		   char *error)
{
	ssize_t n;

	do
		n = rk__message_receive(p->fd, ret, sizeof *ret, ret_fd, 1);
	while (n == -EINTR);
	if (n == sizeof *ret && !ret->error)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "%.*s", RK_SERVER_ERROR_LEN - 1,
		 n == sizeof *ret ? ret->sentence :
		 "the process that makes the mounts ended");
	return n == sizeof *ret ? ret->error : -ECHILD;
}

int program_mount(const struct program *p, struct rk__supervisor *s,
		  char *error)
{
	struct order o = { .step = STEP_VIEW };
	struct answer a = { .done = false };
	int fd, e = rk__message_send(p->fd, &o, sizeof o, NULL, 0);

	if (e < 0)
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "the process that makes the mounts ended");
	while (!e && !a.done) {
		fd = -1;
		/* what it mounted may be in its way to the next */
		if (s)
			e = rk__supervisor_await(s, p->fd, error);
		if (!e)
			e = receive(p, &a, &fd, error);
		if (!e && !a.done)
			e = rk__supervisor_fuse(s, a.mount, fd, error);
	}
	return e;
}

int program_go(struct program *p, const char *socket_path)
{
	struct order o = { .step = STEP_GO };
	int e;

	snprintf(o.socket_path, sizeof o.socket_path, "%s", socket_path);
	e = rk__message_send(p->fd, &o, sizeof o, NULL, 0);
	close(p->fd);
	p->fd = -1;
	return e;
}

void program_cancel(struct program *p)
{
	/* Servers were forked since and have it too: a close alone would not
	 * be seen. */
	if (p->fd >= 0) {
		shutdown(p->fd, SHUT_RDWR);
		close(p->fd);
	}
	p->fd = -1;
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* --- signals ----------------------------------------------------------------- */

static pid_t forward_to;

/* What the terminal sends, it sends to the program as well. */
static void forward(int sig, siginfo_t *info, void *context)
{
	int e = errno;

	if (info->si_code <= 0 && info->si_pid != forward_to)
		kill(forward_to, sig);
	errno = e;
}

void program_forward_signals(pid_t pid)
{
	static const int forwarded[] = {
		SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2,
	};
	struct sigaction sa = {
		.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART,
	};

	forward_to = pid;
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaction(forwarded[i], &sa, NULL);
}
