/*
 * proxy_become.c - the last steps of the child of rump run, which becomes a
 * program under a proxy. See run_proxy.h.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include "run.h"
#include "notify/filter.h"
#include "supervisor/message.h"

/* Between the thread that gets the filter, and the one that does not. */
struct handing {
	_Atomic int listener;		/* NONE: not yet; or an errno, negative */
	int to;
	int error;
};

enum { NONE = -1000000 };

static void *hand_over(void *arg)
{
	struct handing *h = arg;
	char byte = 0;
	int fd;

	while ((fd = h->listener) == NONE)
		syscall(SYS_futex, &h->listener, FUTEX_WAIT_PRIVATE, NONE, NULL,
			NULL, 0);
	if (fd >= 0) {
		h->error = rk__message_send(h->to, &byte, 1, &fd, 1);
		close(fd);
	}
	return NULL;
}

/* From the filter on, only calls that it lets through: futex is one. */
static int install_filter(const struct run *r, const char *socket)
{
	static struct rk__proxy_config config;
	struct handing h = { .listener = NONE, .to = r->proxy.listener[0] };
	char error[RK_SERVER_ERROR_LEN] = "";
	pthread_t thread;
	int e = proxy_config(r, socket, &config, error);

	if (!e)
		e = -pthread_create(&thread, NULL, hand_over, &h);
	if (e) {
		complain("the seccomp filter: %s", error[0] ? error :
			 strerror(-e));
		return e;
	}
	h.listener = rk__filter_install(!have_capability(CAP_SYS_ADMIN), &config);
	syscall(SYS_futex, &h.listener, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(thread, NULL);
	e = h.listener < 0 ? h.listener : h.error;
	if (e < 0)
		complain("the seccomp filter: %s", strerror(-e));
	return e;
}

static void set_environment(const struct proxy *p)
{
	const char *old = getenv("LD_PRELOAD");
	char *all = NULL;

	setenv("RUMP_PROXY", p->socket, 1);
	if (p->kind != PROXY_PRELOAD)
		return;
	if (asprintf(&all, "%s%s%s", p->library, old && *old ? ":" : "",
		     old && *old ? old : "") < 0)
		return;
	setenv("LD_PRELOAD", all, 1);
	free(all);
}

void proxy_become(const struct run *r, char **argv, const char *socket,
		  bool inside)
{
	char **args = argv;
	size_t n = 0;

	set_environment(&r->proxy);
	while (argv[n])
		n++;
	if (inside) {
		args = calloc(n + 2, sizeof *args);
		if (!args)
			return;
		args[0] = (char *)PROXY_TRAMPOLINE;
		memcpy(args + 1, argv, n * sizeof *args);
	}
	if (r->proxy.net && install_filter(r, socket) < 0)
		_exit(RUMP_FAILED);
	if (args == argv)
		execvp(argv[0], argv);
	else
		execv("/proc/self/exe", args);
}

int proxy_trampoline(char **argv)
{
	char cwd[PATH_MAX];
	int e;

	/* what lies there now may be a server's */
	if (getcwd(cwd, sizeof cwd) && cwd[0] == '/')
		(void)!chdir(cwd);
	execvp(argv[1], argv + 1);
	e = errno;
	complain(e == ENOENT || e == ENOTDIR ? "program not found: %s" :
		 "cannot execute %s: %s", argv[1], strerror(e));
	return e == ENOENT || e == ENOTDIR ? RUMP_NOT_FOUND : RUMP_CANNOT_RUN;
}
