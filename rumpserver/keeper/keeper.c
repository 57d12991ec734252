/*
 * keeper.c - the keeper's life: applies records in order, flushes when one
 * says so, checkpoints when a journal is long or nobody asks for anything.
 *
 * `applied` moves on only when all that a record asks for is done: a successor
 * does a record again that its predecessor was in the middle of, and every
 * part of it may be done twice. flushed_seq moves before `applied`, so that no
 * flush is forgotten.
 *
 * Whoever cannot write to a device says so in `error` and never tries again:
 * what the device has of it is not known, and the journal, as far as it was
 * reported durable, is what the next start replays. Records are applied all
 * the same. A record that cannot be believed, or not be applied, is the end of
 * the keeper: its successors come to the same record, until the supervisor has
 * had enough. So is a lack of memory, which a successor may not have.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "keeper/calls.h"
#include "keeper/keeper.h"
#include "keeper/store.h"
#include "recovery/recovery.h"

enum {
	JOURNAL_MAX = 64 << 20,		/* bytes at which it is checkpointed */
	IDLE_MS = 1000,			/* quiet time before a checkpoint */
	LOOK_MS = 100,			/* between looks at the log till then */
};

static struct {
	const struct rk__family *family;
	struct rk__log log;
	uint8_t *core, *driver;		/* the images of the regions */
	struct rk__store store[RK_MOUNTS_MAX];
	bool told_void[RK_MOUNTS_MAX];
	struct rk__calls calls;
} keeper;

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static void tell_server(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;

	atomic_fetch_add(&k->moved, 1);
	if (atomic_load(&keeper.log.server->waiting))
		syscall(SYS_futex, &k->moved, FUTEX_WAKE, INT32_MAX, NULL,
			NULL, 0);
}

static void tell_waiters(void)
{
	const uint64_t one = 1;

	(void)!write(keeper.family->keeper_event, &one, sizeof one);
	tell_server();
}

static int device_error(void)
{
	return atomic_load(&keeper.log.keeper->error);
}

static void fail(int error)
{
	int32_t none = 0;

	/* No device has failed: a successor may have the memory. */
	if (error == -ENOMEM)
		_exit(1);
	atomic_compare_exchange_strong(&keeper.log.keeper->error, &none, error);
	tell_waiters();
}

/* A word of a record, which may change while it is looked at. */
static uint64_t read_once(const uint64_t *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)word,
				    memory_order_relaxed);
}

/* --- one record --------------------------------------------------------- */

static int apply_pages(const struct rk__record_view *v)
{
	for (uint32_t i = 0; i < v->n_pages; i++) {
		uint64_t page = read_once(&v->pages[i]);

		if (page >= RK_DRIVER_SIZE / RK_PAGE)
			return -EBADMSG;
		memcpy(keeper.driver + page * RK_PAGE,
		       v->page_data + (size_t)i * RK_PAGE, RK_PAGE);
		if (i == v->n_pages / 2)
			RK_CRASHPOINT(apply_half_done);
	}
	return 0;
}

static int apply_notes(const struct rk__record_view *v)
{
	struct rk__note_head note;
	const uint8_t *bytes;
	uint32_t at = 0;
	int r;

	while ((r = rk__note_next(v, &at, &note, &bytes)) == 1)
		memcpy(keeper.core + note.offset, bytes, note.length);
	return r;
}

/* From block i of the record on: how many new ones follow each other. */
static uint32_t new_run(const struct rk__record_view *v, uint32_t i,
			uint64_t id)
{
	uint32_t n = 1;

	if (id & RK_BLOCK_NEW)
		while (i + n < v->n_blocks &&
		       read_once(&v->blocks[i + n]) == id + n)
			n++;
	return n;
}

