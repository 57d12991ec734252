/*
 * loop.c - a server's life: prepare, wait as a standby, take over, serve, stop.
 *
 * Theory of operation. A server is forked from the zygote before it is needed.
 * As a standby it maps and reads in everything, keeps every channel it is told
 * of, and writes nothing that is shared. When the supervisor names its
 * generation on the board and says RK_MSG_SYNCED, the predecessor is dead: it
 * takes the robust lock, loads the log, posts the last record's replies again
 * and then serves what stands in the slots.
 *
 * Serving, it polls the channels that were active lately for as long as that
 * pays, and sleeps in epoll otherwise. All of it is one thread.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"
#include "core/core.h"
#include "core/pages.h"
#include "server/loop.h"
#include "core/task.h"
#include "core/vfs.h"
#include "gate/gate.h"
#include "recovery/region.h"
#include "supervisor/loader.h"
#include "supervisor/supervisor.h"

enum {
	SPIN_NS = 50000,	/* polling longer than this never paid */
	LOOK_EVERY = 256,	/* polls of busy channels between looks at epoll */
	SKIP_MAX = 10,		/* 2^n sleeps without polling before each */
	FORGETS_WAIT_MS = 5,
	HELD_WAIT_MS = 1000,
	SETTLE_STEP_NS = 50000, SETTLE_STEPS = 200, SETTLE_STEPS_MAX = 10000,
	SETTLE_TASKS = 1000,
};

static struct {
	struct rk__family *family;
	int control;
	uint32_t generation;
	bool active;			/* this server is the one */
	bool stopping;
	/* Polling before it sleeps, as long as that pays. */
	struct {
		bool off;
		unsigned missed;	/* times in a row that nothing came */
		unsigned skip;		/* sleeps until the next try */
		unsigned look_every;
	} spin;
	uint64_t dirty_max;
	/* Attached clients: a standby attaches procs at its take-over. */
	struct rk__attach *client[RK_CHANNELS_MAX];
} loop;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn static void end(enum rk__cause cause, const char *error)
{
	struct rk__board *b = loop.family->board;

	if (error)
		snprintf(b->error, sizeof b->error, "%s", error);
	atomic_store(&b->cause, cause);
	_exit(cause == RK_CAUSE_STOP ? 0 : 1);
}

/* --- messages of the supervisor ------------------------------------------- */

static void send_message(uint32_t type, uint32_t number)
{
	struct rk__message m = { .type = type, .number = number };

	/* A supervisor that is gone is noticed when its end closes. */
	(void)!send(loop.control, &m, sizeof m, MSG_NOSIGNAL);
}

static void attach(const struct rk__message *m, const int *fd, unsigned n_fds)
{
	struct rk__attach *a;
	int r;

	if (m->number >= RK_CHANNELS_MAX || m->n_groups > 64 ||
	    loop.client[m->number])
		return;
	a = calloc(1, sizeof *a);
	if (!a)
		end(RK_CAUSE_NO_MEMORY, NULL);
	a->channel = m->number;
	a->token = m->token;
	a->parent = m->parent;
	a->uid = m->uid;
	a->gid = m->gid;
	a->pid = m->pid;
	a->n_groups = m->n_groups;
	memcpy(a->group, m->group, m->n_groups * sizeof a->group[0]);
	loop.client[a->channel] = a;
	if (loop.active)
		rk__proc_attach(a);
	if (n_fds == 3)
		rk__gift_attach(a->channel, fd[2]);
	r = m->transport == RK_TRANSPORT_CHANNEL && n_fds >= 2 ?
		rk__channel_attach(a->channel, fd[0], fd[1]) :
		m->transport == RK_TRANSPORT_SOCKET && n_fds == 1 ?
		rk__socket_attach(a->channel, fd[0]) : -EINVAL;
	assert(r == 0 || r == -ENOMEM);
	if (loop.active)
		rk__serve_flush();
}

static void detach(uint32_t channel)
{
	if (channel >= RK_CHANNELS_MAX || !loop.client[channel])
		return;
	free(loop.client[channel]);
	loop.client[channel] = NULL;
	rk__channel_detach(channel);
	rk__gift_detach(channel);
	if (loop.active) {
		rk__pages_client_gone(channel);
		rk__proc_detach(channel);
		rk__serve_flush();
	}
}

