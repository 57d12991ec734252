/*
 * supervisor.h - the parent that owns what must survive a server.
 *
 * rk__supervisor_start() makes a family and brings it to life: keeper (replays
 * the journals), zygote (has the drivers, runs nothing of them), server,
 * standby. rk__supervisor_run() is its event loop (libuv). Policy is a pure
 * function in policy.h; spawning, timers and sockets are around it.
 */
#ifndef RK_SUPERVISOR_H
#define RK_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>
#include "channel.h"
#include "../recovery/family.h"

struct rk__config {
	char name[64];			/* of the socket, "" : from the pid */
	struct rk__mount_spec mount[RK_MOUNTS_MAX];
	uint32_t n_mounts;
	bool fuse;			/* make mounts */
	enum rk_audience audience;	/* for whom */
	char driver_dir[4096];
	uint32_t deadline_ms;		/* an op that runs longer is a hang */
	uint32_t flush_ms;		/* timer flush */
	uint32_t kill_every_us;		/* --kill-every: mean, 0 off */
	/* Deaths without progress before it waits between restarts, and before
	 * it gives up; 0: the policy's own. */
	uint32_t patience, limit;
	/* A socket that listens already, of systemd, and stays the caller's; 0:
	 * none, it is made. */
	int listen_fd;
	bool managed;			/* for the status: systemd runs it */
	/* What the first server begins with, in external form; 0: nothing. */
	int state_fd;
};

/* --- messages between supervisor and server, on a seqpacket pair ---------- */

enum rk__message_type {
	/* down */
	RK_MSG_FUSE = 1,	/* fd: /dev/fuse of mount `number`; flags in a */
	/* struct rk__attach; fds: memfd, eventfd (or socket), and for pages the
	 * connection */
	RK_MSG_ATTACH,
	RK_MSG_DETACH,		/* channel `number` ended */
	RK_MSG_SYNCED,		/* that was all: channels not named are gone */
	RK_MSG_FLUSH,		/* timer: make a flush point if anything is dirty */
	RK_MSG_PING,		/* put a into board.heard: are you there? */
	RK_MSG_PAGES,		/* fd: of cell `number`, generation a; none: no more */
	RK_MSG_PAUSE,		/* fd: write the state there from offset `token` on,
				 * and serve nobody; number: RK_PAUSE_*; a: which
				 * attempt */
	RK_MSG_RESUME,		/* serve again */
	RK_MSG_STATE,		/* fd: the state to begin with */
	RK_MSG_GO,		/* the devices are yours: serve */
	RK_MSG_STOP,		/* answer clients with ESHUTDOWN, flush, checkpoint, exit 0 */
	/* up */
	RK_MSG_READY,		/* serves; number: 1 if it took over */
	RK_MSG_STOPPED,		/* number: 0 or an errno */
	RK_MSG_PAUSED,		/* number: 0 or an errno; a: which attempt */
	RK_MSG_PREPARED,	/* waits for RK_MSG_STATE */
	RK_MSG_PROVEN,		/* has read it, and answers as it should */
	/* RK_MSG_PAGES goes up as well: to be kept */
};

enum { RK_PAUSE_IMAGES = 1 };	/* the images as well */

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

enum rk__start {
	RK_START_WARM,			/* from the state of the last commit */
	RK_START_FIRST,			/* there is no state yet */
	RK_START_COLD,			/* from the last flush point (cold.c) */
};

/*
 * The server's main, called in a fresh fork of the zygote: prepares (maps,
 * prefaults), waits until board.takeover names `generation`, serves. Never
 * returns. control: its end of the pair.
 */
_Noreturn void rk__server_run(struct rk__family *f, int control,
			      uint32_t generation, enum rk__start how);

/* --- the supervisor itself ------------------------------------------------ */

struct rk__supervisor;

struct rk__summary {
	uint64_t kills;			/* by kill_every_us */
	uint64_t recovered;		/* of those: a successor served */
	uint64_t restarts;		/* takeovers, for whatever reason */
	uint64_t faults, quarantined;
	uint64_t p50_ns, p99_ns, max_ns;	/* from kill to serving again */
};

/*
 * Makes the family and starts keeper, zygote and the first server; returns
 * when it has mounted. The caller must be single-threaded, and the thread that
 * calls it must live as long as the family: everything is killed with it. On
 * failure nothing is left and a sentence is in error (RK_SERVER_ERROR_LEN).
 * Environment: RUMP_CRASH=name[:skip] plants a crash point, RUMP_NO_RESEND=1
 * does without FUSE_NOTIFY_RESEND, RUMP_LADDER=cold|read-only takes that rung
 * at each death. RUMP_FRAGILE=1, to measure what survival
 * costs: no state is kept, the first death is the end.
 */
