/*
 * run_proxy.h - rump run --proxy: which way the program's calls come to the servers
 * without a mount, the broker beside the program (syscall-proxy/proxy.h), and
 * what the child does before it becomes the program.
 *
 * Theory of operation. What is possible here is tried before anything is made
 * (proxy_choose). The broker is forked as early as the program's child, before
 * there is anything of a supervisor's that it could inherit, and waits for the
 * configuration: the servers' sockets are known only when they run. The child
 * installs the filter in itself; a thread of it that has none hands the filter's
 * listener to the broker, as from then on calls of the child are answered by
 * whoever has it. The call that makes it the program is the first to be so.
 */
#ifndef RUMP_RUN_PROXY_H
#define RUMP_RUN_PROXY_H

#include <stdbool.h>
#include <sys/types.h>

struct run;
struct use;
struct rk__proxy_counts;
struct rk__proxy_config;

enum proxy_kind {
	PROXY_UNSAID,
	PROXY_AUTO,
	PROXY_PRELOAD,
	PROXY_NOTIFY,
	PROXY_NONE,
};

struct proxy {
	enum proxy_kind kind;		/* once chosen, one of the last three */
	bool under_mount;		/* as asked: a mount as well */
	bool no_net;			/* as asked: nothing under the library */
	bool report;
	bool net;			/* the filter and the notifier */
	bool symbols;			/* preload where nothing can be patched */
	char library[4096];		/* of preload; LD_PRELOAD */

	/* the broker */
	pid_t broker;
	int control;			/* conversation with it; its lifeline */
	int listener[2];		/* the child hands it the listener */
	char socket[108];		/* $RUMP_PROXY */
	struct rk__proxy_counts *counts;	/* NULL: nobody asked */
};

/* The word of --proxy. 0, or a negative errno with a sentence in error. */
int proxy_read_kind(const char *word, enum proxy_kind *ret, char *error);
/* Decides, and says in one line what if --proxy=auto was asked for, or if it is
 * another than usual. Returns 0, or an exit status after a sentence. */
int proxy_choose(struct run *r, const char *program);
/* Whether a mount can be made here: 0, or a negative errno and why in error. */
int proxy_try_fuse(char *error);
/* Where the seccomp filter or what it needs is missing. As before. */
int proxy_try_notify(char *error);
/* There is a proxy. */
bool proxy_is_on(const struct run *r);

/* Forks the broker, which waits. */
int proxy_fork(struct run *r, char *error);
/* What there is. socket: of r->config, if it has mounts. */
int proxy_config(const struct run *r, const char *socket,
		 struct rk__proxy_config *ret, char *error);
/* Tells the broker of it. */
int proxy_start(struct run *r, const char *socket, char *error);
/* The run is over: waits for the broker, and reports. */
void proxy_finish(struct run *r);

/* In the child: execvp() with the proxy, which returns only if it failed,
 * with errno. inside: the program, or the working directory, may be in a mount
 * that only the proxy sees. */
void proxy_become(const struct run *r, char **argv, const char *socket,
		  bool inside);
/* `rump` called by this name: a program under the proxy, which becomes the one
 * that is in a mount. */
#define PROXY_TRAMPOLINE "rump-become"
int proxy_trampoline(char **argv);

/* What went which way. */
void proxy_report(const struct proxy *p);

#endif
