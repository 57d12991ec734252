/*
 * proxy.c - the broker of a run: forked early, told late, ended last. See
 * run_proxy.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "run.h"
#include "runtime.h"
#include "broker/broker.h"
#include "supervisor/message.h"

enum { BACKLOG = 1024 };

static int fail(char *error, const char *what)
{
	int e = errno;

	snprintf(error, RK_SERVER_ERROR_LEN, "the proxy's broker: %s: %s",
		 what, strerror(e));
	return -e;
}

/* --- the broker's process --------------------------------------------------------- */

/* It keeps nobody's terminal or pipe busy, and no signal of the terminal ends
 * or stops it while it has calls to answer. */
static void stand_alone(int control, int listener)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int low = control < listener ? control : listener;
	int high = control < listener ? listener : control;

	setsid();
	for (int fd = 0; fd < 2 && null >= 0; fd++)
		dup2(null, fd);
	if (low > 3)
		syscall(SYS_close_range, 3, low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0u, 0);
}

/* The last that is heard of the program's child before it becomes the program,
 * or -1 if it did not come to that. */
static int receive_listener(int from)
{
	ssize_t n;
	char byte;
	int fd = -1;

	do
		n = rk__message_receive(from, &byte, sizeof byte, &fd, 1);
	while (n == -EINTR);
	close(from);
	return n > 0 ? fd : -1;
}

static _Noreturn void be_broker(int control, int listener)
{
	static struct rk__proxy_config config;
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk__broker_how how = { .lifeline = control, .config = &config,
				      .notify = -1 };
	struct sockaddr_un a = { 0 };
	socklen_t len = sizeof a;
	int fd[2] = { -1, -1 };
	ssize_t n;

	stand_alone(control, listener);
	do
		n = rk__message_receive(control, &config, sizeof config, fd, 2);
	while (n == -EINTR);
	if (n != sizeof config || fd[0] < 0)
		_exit(0);
	how.listen = fd[0];
	how.counts = fd[1];
	if (config.net)
		how.notify = receive_listener(listener);
	else
		close(listener);
	if (getsockname(fd[0], (struct sockaddr *)&a, &len) < 0)
		a.sun_path[0] = 0;
	if (rk__broker_run(&how, error) < 0)
		fprintf(stderr, "rump: proxy: %s\n", error);
	unlink(a.sun_path);
	_exit(0);
}

int proxy_fork(struct run *r, char *error)
{
	struct proxy *p = &r->proxy;
	int control[2], type = SOCK_SEQPACKET | SOCK_CLOEXEC;
	char dir[sizeof p->socket];

	/* the program's child wants to know it, too */
	if (rk_runtime_dir(dir, sizeof dir) < 0 ||
	    (size_t)snprintf(p->socket, sizeof p->socket, "%s/%d.proxy", dir,
			     (int)getpid()) >= sizeof p->socket) {
		errno = ENAMETOOLONG;
		return fail(error, "the run-time directory");
	}
	if (socketpair(AF_UNIX, type, 0, control) < 0)
		return fail(error, "socketpair");
	if (socketpair(AF_UNIX, type, 0, p->listener) < 0) {
		close(control[0]);
		close(control[1]);
		return fail(error, "socketpair");
	}
	fflush(NULL);
	p->broker = fork();
	if (p->broker == 0)
		be_broker(control[1], p->listener[1]);
	close(control[1]);
	close(p->listener[1]);
	p->control = control[0];
	return p->broker < 0 ? fail(error, "fork") : 0;
}

/* --- what it is told --------------------------------------------------------------- */

/* Where links of the host lead to: paths are compared by their letters. What
 * does not exist is as it is written. */
static void resolve(const char *path, char *ret)
{
	char head[PATH_MAX], real[PATH_MAX];
	size_t len = strlen(path);

	snprintf(ret, RK__PROXY_PATH, "%s", strcmp(path, "/") ? path : "");
	for (; len > 0; len--) {
		if (path[len] && path[len] != '/')
			continue;
		snprintf(head, sizeof head, "%.*s", (int)len, path);
		if (!realpath(head, real))
			continue;
		if (strcmp(real, "/") == 0)
			real[0] = 0;
		if (strlen(real) + strlen(path + len) < RK__PROXY_PATH)
			snprintf(ret, RK__PROXY_PATH, "%s%s", real, path + len);
		return;
	}
}