int rk__supervisor_start(const struct rk__config *config,
			 struct rk__supervisor **ret, char *error);

/*
 * What outlives a supervisor that is killed: shared memory, images and their
 * locks, /dev/fuse, and the drivers' code, in a process that does nothing but
 * keep them, the holder. Each supervisor is forked from it, so the next finds
 * everything where it was, at the same addresses, and goes on.
 */
struct rk__estate;

/* Opens and makes it all in this process, which must have one thread. */
int rk__estate_create(const struct rk__config *config, struct rk__estate **ret,
		      char *error);
void rk__estate_destroy(struct rk__estate *e);
/* Takes what the supervisor has to say from the holder's end of its socket
 * (seqpacket). false: nothing is there now. */
bool rk__estate_hear(struct rk__estate *e, int socket);
/* Closes /dev/fuse: whoever waits for an answer gets an error. */
void rk__estate_abort(struct rk__estate *e);
/* A supervisor can go on from it: a family was mounted. */
bool rk__estate_lives(const struct rk__estate *e);
/*
 * When a supervisor has ended: may this program go on with what it keeps? Not
 * if an upgrade gave it to another one, whose holder is *_successor, or if
 * this is a new program that had not taken it (upgrade.h).
 */
bool rk__estate_is_ours(struct rk__estate *e);
pid_t rk__estate_successor(const struct rk__estate *e);
/* What its supervisor says of itself, every second while its loop turns. */
struct rk__estate_status {
	uint64_t beats;			/* of all supervisors; 0: none served yet */
	uint64_t restarts;
	uint32_t users;			/* programs and clients of the library */
};
const struct rk__estate_status *rk__estate_status(const struct rk__estate *e);
/* What its servers have done: changes if they do anything. */
uint64_t rk__estate_progress(const struct rk__estate *e);

/* rk__supervisor_start() in a fresh child of the holder: the first, or a
 * successor. socket: its end, which it owns from now on. */
int rk__supervisor_inherit(struct rk__estate *e, int socket,
			   struct rk__supervisor **ret, char *error);

/* Gives it /dev/fuse of a fresh mount: answers INIT, then the server serves
 * it. Takes over fd, also on failure. */
int rk__supervisor_fuse(struct rk__supervisor *s, uint32_t mount, int fd,
			char *error);

enum rk__unmount {
	RK_UNMOUNT,			/* if nobody uses it */
	RK_UNMOUNT_LAZY,		/* now, whoever uses it */
	RK_UNMOUNT_ABORT,		/* the same, and no call may wait for it */
};

/* The namespaces that programs who ask to share its mounts get. They stay the
 * caller's, and outlive the supervisor. */
void rk__supervisor_share(struct rk__supervisor *s, int user_ns, int mount_ns);

/* It ends with programs that only this one's owner knows of: no upgrade. */
void rk__supervisor_bind(struct rk__supervisor *s);

/* How its mounts are undone; called on a thread of its own, because it may
 * wait for the server. 0 or a negative errno. With it set, somebody else's
 * unmounting ends the server too. */
typedef int rk__unmount_fn(void *ctx, enum rk__unmount how);
void rk__supervisor_on_stop(struct rk__supervisor *s, rk__unmount_fn *unmount,
			    void *ctx);

/* Watches a child of the caller while rk__supervisor_run() runs, which ends
 * with it. *status: as of waitpid, written then. */
int rk__supervisor_watch(struct rk__supervisor *s, pid_t pid, int *status);
/* Calls fn from the loop when this signal comes. */
int rk__supervisor_signal(struct rk__supervisor *s, int sig,
			  void (*fn)(void *ctx, int sig), void *ctx);

/* The event loop until fd can be read, which becomes non-blocking: for who waits
 * for somebody that may wait for the server, which may have to be replaced
 * first. A negative errno, and a sentence in error, if the server had to be
 * given up. */
int rk__supervisor_await(struct rk__supervisor *s, int fd, char *error);

/* The event loop: until the watched child ended, a stop was asked for and
 * done, or the server had to be given up (a negative errno, and a sentence in
 * error). */
int rk__supervisor_run(struct rk__supervisor *s, char *error);

/* From a signal function: makes the loop unmount and stop the server. */
void rk__supervisor_ask_stop(struct rk__supervisor *s);

/*
 * Unmounts, stops the server, waits for the keeper, ends and reaps all
 * processes, removes the socket and the empty journals, frees s. Returns a
 * negative errno, with a sentence, if something could not be made durable.
 * ret_summary may be NULL.
 */
int rk__supervisor_stop(struct rk__supervisor *s,
			struct rk__summary *ret_summary, char *error);

const char *rk__supervisor_socket(const struct rk__supervisor *s);

void rk__supervisor_summary(const struct rk__supervisor *s,
			    struct rk__summary *ret);

#endif
