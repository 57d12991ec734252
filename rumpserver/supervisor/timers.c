/*
 * timers.c - what happens by the clock: the hang detectors, the look whether the
 * mounts are still there, the timer flush, and the random kills of --kill-every with their measurement.
 *
 * A hang is a server that stands at the same odd value of board.progress for
 * the whole deadline: it is inside one op. While it mounts or recovers there
 * is no op; then the whole phase has a deadline, a longer one. Between ops it
 * answers a ping, unless it is stopped or frozen: then it is killed too, but
 * no request is to blame.
 *
 * What counts is the time that the server had. A clock of its own stands still
 * while the machine is suspended, while the supervisor was stopped or frozen
 * itself, with the server or alone, as it sees by its own ticks that were late,
 * and while the server waited for a CPU or for a disk: so nobody takes a slow or
 * crowded machine for a hang.
 *
 * A keeper is as slow as its disks, so it has all the time that it needs, unless
 * it is stopped: then fsync would wait for it for ever. It can be replaced at
 * any instant.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include "supervisor/internal.h"
#include "supervisor/proc.h"

enum { TICK_MAX_MS = 1000, PHASE_DEADLINES = 6, SAMPLES_MAX = 1 << 20 };

uint64_t rk__now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- hang ------------------------------------------------------------------ */

/* What must change for the server to be alive; even: nothing need to. */
static uint64_t vital_sign(struct rk__board *b)
{
	uint32_t phase = atomic_load(&b->phase);

	if (phase != RK_PHASE_BOOT && phase != RK_PHASE_RECOVER)
		return atomic_load(&b->progress);
	return 1ull << 63 | ((uint64_t)atomic_load(&b->generation) << 40 ^
			     atomic_load(&b->cold_calls) << 1) | 1;
}

/* Brings the clock of the server that serves up to date. */
static void wind_clock(struct rk__supervisor *s, uint64_t late_ns)
{
	const struct rk__server *a = s->active;
	uint64_t now = rk__now_ns(), dt = now - s->progress.tick_ns, had;

	s->progress.tick_ns = now;
	if (!a || a->dead || !a->child)
		return;
	had = rk__proc_had(a->child->pid, dt, &s->progress.times);
	if (s->progress.clock_of == a->generation && dt < late_ns)
		s->progress.clock_ns += had;
	s->progress.clock_of = a->generation;
}

static void ask(struct rk__supervisor *s)
{
	struct rk__message m = {
		.type = RK_MSG_PING, .a = atomic_load(&s->board->heard) + 1,
	};

	s->progress.ping = m.a;
	s->progress.asked = s->active->generation;
	s->progress.asked_ns = s->progress.clock_ns;
	rk__server_send(s->active, &m, NULL, 0);
}

/* It was asked and has not answered for this long. */
static void look_for_silence(struct rk__supervisor *s, uint64_t deadline)
{
	uint64_t now = s->progress.clock_ns;

	if (!s->active || s->active->dead)
		return;
	/* what else it does has a deadline of its own */
	if (atomic_load(&s->board->phase) != RK_PHASE_SERVE ||
	    (atomic_load(&s->board->progress) & 1))
		s->progress.asked_ns = now;
	if (s->progress.asked != s->active->generation ||
	    atomic_load(&s->board->heard) == s->progress.ping)
		ask(s);
	else if (now - s->progress.asked_ns >= deadline)
		rk__child_kill(s->active->child, SIGKILL);
}

static void look_for_hang(struct rk__supervisor *s)
{
	uint64_t value = vital_sign(s->board), now = s->progress.clock_ns;
	uint64_t deadline = s->config.deadline_ms * 1000000ull;
	uint32_t none = RK_CAUSE_NONE;

	if (value != s->progress.value || !(value & 1)) {
		s->progress.value = value;
		s->progress.since_ns = now;
		return;
	}
	if (value >> 63)
		deadline *= PHASE_DEADLINES;
	if (now - s->progress.since_ns < deadline ||
	    !s->active || s->active->dead)
		return;
	atomic_compare_exchange_strong(&s->board->cause, &none,
				       RK_CAUSE_DEADLINE);
	s->progress.since_ns = now;
	rk__child_kill(s->active->child, SIGKILL);
}

/* The journals are replayed, or somebody may wait for what was published. */
static bool keeper_is_wanted(const struct rk__supervisor *s)
{
	return !s->keeper_ready.ready || atomic_load(&s->log.keeper->applied) <
	       atomic_load(&s->log.server->published);
}

static void look_for_stopped_keeper(struct rk__supervisor *s, uint64_t had_ns,
				    uint64_t late_ns)
{
	if (!s->keeper || !keeper_is_wanted(s) ||
	    !rk__proc_stopped(s->keeper->pid)) {
		s->progress.keeper_stopped_ns = 0;
		return;
	}
	if (had_ns < late_ns)
		s->progress.keeper_stopped_ns += had_ns;
	if (s->progress.keeper_stopped_ns < s->config.deadline_ms * 1000000ull)
		return;
	s->progress.keeper_stopped_ns = 0;
	rk__child_kill(s->keeper, SIGKILL);
}

