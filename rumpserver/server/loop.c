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
 * All of it is one thread.
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
	LEASE_S = 60,
	SETTLE_STEP_NS = 50000, SETTLE_STEPS = 200, SETTLE_STEPS_MAX = 10000,
	SETTLE_TASKS = 1000,
};

static struct {
	struct rk__family *family;
	int control;
	uint32_t generation;
	bool active;			/* this server is the one */
	bool stopping;
	uint64_t dirty_max;
	time_t lease;			/* when it ends; 0: there is none */
	bool paused, go;		/* upgrade: not to serve; to serve */
	int state;			/* what to begin with; 0: not yet there */
	/* Attached clients: a standby attaches procs at its take-over. */
	struct rk__attach *client[RK_CHANNELS_MAX];
} loop;

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
	if (atomic_load(&f->board->read_only) == RK_FROZEN_SUSPECT &&
	    rk__vfs_has_device(RK_MOUNTS_MAX))
		r = -EROFS;
	for (unsigned i = 0; i < f->n_mounts && r == 0; i++)
		r = rk__vfs_unmount(i);
	if (r < 0)
		rk__rollback();
	if (r != -EROFS)
		rk__serve_last_flush_point();
	atomic_store(&f->board->phase, RK_PHASE_STOPPED);
	send_message(RK_MSG_STOPPED, (uint32_t)-r);
	end(RK_CAUSE_STOP, NULL);
}

static void pause_serving(const struct rk__message *m, int fd);

/* Processes that an import brought have not come back. */
static void end_lease(void)
{
	if (!loop.lease || time(NULL) < loop.lease)
		return;
	loop.lease = 0;
	rk__proc_release(true);
	rk__serve_flush();
}

/* Also while it serves nobody, for an upgrade. */
static bool is_my_turn(void)
{
	return atomic_load(&loop.family->board->takeover) == loop.generation;
}

static void take_message(const struct rk__message *m, int *fd, unsigned n_fds)
{
	switch (m->type) {
	case RK_MSG_PAUSE:
		if (loop.active && n_fds == 1)
			pause_serving(m, fd[0]);
		break;
	case RK_MSG_RESUME:
		loop.paused = false;
		break;
	case RK_MSG_STATE:
		if (n_fds == 1)
			loop.state = fd[0];
		break;
	case RK_MSG_GO:
		loop.go = true;
		break;
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
			end_lease();
		if (loop.active)
			rk__pages_write_back_all();
		if (loop.active)
			rk__serve_make_flush_point();
		break;
	case RK_MSG_PING:
		if (is_my_turn())
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

/* Before anything else is committed: see the board. */
static void make_due_flush_point(void)
{
	struct rk__board *b = loop.family->board;

	if (!atomic_load(&b->unflushed) || atomic_load(&b->read_only))
		return;
	rk__serve_make_flush_point();
	atomic_store(&b->unflushed, 0);
}

/* With core and drivers as a predecessor left them. */
static void go_on(void)
{
	struct rk__family *f = loop.family;

	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->fuse_fd[i] >= 0)
			rk__fuse_start(i, false);
	settle_watcher();
	rk__pages_resume();
	rk__recovery_repost(repost);
	make_due_flush_point();
	settle_clients();
	if (rk__proc_release(false))
		loop.lease = time(NULL) + LEASE_S;
	rk__channel_resume();
	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->fuse_fd[i] >= 0)
			rk__fuse_resume(i);
	rk__process_resume();
	rk__serve_flush();
}

static void load_state(struct rk__family *f)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	if (rk__recovery_load() < 0)
		end(RK_CAUSE_BROKEN, "a record of the redo log is damaged");
	if (atomic_load(&f->board->doubted) &&
	    !(rk__core_check() && rk__arena_check()))
		end(RK_CAUSE_BROKEN, "what a crashed server left in memory "
		    "makes no sense");
	rk__vfs_restart(f);
	if (rk__vfs_reopen(f, error, sizeof error) < 0)
		end(RK_CAUSE_BROKEN, error);
}

