/*
 * cold.c - a cold start: the drivers' memory is new, the tables of the core are
 * what they were.
 *
 * Theory of operation. The keeper has put the devices back to the last flush
 * point. The drivers are mounted again on that, and asked again for all that
 * they were asked to change since, in the same order, with the same time and
 * the same numbers for what they make; and they must answer as they did. Then
 * what the core knows of them (open files, orphans, numbers that the kernel
 * has) is right again, and one commit makes it the state that successors start
 * warm from.
 *
 * It counts only as a whole: what is committed on the way, because one record
 * cannot hold it all, is undone by the keeper when it goes back the next time.
 * What the last record before answered goes with each of them, so that it is
 * posted as after any other death.
 *
 * To serve read-only, the calls of a commit that cannot be run again may be left
 * out, and all after it (board.cold_cut).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "core/vfs.h"
#include "core/vfs_call.h"
#include "recovery/calls.h"
#include "server/loop.h"

enum { STEP_BYTES = 1 << 20 };		/* staged, that go in one record */

static const uint8_t *calls;

int rk__cold_prepare(const struct rk__family *f)
{
	void *p = mmap(NULL, RK_CALLS_AT + RK_CALLS_MAX, PROT_READ,
		       MAP_SHARED | MAP_NORESERVE, f->calls_fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	calls = p;
	return 0;
}

static int refuse(int r, const struct rk__call *c, char *error)
{
	snprintf(error, RK_SERVER_ERROR_LEN, r == -EBADMSG ?
		 "the log of calls is damaged (call %u, inode %llu)" :
		 "a driver answers otherwise when it is asked again (call %u, "
		 "inode %llu)", c->op, (unsigned long long)c->ino);
	return r;
}

static int run_batch(const struct rk__board *b, const uint8_t *from,
		     const struct rk__call_batch *batch, char *error)
{
	const uint8_t *part[RK_CALL_PARTS];
	struct rk__call c = { 0 };
	uint64_t at = 0;
	int r;

	while ((r = rk__call_next(from, batch->length, &at, &c, part)) == 1) {
		r = rk__call_again(&c, part);
		if (r < 0)
			break;
		atomic_fetch_add((_Atomic uint64_t *)&b->cold_calls, 1);
		RK_CRASHPOINT(cold_half_run);
		if (rk__staged_bytes() >= STEP_BYTES)
			rk__commit_on_the_way();
	}
	return r < 0 ? refuse(r, &c, error) : 0;
}

static int run_calls(struct rk__board *b, char *error)
{
	const struct rk__call_log *log = (const void *)calls;
	uint64_t end = atomic_load(&log->end), at = 0;
	uint64_t cut = atomic_load(&b->cold_cut);
	const struct rk__call none = { 0 };
	struct rk__call_batch batch;
	const uint8_t *from;
	int r;

	if (end > RK_CALLS_MAX)
		return refuse(-EBADMSG, &none, error);
	while ((r = rk__batch_next(calls + RK_CALLS_AT, end, &at, &batch,
				   &from)) == 1) {
		if (cut && batch.seq >= cut)
			return 0;
		atomic_store(&b->cold_seq, batch.seq);
		r = run_batch(b, from, &batch, error);
		if (r < 0)
			return r;
	}
	return r < 0 ? refuse(r, &none, error) : 0;
}

int rk__cold_start(const struct rk__family *f, char *error)
{
	struct rk__board *b = f->board;
	bool resumes;
	int r;

	snprintf(error, RK_SERVER_ERROR_LEN,
		 "records of the redo log are left after going back");
	r = rk__recovery_go_back(&resumes);
	if (r < 0)
		return r;
	rk__vfs_restart(f);
	for (uint32_t i = 0; i < f->n_mounts && r == 0; i++)
		if (rk__core->mount[i].mounted)
			r = rk__vfs_remount(i, f, resumes, error,
					    RK_SERVER_ERROR_LEN);
	if (r == 0)
		r = run_calls(b, error);
	if (r < 0)
		return r;
	/* Read-only, some may be of commits that were left out. */
	if (!atomic_load(&b->read_only) && !rk__vnodes_are_there()) {
		snprintf(error, RK_SERVER_ERROR_LEN, "a file that is in use is "
			 "not there after all calls were run again");
		return -ESTALE;
	}
	RK_CRASHPOINT(cold_not_committed);
	rk__commit_boot();
	if (atomic_load(&b->read_only))
		atomic_store(&b->read_only, RK_FROZEN_FRESH);
	atomic_store(&b->cold, 0);
	return 0;
}
