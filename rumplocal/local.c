/*
 * local.c - the core in the application: calls come from its threads, one at a
 * time, and wait on their own stacks.
 *
 * Theory of operation. One lock is held by the call that runs. What a call
 * changed is committed when it is done, or taken back; so whenever the lock is
 * free, nothing is uncommitted. A call that waits gives the lock away: for a
 * lock on a file it is run again from its start, as in a server; in a driver
 * (rk_host.wait) it goes on from there, as in the execution model `process`,
 * whose claims keep others off the files that it is in the middle of.
 */
#include <errno.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "core/syscalls.h"
#include "core/task.h"
#include "local_int.h"
#include "rump/door.h"
#include "rump/local.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

enum { DIRTY_MAX = 64 << 20, CHANNEL = 0 };

static const char claims_key;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool up;
	struct rk__config config;
	struct rk__family family;
	struct rk__image image[RK_MOUNTS_MAX];
	struct rk__handle *parked;
	uint64_t last_id;
	uint32_t free[RK_SLOTS_PER_CHANNEL], n_free;
	jmp_buf *again;			/* of the call that runs */
} local = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.woken = PTHREAD_COND_INITIALIZER,
};

/* --- waiting, as the core asks for it ------------------------------------------- */

void rk__park(struct rk__handle *h, const void *key)
{
	h->parked = true;
	h->wait_key = key;
	h->next = local.parked;
	local.parked = h;
}

bool rk__unpark(struct rk__handle *h)
{
	for (struct rk__handle **at = &local.parked; *at; at = &(*at)->next) {
		if (*at != h)
			continue;
		*at = h->next;
		h->parked = false;
		return true;
	}
	return false;
}

void rk__wake(const void *key)
{
	struct rk__handle **at = &local.parked, *h;

	while ((h = *at)) {
		if (h->wait_key != key) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		h->parked = false;
		pthread_cond_broadcast(&local.woken);
	}
}

void rk__park_lock(struct rk__handle *h, uint32_t vnode, uint32_t ofd,
		   const struct rk__lock_request *want)
{
	rk__park(h, rk__lock_key(vnode));
}

void rk__wake_locks(uint32_t vnode)
{
	rk__wake(rk__lock_key(vnode));
}

void rk__wake_ofd(uint32_t vnode, uint32_t ofd)
{
	rk__wake_locks(vnode);
}

static void sleep_until_woken(struct rk__handle *h)
{
	struct rk__work *w = rk__work_now;
	jmp_buf *again = local.again;

	while (h->parked)
		pthread_cond_wait(&local.woken, &local.lock);
	rk__work_now = w;
	rk__handle_now = h;
	local.again = again;
}

/* Others may run from here until it is woken. */
static void sleep_in_the_middle(struct rk__work *w, const void *key)
{
	struct rk__task *t = &rk__core->task[w->index];
	struct rk__handle *h = rk__handle_now;

	RK_NOTE(t);
	t->asleep = 1;
	if (rk__core->task_brk <= w->index) {
		RK_NOTE(&rk__core->task_brk);
		rk__core->task_brk = w->index + 1;
	}
	rk__task_hold(t, w);
	rk__memory_commit();
	rk__park(h, key);
	sleep_until_woken(h);
}

static void claim(struct rk__work *w, struct rk__node n, enum rk__use use)
{
	while (rk__task_in_use(n, use, w->index)) {
		if (rk__core->task[w->index].asleep) {
			sleep_in_the_middle(w, &claims_key);
			continue;
		}
		rk__park(rk__handle_now, &claims_key);
		longjmp(*local.again, 1);
	}
	w->claim[w->n_claims++] = (struct rk__claim){ n, use };
}

static void yield(struct rk__work *w)
{
}

static void client_gone(uint32_t channel)
{
}

static const struct rk__tasks tasks = {
	.claim = claim, .yield = yield, .client_gone = client_gone,
};

void rk__process_start(bool on)
{
	rk__tasks = &tasks;
	local.n_free = 0;
	/* as many as a channel has slots */
	for (uint32_t i = RK_SLOTS_PER_CHANNEL; i-- > 0;)
		local.free[local.n_free++] = i;
}

void rk__process_prepare(void)
{
}

int rk__host_wait(void *ctx, const void *key)
{
	if (!rk__work_now)
		return -EDEADLK;
	if (!local.n_free)
		return -EAGAIN;
	sleep_in_the_middle(rk__work_now, key);
	return 0;
}

void rk__host_wake(void *ctx, const void *key)
{
	rk__wake(key);
}

void rk__host_yield(void *ctx)
{
}

/* --- durability --------------------------------------------------------------------- */

