/*
 * proc.h - what the kernel tells of another process, read from /proc: whether
 * it could have done anything at all.
 */
#ifndef RK_PROC_H
#define RK_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Stopped by a signal or a debugger: it goes on when somebody else wants it. */
bool rk__proc_stopped(pid_t pid);
/* Its times when it was looked at last. */
struct rk__times {
	uint64_t cpu, crowded;		/* ns; waited for a CPU */
};
/* What it had of the last dt ns: what it computed, if it computes or wants to;
 * else all but what it waited for a CPU, and nothing while it waits for a disk. */
uint64_t rk__proc_had(pid_t pid, uint64_t dt, struct rk__times *last);

#endif
