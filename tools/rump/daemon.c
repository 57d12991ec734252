/*
 * daemon.c - a mount for the whole host, served by a daemon that is its
 * supervisor. What goes wrong before the mount is up is said to the caller;
 * afterwards there is nobody to say it to.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "daemon.h"

static struct rk__supervisor *supervisor;

/* Ours has this device number; another one that came to stand there since is
 * none of our business. */
static struct rk__mounted mounted;

static bool is_ours(const char *dir)
{
	struct rk__mounted now;

	return rk__mount_find(dir, &now) == 0 &&
	       now.major == mounted.major && now.minor == mounted.minor;
}

/* A mount that is gone already is what was wanted. */
static int unmount(void *ctx, bool lazy)
{
	const struct mount_request *q = ctx;
	const char *dir = q->config.mount[0].path;
	char error[RK_SERVER_ERROR_LEN];

	return is_ours(dir) ? rk__fuse_unmount(dir, lazy, error) : 0;
}

static void asked_to_end(void *ctx, int sig)
{
	rk__supervisor_ask_stop(supervisor);
}

static int make_mount(struct mount_request *q, char *error)
{
	const struct rk__mount_spec *m = &q->config.mount[0];
	int fd, e;

	if (m->read_only)
		q->how.flags |= MS_RDONLY;
	e = rk__fuse_mount(m->path, &q->how, &fd, error);
	if (e < 0)
		return e;
	rk__mount_find(m->path, &mounted);
	e = rk__supervisor_fuse(supervisor, 0, fd, error);
	if (e < 0)
		rk__fuse_unmount(m->path, true, (char[RK_SERVER_ERROR_LEN]){ 0 });
	return e;
}

static int start(struct mount_request *q, char *error)
{
	static const int end[] = { SIGINT, SIGTERM, SIGHUP };
	char ignored[RK_SERVER_ERROR_LEN];
	struct rlimit old;
	int e;

	raise_limits(&old);
	e = rk__supervisor_start(&q->config, &supervisor, error);
	if (e < 0)
		return e;
	for (size_t i = 0; i < sizeof end / sizeof *end; i++)
		rk__supervisor_signal(supervisor, end[i], asked_to_end, NULL);
	e = make_mount(q, error);
	if (e < 0)
		rk__supervisor_stop(supervisor, NULL, ignored);
	else
		rk__supervisor_on_stop(supervisor, unmount, q);
	return e;
}

static int serve(char *error)
{
	char stop_error[RK_SERVER_ERROR_LEN] = "";
	int e = rk__supervisor_run(supervisor, error);

	if (rk__supervisor_stop(supervisor, NULL, stop_error) < 0 && e == 0) {
		memcpy(error, stop_error, sizeof stop_error);
		e = -EIO;
	}
	return e;
}

static int in_foreground(struct mount_request *q, char *error)
{
	int e = start(q, error);

	return e < 0 ? e : serve(error);
}

static void leave_terminal(bool stderr_too)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (stderr_too)
		dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

/* The daemon. tell: a sentence goes there, or nothing if all is well. */
static _Noreturn void daemon_main(struct mount_request *q, int tell)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	setsid();
	leave_terminal(false);
	if (start(q, error) < 0) {
		(void)!write(tell, error, strlen(error) + 1);
		_exit(RUMP_FAILED);
	}
	(void)!chdir("/");
	leave_terminal(true);
	(void)!write(tell, "", 1);
	close(tell);
	_exit(serve(error) < 0 ? RUMP_FAILED : 0);
}

static int in_background(struct mount_request *q, char *error)
{
	int fd[2], e;
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		goto fail;
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		daemon_main(q, fd[1]);
	}
	close(fd[1]);
	if (pid < 0)
		goto fail;
	do
		n = read(fd[0], error, RK_SERVER_ERROR_LEN - 1);
	while (n < 0 && errno == EINTR);
	close(fd[0]);
	if (n == 1 && !error[0])
		return 0;
	waitpid(pid, NULL, 0);
	if (n <= 0)
		strcpy(error, "the server ended while it started");
	return -EIO;
fail:
	e = -errno;
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot start a process: %s",
		 strerror(-e));
	return e;
}

int daemon_mount(struct mount_request *q, char *error)
{
	return q->foreground ? in_foreground(q, error) :
	       in_background(q, error);
}
