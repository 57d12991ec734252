/*
 * internal.h - the supervisor from inside. One thread runs the loop and owns
 * all of it; the watcher thread (watch.c) reads the lock word of the board
 * only, and the thread that unmounts touches nothing.
 */
#ifndef RK_SUPERVISOR_INTERNAL_H
#define RK_SUPERVISOR_INTERNAL_H

#include <pthread.h>
#include <uv.h>
#include "cells.h"
#include "channel.h"
#include "keeper/keeper.h"
#include "recovery/log.h"
#include "supervisor/make.h"
#include "supervisor/news.h"
#include "supervisor/policy.h"
#include "supervisor/proc.h"
#include "supervisor/supervisor.h"
#include "supervisor/zygote.h"

/* --- child.c: a child process, until it is reaped ------------------------- */

struct rk__child {
	uv_poll_t poll;
	pid_t pid;
	int pidfd;
	/* Called once, when it was reaped; the child is freed after it. */
	void (*ended)(void *ctx, int status);
	void *ctx;
	struct rk__supervisor *sup;
};

/* NULL: it can't be watched, and was killed and reaped. */
struct rk__child *rk__child_watch(struct rk__supervisor *s, pid_t pid,
				  void (*ended)(void *ctx, int status),
				  void *ctx);
void rk__child_kill(struct rk__child *c, int sig);
/* Lets go of it, not reaped. */
void rk__child_forget(struct rk__child *c);

/* --- server.c: one server process ----------------------------------------- */

struct rk__queued {
	struct rk__queued *next;
	struct rk__message message;
	int fd[2];			/* duplicates */
	unsigned n_fds;
};

struct rk__server {
	struct rk__supervisor *sup;
	struct rk__child *child;
	uv_poll_t poll;			/* of control */
	int control;
	uint32_t generation;
	bool dead;			/* its death was handled */
	bool unexplained;		/* and nobody knew why it died */
	struct rk__policy_event death;
	bool eof;			/* nothing can be sent any more */
	struct rk__queued *queue, **queue_end;
};

/* Spawns one and tells it of mounts and channels. NULL: none can be made. */
struct rk__server *rk__server_create(struct rk__supervisor *s,
				     enum rk__start how);
/* Never blocks: queues what does not fit. fds stay the caller's. */
void rk__server_send(struct rk__server *v, const struct rk__message *m,
		     const int *fds, unsigned n_fds);
/* Tries again to send what was queued. */
void rk__server_pump(struct rk__server *v);

/* Takes what it has said, as far as it is there. */
void rk__server_hear(struct rk__server *v);

/* --- pages.c: what servers give to be kept ------------------------------------ */

struct rk__kept {
	int fd;				/* -1: none */
	uint64_t generation;
};
void rk__kept_init(struct rk__supervisor *s);
void rk__kept_take(struct rk__supervisor *s, const struct rk__server *from,
		   const struct rk__message *m, int fd);
void rk__kept_tell(struct rk__supervisor *s, struct rk__server *v);
void rk__kept_finish(struct rk__supervisor *s);

/* --- watch.c: a thread that sees the robust lock of the server ------------- */

int rk__watch_start(struct rk__supervisor *s);
void rk__watch_stop(struct rk__supervisor *s);

/* --- helpers.c: zygote and its spare, keeper, file system recovery ------------ */

int rk__helpers_start(struct rk__supervisor *s, char *error);
/* From whoever can: the zygote, or its spare if it died. */
pid_t rk__helpers_spawn(struct rk__supervisor *s, enum rk__spawn_kind kind,
			uint32_t generation, uint32_t how, int fd);
int rk__keeper_start(struct rk__supervisor *s, enum rk__keeper_start how);
/* The one there is ends, and the next goes back: RK_EVENT_WENT_BACK. */
void rk__keeper_go_back(struct rk__supervisor *s, bool salvage);
/* It ended, or could not be started: another after a while, if that helps. */
void rk__keeper_lost(struct rk__supervisor *s);
/* One for each mount of the kernel's, as soon as somebody else changes files
 * behind its back: the first client of the library. */
