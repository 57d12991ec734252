/*
 * core.h - the tables of the server, in the core region of recoverable memory.
 *
 * Whoever changes a table calls rk__note on the bytes first. Tables are arrays
 * with free lists; objects name each other by index, 0 means none. Everything
 * that can be found out again (name cache, wait queues, hash of parked
 * requests) is volatile and lives outside.
 */
#ifndef RK_CORE_H
#define RK_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include "driver.h"
#include "../recovery/order.h"
#include "types.h"

enum {
	RK_VNODES_MAX = 1 << 20,
	RK_VNODE_HASH = 1 << 16,
	RK_PROCS_MAX = 4096,
	RK_OFDS_MAX = 1 << 17,
	RK_FDS_MAX = 1024,		/* of one proc */
	RK_LOCKS_MAX = 1 << 17,
	RK_GROUPS_MAX = 64,
	RK_TICKETS_MAX = 1024,
	RK_PIPES_MAX = 64,
	RK_PINS_MAX = 4096,
	RK_PIPE_SIZE = 1 << 16,
	RK_PIPE_WHOLE = 4096,		/* PIPE_BUF: written at once or not */
	RK_TASK_FDS = 2,
	RK_TASK_NODES = 8,
};

/* A file that somebody holds: the kernel through a mount (lookups), an ofd, a
 * cwd. Files that nobody holds have no vnode. */
struct rk__vnode {
	uint64_t ino;
	uint32_t mount;
	/* The kernel came to know it while nobody else was there, and may have
	 * kept what a directory lists. */
	bool early;
	uint64_t lookups;		/* references the kernel holds (FUSE) */
	uint32_t opens;			/* ofds and cwds */
	uint32_t locks;			/* first lock of this file */
	uint32_t hash_next;		/* also the free list */
	bool used;
	bool orphan;			/* nlink 0: reclaim at the last reference */
	bool reclaiming;		/* stages of reclaim remain */
	bool linkable;			/* an orphan that link() may give a name */
};

struct rk__ofd {
	uint32_t vnode;
	uint32_t refs;
	uint32_t flags;			/* O_ACCMODE, O_APPEND, O_DIRECTORY ... */
	uint32_t next_free;
	int64_t offset;			/* of a directory: the cookie */
	uint32_t pipe;			/* of a fifo; 0: it is none */
	uint32_t partner;		/* whoever opened its other end before */
};

struct rk__proc {
	uint32_t used;
	uint32_t channels;		/* how many threads' channels use it */
	uint64_t token;
	uint32_t uid, gid, n_groups, pid;
	uint32_t umask;
	uint32_t cwd;			/* vnode; 0: the root of mount 0 */
	uint32_t nofile;		/* RLIMIT_NOFILE: descriptors below it */
	uint64_t fsize;			/* RLIMIT_FSIZE */
	uint32_t group[RK_GROUPS_MAX];
	uint32_t fd[RK_FDS_MAX];	/* ofd index */
	uint8_t fd_flags[RK_FDS_MAX];	/* FD_CLOEXEC */
};

enum rk__lock_kind { RK_LOCK_POSIX = 1, RK_LOCK_OFD, RK_LOCK_FLOCK };

struct rk__lock {
	uint32_t next;			/* of this vnode, or free */
	uint32_t vnode;
	uint8_t kind;			/* enum rk__lock_kind */
	uint8_t exclusive;
	uint16_t reserved;
	uint32_t pid;			/* what F_GETLK tells */
	uint64_t owner;			/* proc, ofd or the kernel's lock_owner */
	uint64_t file;			/* the kernel's open file; 0: an ofd's */
	uint64_t start, end;		/* inclusive; end UINT64_MAX: to the end */
};

struct rk__lock_request {
	enum rk__lock_kind kind;
	uint64_t owner;
	uint64_t file;			/* what it was asked through, or 0 */
	uint32_t pid;
	unsigned type;			/* F_RDLCK, F_WRLCK, F_UNLCK */
	uint64_t start, end;		/* inclusive */
};

/* A mapped file: see core/pages.h. */
struct rk__pin {
	uint32_t vnode;			/* 0: free */
	uint32_t proc;			/* index */
	uint32_t handle;
	uint32_t write;			/* shared and writable */
};

/* An open file that its proc offers to whoever knows the words. */
struct rk__offer {
	struct rk_ticket ticket;
	uint32_t ofd;			/* 0: free */
	uint32_t proc;			/* index */
	uint64_t order;			/* higher: later */
};

/* A write that waits for its bytes to be durable: it must not run twice. */
struct rk__written {
	uint64_t id;			/* of the request, in its slot */
	uint64_t token;			/* of its proc */
	int64_t result;
};

