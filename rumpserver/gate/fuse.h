/*
 * fuse.h - the FUSE gate from inside: the inbox, its slots, the table of
 * operations; and what linux/fuse.h of older systems lacks.
 *
 * The inbox is a memfd that outlives servers. Requests are read into one of a
 * few big slots; what is small, which is all but writes, is copied on into a
 * small one at once, so that a request that waits for a lock costs half a
 * kilobyte and never a big slot. A slot is freed only after its answer was
 * written: a successor finds whatever its predecessor had taken.
 */
#ifndef RK_FUSE_H
#define RK_FUSE_H

#include <linux/fuse.h>
#include <stdatomic.h>
#include "gate.h"
#include "notice.h"
#include "../core/task.h"
#include "../core/vfs.h"

#define RK_FUSE_MAX_WRITE	(128u << 10)
/* In the number of a request that is sent again. */
#define RK_FUSE_UNIQUE_RESEND	(1ull << 63)
/* Seconds that the kernel may answer from its own memory, as long as nobody
 * but it changes anything; and where it cannot be told to forget all names. */
#define RK_FUSE_VALID_S		86400
#define RK_FUSE_VALID_BLIND_S	1

enum {
	/* One of them is left free, so that what a successor is sent again
	 * can be read. */
	RK_FUSE_BIG_SLOTS = 5,
	RK_FUSE_SMALL = 512,		/* bytes of a small slot */
	RK_FUSE_BATCH = 32,		/* requests of one commit, at most */
	/* Slots that waiting locks must leave to everything else. */
	RK_FUSE_RESERVE = 64,
	RK_FUSE_OUT_SMALL = 288,	/* the longest answer of fixed size */
	RK_FUSE_BUFFERS = 8,		/* large answers of one commit */
	RK_FUSE_LISTERS = 512,
	RK_FUSE_FORGETS = 16,		/* that may wait for company */
	RK_FUSE_BUCKETS = 4096,
};

struct rk__fuse_inbox {
	/* What a small slot holds, stored last; 0: nothing. */
	_Atomic uint64_t id[RK_FUSE_SLOTS];
	/* The caller got a signal: this request ends with EINTR. */
	_Atomic uint8_t interrupted[RK_FUSE_SLOTS];
	/* 1 + the errno of an answer without data, stored before it is written;
	 * 0: none was. A successor gives it again, and does not run the request
	 * again: it may have been answered long before others that stand here. */
	_Atomic uint32_t answered[RK_FUSE_SLOTS];
	/* Handles of open directories whose names the kernel may cache as it
	 * reads them, by a hash of the directory. */
	_Atomic uint64_t lister[RK_FUSE_LISTERS];
};

/* A big slot is a page, at whose end the header of a write lies, and then
 * page-aligned data. It holds a request if the header's len is not 0. */
#define RK_FUSE_WRITE_HEAD	(sizeof(struct fuse_in_header) + \
	sizeof(struct fuse_write_in))
#define RK_FUSE_READ_SIZE	(RK_FUSE_WRITE_HEAD + RK_FUSE_MAX_WRITE)
#define RK_FUSE_BIG_AT		((sizeof(struct rk__fuse_inbox) + RK_PAGE - 1) \
	& ~(RK_PAGE - 1ul))
#define RK_FUSE_BIG_SIZE	(RK_PAGE + RK_FUSE_MAX_WRITE)
#define RK_FUSE_SMALL_AT	(RK_FUSE_BIG_AT + \
	RK_FUSE_BIG_SLOTS * RK_FUSE_BIG_SIZE)
#define RK_FUSE_NOTICES_AT	((RK_FUSE_SMALL_AT + \
	(RK_FUSE_SLOTS - RK_FUSE_BIG_SLOTS) * RK_FUSE_SMALL + RK_PAGE - 1) \
	& ~(RK_PAGE - 1ul))
/* What the supervisor makes family->inbox_fd[] as long as. */
#define RK_FUSE_INBOX_SIZE	(RK_FUSE_NOTICES_AT + 2 * RK_PAGE)
_Static_assert(sizeof(struct rk__notices) <= 2 * RK_PAGE, "room of notices");

struct rk__fuse;

/* One slot as this process sees it: volatile, rebuilt from the inbox. */
struct rk__fuse_slot {
	struct rk__handle handle;	/* first: a handle is its slot */
	struct rk__fuse *fuse;
	struct rk__fuse_slot *same;	/* the next of its bucket */
	struct fuse_in_header *request;	/* in the inbox */
	uint8_t *buffer;		/* of a large answer, or NULL */
	bool seen;			/* the kernel has sent it again */
	bool waits;			/* for a lock, in a driver; may go on */
	struct {
		struct fuse_out_header head;
		_Alignas(8) uint8_t data[RK_FUSE_OUT_SMALL];
	} out;
};

