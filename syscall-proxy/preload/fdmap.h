/*
 * fdmap.h - the descriptors of the process: which are a server's, and which we
 * keep for ourselves.
 *
 * A descriptor of a server is a placeholder in the kernel's table, and an entry
 * here. Several may be one descriptor of the server (dup), which counts them:
 * it is closed with the last. Everything may be called by any thread at any
 * time, without a lock; what a program does wrong with threads and descriptors
 * goes as wrong as it does with the kernel's.
 *
 * A child of vfork has its parent's memory, and a descriptor table of its own.
 * It works on a view of its own, which counts as further descriptors of the
 * same process: the parent makes it before and lets go of it afterwards.
 */
#ifndef RK_FDMAP_H
#define RK_FDMAP_H

#include "preload.h"

enum { RK__OURS_SERVER = 1, RK__OURS_OWN = 2 };	/* in rk__ours */

struct rk__view {
	bool borrowed;			/* of a child of vfork */
	struct rk__view *outer;		/* NULL: the process's own */
	_Atomic uint64_t *map;		/* RK__MAP_FDS entries */
	struct rk__cwd cwd;
};

/* Of the calling thread. */
struct rk__view *rk__view(void);
/* A copy for a child of vfork, which this thread is about to become; and its
 * end, in the parent. NULL: no memory. */
struct rk__view *rk__view_push(void);
void rk__view_pop(struct rk__view *v);

int rk__fdmap_init(void);
/* After setrlimit: our own descriptors stay below the limit. */
void rk__fdmap_limit(void);
/* In a child of fork that has none of its parent's servers any more. */
void rk__fdmap_forget(void);

bool rk__fd_find(int fd, uint32_t *ret_server, int32_t *ret_rk);
bool rk__fd_is_own(int fd);
bool rk__fd_any(void);			/* is there any of a server? */
/* A generic placeholder for a descriptor of a server, which it takes over, also
 * if it fails. at >= 0: this number already is its placeholder, of its own, whose
 * inode is `ino`. */
int rk__fd_install(uint32_t server, int32_t rk, int flags, int at,
		   uint64_t ino);
/* This number is a placeholder that we know already. */
void rk__fd_adopt(int fd, uint32_t server, int32_t rk);
bool rk__fd_generic(uint64_t ino);
/* The kernel gave this number to something of the host's: whoever closed it
 * before was not seen. */
void rk__fd_fresh(int fd);
/* Results of the system calls. */
int64_t rk__fd_close(int fd);
int64_t rk__fd_close_range(unsigned first, unsigned last, unsigned flags);
int64_t rk__fd_dup(long nr, const uint64_t arg[6]);	/* dup, fcntl */
int64_t rk__fd_dup3(long nr, int from, int to, int flags); /* dup2, dup3 */

/* The process ends: its placeholders are gone when this returns. */
void rk__fd_end(void);

/* Gives a server's descriptor a placeholder that nothing else is, and publishes
 * it, unless that was done. 0 or a negative errno. */
int rk__fd_publish(int fd);
/* The same for all that go through exec. */
int rk__fd_publish_all(void);
/* Looks whether a descriptor is a placeholder of somebody, and claims it. True:
 * it is a server's now. */
bool rk__fd_claim(int fd);
/* The same for all that the process was born with. */
void rk__fd_claim_all(void);
/* POSIX locks were taken: any close lets go of them. */
extern _Atomic bool rk__locks_taken;

#endif