static int apply_blocks(const struct rk__record_view *v)
{
	uint32_t n;

	for (uint32_t i = 0; i < v->n_blocks; i += n) {
		uint64_t id = read_once(&v->blocks[i]);
		const uint8_t *data = v->block_data + (size_t)i * RK_PAGE;
		struct rk__store *s;
		int r, failed = 0;

		if (RK_BLOCK_DEV(id) >= keeper.family->n_mounts)
			return -EBADMSG;
		s = &keeper.store[RK_BLOCK_DEV(id)];
		n = new_run(v, i, id);
		/* On a device that failed, the last flush point is an old one. */
		if (id & RK_BLOCK_NEW && device_error() == 0)
			r = rk__store_put_new(s, RK_BLOCK_NO(id), n, data,
					      &failed);
		else
			r = rk__store_put(s, RK_BLOCK_NO(id), data), n = 1;
		if (r < 0)
			return r;
		if (failed < 0)
			fail(failed);
	}
	return 0;
}

static uint64_t fresh_blocks(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < keeper.family->n_mounts; i++)
		n += keeper.store[i].n_fresh;
	return n;
}

/* The image goes on without its named checkpoints: once to whoever looks. */
static void tell_void(uint32_t i)
{
	const struct rk__undo *u = &keeper.store[i].undo;
	bool is_void = u->head.n > 0 && !rk__undo_active(u);
	uint32_t why = u->head.n ? u->head.checkpoint[u->head.n - 1].why : 0;
	char text[RK_SERVER_ERROR_LEN + 128];
	int n;

	if (is_void && !keeper.told_void[i]) {
		n = snprintf(text, sizeof text, "rump: the checkpoints of "
			     "%.200s can no longer be restored: %s\n",
			     keeper.family->mount[i].source,
			     rk__undo_void_text(why));
		(void)!write(STDERR_FILENO, text, (size_t)n);
	}
	keeper.told_void[i] = is_void;
}

static void tell_sizes(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;

	atomic_store(&k->dirty_blocks, fresh_blocks());
	atomic_store(&k->call_bytes, rk__calls_bytes(&keeper.calls));
}

static int checkpoint(uint64_t longer_than)
{
	int r = 0;

	for (uint32_t i = 0; i < keeper.family->n_mounts && r == 0; i++)
		if (keeper.store[i].journal.end > longer_than) {
			r = rk__store_checkpoint(&keeper.store[i]);
			tell_void(i);
		}
	return r;
}

/* Is there one that was not reported yet? */
static bool has_order(const struct rk__order *o)
{
	return o->token && o->token != load(&keeper.log.keeper->order_token);
}

static void report(const struct rk__order *o, int result)
{
	struct rk__log_keeper *k = keeper.log.keeper;

	atomic_store(&k->order_result, result);
	atomic_store_explicit(&k->order_token, o->token, memory_order_release);
}

static void flush(const struct rk__record_view *v)
{
	const struct rk__order *o =
		(const struct rk__order *)(keeper.core + RK_ORDER_OFFSET);
	bool last = v->flags & RK_RECORD_CHECKPOINT, ordered = has_order(o);
	int r = device_error();

	for (uint32_t i = 0; i < keeper.family->n_mounts && r == 0; i++)
		r = rk__store_flush(&keeper.store[i]);
	/* Who asked for a checkpoint will remove the journals; and a named one
	 * is of what the image holds. */
	if (r == 0 && (last || ordered))
		r = checkpoint(0);
	if (r == 0 && ordered)
		report(o, rk__order_carry_out(keeper.store,
					      keeper.family->n_mounts, o));
	/* Durable before anybody hears of it; a checkpoint that nobody asked
	 * for may take its time after that. */
	if (r == 0) {
		atomic_store(&keeper.log.keeper->flushed_seq, v->seq);
		rk__calls_empty(&keeper.calls);
		tell_waiters();
	}
	if (r == 0 && !last)
		r = checkpoint(JOURNAL_MAX);
	if (r < 0)
		fail(r);
}

static int apply(const struct rk__record_view *v)
{
	int r = apply_pages(v);

	if (r == 0)
		r = apply_notes(v);
	if (r == 0)
		r = apply_blocks(v);
	if (r == 0)
		rk__calls_append(&keeper.calls, v);
	if (r == 0 && v->flags & RK_RECORD_FLUSH)
		flush(v);
	return r;
}