struct rk__fuse {
	struct rk__source source;	/* first: its fd is /dev/fuse */
	uint32_t mount;
	uint64_t flags;			/* agreed in INIT */
	bool live;			/* mounted, and this process serves it */
	bool paused;			/* not in the loop: no slot is free */
	struct rk__fuse_inbox *inbox;
	struct rk__fuse_slot *slot;
	/* Slots that hold something, by the id of it (fuse_slot.c). */
	struct rk__fuse_slot *by_id[RK_FUSE_BUCKETS];
	uint16_t free_big[RK_FUSE_BIG_SLOTS];
	uint16_t free_small[RK_FUSE_SLOTS];
	unsigned n_free_big, n_free_small;
	uint8_t *free_buffer[RK_FUSE_BUFFERS];	/* where their data starts */
	unsigned n_free_buffer;
	struct rk__fuse_slot *forget[RK_FUSE_FORGETS];
	unsigned n_forget;
	unsigned crowd;			/* requests of the last poll */
	unsigned polls;
	unsigned luck, looks;		/* looking again right after an answer */
};

enum rk__fuse_taken {
	RK_FUSE_NOTHING,		/* none is ready */
	RK_FUSE_TAKEN,			/* *ret stands in its slot */
	RK_FUSE_SKIPPED,		/* one was read and needs no serving */
	RK_FUSE_FULL,			/* no slot to read into */
	RK_FUSE_ENDED,			/* unmounted or aborted */
};

/* Seconds that the kernel may believe what it is told of names and attributes:
 * none from when the first client of the library came. */
/* FOPEN_KEEP_CACHE, unless others change the file behind our back. */
struct rk__fuse_call;
uint32_t rk__fuse_keep(const struct rk__fuse_call *c);
uint32_t rk__fuse_valid(const struct rk__fuse *f);

struct rk__fuse *rk__fuse_of(uint32_t mount);
/* Slot i, made ready at its first use: most are never touched. */
struct rk__fuse_slot *rk__fuse_slot(struct rk__fuse *f, unsigned i);
/* Reads one request. `leave`: big slots that must stay free after it. */
enum rk__fuse_taken rk__fuse_take(struct rk__fuse *f, unsigned leave,
				  struct rk__fuse_slot **ret);
void rk__fuse_serve(struct rk__fuse_slot *s);
/* One for a large answer, if any is free. */
bool rk__fuse_get_buffer(struct rk__fuse_slot *s);
void rk__fuse_put_buffer(struct rk__fuse_slot *s);
/* May this request take its slot for as long as it waits? */
bool rk__fuse_may_wait(struct rk__handle *h);
bool rk__fuse_interrupted(const struct rk__fuse_slot *s);
/* The id of the request in slot i, 0: none. */
uint64_t rk__fuse_held(const struct rk__fuse *f, unsigned i);
/* The slot that holds a request, but `but`; NULL: none does. */
struct rk__fuse_slot *rk__fuse_find(const struct rk__fuse *f, uint64_t id,
				    const struct rk__fuse_slot *but);
static inline uint64_t rk__fuse_id(const struct fuse_in_header *in)
{
	return in->unique & ~RK_FUSE_UNIQUE_RESEND;
}
static inline unsigned rk__fuse_index(const struct rk__fuse_slot *s)
{
	return (unsigned)(s - s->fuse->slot);
}
/* Takes a free slot, big or small; there must be one. It counts as found by
 * its id from rk__fuse_enlist on. */
struct rk__fuse_slot *rk__fuse_slot_take(struct rk__fuse *f, bool big);
void rk__fuse_enlist(struct rk__fuse_slot *s);
/* At the start of a server: empties the inbox if it is the first, and finds
 * what its slots hold and which are free. */
void rk__fuse_slots_start(struct rk__fuse *f, bool first);
/* Makes the slot empty; for whoever finds the inbox it is from then on. */
void rk__fuse_release(struct rk__fuse_slot *s);
/* One answer. A request that is gone (aborted, answered before) is no error:
 * there is nobody to tell. */
void rk__fuse_answer(const struct rk__fuse *f, uint64_t unique, int64_t result,
		     const void *data, uint32_t len);