void rk__notifiers_start(struct rk__supervisor *s);
/* Runs e2fsck on the image of the mount that asked; RK_EVENT_RECOVERED. */
void rk__recover_start(struct rk__supervisor *s);

/* --- timers.c: deadline, mounts gone, timer flush, random kills ------------------------- */

int rk__timers_start(struct rk__supervisor *s);
void rk__timers_killed(struct rk__supervisor *s);	/* the server died */
void rk__timers_ready(struct rk__supervisor *s);	/* one serves again */

/* --- ladder.c: what is said at its end ---------------------------------------- */

/* One paragraph (RK_SERVER_ERROR_LEN): what was tried, and what was said
 * last. */
void rk__ladder_report(const struct rk__policy *p, const char *last, char *ret);

/* --- control.c: the socket and its clients --------------------------------- */

struct rk__client;

int rk__control_open(struct rk__supervisor *s, char *error);
int rk__control_listen(struct rk__supervisor *s);	/* accept from now on */
void rk__control_unlink(struct rk__supervisor *s);	/* its name is free */
void rk__control_close(struct rk__supervisor *s);
/* Closes every client's connection. */
void rk__control_drop_all(struct rk__supervisor *s);
/* Tells a server of every live channel. */
void rk__control_tell(struct rk__supervisor *s, struct rk__server *v);
/* Answers whoever asked to stop. */
void rk__control_answer_stop(struct rk__supervisor *s, int error,
			     const char *message);
/* To all who watch; who does not take it is left out. */
void rk__control_publish(struct rk__supervisor *s, const struct rk_event *e);
/* What it is called: the socket's name without ".sock". */
void rk__control_name(const struct rk__supervisor *s, char *ret, size_t size);

/* --- control_hand.c: the connections in an upgrade ------------------------------ */

struct rk__hand;
/* Listens to nobody, or to all again. */
void rk__control_pause(struct rk__supervisor *s, bool on);
/* Gives them to another supervisor, on its socket. 0 or a negative errno. */
int rk__control_hand(struct rk__supervisor *s, int to);
/* Takes one, with its descriptors, if it is good for anything. */
void rk__control_take(struct rk__supervisor *s, const struct rk__hand *h,
		      int *fds);

/* --- upgrade.c, succeed.c: see upgrade.h ----------------------------------------- */

enum rk__upgrade_step {
	RK_UPGRADE_NONE,
	RK_UPGRADE_EXPORTING,		/* not one: the state is for a file */
	RK_UPGRADE_PREPARING,		/* the new program makes ready */
	RK_UPGRADE_FLUSHING,		/* what is dirty, before the pause */
	RK_UPGRADE_PAUSING,		/* the server writes its state */
	RK_UPGRADE_ENDING_KEEPER,
	RK_UPGRADE_HANDED,		/* the new server reads it */
	RK_UPGRADE_DONE,
};

void rk__upgrade_init(struct rk__supervisor *s);
/* asker is answered when it serves, or does not. */
void rk__upgrade_begin(struct rk__supervisor *s, struct rk__client *asker,
		       const char *program);
/* A server said something about it. */
void rk__upgrade_heard(struct rk__supervisor *s, const struct rk__message *m);
/* It is to end: the old one is stopped. */
void rk__upgrade_stop(struct rk__supervisor *s);
/* true: that is all that its death means. */
bool rk__upgrade_server_died(struct rk__supervisor *s);
bool rk__upgrade_keeper_ended(struct rk__supervisor *s);

/* --- export.c ------------------------------------------------------------------ */

/* The config in external form. */
int rk__plan_write(const struct rk__supervisor *s, int fd);
/* fd: of the file, which stays the caller's. */
void rk__export_begin(struct rk__supervisor *s, struct rk__client *asker,
		      int fd, bool images);
