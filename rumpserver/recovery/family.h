/*
 * family.h - what the processes of one driver set share.
 *
 * The supervisor makes all of it before it forks anything, so that zygote,
 * keeper and every server inherit it: the same descriptors, the same mappings
 * at the same addresses. It outlives each of them.
 */
#ifndef RK_FAMILY_H
#define RK_FAMILY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	RK_PAGE = 4096,
	RK_MOUNTS_MAX = 8,		/* mounts, and so devices, of one server */
	RK_STACK_MAX = 4,		/* drivers of one mount */
	RK_CHANNELS_MAX = 4096,
	RK_FUSE_SLOTS = 16384,		/* request slots of one mount */
	RK_SERVER_ERROR_LEN = 256,
};

/* Sanitizers' run-times make system calls of their own: no seccomp filter. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RK_SANITIZED 1
#else
#define RK_SANITIZED 0
#endif

/* Global slot numbers: every place where a request can stand has one, so that
 * core can record the id of the last request of it that was committed. */
#define RK_SLOT_FUSE(mount, i)	((mount) * RK_FUSE_SLOTS + (i))
#define RK_SLOT_CHANNELS	(RK_MOUNTS_MAX * RK_FUSE_SLOTS)
#define RK_SLOT_CHANNEL(ch, i)	(RK_SLOT_CHANNELS + (ch) * RK_SLOTS_PER_CHANNEL + (i))
#define RK_SLOTS_PER_CHANNEL	65
#define RK_SLOTS_ALL		(RK_SLOT_CHANNELS + RK_CHANNELS_MAX * RK_SLOTS_PER_CHANNEL)

/* One more, for ops whose clients are gone. */
#define RK_SLOT_NOBODY		RK_SLOTS_ALL

/* Why a server ended, as far as it could say itself. */
enum rk__cause {
	RK_CAUSE_NONE,			/* no word: a SIGKILL from outside */
	RK_CAUSE_FAULT,			/* a fault signal: board.cause_signal */
	RK_CAUSE_DEADLINE,		/* written by the supervisor before it kills */
	RK_CAUSE_NO_MEMORY,
	RK_CAUSE_STOP,			/* asked to stop, and did */
	RK_CAUSE_MOUNT_FAILED,		/* board.error says why */
	RK_CAUSE_NEEDS_RECOVERY,	/* mount asks for e2fsck; board.recover_mount */
	RK_CAUSE_BROKEN,		/* recovery refuses: bad checksum, other build */
};

/* Read-only because nothing else held. */
enum rk__frozen {
	RK_FROZEN_NOT,
	/* The drivers' memory is not trusted: nothing goes to the devices. */
	RK_FROZEN_SUSPECT,
	RK_FROZEN_FRESH,		/* it is new: a clean stop keeps what it has */
};

/* Where a server is. One writer: the server that holds the lock. */
enum rk__phase {
	RK_PHASE_NONE,
	RK_PHASE_BOOT,			/* cold: mounting the drivers */
	RK_PHASE_RECOVER,		/* successor: loading, posting, scanning */
	RK_PHASE_SERVE,
	RK_PHASE_STOPPING,		/* as it was told: refuses, flushes */
	RK_PHASE_STOPPED,
	RK_PHASE_PAUSED,		/* upgrade: waits to go on, or for its end */
};

/*
 * The board: one shared page of words. `lock` is a robust futex held by the
 * active server for its whole life, in the kernel's format (tid, WAITERS,
 * OWNER_DIED).
 */
struct rk__board {
	_Atomic uint32_t lock;
	_Atomic uint32_t phase;		/* enum rk__phase */
	_Atomic uint32_t generation;	/* of the active server; 0 before the first */
	_Atomic uint32_t booted;	/* the first server committed all it mounted */
	_Atomic uint32_t takeover;	/* generation that may run now; futex for standbys */
	_Atomic uint32_t cause;		/* enum rk__cause, reset at each takeover */
	_Atomic uint32_t cause_signal;
	_Atomic uint32_t recover_mount;
	/* Odd while an op runs: the same odd value for longer than the
	 * deadline is a hang. */
	_Atomic uint64_t progress;
	_Atomic uint64_t heard;		/* last RK_MSG_PING that was answered */
	/* The request that runs now; what a fault is counted against. */
	_Atomic uint32_t current_op;	/* enum rk_op, or FUSE's | RK_OP_OF_FUSE */
	_Atomic uint32_t current_slot;
	_Atomic uint32_t alone;		/* it runs in a batch of its own */
	_Atomic uint64_t current_id;
	/* Set by the supervisor before a takeover. */
	/* The last one died of itself: look whether its memory makes sense
	 * before it is gone on with. */
	_Atomic uint32_t doubted;
	_Atomic uint32_t one_by_one;	/* no group commit until a commit succeeds */
	_Atomic uint32_t quarantine;	/* answer this one with EIO: slot, id */
	_Atomic uint32_t quarantine_slot;
	_Atomic uint64_t quarantine_id;
	/* A cold restart: set by the supervisor before the keeper goes back to
	 * the last flush point, 0 again when a server has committed all that
	 * came of it. Until then there is no state to start warm from. */
	_Atomic uint32_t cold;
	_Atomic uint32_t read_only;	/* enum rk__frozen: each mount, whatever was asked for */
	_Atomic uint64_t cold_cut;	/* calls of records from here on are left out, 0: none */
	_Atomic uint64_t cold_seq;	/* record whose calls run again now */
	_Atomic uint64_t cold_calls;	/* that were run again, so far */
	/* Counters. */
	_Atomic uint64_t ops, commits, pages, blocks, log_bytes;
	_Atomic uint64_t death_ns, answer_ns;	/* CLOCK_MONOTONIC: death noticed (or killed), first answer after it */
	_Atomic uint32_t crash_at;	/* enum rk__crashpoint that kills next, 0 none */
	_Atomic uint32_t crash_skip;	/* pass it this many times first */
	/* Upgrade. The drivers were synced with no flush point after it, so
	 * one must come before anything else; the devices are another
	 * family's still, and the keeper writes to none of them. */
	_Atomic uint32_t unflushed, devices_held;
	char error[RK_SERVER_ERROR_LEN];
};

