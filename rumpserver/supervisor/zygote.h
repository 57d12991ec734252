/*
 * zygote.h - the process from which keepers and servers are forked.
 *
 * It is forked by the supervisor, which has loaded the drivers, before any
 * thread exists, makes the sandbox and then only forks: so all its children
 * have the same addresses, and nothing of a driver was run in it. They are
 * the supervisor's children, not its own (CLONE_PARENT). A sleeping fork of it
 * is the spare that takes its place.
 *
 * The zygote ends with its socket, and every process forked here is killed if
 * the supervisor's thread that called rk__zygote_start ends.
 */
#ifndef RK_ZYGOTE_H
#define RK_ZYGOTE_H

#include <sys/types.h>
#include "supervisor/make.h"

struct rk__zygote {
	pid_t pid;			/* 0: none */
	int fd;
};

enum rk__spawn_kind {
	RK_SPAWN_SERVER,
	RK_SPAWN_KEEPER,
	RK_SPAWN_SPARE,
	RK_SPAWN_NOTIFIER,		/* `generation`: of which mount */
};

/*
 * Forks the zygote and waits until the sandbox is made. The caller must be
 * single-threaded. On failure a sentence is in error (RK_SERVER_ERROR_LEN).
 */
int rk__zygote_start(struct rk__views *v, struct rk__zygote *ret, char *error);

/*
 * Forks one. fd: control socket of a server, ready pipe of a keeper; stays the
 * caller's. how: enum rk__start of a server, rk__keeper_start of a keeper.
 * Returns the pid, or a negative errno (-EPIPE: the zygote is dead, or was
 * stopped and is killed). Blocks until the zygote answers.
 */
pid_t rk__zygote_spawn(const struct rk__zygote *z, enum rk__spawn_kind kind,
		       uint32_t generation, uint32_t how, int fd);
/* A sleeping copy, with a socket of its own. */
int rk__zygote_spare(const struct rk__zygote *z, struct rk__zygote *ret);

/* Closes the socket: the process ends. Reaps it. */
void rk__zygote_stop(struct rk__zygote *z);

#endif
