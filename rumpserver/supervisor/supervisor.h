/*
 * supervisor.h - the parent that owns what must survive a server.
 *
 * rk__supervisor_start() makes a family and brings it to life: keeper (replays
 * the journals), zygote (loads the drivers, runs nothing of them), server,
 * standby. rk__supervisor_run() is its event loop (libuv). Policy is a pure
 * function in policy.h; spawning, timers and sockets are around it.
 */
#ifndef RK_SUPERVISOR_H
#define RK_SUPERVISOR_H

#include <sys/types.h>
#include "../recovery/family.h"

struct rk__config {
	char name[64];			/* of the socket, "" : from the pid */
	struct rk__mount_spec mount[RK_MOUNTS_MAX];
	uint32_t n_mounts;
	bool fuse;			/* make mounts */
	char driver_dir[4096];
	uint32_t deadline_ms;		/* an op that runs longer is a hang */
	uint32_t flush_ms;		/* timer flush */
	uint32_t kill_every_us;		/* --kill-every: mean, 0 off */
};

/* --- messages between supervisor and server, on a seqpacket pair ---------- */

enum rk__message_type {
	/* down */
	RK_MSG_FUSE = 1,	/* fd: /dev/fuse of mount `number`; flags in a */
	RK_MSG_ATTACH,		/* struct rk__attach; fds: memfd, eventfd (or socket) */
	RK_MSG_DETACH,		/* channel `number` ended */
	RK_MSG_SYNCED,		/* that was all: channels not named are gone */
	RK_MSG_FLUSH,		/* timer: make a flush point if anything is dirty */
	RK_MSG_STOP,		/* answer clients with ESHUTDOWN, flush, checkpoint, exit 0 */
	/* up */
	RK_MSG_READY,		/* serves; number: 1 if it took over */
	RK_MSG_STOPPED,		/* number: 0 or an errno */
};

struct rk__message {
	uint32_t type;
	uint32_t number;
	uint64_t a;
	uint32_t transport;		/* RK_MSG_ATTACH: enum rk_transport */
	uint32_t reserved;
	uint64_t token, parent;
	uint32_t uid, gid, pid, n_groups;
	uint32_t group[64];
};

/*
 * The server's main, called in a fresh fork of the zygote: prepares (maps,
 * prefaults), waits until board.takeover names `generation`, serves. Never
 * returns. control: its end of the pair. first: there is no state yet.
 */
_Noreturn void rk__server_run(struct rk__family *f, int control,
			      uint32_t generation, bool first);

#endif