static int flush(uint32_t mount)
{
	int r = rk__vfs_sync(mount);

	if (r < 0)
		return r;
	rk__memory_commit();
	for (uint32_t i = 0; i < local.config.n_mounts && r == 0; i++)
		if (mount == i || mount >= RK_MOUNTS_MAX)
			r = rk__blocks_flush(i);
	return r;
}

enum rk__outcome rk__serve_fsync(struct rk__handle *h, uint32_t mount)
{
	h->result = flush(mount);
	h->out_len = 0;
	return RK_DONE;
}

/* Nobody dies here and runs it again: the token is only to be none of others. */
enum rk__outcome rk__serve_order(struct rk__handle *h, uint64_t proc,
				 uint32_t action, const char *label)
{
	struct rk__order o = { .action = action };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	o.sec = now.tv_sec;
	o.nsec = (uint32_t)now.tv_nsec;
	memcpy(o.label, label, strlen(label));
	h->result = flush(RK_MOUNTS_MAX);
	h->out_len = 0;
	while (h->result == 0 && o.token == 0)
		if (getrandom(&o.token, sizeof o.token, 0) < 0 &&
		    errno != EINTR)
			h->result = -errno;
	if (h->result == 0)
		h->result = rk__blocks_order(&o);
	return RK_DONE;
}

/* Nobody dies here and runs it again. */
void rk__serve_request(struct rk_running *ret)
{
	static uint64_t runs;

	runs++;
	*ret = (struct rk_running){ .run = runs, .id = runs, .commits = runs };
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	return false;
}

/* --- a call --------------------------------------------------------------------------- */

static void roll_back(void)
{
	rk__rollback();
	rk__name_purge_all();
}

/* Until it has an answer. */
static void run(struct rk__handle *h, struct rk__work *w,
		const struct rk_request *req, const void *in, void *out)
{
	enum rk__outcome o = RK_STAGE;
	jmp_buf again;

	while (o == RK_STAGE || o == RK_PARKED) {
		w->n_claims = w->n_fds = w->rooms = 0;
		rk__work_now = w;
		local.again = &again;
		o = setjmp(again) ? RK_PARKED :
		    rk__syscall(h, CHANNEL, req, in, out);
		rk__work_now = NULL;
		if (rk__changed() && (o == RK_PARKED || h->result < 0))
			roll_back();
		else if (rk__changed())
			rk__memory_commit();
		if (o == RK_PARKED)
			sleep_until_woken(h);
	}
	rk__handle_now = NULL;
}

static void end_of_call(struct rk__work *w)
{
	struct rk__task *t = &rk__core->task[w->index];

	if (t->asleep) {
		rk__task_let_go(t);
		rk__memory_commit();
		rk__wake(&claims_key);
	}
	local.free[local.n_free++] = w->index;
	pthread_cond_signal(&local.woken);
	while (rk__core->reclaim && rk__vnode_reclaim_some())
		rk__memory_commit();
	if (rk__blocks_dirty() > DIRTY_MAX && flush(RK_MOUNTS_MAX) < 0)
		roll_back();
}

static int64_t call(void *ctx, const struct rk_request *req, const void *in,
		    void *out, uint32_t *ret_out_len)
{
	static const struct rk__gate_ops gate = { .name = "local" };
	struct rk__handle h = { .gate = &gate };
	struct rk__work *w;

	pthread_mutex_lock(&local.lock);
	while (!local.n_free)
		pthread_cond_wait(&local.woken, &local.lock);
	w = rk__work_of(local.free[--local.n_free]);
	w->index = local.free[local.n_free];
	/* What an op keeps from stage to stage is found by its slot. */
	h.slot = RK_SLOT_CHANNEL(CHANNEL, w->index);
	h.id = ++local.last_id;
	run(&h, w, req, in, out);
	end_of_call(w);
	pthread_mutex_unlock(&local.lock);
	*ret_out_len = h.out_len;
	return h.result;
}

/* --- the life of it --------------------------------------------------------------------- */

/* In a build tree, and where it is installed. */
static void find_drivers(char *ret, size_t size)
{
	static const char *const beside[] = { "rump", "../drivers" };
	const char *given = getenv("RUMP_DRIVER_DIR");
	char path[PATH_MAX];
	Dl_info info;

	snprintf(ret, size, "%s", given && *given ? given : RUMP_DRIVER_DIR);
	if ((given && *given) || !dladdr(&local, &info) || !info.dli_fname)
		return;
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
		const char *slash = strrchr(info.dli_fname, '/');

		snprintf(path, sizeof path, "%.*s/%s",
			 slash ? (int)(slash - info.dli_fname) : 1,
			 slash ? info.dli_fname : ".", beside[i]);
		if (access(path, X_OK) == 0) {
			snprintf(ret, size, "%s", path);
			return;
		}
	}
}

