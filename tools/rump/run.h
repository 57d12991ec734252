/*
 * run.h - what `rump run` was asked for, and the processes that make it so: the
 * supervisor, and the child that makes the program's view of the host in
 * namespaces of its own and then becomes the program.
 */
#ifndef RUMP_RUN_H
#define RUMP_RUN_H

#include <sys/types.h>
#include "run_proxy.h"
#include "rump.h"

enum { USES_MAX = 16, BINDS_MAX = 32 };

/* A server of another command, or one that was started for this program. */
struct use {
	char name[64];
	char moved_to[4096];		/* "": its mounts are where it says */
	char socket[108];
	bool own;			/* is stopped with the program */
	int conn;			/* says that it is used; -1: lost */
	unsigned n;			/* mounts */
	char *path[RK_MOUNTS_MAX];	/* where the program sees them */
	int tree[RK_MOUNTS_MAX];	/* see graft.h */
};

/* A file or directory of the host that the program is to see elsewhere. */
struct bind {
	char source[4096];
	char path[4096];		/* absolute */
	bool read_only;
};

struct run {
	struct rk__config config;	/* the server that is this process's */
	bool separate;			/* each mount has one for itself */
	bool rooted;			/* --root */
	struct use use[USES_MAX];
	unsigned n_uses;
	struct bind bind[BINDS_MAX];
	unsigned n_binds;
	struct proxy proxy;
};

/* --- run_options.c ------------------------------------------------------------ */

/* Returns 0, or an exit status, and says why. The program is argv[optind]. */
int run_read_options(int argc, char **argv, struct run *ret);

/* --- view.c: in the child ------------------------------------------------------ */

/* The paths at which something of a server will be, by a mount or by a proxy:
 * fn for each. */
void view_each_path(const struct run *r,
		    void (*fn)(void *arg, const char *path), void *arg);
/* There is something that the host does not see. */
bool view_is_own(const struct run *r);
/* The program's root is one of the paths. */
bool view_has_root(const struct run *r);
/*
 * Makes all of it. mounted: is told of /dev/fuse of r->config's mount i, keeps
 * no descriptor, and may be asked by the kernel for files of it from then on.
 * 0, or a negative errno with a sentence in error.
 */
int view_make(const struct run *r,
	      int (*mounted)(void *arg, uint32_t i, int fuse), void *arg,
	      char *error);

/* --- uses.c: servers that are not this process's ------------------------------ */

/* Runs the program with the servers of r->use, and a server or several for the
 * mounts of r->config. Returns the exit status. */
int run_shared(struct run *r, char **argv);

/* --- program.c ------------------------------------------------------------------ */

struct program {
	pid_t pid;
	int fd;				/* conversation with it */
};

/* Is it there? Says so and returns an exit status if not; 0 if it is, or if
 * only the mounts can tell. */
int program_find(const struct run *r, const char *name);
/* Forks the child, which waits, and the broker of a proxy. limits: what the program is to have. */
int program_fork(struct run *r, char **argv,
		 const struct rlimit *limits, struct program *ret, char *error);
/* Has it make its view, and hands the mounts of r->config to s. */
int program_mount(const struct program *p, struct rk__supervisor *s,
		  char *error);
/* Lets it become the program. */
int program_go(struct program *p, const char *socket_path);
/* Ends one that did not become the program. */
void program_cancel(struct program *p);
/* From now on signals sent to us are the program's. */
void program_forward_signals(pid_t pid);

/* --- run.c ---------------------------------------------------------------------- */

/* What --kill-every says at the end. name: of the server, NULL if only one. */
void run_print_summary(const char *name, const struct rk__summary *s);
/* Of a program, as a shell would say it. */
int run_exit_status(int status);

#endif
