/*
 * notify_int.h - between the files of the notifier.
 *
 * A *task* is a process of the program that was seen: its clients of the servers
 * (locks, umask and working directory are a process's own), and by which ids
 * they were made. A *worker* is a thread of the notifier; it waits for a call,
 * does it, answers it. Several may be in calls of one task.
 *
 * Locks, in the order in which they are taken: task.lock (attaching, the working
 * directory), notifier.pinning, notifier.lock (the tables, workers), the registry's.
 */
#ifndef RK_NOTIFY_INT_H
#define RK_NOTIFY_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <linux/seccomp.h>
#include "notify/filter.h"
#include "notify/notify.h"
#include "route/route.h"

enum {
	TASK_BUCKETS = 256,
	THREADS_KNOWN = 1024,		/* thread to process, remembered */
	GROUPS_MAX = 64,
	WORKERS_MAX = 128,
	WORKERS_IDLE_MAX = 4,
	MANY_CALLS = 16,
	ARENA = 1 << 20,
	SWAPS = 4,
	LONG_NS = 10 * 1000 * 1000,	/* a call that lasts is looked after */
	LONG_TICK_MS = 5,
};

/* What a server goes by. Of the file system ids, which follow the others. */
struct ids {
	uint32_t uid, gid, n_groups;
	uint32_t group[GROUPS_MAX];
};

/* A number that is something else for the time of a call (map.c). */
struct swap {
	int fd, placeholder;		/* -1: none */
	uint32_t flags;
	pid_t tid;
	uint64_t at;			/* ns */
	struct rk__mark copy;
};

struct task {
	struct task *next;
	pid_t pid;
	int pidfd;
	unsigned refs;			/* notifier.lock; one is the table's */
	pthread_mutex_t lock;
	struct rk_client *_Atomic client[RK__PROXY_SERVERS];
	struct rk__cwd cwd;
	/* inherited, in the broker's client until ours needs it; -1: none */
	int32_t cwd_fd;
	/* its directory on the host, where the kernel has another; -1 */
	int apart;
	_Atomic pid_t arrives;		/* the thread that goes there now */
	bool lost;			/* nobody knows where it is */
	struct swap swap[SWAPS];
	atomic_bool swapped;		/* some of these are in use */
	unsigned execs;			/* tried, since one went on */
	struct ids ids;
	bool foreign;			/* not our own ids */
	bool refused;			/* and we may not take them on */
	atomic_bool ids_change;		/* a call that sets them went on */
	atomic_bool limits_change;
	atomic_bool locks;		/* it has set POSIX locks */
	uint32_t umask;
	int hint;			/* no number from BASE up to here is free */
	uint32_t cwds_seen;		/* rk__cwds_changes() */
};

enum interrupt { NOT_INTERRUPTED, INTERRUPTED, RESTART, CANCELLED };

/* One at a time of each worker. route sees it as the task. */
struct call {
	struct rk__task base;		/* first */
	struct rk__notifier *n;
	struct worker *worker;
	struct task *task;
	pid_t tid;
	uint64_t id;
	long nr;
	uint64_t arg[6];
	bool go_on;			/* the kernel is to do it after all */
	bool refused;			/* to be counted */
	bool answered;			/* in another way */
	bool leaves;			/* a server, for where the kernel has it not */
	char *arena;			/* ARENA bytes, `used` of them taken */
	size_t used;
	struct block *blocks;		/* what did not fit there */
	uint32_t umask;			/* of the worker */
};

struct worker {
	struct worker *next;
	struct rk__notifier *n;
	pthread_t thread;
	/* For who looks after calls that last: */
	_Atomic uint64_t since;		/* ns; 0: waits for a call */
	_Atomic uint64_t id;
	_Atomic int tid, pid;		/* who called */
	_Atomic int interrupt;		/* enum interrupt */
};

struct rk__notifier {
	struct rk__notifier_how how;
	struct ids own;
	bool may_switch;		/* ids: CAP_SETUID and CAP_SETGID */
	int events;			/* epoll: ends of processes, registry */
	pthread_mutex_t lock;
	pthread_cond_t ended;		/* a worker */
	struct worker *workers;
	unsigned n_workers;
	struct worker *_Atomic leader;	/* who waits for a call, or has one */
	pthread_cond_t no_leader;
	unsigned idle;			/* workers that wait for that */
	/* of the leader: */
	pid_t last;			/* who called before */
	unsigned many;			/* several do, for so many calls more */
	atomic_bool stop;
	atomic_int root;		/* the first process that was seen */
	atomic_bool inside;		/* some process was in a server */
	struct task *task[TASK_BUCKETS];
	struct {
		pid_t tid, pid;
	} known[THREADS_KNOWN];
	pthread_mutex_t pinning;	/* after task.lock */
	struct pinned *pinned;
	unsigned n_pinned, pinned_many;	/* now, and when to look for unused */
	pthread_mutex_t settling;	/* before all other locks */
	pthread_mutex_t install;	/* numbers of descriptors are chosen */
};

/* Coarse; ns. */
static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline struct call *call_of(struct rk__task *t)
{
	return (struct call *)t;
}

/* --- task.c ------------------------------------------------------------------- */