#define RK_OP_OF_FUSE	(1u << 31)

struct rk__mount_spec {
	char path[4096];		/* where clients see it, normalised */
	char driver[128];		/* as written: "fault+ext4" */
	char layer[RK_STACK_MAX][32];	/* each of them, the lowest first */
	uint32_t n_layers;
	uint32_t kind;			/* enum rk_source, once they are loaded */
	char source[4096];		/* for messages only: the server opens nothing */
	char options[2048];		/* comma-separated, for the drivers */
	bool read_only;
	bool rw;			/* asked for by name */
	bool writeback;			/* the kernel keeps what was written */
	bool stay;			/* the server neither follows nor polls */
	bool process;			/* ops run on stacks of their own */
};

struct rk__device {
	int fd;				/* the image; read-only in the server */
	int journal_fd;			/* -1: read-only mount */
	int undo_fd;			/* of its checkpoints (keeper/undo.h), or -1 */
	int overlay_fd;			/* sparse memfd, block b at b * RK_PAGE */
	int bitmap_fd;			/* memfd, one bit a block: present in the overlay */
	uint64_t size;			/* bytes */
};

struct rk_cells;

struct rk__family {
	struct rk__board *board;	/* shared mapping */
	uint8_t *lasting;		/* the same: a piece for each driver */
	struct rk_cells *cells;		/* the same: cells.h. Clients have cells_fd */
	int cells_fd;
	int core_fd, driver_fd;		/* images of the two regions */
	int log_fd;			/* log.h */
	int calls_fd;			/* calls.h; -1: none is kept */
	int inbox_fd[RK_MOUNTS_MAX];	/* the FUSE gate's request slots */
	int fuse_fd[RK_MOUNTS_MAX];	/* /dev/fuse of each mount, -1: none */
	uint64_t fuse_init[RK_MOUNTS_MAX];	/* flags agreed in INIT */
	int keeper_event;		/* eventfd: the keeper flushed something */
	struct rk__mount_spec mount[RK_MOUNTS_MAX];
	struct rk__device device[RK_MOUNTS_MAX];
	uint32_t n_mounts;
	uint32_t owner;			/* uid of whoever started it */
	/* To measure what survival costs: commits carry blocks only, and
	 * requests stand in memory of the server. Its death is the end. */
	bool fragile;
	/* Its first server reads the state of another family. */
	bool imports;
};

/* Named instants at which a test makes the process that passes die by SIGKILL. */
#define RK_CRASHPOINTS(X)						\
	X(request_taken) X(op_half_done) X(log_half_written)		\
	X(log_not_published) X(reply_not_posted) X(reply_half_posted)	\
	X(apply_half_done) X(flush_half_done) X(flush_not_synced)	\
	X(checkpoint_half_done) X(replay_half_done)			\
	X(recover_loaded) X(recover_half_posted) X(recover_asked)	\
	X(recover_half_resumed) X(forget_taken) X(request_copied)	\
	X(answer_noted) X(undo_half_saved) X(undo_not_counted) X(order_half_done) \
	X(upgrade_prepared) X(upgrade_paused) X(upgrade_written)		\
	X(upgrade_read) X(upgrade_canaried) X(upgrade_switched)			\
	X(cold_reset) X(cold_half_run) X(cold_not_committed)		\
	X(pages_unmarked) X(pages_marked) X(pages_half_done) X(pages_not_even)

enum rk__crashpoint {
	RK_CRASH_NONE,
#define RK_CRASH_NAME(n) RK_CRASH_##n,
	RK_CRASHPOINTS(RK_CRASH_NAME)
#undef RK_CRASH_NAME
	RK_CRASH_END
};

/* Set once in each process that may pass crash points. */
extern struct rk__board *rk__crash_board;
void rk__crash(enum rk__crashpoint point);	/* slow path, recovery/crashpoint.c */
/* -ENOENT if there is none of that name. */
int rk__crashpoint_find(const char *name);

#define RK_CRASHPOINT(point) do {					\
	if (__builtin_expect(rk__crash_board &&				\
	    atomic_load_explicit(&rk__crash_board->crash_at,		\
	    memory_order_relaxed) == RK_CRASH_##point, 0))		\
		rk__crash(RK_CRASH_##point);				\
} while (0)

#endif