void rk__export_end(struct rk__supervisor *s, int error, const char *sentence);

int rk__succeed_start(struct rk__supervisor *s);
void rk__succeed_heard(struct rk__supervisor *s, const struct rk__message *m);
bool rk__succeed_died(struct rk__supervisor *s);
/* Connections of client processes, and of programs of rump run -s. */
void rk__control_users(const struct rk__supervisor *s, uint32_t *ret_clients,
		       uint32_t *ret_programs);

/* --- report.c: what is said of it ------------------------------------------- */

/* Of the servers that died since this supervisor began. */
struct rk__deaths {
	uint64_t n[RK_DEATH_KINDS];
	enum rk_death last;
	int signal;			/* 0: not known */
	uint32_t op;			/* as board.current_op, 0: none */
	uint64_t at_s, outage_us;
	bool open;			/* nobody serves since */
	uint64_t beat_ns;
};

/* The active server died, of e; status: of waitpid, -1 if not known. */
void rk__report_death(struct rk__supervisor *s,
		      const struct rk__policy_event *e, int status);
/* Of the last death it came out that it was a fault. */
void rk__report_was_fault(struct rk__supervisor *s, int signal);
/* One serves again. */
void rk__report_ready(struct rk__supervisor *s);
/* Tells the holder, once a second at most, that the loop turns. */
void rk__report_beat(struct rk__supervisor *s);
/* What of a status is not of the connections. */
void rk__report_fill(const struct rk__supervisor *s, struct rk_status *ret);
/* "" for what is none. */
const char *rk__report_op(uint32_t op);

/* --- stop.c: unmount, stop, drain, end -------------------------------------- */

/* A client or the owner wants it to stop. */
void rk__supervisor_begin_stop(struct rk__supervisor *s, bool owner);

/* --- all of it ------------------------------------------------------------ */

enum rk__stage {
	RK_STAGE_STARTING,	/* until the first server is ready */
	RK_STAGE_SERVING,
	RK_STAGE_UNMOUNTING,	/* a stop was asked for */
	RK_STAGE_STOPPING,	/* the server was told */
	RK_STAGE_STOPPED,	/* it is done; its last record may wait */
	RK_STAGE_FAILED,	/* given up */
	RK_STAGE_HANDED,	/* another program has it */
	RK_STAGE_ENDING,	/* processes are being ended */
};

struct rk__signal {
	uv_signal_t handle;
	void (*fn)(void *ctx, int sig);
	void *ctx;
};

enum { RK_SIGNALS_MAX = 8 };

struct rk__supervisor {
	uv_loop_t loop;
	struct rk__config config;
	struct rk__views views;
	struct rk__image image[RK_MOUNTS_MAX];
	struct rk__board *board;
	struct rk__log log;		/* read only */
	struct rk__policy policy;
	struct rk__news news;
	enum rk__stage stage;
	char error[RK_SERVER_ERROR_LEN];
	int failed;			/* negative errno of FAILED */
	uint64_t started_s;
	int fuse_fd[RK_MOUNTS_MAX];
	uint64_t fuse_flags[RK_MOUNTS_MAX];
	struct rk__deaths deaths;
	int holder;			/* tells it what to keep; -1: none */
	int namespace[2];		/* user, mount: to share; -1: none */

	struct rk__kept kept[RK_CELLS];
	unsigned n_children;		/* not reaped yet */
	struct rk__server *active, *standby;
	uint32_t generation;		/* of the newest server */
	uint64_t restarts;
	struct rk__zygote zygote, spare;
	struct rk__child *zygote_child, *spare_child;
	struct rk__child *keeper;
	struct rk__notifier {
		struct rk__supervisor *s;
		struct rk__child *child;
		uint32_t deaths;
	} notifier[RK_MOUNTS_MAX];
	struct rk__child *program;	/* rk__supervisor_watch */
	struct {
		uv_poll_t poll;
		int fd;			/* -1: not waiting for it */
		bool ready;
		/* until it did: what its successors do too */
		enum rk__keeper_start going;
		enum rk__keeper_start how;	/* of the one that runs */
		uint32_t idle_deaths;
		uint64_t applied;	/* at its last death */
	} keeper_ready;