/* In the loop a descriptor of /dev/fuse would wake us at every request. */
static bool mounts_gone(const struct rk__supervisor *s)
{
	struct pollfd p[RK_MOUNTS_MAX];
	unsigned n = 0, gone = 0;

	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		if (s->fuse_fd[i] >= 0)
			p[n++] = (struct pollfd){ .fd = s->fuse_fd[i] };
	if (!n || poll(p, n, 0) <= 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		gone += (p[i].revents & (POLLERR | POLLHUP)) != 0;
	return gone == n;
}

static void look_for_mounts(struct rk__supervisor *s)
{
	if (s->unmount && s->stage == RK_STAGE_SERVING && mounts_gone(s))
		rk__supervisor_begin_stop(s, true);
}

static void tick(uv_timer_t *timer)
{
	struct rk__supervisor *s = timer->data;
	uint64_t late = 2 * uv_timer_get_repeat(timer) * 1000000;
	uint64_t had = rk__now_ns() - s->progress.tick_ns;

	if (s->active)
		rk__server_pump(s->active);
	if (s->standby)
		rk__server_pump(s->standby);
	rk__report_beat(s);
	if (s->config.deadline_ms) {
		wind_clock(s, late);
		look_for_hang(s);
		look_for_silence(s, s->config.deadline_ms * 1000000ull);
		look_for_stopped_keeper(s, had, late);
	}
	look_for_mounts(s);
}

/* The kernel tells of every change to its list of mounts. */
static void mounts_changed(uv_poll_t *poll, int error, int events)
{
	look_for_mounts(poll->data);
}

static int start_mount_watch(struct rk__supervisor *s)
{
	int e;

	s->mountinfo.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (s->mountinfo.fd < 0)
		return 0;		/* the tick looks too */
	e = uv_poll_init(&s->loop, &s->mountinfo.poll, s->mountinfo.fd);
	if (e < 0)
		return e;
	s->mountinfo.poll.data = s;
	return uv_poll_start(&s->mountinfo.poll, UV_PRIORITIZED,
			     mounts_changed);
}

static void flush(uv_timer_t *timer)
{
	static const struct rk__message m = { .type = RK_MSG_FLUSH };
	struct rk__supervisor *s = timer->data;

	/* one that does not read needs no second one */
	if (s->active && !s->active->dead && !s->active->queue)
		rk__server_send(s->active, &m, NULL, 0);
}

/* --- random kills ------------------------------------------------------------ */

static void arm(struct rk__supervisor *s)
{
	struct itimerspec t = { 0 };
	uint64_t r = 1, ns;

	(void)!getrandom(&r, sizeof r, 0);
	/* anything up to twice the mean; 0 would disarm it */
	ns = 1 + r % (2000ull * s->config.kill_every_us);
	t.it_value.tv_sec = ns / 1000000000u;
	t.it_value.tv_nsec = ns % 1000000000u;
	timerfd_settime(s->kill.fd, 0, &t, NULL);
}

static void kill_server(uv_poll_t *poll, int error, int events)
{
	struct rk__supervisor *s = poll->data;
	uint64_t n;

	if (read(s->kill.fd, &n, sizeof n) != sizeof n)
		return;
	if (s->stage == RK_STAGE_SERVING && s->active && !s->active->dead &&
	    s->active->child && !s->kill.at_ns) {
		s->kill.at_ns = rk__now_ns();
		s->kill.kills++;
		atomic_store(&s->board->death_ns, s->kill.at_ns);
		rk__child_kill(s->active->child, SIGKILL);
	}
	arm(s);
}

static void add_sample(struct rk__supervisor *s, uint64_t ns)
{
	uint64_t *p;

	if (s->kill.n == s->kill.room && s->kill.room < SAMPLES_MAX) {
		size_t room = s->kill.room ? s->kill.room * 2 : 1024;

		p = realloc(s->kill.sample, room * sizeof *p);
		if (p) {
			s->kill.sample = p;
			s->kill.room = room;
		}
	}
	if (s->kill.n < s->kill.room)
		s->kill.sample[s->kill.n++] = ns;
}

void rk__timers_killed(struct rk__supervisor *s)
{
	if (!s->kill.at_ns)
		atomic_store(&s->board->death_ns, rk__now_ns());
}

void rk__timers_ready(struct rk__supervisor *s)
{
	if (!s->kill.at_ns)
		return;
	s->kill.recovered++;
	add_sample(s, rk__now_ns() - s->kill.at_ns);
	s->kill.at_ns = 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void rk__supervisor_summary(const struct rk__supervisor *s,
			    struct rk__summary *ret)
{
	size_t n = s->kill.n;
	uint64_t *v = n ? malloc(n * sizeof *v) : NULL;

	*ret = (struct rk__summary){
		.kills = s->kill.kills, .recovered = s->kill.recovered,
		.restarts = s->restarts, .faults = s->policy.faults,
		.quarantined = s->policy.quarantined,
	};
	if (!v)
		return;
	memcpy(v, s->kill.sample, n * sizeof *v);
	qsort(v, n, sizeof *v, compare);
	ret->p50_ns = v[n / 2];
	ret->p99_ns = v[n * 99 / 100];
	ret->max_ns = v[n - 1];
	free(v);
}

/* --- start ----------------------------------------------------------------- */

static int start_kills(struct rk__supervisor *s)
{
	s->kill.fd = timerfd_create(CLOCK_MONOTONIC,
				    TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->kill.fd < 0)
		return -errno;
	uv_poll_init(&s->loop, &s->kill.poll, s->kill.fd);
	s->kill.poll.data = s;
	uv_poll_start(&s->kill.poll, UV_READABLE, kill_server);
	arm(s);
	return 0;
}

int rk__timers_start(struct rk__supervisor *s)
{
	uint64_t every = s->config.deadline_ms / 4;
	int e = start_mount_watch(s);

	if (e < 0)
		return e;
	if (!every || every > TICK_MAX_MS)
		every = every ? TICK_MAX_MS : 1;
	uv_timer_start(&s->tick, tick, every, every);
	if (s->config.flush_ms)
		uv_timer_start(&s->flush, flush, s->config.flush_ms,
			       s->config.flush_ms);
	return s->config.kill_every_us ? start_kills(s) : 0;
}