static void recover(enum rk__start how)
{
	struct rk__family *f = loop.family;
	char error[RK_SERVER_ERROR_LEN] = "";

	atomic_store(&f->board->phase, RK_PHASE_RECOVER);
	if (how == RK_START_COLD) {
		if (rk__cold_start(f, error) < 0)
			end(RK_CAUSE_BROKEN, error);
	} else {
		load_state(f);
	}
	go_on();
}

/* The first server after an upgrade. */
static void import(void)
{
	struct rk__family *f = loop.family;
	char error[RK_SERVER_ERROR_LEN] = "";
	uint32_t type;

	loop.active = false;
	send_message(RK_MSG_PREPARED, 0);
	while (!loop.state)
		receive_message(true, &type);
	atomic_store(&f->board->phase, RK_PHASE_BOOT);
	if (rk__upgrade_read(f, loop.state, error) < 0)
		end(RK_CAUSE_BROKEN, error);
	close(loop.state);
	atomic_store(&f->board->phase, RK_PHASE_PAUSED);
	atomic_store(&f->board->booted, 1);
	send_message(RK_MSG_PROVEN, 0);
	while (!loop.go)
		receive_message(true, &type);
	loop.active = true;
	atomic_store(&f->board->phase, RK_PHASE_RECOVER);
	go_on();
}

static void pause_serving(const struct rk__message *order, int fd)
{
	struct rk__board *b = loop.family->board;
	struct rk__message m = { .type = RK_MSG_PAUSED, .a = order->a };
	uint32_t type;

	atomic_store(&b->phase, RK_PHASE_PAUSED);
	m.number = (uint32_t)-rk__upgrade_write(loop.family, fd,
			(off_t)order->token, order->number & RK_PAUSE_IMAGES);
	close(fd);
	(void)!send(loop.control, &m, sizeof m, MSG_NOSIGNAL);
	/* who comes and goes meanwhile is no change of the state */
	loop.active = false;
	for (loop.paused = true; loop.paused;)
		receive_message(true, &type);
	loop.active = true;
	atomic_store(&b->phase, RK_PHASE_SERVE);
	make_due_flush_point();
	settle_clients();
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

static void prepare(enum rk__start how)
{
	struct rk__family *f = loop.family;
	int r;

	if (rk__loop_open() < 0 || add_driver_data() < 0 ||
	    rk__recovery_prepare(f) < 0 ||
	    rk__blockstore_open(f) < 0)
		end(RK_CAUSE_BROKEN, "cannot map recoverable memory");
	r = how == RK_START_WARM ? rk__recovery_populate() :
	    rk__recovery_format(how == RK_START_COLD);
	if (r == 0 && how == RK_START_COLD)
		r = rk__cold_prepare(f);
	if (r < 0)
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
			      uint32_t generation, enum rk__start how)
{
	static struct rk__source control_source = { .ready = control_ready };
	static struct rk__source keeper_source = { .ready = keeper_ready };

	loop.family = f;
	loop.control = control;
	loop.generation = generation;
	rk__place_start(!stays(f));
	loop.dirty_max = dirty_max();
	rk__others_wait = others_wait;
	rk__pages_start(has_pages(f) ? f->cells : NULL,
			rk__gift_start(control));
	rk__crash_board = f->board;
	rk__faults_install(f->board);
	prepare(how);
	if (rk__server_sandbox(f) < 0)
		end(RK_CAUSE_BROKEN, "cannot enter the sandbox");
	if (how == RK_START_WARM)
		rk__vfs_prepare(f);
	wait_for_turn();
	become_active();
	if (how == RK_START_FIRST && f->imports)
		import();
	else if (how == RK_START_FIRST)
		boot();
	else
		recover(how);
	control_source.fd = control;
	keeper_source.fd = f->keeper_event;
	rk__loop_add(&control_source, EPOLLIN);
	rk__loop_add(&keeper_source, EPOLLIN);
	atomic_store(&f->board->phase, RK_PHASE_SERVE);
	send_message(RK_MSG_READY, how == RK_START_FIRST ? 0 : 1);
	rk__server_serve(!stays(f));
}