	uv_async_t death;		/* sent by the watcher */
	pthread_t watcher;
	_Atomic bool watching;
	uv_timer_t standby_timer, backoff_timer, keeper_timer;
	uv_timer_t tick, flush, drain;
	struct {
		uint64_t value, since_ns;
		uint64_t ping, asked_ns;	/* the last, and since when */
		uint32_t asked;		/* generation of the server */
		/* the time that the server had; which server, at tick_ns */
		uint64_t clock_ns, tick_ns;
		uint32_t clock_of;
		struct rk__times times;
		uint64_t keeper_stopped_ns;	/* while it was wanted */
	} progress;
	struct {
		uv_poll_t poll;
		int fd;			/* /proc/self/mountinfo, -1: none */
	} mountinfo;
	struct {
		uv_poll_t poll;
		int fd;			/* timerfd, -1: off */
		uint64_t kills, recovered, at_ns;
		uint64_t *sample;
		size_t n, room;
	} kill;

	struct {
		uv_poll_t poll;
		int fd;
		char path[108];
		struct rk__client *channel[RK_CHANNELS_MAX];
		struct rk__client *clients;	/* all connections */
		unsigned n_clients, n_channels;
		uint32_t next;		/* channel to try first */
		uint32_t limit;		/* of channels, by our descriptors */
		bool open;
	} control;

	rk__unmount_fn *unmount;
	void *unmount_ctx;
	uv_work_t work;
	int unmount_result;
	bool unmounting;		/* the thread runs */
	enum rk__unmount unmount_how;
	bool unmounted;
	bool owner_stops;		/* not just a client: EBUSY won't do */
	bool clean;			/* everything is in the image */

	/* The old one's part of an upgrade. */
	struct {
		enum rk__upgrade_step step;
		struct rk__client *asker;
		struct rk__child *child;	/* the new holder */
		uv_poll_t poll;
		uv_timer_t deadline, look;
		int fd, state, baton_fd;
		struct rk__baton *baton;
		uint64_t attempt, seq, until_ns, paused_ns;
		bool cells_closed;
	} upgrade;
	/* The new one's: what it was made of; it has the baton. */
	struct rk__handed *handed;
	bool owns;
	bool bound;			/* rk__supervisor_bind */
	bool was_handed;		/* or a predecessor was */

	bool program_ended;
	int *program_status;
	struct rk__signal signal[RK_SIGNALS_MAX];
	unsigned n_signals;
};

uint64_t rk__now_ns(void);
/* The one that another supervisor of this family had taken. */
enum rk__rung rk__rung_of_predecessor(struct rk__board *b);
/* Asks the policy and does what it says. */
void rk__supervisor_event(struct rk__supervisor *s,
			  const struct rk__policy_event *e);
/* The active server died; status: of waitpid, -1 if not known. */
void rk__supervisor_died(struct rk__supervisor *s, int status);
/* How a server died whose death was handled before that was known. */
void rk__supervisor_explain(struct rk__server *v, int status);
void rk__supervisor_ready(struct rk__supervisor *s, struct rk__server *v);
/* Ends everything with this sentence. */
void rk__supervisor_fail(struct rk__supervisor *s, int error,
			 const char *sentence);
/* Starts a keeper, which goes on where the last one stood. */
void rk__keeper_again(struct rk__supervisor *s);
/* What the holder is to keep from now on, or no more. */
void rk__tell_holder(struct rk__supervisor *s, enum rk__hold_type type,
		     uint32_t mount);
/* Has the holder know who may take over. */
void rk__tell_baton(struct rk__supervisor *s, int baton_fd, pid_t successor);
/* Frees it after its processes have ended. */
void rk__supervisor_free(struct rk__supervisor *s);

#endif