/* What the host has there. */
static uint32_t hidden_by(const char *path)
{
	uint32_t found = RK__HIDES_EMPTY;
	struct dirent *d;
	DIR *dp = opendir(path);

	if (!dp)
		return access(path, F_OK) == 0 ? RK__HIDES_FILES :
		       RK__HIDES_NOTHING;
	while (found == RK__HIDES_EMPTY && (d = readdir(dp)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			found = RK__HIDES_FILES;
	closedir(dp);
	return found;
}

static int add_mount(struct rk__proxy_config *c, uint32_t server,
		     const char *path, char *error)
{
	if (c->n_mounts == RK__PROXY_MOUNTS || strlen(path) >= RK__PROXY_PATH) {
		snprintf(error, RK_SERVER_ERROR_LEN, "a proxy serves %d mounts "
			 "at most, with paths below %d letters",
			 RK__PROXY_MOUNTS, RK__PROXY_PATH);
		return -E2BIG;
	}
	resolve(path, c->mount[c->n_mounts].path);
	c->mount[c->n_mounts].server = server;
	c->mount[c->n_mounts++].hides = hidden_by(path);
	return 0;
}

int proxy_config(const struct run *r, const char *socket,
		 struct rk__proxy_config *ret, char *error)
{
	const struct proxy *p = &r->proxy;
	int e = 0;

	memset(ret, 0, sizeof *ret);
	ret->over_mount = r->config.fuse;
	ret->net = p->net;
	ret->report = p->report;
	ret->patch = p->kind == PROXY_PRELOAD && !p->symbols;
	if (r->config.n_mounts)
		snprintf(ret->server[ret->n_servers++], sizeof *ret->server,
			 "%s", socket);
	for (uint32_t i = 0; i < r->config.n_mounts && !e; i++)
		e = add_mount(ret, 0, r->config.mount[i].path, error);
	for (unsigned i = 0; i < r->n_uses && !e; i++) {
		uint32_t server = ret->n_servers++;

		memcpy(ret->server[server], r->use[i].socket,
		       sizeof *ret->server);
		for (unsigned k = 0; k < r->use[i].n && !e; k++)
			e = add_mount(ret, server, r->use[i].path[k], error);
	}
	return e;
}

/* Everybody may connect who comes so far; it is believed nothing. */
static int listen_at(struct proxy *p, char *error)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	strcpy(a.sun_path, p->socket);
	unlink(p->socket);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, "socket");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	    chmod(p->socket, 0666) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	fail(error, p->socket);
	close(fd);
	return -EIO;
}

/* -1: nobody asked for them. */
static int make_counts(struct proxy *p, char *error)
{
	size_t size = sizeof *p->counts;
	void *at;
	int fd;

	if (!p->report)
		return -1;
	fd = memfd_create("rump-counts", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, size) < 0)
		goto fail;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		goto fail;
	p->counts = at;
	return fd;
fail:
	fail(error, "memory for the report");
	if (fd >= 0)
		close(fd);
	return -2;
}

int proxy_start(struct run *r, const char *socket, char *error)
{
	static struct rk__proxy_config config;
	struct proxy *p = &r->proxy;
	int fd[2] = { -1, -1 }, e = proxy_config(r, socket, &config, error);

	if (e < 0)
		return e;
	fd[0] = listen_at(p, error);
	if (fd[0] < 0)
		return fd[0];
	fd[1] = make_counts(p, error);
	e = fd[1] < -1 ? -ENOMEM :
	    rk__message_send(p->control, &config, sizeof config, fd,
			     fd[1] < 0 ? 1 : 2);
	if (e < 0 && !error[0])
		snprintf(error, RK_SERVER_ERROR_LEN, "the proxy's broker "
			 "ended: %s", strerror(-e));
	close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	return e;
}

/* --- the end --------------------------------------------------------------------------- */

/* What the program left behind in the background keeps it; then nobody waits. */
static void wait_for_broker(pid_t pid)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	int status = 0;

	for (int i = 0; i < 200; i++) {
		if (waitpid(pid, &status, WNOHANG) != 0) {
			if (WIFSIGNALED(status))
				complain("proxy: the broker was killed by "
					 "signal %d", WTERMSIG(status));
			return;
		}
		if (i > 20)
			nanosleep(&pause, NULL);
		else
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

void proxy_finish(struct run *r)
{
	struct proxy *p = &r->proxy;

	if (!proxy_is_on(r) || p->broker <= 0)
		return;
	/* servers were forked since and have it too */
	shutdown(p->control, SHUT_RDWR);
	close(p->control);
	wait_for_broker(p->broker);
	p->broker = 0;
	unlink(p->socket);
	if (p->counts)
		proxy_report(p);
}
