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
/* In the kernel, where a kill would not end it sooner: it waits for a disk. */
bool rk__proc_waits_for_disk(pid_t pid);
/* How long it waited for a CPU so far; 0 where the kernel does not say. */
uint64_t rk__proc_crowded_ns(pid_t pid);

#endif