_Noreturn static void stop(void)
{
	struct rk__family *f = loop.family;
	int r = 0;

	loop.stopping = true;
	atomic_store(&f->board->phase, RK_PHASE_STOPPING);
	rk__fuse_settle();
	for (unsigned i = 0; i < SETTLE_TASKS && rk__process_settle(); i++) {
		rk__serve_woken();
		rk__serve_flush();
	}
	rk__serve_held(true);
	rk__channel_refuse_all(-ESHUTDOWN);
	rk__pages_write_back_all();
	while (rk__vnode_reclaim_some())
		rk__serve_flush();
	for (unsigned i = 0; i < f->n_mounts && r == 0; i++)
		r = rk__vfs_unmount(i);
	if (r < 0)
		rk__rollback();
	rk__serve_last_flush_point();
	atomic_store(&f->board->phase, RK_PHASE_STOPPED);
	send_message(RK_MSG_STOPPED, (uint32_t)-r);
	end(RK_CAUSE_STOP, NULL);
}

static void take_message(const struct rk__message *m, int *fd, unsigned n_fds)
{
	switch (m->type) {
	case RK_MSG_FUSE:
		if (m->number < loop.family->n_mounts && n_fds == 1) {
			loop.family->fuse_fd[m->number] = fd[0];
			loop.family->fuse_init[m->number] = m->a;
			if (loop.active)
				rk__fuse_start(m->number, true);
		}
		break;
	case RK_MSG_ATTACH:
		attach(m, fd, n_fds);
		break;
	case RK_MSG_DETACH:
		detach(m->number);
		break;
	case RK_MSG_PAGES:
		if (!loop.active)
			rk__pages_kept(m->number, (uint32_t)m->a,
				       n_fds == 1 ? fd[0] : -1);
		break;
	case RK_MSG_FLUSH:
		if (loop.active)
			rk__pages_write_back_all();
		if (loop.active)
			rk__serve_make_flush_point();
		break;
	case RK_MSG_PING:
		if (loop.active)
			atomic_store(&loop.family->board->heard, m->a);
		break;
	case RK_MSG_STOP:
		if (loop.active)
			stop();
		_exit(0);
	}
}

/* One message; false: none is there now. Ends with the supervisor. */
static bool receive_message(bool wait, uint32_t *ret_type)
{
	struct rk__message m;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { &m, sizeof m };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t n = recvmsg(loop.control, &msg, MSG_CMSG_CLOEXEC |
			    (wait ? 0 : MSG_DONTWAIT));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	unsigned n_fds = 0;
	int fd[4];

	if (n < 0)
		return false;
	if (n == 0)
		_exit(0);
	assert(n == sizeof m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		assert(n_fds <= 4);
		memcpy(fd, CMSG_DATA(c), n_fds * sizeof(int));
	}
	*ret_type = m.type;
	take_message(&m, fd, n_fds);
	return true;
}

static void control_ready(struct rk__source *s, uint32_t events)
{
	uint32_t type;

	(void)s;
	(void)events;
	while (receive_message(false, &type))
		;
}

static void keeper_ready(struct rk__source *s, uint32_t events)
{
	uint64_t n;

	(void)events;
	(void)!read(s->fd, &n, sizeof n);
	rk__serve_flushed();
}

/* --- becoming the server -------------------------------------------------- */

static void wait_for_turn(void)
{
	struct rk__board *b = loop.family->board;
	uint32_t type = 0;

	while (type != RK_MSG_SYNCED ||
	       atomic_load(&b->takeover) != loop.generation)
		receive_message(true, &type);
}

static void become_active(void)
{
	struct rk__board *b = loop.family->board;

	rk__board_lock(b);
	atomic_store(&b->generation, loop.generation);
	atomic_store(&b->cause, RK_CAUSE_NONE);
	atomic_store(&b->progress, (atomic_load(&b->progress) | 1) + 1);
	loop.active = true;
	rk__serve_start(b, loop.dirty_max);
}

