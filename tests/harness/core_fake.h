/*
 * core_fake.h - what core stands on, played for its unit tests: the core
 * region is plain memory, a commit is a comparison.
 *
 * A shadow holds the core region as of the last commit. A commit brings it up
 * to date with what was noted, and then both must be equal: so every change
 * that was not noted fails the test that made it. A rollback copies back what
 * was noted; the driver's state is saved whole at its first change.
 */
#ifndef RK_CORE_FAKE_H
#define RK_CORE_FAKE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include "core/serve.h"
#include "core/vfs.h"
#include "core/vfs_int.h"
#include "mem_driver.h"

#define FAKE_UNUSED __attribute__((unused))

enum { FAKE_NOTES = 1 << 16 };

static struct {
	uint8_t *shadow;
	struct {
		size_t at, n;
	} note[FAKE_NOTES];
	unsigned n_notes;
	bool driver_changed;
	uint64_t changes;
	struct mem_fs *saved;
	unsigned parked, wakes;
	const void *parked_key;
	uint32_t random;
} fake = { .random = 1 };

void rk__note(void *p, size_t n)
{
	size_t at = (size_t)((uintptr_t)p - RK_CORE_AT);

	cr_assert(at + n <= sizeof *rk__core, "a note beyond the core");
	cr_assert(n <= 4096, "a note of %zu bytes", n);
	cr_assert(fake.n_notes < FAKE_NOTES);
	fake.note[fake.n_notes].at = at;
	fake.note[fake.n_notes++].n = n;
	fake.changes++;
}

void rk__change_bytes(uint64_t n)
{
}

void rk__change_driver(void)
{
	if (!fake.driver_changed)
		*fake.saved = mem_fs;
	fake.driver_changed = true;
	fake.changes++;
}

bool rk__changed(void)
{
	return fake.n_notes || fake.driver_changed;
}

uint64_t rk__change_count(void)
{
	return fake.changes;
}

static void fake_copy(uint8_t *to, const uint8_t *from)
{
	for (unsigned i = 0; i < fake.n_notes; i++)
		memcpy(to + fake.note[i].at, from + fake.note[i].at,
		       fake.note[i].n);
	fake.n_notes = 0;
}

void rk__rollback(void)
{
	fake_copy((uint8_t *)rk__core, fake.shadow);
	if (fake.driver_changed)
		mem_fs = *fake.saved;
	fake.driver_changed = false;
}

static void fake_same(const void *p, size_t n, const char *what)
{
	size_t at = (size_t)((uintptr_t)p - RK_CORE_AT);

	cr_assert(!memcmp(p, fake.shadow + at, n), "%s changed without a note",
		  what);
}

static void fake_commit(void)
{
	__typeof__(rk__core) c = rk__core;

	fake_copy(fake.shadow, (uint8_t *)c);
	fake.driver_changed = false;
	fake_same(c, (size_t)((uint8_t *)c->committed - (uint8_t *)c), "the head");
	fake_same(c->channel_proc, sizeof c->channel_proc, "channels");
	fake_same(c->proc, sizeof c->proc[0] * (c->proc_brk + 1), "procs");
	fake_same(c->vnode, sizeof c->vnode[0] * (c->vnode_brk + 1), "vnodes");
	fake_same(c->ofd, sizeof c->ofd[0] * (c->ofd_brk + 1), "ofds");
	fake_same(c->lock, sizeof c->lock[0] * (c->lock_brk + 1), "locks");
	fake_same(&c->offer_brk,
		  (size_t)((uint8_t *)(c + 1) - (uint8_t *)&c->offer_brk), "offers");
	for (unsigned i = 0; i < RK_PIPES_MAX; i++)
		fake_same(&c->pipe[i], c->pipe[i].vnode ? sizeof c->pipe[i] :
			  offsetof(struct rk__pipe, data), "a pipe");
}

/* What rk__serve does after an op by itself. */
static FAKE_UNUSED int64_t fake_end(int64_t result)
{
	if (result < 0 && rk__changed()) {
		rk__rollback();
		rk__name_purge_all();
	}
	fake_commit();
	cr_assert(rk__core_check(), "the tables make no sense");
	return result;
}

void rk__park(struct rk__handle *h, const void *key)
{
	fake.parked++;
	fake.parked_key = key;
}

void rk__wake(const void *key)
{
	fake.wakes++;
}

bool rk__unpark(struct rk__handle *h)
{
	return false;
}

void rk__requeue(struct rk__handle *h)
{
}

void rk__park_lock(struct rk__handle *h, uint32_t vnode, uint32_t ofd,
		   const struct rk__lock_request *want)
{
	rk__park(h, rk__lock_key(vnode));
}

void rk__wake_locks(uint32_t vnode)
{
	fake.wakes++;
}

void rk__wake_ofd(uint32_t vnode, uint32_t ofd)
{
	fake.wakes++;
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	return false;
}

void rk__serve_request(struct rk_running *ret)
{
	*ret = (struct rk_running){ 0 };
}

enum rk__outcome rk__serve_order(struct rk__handle *h, uint64_t proc,
				 uint32_t action, const char *label)
{
	h->result = 0;
	return RK_DONE;
}

enum rk__outcome rk__serve_fsync(struct rk__handle *h, uint32_t mount)
{
	h->result = rk__vfs_sync(RK_MOUNTS_MAX);
	return RK_DONE;
}

static void host_change(void *ctx)
{
	rk__change_driver();
}

void rk__blockstore_host(unsigned dev,
			 void (*complain)(void *ctx, const char *sentence),
			 struct rk_host *ret)
{
	*ret = (struct rk_host){
		.change = host_change,
		.complain = complain,
	};
}

static struct rk__family fake_family;

static void *fake_map(void *at, size_t size)
{
	void *p = mmap(at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	cr_assert(p != MAP_FAILED);
	return p;
}

/* A fresh core with one mount of the driver in memory at `path`. */
static FAKE_UNUSED void fake_start(const char *path)
{
	bool needs_recovery;
	char error[256];

	fake_map((void *)RK_CORE_AT, RK_CORE_SIZE);
	fake.shadow = fake_map(NULL, RK_CORE_SIZE);
	fake.saved = fake_map(NULL, sizeof *fake.saved);
	rk__driver[0] = &mem_driver;
	fake_family.n_mounts = 1;
	snprintf(fake_family.mount[0].path, sizeof fake_family.mount[0].path,
		 "%s", path);
	rk__vfs_restart(&fake_family);
	cr_assert_eq(rk__vfs_mount(0, &fake_family, &needs_recovery, error,
				   sizeof error), 0);
	fake_commit();
}

/* The same sequence in every run. */
static FAKE_UNUSED uint32_t fake_random(uint32_t below)
{
	fake.random = fake.random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(fake.random >> 8) * below >> 24);
}

static FAKE_UNUSED const struct rk__cred fake_root = { .umask = 022 };

#endif