/* Who called: its task, with a reference. 0 or a negative errno. */
int task_get(struct call *c, struct task **ret);
void task_put(struct rk__notifier *n, struct task *t);
/* What has ended since. */
void tasks_settle(struct rk__notifier *n);
void tasks_destroy(struct rk__notifier *n);
/* Children that were not seen yet begin where their parent is now. */
void task_bind_children(struct rk__notifier *n, struct task *t);
/* rk__host.client and .attached */
int task_client(struct rk__task *t, uint32_t server, struct rk_client **ret);
struct rk_client *task_attached(struct rk__task *t, uint32_t server);
/* Before a call: ids, limits, directory as they are now. */
int task_refresh(struct call *c);
int task_cwd_ticket(struct rk__notifier *n, struct task *t,
		    uint32_t *ret_server, struct rk_ticket *ret);

/* --- status.c ----------------------------------------------------------------- */

/* Of /proc/PID/status. 0 or a negative errno. */
struct status {
	pid_t tgid, ppid;
	unsigned threads;
	bool filtered;
	struct ids ids;
	uint32_t umask;
	uint64_t pending, shared_pending, blocked;
};
int status_read(pid_t pid, struct status *ret);

/* --- notifier.c --------------------------------------------------------------- */

/* The calling worker may sleep now: another one waits for calls. */
void worker_may_sleep(void);

/* --- ids.c: whose ids this thread has. Nothing for tasks with ours. ---------- */

void ids_enter(const struct call *c);
void ids_leave(const struct call *c);
int ids_own(struct ids *ret);
bool ids_equal(const struct ids *a, const struct ids *b);

/* --- memory.c: of struct rk__host ------------------------------------------- */

int memory_string(struct rk__task *t, uint64_t at, char *ret, size_t size);
int memory_copy_in(struct rk__task *t, void *ret, uint64_t at, size_t n);
int memory_copy_out(struct rk__task *t, uint64_t at, const void *p, size_t n);
const void *memory_in(struct rk__task *t, uint64_t at, size_t n);
void *memory_out(struct rk__task *t, uint64_t at, size_t n);
int memory_out_done(struct rk__task *t, uint64_t at, void *p, size_t used);
void memory_end(struct call *c);
/* Still the call that we were asked for. */
bool call_is_valid(const struct call *c);

/* --- fds.c -------------------------------------------------------------------- */

bool fds_find(struct rk__task *t, int fd, struct rk__target *ret);
int fds_install(struct rk__task *t, const struct rk__target *target,
		uint32_t flags);
int fds_borrow(struct rk__task *t, int fd);
void fds_give_back(struct rk__task *t, int fd);
/* A further one for `fd`, which remains ours. */
int fds_put(struct call *c, int fd, uint32_t flags);
/* The number becomes `fd`, which remains ours. */
int fds_replace(struct call *c, int fd, int number, uint32_t flags);
int fds_install_host(struct rk__task *t, int fd, uint32_t flags);
/* A further descriptor of the caller for what its `fd` is, the lowest that is
 * free and will do, from `minimum` on. */
int fds_duplicate(struct call *c, int fd, int minimum, uint32_t flags);
/* -ENOENT: not a placeholder of an open file. */
int fds_mark(struct call *c, int fd, struct rk__mark *ret);

/* --- native.c ----------------------------------------------------------------- */

int64_t native_call(struct rk__task *t, long nr, const uint64_t arg[6]);
/* Where route left a call to the kernel, which has another directory: *ret is
 * its result, unless c->go_on. */
void native_apart(struct call *c, int64_t *ret);
/* After a call that led the caller out of a server (c->leaves). */
void native_send(struct call *c);
/* The call that goes there. */
bool native_arrives(struct call *c);
/* Before a call: its thread may have come to where it was sent. */
void native_arrived(struct call *c);
int native_cwd(struct rk__task *t, char *ret, size_t size);
int native_path(struct rk__task *t, int fd, char *ret, size_t size);

/* --- map.c -------------------------------------------------------------------- */

/* mmap, if it is a mapping of a server's file. */
bool map_file(struct call *c, int64_t *ret);
/* What was another for the time of a call is itself again. */
void map_restore(struct call *c);

/* --- pinned.c ----------------------------------------------------------------- */

/* The file's own pages, to be mapped with `prot` and `flags`; shared. -ENOENT:
 * a copy has to do, which the kernel does not let be written. */
int pinned_pages(struct call *c, const struct rk__target *f, int64_t offset,
		 uint64_t length, int prot, int flags);
/* Before msync(2) of these bytes: 0, or what it says. */
int pinned_sync(struct call *c, uint64_t from, uint64_t length, bool wait);
void pinned_destroy(struct rk__notifier *n);

/* --- exec.c ------------------------------------------------------------------- */

/* A program inside of a mount. Its result, unless c->answered; -EXDEV: it is
 * outside after all. */
int64_t exec_inside(struct call *c, struct rk__place *place, bool follow);
/* The call begins again with this path, a short one. False: it cannot, and is as
 * it was. once: if it cannot after all, it has succeeded. */
bool exec_as(struct call *c, const char *name, bool once);
/* A script of the host whose interpreter is in a mount. False: it is none. */
bool exec_script(struct call *c, int dirfd, const char *path, int64_t *ret);

/* --- calls.c ------------------------------------------------------------------ */

/* Does the call in *c. *ret: its result, unless c->go_on. */
void call_serve(struct call *c, int64_t *ret);

#endif