/* Mounts the drivers: the only start that most of them take part in. */
static void boot(void)
{
	struct rk__family *f = loop.family;
	char error[RK_SERVER_ERROR_LEN] = "";

	atomic_store(&f->board->phase, RK_PHASE_BOOT);
	rk__vfs_restart(f);
	for (unsigned i = 0; i < f->n_mounts; i++) {
		bool needs_recovery = false;

		if (rk__vfs_mount(i, f, &needs_recovery, error,
				  sizeof error) >= 0)
			continue;
		atomic_store(&f->board->recover_mount, i);
		end(needs_recovery ? RK_CAUSE_NEEDS_RECOVERY :
		    RK_CAUSE_MOUNT_FAILED, error);
	}
	rk__commit_boot();
	atomic_store(&f->board->booted, 1);
}

/* What core knows and what the supervisor knows, made one. */
static void settle_clients(void)
{
	uint32_t at = 0, channel;

	for (unsigned i = 0; i < RK_CHANNELS_MAX; i++)
		if (loop.client[i])
			rk__proc_attach(loop.client[i]);
	while (rk__proc_channel_next(&at, &channel))
		if (!loop.client[channel]) {
			rk__pages_client_gone(channel);
			rk__proc_detach(channel);
		}
}

static void repost(const struct rk__reply_head *r, const uint8_t *bytes)
{
	if (r->slot < RK_SLOT_CHANNELS)
		rk__fuse_repost(r, bytes);
	else
		rk__channel_repost(r, bytes);
}

/*
 * A predecessor may have been waiting for those who cache what it changed, to
 * post the answers that are in its last record. Not for long where one of them is
 * being told: it may be waiting for a page that is yet to be read, and is right
 * then. One that has not begun may be waiting for a CPU.
 */
static void settle_watcher(void)
{
	const struct timespec t = { .tv_nsec = SETTLE_STEP_NS };
	unsigned told = 0;

	for (unsigned i = 0; i < SETTLE_STEPS_MAX && told < SETTLE_STEPS &&
	     rk__watcher && !rk__watcher->settled(); i++) {
		told += rk__watcher->telling();
		nanosleep(&t, NULL);
	}
}

static void recover(void)
{
	struct rk__family *f = loop.family;
	char error[RK_SERVER_ERROR_LEN] = "";

	atomic_store(&f->board->phase, RK_PHASE_RECOVER);
	if (rk__recovery_load() < 0)
		end(RK_CAUSE_BROKEN, "a record of the redo log is damaged");
	rk__vfs_restart(f);
	if (rk__vfs_reopen(f, error, sizeof error) < 0)
		end(RK_CAUSE_BROKEN, error);
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->fuse_fd[i] >= 0)
			rk__fuse_start(i, false);
	settle_watcher();
	rk__pages_resume();
	rk__recovery_repost(repost);
	settle_clients();
	rk__channel_resume();
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->fuse_fd[i] >= 0)
			rk__fuse_resume(i);
	rk__process_resume();
	rk__serve_flush();
}

/* The drivers' writable data is recoverable memory too. */
static int add_driver_data(void)
{
	struct rk__segment segment[RK_SEGMENTS_MAX];
	unsigned n = rk__loader_segments(segment, RK_SEGMENTS_MAX);
	int r = n > RK_SEGMENTS_MAX ? -ENOSPC : 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = rk__region_add_data(segment[i].addr, segment[i].length);
	return r;
}

static void prepare(bool first)
{
	struct rk__family *f = loop.family;

	if (rk__loop_open() < 0 || add_driver_data() < 0 ||
	    rk__recovery_prepare(f) < 0 ||
	    rk__blockstore_open(f) < 0)
		end(RK_CAUSE_BROKEN, "cannot map recoverable memory");
	if ((first ? rk__recovery_format() : rk__recovery_populate()) < 0)
		end(RK_CAUSE_BROKEN, "cannot map recoverable memory");
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (rk__fuse_prepare(f, i) < 0)
			end(RK_CAUSE_BROKEN, "cannot map the inbox");
}

/* --- serving -------------------------------------------------------------- */

