/*
 * run.h - the two processes of `rump run`: the supervisor, and the child that
 * makes the mounts in a namespace of its own and then becomes the program.
 */
#ifndef RUMP_RUN_H
#define RUMP_RUN_H

#include <sys/types.h>
#include "rump.h"

struct program {
	pid_t pid;
	int fd;				/* conversation with it */
};

/* Is it there? Says so and returns an exit status if not; 0 if it is, or if
 * only the mounts can tell. */
int program_find(const struct rk__config *c, const char *name);
/* Forks the child, which waits. limits: what the program is to have. */
int program_fork(const struct rk__config *c, char **argv,
		 const struct rlimit *limits, struct program *ret, char *error);
/* Has it make the namespace and the mounts, and hands them to s. */
int program_mount(const struct program *p, const struct rk__config *c,
		  struct rk__supervisor *s, char *error);
/* Lets it become the program. */
int program_go(struct program *p, const char *socket_path);
/* Ends one that did not become the program. */
void program_cancel(struct program *p);
/* From now on signals sent to us are the program's. */
void program_forward_signals(pid_t pid);

#endif