void rk__fuse_end(struct rk__fuse *f);
/* Serves the FORGETs that wait. */
void rk__fuse_settle_one(struct rk__fuse *f);

/* --- one request ---------------------------------------------------------- */

struct rk__fuse_call {
	struct rk__fuse_slot *slot;
	const struct fuse_in_header *in;
	const void *arg;		/* the fixed part */
	const char *name[2];		/* strings after it */
	uint32_t name_len[2];
	const uint8_t *data;		/* bytes after those */
	uint32_t data_len;
	uint32_t mount, vnode;
	struct rk__node node;
	struct rk__cred cred;
	void *out;
	uint32_t room;
	enum rk__outcome outcome;	/* RK_DONE unless run() changes it */
};

enum {
	RK_FUSE_NO_REPLY = 1 << 0,
	RK_FUSE_NO_NODE = 1 << 1,	/* nodeid is not looked at */
	RK_FUSE_BUFFER = 1 << 2,	/* answers may be large */
	RK_FUSE_INTERRUPTIBLE = 1 << 3,
	RK_FUSE_MAY_BE_GONE = 1 << 4,	/* nodeid may be one that nobody holds */
};

struct rk__fuse_op {
	const char *name;
	/* Bytes of answer at c->out, or a negative errno. */
	int (*run)(struct rk__fuse_call *c);
	uint16_t in_size;		/* of the fixed part */
	uint8_t names;			/* strings that follow it */
	uint8_t flags;
};

/* NULL: none of ours; the kernel is told ENOSYS. */
const struct rk__fuse_op *rk__fuse_op(uint32_t opcode);
enum rk__outcome rk__fuse_exec(struct rk__handle *h);

/* The answer to any call that gives the kernel a file: takes a reference. */
int rk__fuse_enter(struct rk__fuse_call *c, const struct rk_stat *st,
		   struct fuse_entry_out *e);
void rk__fuse_attr(const struct rk_stat *st, struct fuse_attr *a);
uint32_t rk__fuse_rdev(uint64_t dev);
/* What the kernel is to call the file that this request opens. */
uint64_t rk__fuse_new_fh(const struct rk__fuse_call *c);
/* How the kernel names a vnode. */
uint64_t rk__fuse_nodeid(uint32_t vnode);
/* 0: names no file that this mount gave out. */
uint32_t rk__fuse_vnode(uint32_t mount, uint64_t nodeid);

#define RK_FUSE_CALLS(X)						\
	X(lookup) X(forget) X(batch_forget) X(destroy)			\
	X(getattr) X(setattr) X(statx) X(statfs)			\
	X(symlink) X(mknod) X(mkdir) X(create) X(link)			\
	X(unlink) X(rmdir) X(rename) X(rename2) X(readlink)		\
	X(tmpfile) X(ioctl)						\
	X(open) X(opendir) X(close) X(flush) X(read) X(write)		\
	X(fsync) X(fallocate) X(copy) X(copy_64) X(seek)		\
	X(getlk) X(setlk) X(setlkw)					\
	X(getxattr) X(setxattr) X(listxattr) X(removexattr)		\
	X(readdir) X(readdirplus)

#define RK_FUSE_DECLARE(n) int rk__fuse_##n(struct rk__fuse_call *c);
RK_FUSE_CALLS(RK_FUSE_DECLARE)
#undef RK_FUSE_DECLARE

/* --- newer than some systems' linux/fuse.h ------------------------------- */

#define RK_FUSE_MINOR		45
#define RK_FUSE_HAS_RESEND	(1ull << 39)
/* Not of the kernel's flags: it knows FUSE_NOTIFY_INC_EPOCH (Linux 6.16). */
#define RK_FUSE_HAS_EPOCH	(1ull << 63)
#define RK_FUSE_NOTIFY_RESEND	7
#define RK_FUSE_NOTIFY_EPOCH	8
#define RK_FUSE_TMPFILE		51
#define RK_FUSE_STATX		52
#define RK_FUSE_COPY_FILE_RANGE_64 53

struct rk__fuse_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct rk__fuse_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino, size, blocks;
	uint64_t attributes_mask;
	struct rk__fuse_sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor;
	uint32_t dev_major, dev_minor;
	uint64_t spare2[14];
};

struct rk__fuse_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct rk__fuse_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct rk__fuse_statx stat;
};
_Static_assert(sizeof(struct rk__fuse_statx_out) == RK_FUSE_OUT_SMALL,
	       "the longest fixed answer");

struct rk__fuse_copy_out {
	uint64_t bytes_copied;
};

#endif