/*
 * An op that sleeps in the middle (execution = process; see task.h). Its stack
 * is in the memory of the task of the same index.
 */
struct rk__task {
	uint32_t asleep;		/* 0: free, and nothing else counts */
	uint32_t slot;			/* of its request, or RK_SLOT_NOBODY */
	uint64_t id;
	void *sp;
	const void *key;		/* what it waits for; NULL: it gave way */
	/* What must not go while it sleeps. */
	uint32_t proc;			/* index + 1 */
	uint32_t ofd[RK_TASK_FDS];
	uint32_t vnode[RK_TASK_NODES];
};

/* What flows through a fifo that somebody has open. Who opened it by which end
 * is counted and never counted down, so that an open that waits for the other
 * end sees one that came and went. */
struct rk__pipe {
	uint32_t vnode;			/* 0: free */
	uint32_t readers, writers;
	uint32_t reader_count, writer_count;
	uint32_t start, used;		/* in data, a ring */
	uint32_t reserved;
	uint8_t data[RK_PIPE_SIZE];
};

struct rk__mount_state {
	/* Of each driver of the stack, the lowest first; NULL for those that
	 * each server mounts anew. */
	void *fs[RK_STACK_MAX];
	uint64_t layer_root[RK_STACK_MAX];
	uint64_t root;			/* inode */
	uint32_t root_vnode;
	uint32_t mounted;
	uint32_t stands_on;		/* a mount + 1, on its directory `covers` */
	uint64_t covers;
};

struct rk__core {
	uint64_t magic;
	uint32_t n_mounts;
	struct rk__mount_state mount[RK_MOUNTS_MAX];
	uint32_t vnode_free, vnode_brk;
	uint32_t ofd_free, ofd_brk;
	uint32_t lock_free, lock_brk;
	uint32_t proc_brk;		/* procs from here on were never used */
	uint32_t reclaim;		/* vnodes whose files are to be freed */
	uint64_t next_token;
	uint32_t task_brk;		/* tasks from here on never slept */
	struct rk__task task[RK_TASKS_MAX];
	uint32_t vnode_hash[RK_VNODE_HASH];
	uint64_t committed[RK_SLOTS_ALL + 1];	/* last committed id of each slot */
	struct rk__written written[RK_SLOTS_ALL + 1];
	uint32_t channel_proc[RK_CHANNELS_MAX];	/* proc + 1 of each channel */
	struct rk__proc proc[RK_PROCS_MAX];
	struct rk__vnode vnode[RK_VNODES_MAX];
	struct rk__ofd ofd[RK_OFDS_MAX];
	struct rk__lock lock[RK_LOCKS_MAX];
	struct rk__pipe pipe[RK_PIPES_MAX];
	uint32_t offer_brk;		/* offers from here on were never used */
	uint64_t offer_order;
	struct rk__offer offer[RK_TICKETS_MAX];
	uint32_t pin_brk;		/* pins from here on were never used */
	uint32_t pin_handle;		/* the last that was given */
	struct rk__pin pin[RK_PINS_MAX];
};
_Static_assert(sizeof(struct rk__core) < RK_ORDER_OFFSET,
	       "core fits its region");

#define rk__core ((struct rk__core *)RK_CORE_AT)

static inline uint8_t *rk__task_at(uint32_t index)
{
	return (uint8_t *)RK_CORE_AT + RK_TABLES_SIZE +
	       (uint64_t)index * RK_TASK_SIZE;
}

/* The drivers of this family, loaded before the zygote was forked; the same in
 * every server. The one that is asked, and those below it, the lowest first,
 * up to a NULL. */
extern const struct rk_driver *rk__driver[RK_MOUNTS_MAX];
extern const struct rk_driver *rk__lower[RK_MOUNTS_MAX][RK_STACK_MAX - 1];
/* What rk__driver is to be called with. */
extern void *rk__top_fs[RK_MOUNTS_MAX];
/* Set by the server from its family. */
extern bool rk__mount_read_only[RK_MOUNTS_MAX];
extern uint32_t rk__owner;		/* the user whose server it is */

/* Do the tables make sense: does every index name something, every list end?
 * For whoever may have inherited them from one that went wild (check.c). Reads
 * all that is in use: a millisecond for ten thousand files. */
bool rk__core_check(void);

/* Who asks. Groups come from the kernel, never from the request. */
struct rk__cred {
	uint32_t uid, gid;
	const uint32_t *group;
	uint32_t n_groups;
	uint32_t pid;
	uint32_t umask;
	/* The kernel has checked permissions already (a mount with
	 * default_permissions): only what it can't know is checked. */
	bool checked;
};

#endif