/* The devices are still another family's (board.devices_held). */
static bool is_held(void)
{
	return atomic_load(&keeper.family->board->devices_held);
}

/* 1: there was one more; 0: there was none. */
static int apply_next(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;
	uint64_t pos = load(&k->applied);
	uint64_t end = load(&keeper.log.server->published);
	struct rk__record_view v;
	int r;

	if (pos >= end)
		return 0;
	r = rk__record_check(&keeper.log, pos, end, &v);
	/* The same again: a predecessor died between the two stores below. */
	if (r == 0 && v.seq - load(&k->applied_seq) > 1)
		r = -EBADMSG;
	if (r == 0 && (v.n_blocks || v.flags) && is_held())
		return 0;
	if (r == 0)
		r = apply(&v);
	if (r < 0)
		return r;
	tell_sizes();
	atomic_store(&k->applied_seq, v.seq);
	atomic_store_explicit(&k->applied, pos + v.length,
			      memory_order_release);
	tell_server();
	return 1;
}

/* Whether there was anything. */
static bool apply_published(void)
{
	bool any = false;
	int r;

	while ((r = apply_next()) == 1)
		any = true;
	if (r < 0) {
		fail(r);
		_exit(1);
	}
	return any;
}

/* --- back to the last flush point ---------------------------------------- */

/* What cannot be believed, and what follows it, is as if it had never been. */
static void drop_published(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;
	int32_t said = -EBADMSG;

	atomic_compare_exchange_strong(&k->error, &said, 0);
	atomic_store(&k->applied_seq, load(&keeper.log.server->published_seq));
	atomic_store(&k->applied, load(&keeper.log.server->published));
}

static int refuse(int r, const char *why, char *error)
{
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot go back to the last flush "
		 "point: %s", why);
	return r;
}

static int go_back(bool salvage, char *error)
{
	struct rk__board *b = keeper.family->board;
	int r;

	/* The devices have no flush point of this family yet. */
	if (is_held() || atomic_load(&b->unflushed))
		return refuse(-EBUSY, "an upgrade is not over", error);
	while ((r = apply_next()) == 1)
		;
	if (r < 0 && !salvage)
		return refuse(r, "a record of the redo log is damaged", error);
	if (r < 0)
		drop_published();
	r = device_error();
	if (r < 0)
		return refuse(r, strerror(-r), error);
	if (!salvage && keeper.calls.log && keeper.calls.log->lost)
		return refuse(-ENOBUFS, "too much was changed since", error);
	/* First what makes it impossible to go on without having gone back. */
	r = fallocate(keeper.family->driver_fd, FALLOC_FL_PUNCH_HOLE |
		      FALLOC_FL_KEEP_SIZE, 0, RK_DRIVER_SIZE) < 0 ? -errno : 0;
	for (uint32_t i = 0; i < keeper.family->n_mounts && r == 0; i++)
		r = rk__store_go_back(&keeper.store[i]);
	tell_sizes();
	return r < 0 ? refuse(r, strerror(-r), error) : 0;
}

/* --- the loop ----------------------------------------------------------- */

/* true: nobody called for that long. */
static bool sleep_until_called(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l };
	struct rk__log_keeper *k = keeper.log.keeper;
	struct rk__log_server *s = keeper.log.server;
	uint32_t wake = atomic_load(&s->wake);
	long r = 0;

	atomic_store(&k->sleeping, 1);
	if (load(&s->published) <= load(&k->applied) || is_held())
		r = syscall(SYS_futex, &s->wake, FUTEX_WAIT, wake, &t, NULL, 0);
	atomic_store(&k->sleeping, 0);
	return r < 0 && errno == ETIMEDOUT;
}

static void be_idle(void)
{
	int r = device_error();

	if (r == 0 && !is_held())
		r = checkpoint(0);
	if (r < 0)
		fail(r);
}

