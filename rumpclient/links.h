/*
 * links.h - the links of a thread, and what becomes of them when it forks or
 * ends. For whoever stands in for the C library, and so cannot wait to be told by
 * pthread_atfork and the like; others need none of it.
 */
#ifndef RK_LINKS_H
#define RK_LINKS_H

#include <stdbool.h>

/*
 * Around a fork, on the thread that forks; signals are blocked in between.
 * keep: the child inherits all descriptors, and the parent waits until it has;
 * otherwise the child forgets all clients, pointers to which are no longer
 * valid there, and nobody waits. rk__fork_parent() also if there is no child.
 */
void rk__fork_before(bool keep);
void rk__fork_parent(void);
void rk__fork_child(void);

/*
 * Around a child that runs in this thread's memory while the thread waits
 * (vfork). It uses the thread's links; those that it opens are its own
 * descriptors', and are forgotten at the end, like calls it never came back from.
 */
void rk__vfork_begin(void);
void rk__vfork_end(void);

/* The calling thread ends, or makes no call for long. */
void rk__thread_end(void);

/* A descriptor of a connection has another number now. */
void rk__fd_moved(int from, int to);

#endif