static int open_sources(char *error)
{
	struct rk__config *c = &local.config;

	for (uint32_t i = 0; i < c->n_mounts; i++) {
		struct rk__mount_spec *m = &c->mount[i];
		int r = rk__image_open(m, &local.image[i], error);

		if (r == 0)
			r = rk__blocks_open(i, m, &local.image[i], error);
		if (r < 0)
			return r;
		local.family.mount[i] = *m;
	}
	local.family.n_mounts = c->n_mounts;
	return 0;
}

static void close_sources(void)
{
	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++) {
		rk__blocks_close(i);
		rk__image_close(&local.image[i]);
	}
}

static int mount_all(char *error)
{
	struct rk__family *f = &local.family;
	bool needs_recovery = false;

	rk__vfs_restart(f);
	for (uint32_t i = 0; i < f->n_mounts; i++) {
		int r = rk__vfs_mount(i, f, &needs_recovery, error,
				      RK_SERVER_ERROR_LEN);

		if (r >= 0)
			continue;
		if (needs_recovery)
			snprintf(error, RK_SERVER_ERROR_LEN, "%.150s was not "
				 "unmounted cleanly; run: e2fsck -E "
				 "journal_only %.50s", f->mount[i].source,
				 f->mount[i].source);
		return r;
	}
	rk__memory_commit();
	return 0;
}

static int attach_self(void)
{
	struct rk__attach a = {
		.channel = CHANNEL, .token = 1,
		.uid = geteuid(), .gid = getegid(), .pid = (uint32_t)getpid(),
	};
	gid_t group[64];
	int r, n = getgroups(64, group);

	for (int i = 0; i < n; i++)
		a.group[a.n_groups++] = group[i];
	r = rk__proc_attach(&a);
	rk__memory_commit();
	return r;
}

static void end(void *ctx)
{
	pthread_mutex_lock(&local.lock);
	rk__proc_detach(CHANNEL);
	rk__memory_commit();
	while (rk__vnode_reclaim_some())
		rk__memory_commit();
	for (uint32_t i = 0; i < local.config.n_mounts; i++) {
		if (rk__vfs_unmount(i) < 0)
			roll_back();
		rk__memory_commit();
		rk__blocks_finish(i);
	}
	close_sources();
	rk__memory_close();
	local.up = false;
	pthread_mutex_unlock(&local.lock);
}

static const struct rk_door door = { .call = call, .end = end };

static int start(const char *const *mount, unsigned n, char *error)
{
	int r = 0;

	if (!n) {
		snprintf(error, RK_SERVER_ERROR_LEN, "nothing to mount; write "
			 "PATH=DRIVER:SOURCE, as in /vol=ext4:disk.img");
		return -EINVAL;
	}
	local.config = (struct rk__config){ 0 };
	find_drivers(local.config.driver_dir, sizeof local.config.driver_dir);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = rk__spec_add(&local.config, mount[i], error);
	if (r == 0)
		r = rk__drivers_load(&local.config, error);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		local.image[i] = (struct rk__image){
			.rw_fd = -1, .ro_fd = -1, .journal_fd = -1,
			.undo_fd = -1,
		};
	if (!local.family.lasting)
		local.family.lasting = calloc(RK_MOUNTS_MAX * RK_STACK_MAX,
					      RK_LASTING_SIZE);
	r = rk__memory_open();
	if (r < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot map the memory of "
			 "drivers: %s", strerror(-r));
		return r;
	}
	r = open_sources(error);
	if (r == 0)
		r = mount_all(error);
	if (r == 0)
		r = attach_self();
	if (r < 0) {
		close_sources();
		rk__memory_close();
	}
	return r;
}

__attribute__((visibility("default")))
int rk_local_attach(const char *const *mount, unsigned n,
		    struct rk_client **ret, char *error, size_t error_size)
{
	char sentence[RK_SERVER_ERROR_LEN] = "";
	int r = -EBUSY;

	pthread_mutex_lock(&local.lock);
	if (local.up)
		snprintf(sentence, sizeof sentence,
			 "this process has a local client already");
	else
		r = start(mount, n, sentence);
	local.up |= r == 0;
	pthread_mutex_unlock(&local.lock);
	if (r == 0) {
		r = rk_attach_door(&door, NULL, ret);
		if (r < 0)
			end(NULL);
	}
	if (r < 0 && error_size)
		snprintf(error, error_size, "%s",
			 sentence[0] ? sentence : strerror(-r));
	return r;
}