_Noreturn static void run(void)
{
	unsigned quiet_ms = 0;

	for (;;) {
		/* A server calls for a flush, and when much is published; and
		 * one that died before it called has a successor that waits. */
		unsigned ms = quiet_ms < IDLE_MS ? LOOK_MS : IDLE_MS;

		if (apply_published() || !sleep_until_called(ms)) {
			quiet_ms = 0;
			continue;
		}
		quiet_ms += ms;
		if (quiet_ms == IDLE_MS)
			be_idle();
	}
}

static const int allowed[] = {
	/* log, events, devices, overlays */
	SCMP_SYS(futex), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(getrandom),
	/* the C library's heap and qsort */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk),
	SCMP_SYS(madvise), SCMP_SYS(sysinfo),
	/* the end, crash points */
	SCMP_SYS(getpid), SCMP_SYS(pause), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* It reads what a hostile server wrote: what it may do is bounded too. */
static int enter_sandbox(void)
{
	scmp_filter_ctx ctx;
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (RK_SANITIZED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0] && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	/* Itself, by name, at crash points. */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
				     SCMP_A0(SCMP_CMP_EQ,
					     (scmp_datum_t)getpid(), 0));
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* --- the start ---------------------------------------------------------- */

static void *map_image(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_all(const struct rk__family *f, char *error)
{
	int r = rk__log_map(f->log_fd, RK_LOG_KEEPER, &keeper.log);

	if (r < 0)
		goto fail;
	r = -ENOMEM;
	keeper.core = map_image(f->core_fd, RK_CORE_SIZE);
	keeper.driver = map_image(f->driver_fd, RK_DRIVER_SIZE);
	if (keeper.core && keeper.driver)
		r = rk__calls_open(&keeper.calls, f->calls_fd);
	if (r == 0)
		return 0;
fail:
	snprintf(error, RK_SERVER_ERROR_LEN, "the keeper cannot map the log "
		 "and the images of memory: %s", strerror(-r));
	return r;
}

static int open_device(const struct rk__family *f, uint32_t i, bool replay,
		       char *error)
{
	const struct rk__device *d = &f->device[i];
	unsigned n;
	int r;

	if (replay && d->journal_fd >= 0) {
		r = rk__journal_replay(d->fd, d->journal_fd, d->undo_fd, &n,
				       error);
		if (r < 0)
			return r;
		rk__journal_sync_name(d->journal_fd);
		if (d->undo_fd >= 0)
			rk__journal_sync_name(d->undo_fd);
	}
	r = rk__store_open(&keeper.store[i], d);
	if (r < 0)
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot open the journal of %.128s: %s",
			 f->mount[i].source, strerror(-r));
	else if (replay)
		tell_void(i);
	return r;
}

/* What its terminal and its user tell the family is for the supervisor. A file
 * that must not grow is an error of the device. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				       SIGPIPE, SIGXFSZ };

	for (unsigned i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
}

static int start(const struct rk__family *f, enum rk__keeper_start how,
		 char *error)
{
	int r = map_all(f, error);

	for (uint32_t i = 0; i < f->n_mounts && r == 0; i++)
		r = open_device(f, i, how == RK_KEEPER_REPLAY, error);
	if (r < 0)
		return r;
	r = enter_sandbox();
	if (r < 0)
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot enter the "
			 "keeper's sandbox: %s", strerror(-r));
	else if (how >= RK_KEEPER_GO_BACK)
		r = go_back(how == RK_KEEPER_SALVAGE, error);
	return r;
}

_Noreturn void rk__keeper_run(const struct rk__family *f,
			      enum rk__keeper_start how, int ready_fd)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	int r;

	keeper.family = f;
	rk__crash_board = f->board;
	ignore_signals();
	r = start(f, how, error);
	if (r < 0) {
		/* A successor may have the memory that this one has not. */
		if (r != -ENOMEM || how != RK_KEEPER_GO_ON)
			(void)!write(ready_fd, error, strlen(error));
		_exit(1);
	}
	(void)!write(ready_fd, "", 1);
	/* A predecessor may have died before it told. */
	tell_sizes();
	tell_waiters();
	run();
}
