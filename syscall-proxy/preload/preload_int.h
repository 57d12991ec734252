/*
 * preload_int.h - between the files of this folder.
 */
#ifndef RK_PRELOAD_INT_H
#define RK_PRELOAD_INT_H

#include "fdmap.h"
#include "preload.h"

/* --- init.c ------------------------------------------------------------------------ */

extern struct rk__proxy_config rk__config;
extern char rk__socket[108];		/* of the broker */
extern struct rk__proxy_counts *rk__counts; /* NULL: nobody counts */
/* What of LD_PRELOAD is ours. */
extern char rk__libraries[2 * RK__PROXY_PATH];
/* Whether anything is proxied; before, and without a broker, nothing is. */
extern bool rk__active;
/* Where the kernel has us while our working directory is in a server: what
 * relative path comes to it leads nowhere. */
extern int rk__nowhere;

/* --- servers.c ------------------------------------------------------------------------ */

/* Attaches at first use. 0 or a negative errno. */
int rk__client_get(uint32_t server, struct rk_client **ret);
struct rk_client *rk__client_attached(uint32_t server);
/* Around a fork, so that no other thread is at it. */
void rk__clients_lock(bool on);
/* In a child that has none of its parent's. */
void rk__clients_forget(void);
/* All of them, and a link of this thread to each: a child of vfork makes none. */
void rk__clients_attach_all(void);
/* Ids or limits of the process have changed. */
void rk__clients_refresh(void);

/* --- memory.c ------------------------------------------------------------------------- */

/* Whether the first and the last of n bytes can be read; the first be written, as
 * less may come than there is room for. */
bool rk__readable(uint64_t at, uint64_t n);
bool rk__writable(uint64_t at, uint64_t n);
/* `max`: it is as long, or longer. Or -EFAULT. */
int64_t rk__string_length(uint64_t at, uint64_t max);
/* Something was unmapped, or mapped in its place. */
void rk__memory_gone(void);

/* --- host.c ---------------------------------------------------------------------------- */

extern const struct rk__host rk__preload_host;

/* --- the calls that are served here; results as the kernel's ----------------------------- */

int64_t rk__do_fork(long nr, const uint64_t arg[6], uint64_t sp, uint64_t ip);
/* exit_group is about to be called. */
void rk__process_ends(void);
/* What has to outlive the image goes to the broker. 0 or a negative errno. */
int rk__prepare_exec(void);
/* Tells the broker where the process is, if it has to know. */
int rk__tell_cwd(void);
extern bool rk__cwd_told;		/* it thinks that we are in a server */
int64_t rk__do_exec(struct rk__task *t, long nr, const uint64_t arg[6]);
int64_t rk__do_sendmsg(struct rk__task *t, long nr, const uint64_t arg[6]);
int64_t rk__do_recvmsg(struct rk__task *t, long nr, const uint64_t arg[6]);
/* maps.c. True: *ret is the result. */
bool rk__do_mmap(const uint64_t arg[6], int64_t *ret);
int64_t rk__do_munmap(const uint64_t arg[6]);
int64_t rk__do_mremap(const uint64_t arg[6]);
int64_t rk__do_msync(const uint64_t arg[6]);
bool rk__maps_any(void);
void rk__maps_lock(bool on);		/* around a fork */
/* A mapping of the host's came into the place of what was there. */
void rk__maps_gone(uint64_t at, uint64_t size);

#define RK__RAW(nr, arg) rk__raw((long)(nr), (arg)[0], (arg)[1], (arg)[2],	\
				 (arg)[3], (arg)[4], (arg)[5])

#endif