/* A small part of the machine's memory, within reason. */
static uint64_t dirty_max(void)
{
	uint64_t part = (uint64_t)sysconf(_SC_PHYS_PAGES) * RK_PAGE / 32;

	return part < 32 << 20 ? 32 << 20 : part > 256 << 20 ? 256 << 20 : part;
}

/* Serves the channels until they are quiet. */
static bool poll_channels(void)
{
	bool any = false;

	for (unsigned i = 1; rk__channel_poll(); i++) {
		any = true;
		if (i % LOOK_EVERY == 0)
			rk__loop_dispatch(0);
		/* Who is busy must not keep others waiting. */
		if (rk__serve_has_woken()) {
			rk__serve_woken();
			rk__serve_flush();
		}
	}
	return any;
}

/*
 * Looks for a request for a little while, before it sleeps: to be woken costs
 * both sides more than that. It does not pay where the caller thinks for long,
 * or waits for the CPU that we run on; so each time that nothing came, it is
 * left out twice as often. true: something came and was served.
 */
static bool spin(void)
{
	uint64_t end;

	if (loop.spin.off)
		return false;
	if (loop.spin.skip) {
		loop.spin.skip--;
		return false;
	}
	end = now_ns() + SPIN_NS;
	for (unsigned i = 1;; i++) {
		if (poll_channels()) {
			loop.spin.look_every = LOOK_EVERY;
			break;
		}
		__builtin_ia32_pause();
		if (i % loop.spin.look_every)
			continue;
		if (rk__loop_dispatch(0)) {
			loop.spin.look_every = 1;
			break;
		}
		if (now_ns() >= end) {
			if (loop.spin.missed < SKIP_MAX)
				loop.spin.missed++;
			loop.spin.skip = 1u << loop.spin.missed;
			return false;
		}
	}
	loop.spin.missed = 0;
	return true;
}

static void sleep_until_ready(void)
{
	bool any;

	if (!rk__channel_sleep())
		return;
	any = rk__loop_dispatch(rk__fuse_forgets_wait() ? FORGETS_WAIT_MS :
				rk__serve_held(false) ? HELD_WAIT_MS : -1);
	if (any)
		loop.spin.look_every = 1;
	else
		rk__fuse_settle();
}

_Noreturn static void serve(void)
{
	loop.spin.look_every = 1;
	for (;;) {
		bool pending;

		rk__serve_woken();
		poll_channels();
		pending = rk__vnode_reclaim_some();
		rk__serve_flush();
		if (rk__serve_has_woken() || pending)
			rk__loop_dispatch(0);
		else if (!spin())
			sleep_until_ready();
	}
}

static bool others_wait(void)
{
	return rk__channel_has_news() || rk__loop_is_ready();
}

/* What waits in the middle of an op has changed things already. */
static bool has_pages(const struct rk__family *f)
{
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->mount[i].process)
			return false;
	return true;
}

static bool stays(const struct rk__family *f)
{
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->mount[i].stay)
			return true;
	return false;
}

_Noreturn void rk__server_run(struct rk__family *f, int control,
			      uint32_t generation, bool first)
{
	static struct rk__source control_source = { .ready = control_ready };
	static struct rk__source keeper_source = { .ready = keeper_ready };

	loop.family = f;
	loop.control = control;
	loop.generation = generation;
	loop.spin.off = stays(f);
	rk__place_start(!loop.spin.off);
	loop.dirty_max = dirty_max();
	rk__others_wait = others_wait;
	rk__pages_start(has_pages(f) ? f->cells : NULL,
			rk__gift_start(control));
	rk__crash_board = f->board;
	rk__faults_install(f->board);
	prepare(first);
	if (rk__server_sandbox(f) < 0)
		end(RK_CAUSE_BROKEN, "cannot enter the sandbox");
	if (!first)
		rk__vfs_prepare(f);
	wait_for_turn();
	become_active();
	if (first)
		boot();
	else
		recover();
	control_source.fd = control;
	keeper_source.fd = f->keeper_event;
	rk__loop_add(&control_source, EPOLLIN);
	rk__loop_add(&keeper_source, EPOLLIN);
	atomic_store(&f->board->phase, RK_PHASE_SERVE);
	send_message(RK_MSG_READY, first ? 0 : 1);
	serve();
}
