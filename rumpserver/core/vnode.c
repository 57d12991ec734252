/*
 * vnode.c - files that somebody holds.
 *
 * A vnode lives as long as the kernel, an open file description or a working
 * directory refers to it. A file whose last name went while it was held is an
 * orphan: with its last reference it goes to the list of files to reclaim
 * (core->reclaim, linked by hash_next, not in the hash), which is worked off
 * when there is time, because freeing a large file takes many stages.
 */
#include <assert.h>
#include <xxhash.h>
#include "core/pages.h"
#include "serve.h"
#include "vfs_call.h"
#include "vfs_int.h"

/* Reclaims that one commit takes together. */
enum { RECLAIM_AT_ONCE = 16 };

static uint32_t *bucket(struct rk__node n)
{
	uint64_t key[2] = {n.mount, n.ino};

	return &rk__core->vnode_hash[XXH3_64bits(key, sizeof key) %
				     RK_VNODE_HASH];
}

static struct rk__node node_of(const struct rk__vnode *v)
{
	return rk__node(v->mount, v->ino);
}

uint32_t rk__vnode_find(struct rk__node n)
{
	uint32_t i;

	for (i = *bucket(n); i; i = rk__core->vnode[i].hash_next)
		if (rk__same_node(node_of(&rk__core->vnode[i]), n))
			return i;
	return 0;
}

struct rk__vnode *rk__vnode(uint32_t index)
{
	struct rk__vnode *v;

	if (index == 0 || index >= rk__core->vnode_brk)
		return NULL;
	v = &rk__core->vnode[index];
	return v->used && !v->reclaiming ? v : NULL;
}

static uint32_t take_index(void)
{
	uint32_t i = rk__core->vnode_free;

	if (i) {
		RK_NOTE(&rk__core->vnode_free);
		rk__core->vnode_free = rk__core->vnode[i].hash_next;
		return i;
	}
	i = rk__core->vnode_brk ? rk__core->vnode_brk : 1;
	if (i == RK_VNODES_MAX)
		return 0;
	RK_NOTE(&rk__core->vnode_brk);
	rk__core->vnode_brk = i + 1;
	return i;
}

static void begin(uint32_t index, struct rk__node n)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	RK_NOTE(v);
	*v = (struct rk__vnode){
		.ino = n.ino,
		.mount = n.mount,
		.used = true,
	};
}

/* A vnode that is in no hash chain yet. */
static uint32_t make(struct rk__node n)
{
	uint32_t i = take_index();

	if (i)
		begin(i, n);
	return i;
}

static void hash(uint32_t index, struct rk__node n)
{
	uint32_t *head = bucket(n);

	RK_NOTE(head);
	rk__core->vnode[index].hash_next = *head;
	*head = index;
}

void rk__vnode_place(uint32_t index, struct rk__node n)
{
	begin(index, n);
	hash(index, n);
}

uint32_t rk__vnode_get(struct rk__node n)
{
	uint32_t i = rk__vnode_find(n);

	if (i)
		return i;
	i = make(n);
	if (i)
		hash(i, n);
	return i;
}

static void unhash(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];
	uint32_t *at = bucket(node_of(v));

	while (*at != index) {
		assert(*at);
		at = &rk__core->vnode[*at].hash_next;
	}
	RK_NOTE(at);
	*at = v->hash_next;
}

static void give_index(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	RK_NOTE(v);
	RK_NOTE(&rk__core->vnode_free);
	v->used = false;
	v->reclaiming = false;
	v->orphan = false;
	v->linkable = false;
	v->hash_next = rk__core->vnode_free;
	rk__core->vnode_free = index;
}

static void queue_reclaim(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	RK_NOTE(v);
	RK_NOTE(&rk__core->reclaim);
	v->reclaiming = true;
	v->hash_next = rk__core->reclaim;
	rk__core->reclaim = index;
}

/* 1 if a reclaim begins with it. */
static int free_unreferenced(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	if (v->lookups || v->opens)
		return 0;
	if (v->locks)
		rk__lock_release_all(index);
	unhash(index);
	if (!v->orphan) {
		give_index(index);
		return 0;
	}
	queue_reclaim(index);
	return 1;
}

void rk__vnode_hold_lookup(uint32_t index)
{
	struct rk__vnode *v = rk__vnode(index);

	assert(v);
	RK_NOTE(&v->lookups);
	v->lookups++;
	if (!v->early && !rk__core->proc_brk) {
		RK_NOTE(&v->early);
		v->early = true;
	}
}

void rk__vnode_hold_open(uint32_t index)
{
	struct rk__vnode *v = rk__vnode(index);

	assert(v);
	RK_NOTE(&v->opens);
	v->opens++;
}

int rk__vnode_put_lookup(uint32_t index, uint64_t n)
{
	struct rk__vnode *v = rk__vnode(index);

	/* The kernel counts these, so a wrong count is its word, not ours. */
	if (!v)
		return 0;
	RK_NOTE(&v->lookups);
	v->lookups -= n < v->lookups ? n : v->lookups;
	return free_unreferenced(index);
}

int rk__vnode_put_open(uint32_t index)
{
	struct rk__vnode *v = rk__vnode(index);

	assert(v && v->opens);
	RK_NOTE(&v->opens);
	v->opens--;
	return free_unreferenced(index);
}

int rk__vnode_gone(struct rk__node n)
{
	uint32_t i = rk__vnode_find(n);
	int r;

	if (i) {
		RK_NOTE(&rk__core->vnode[i].orphan);
		rk__core->vnode[i].orphan = true;
		return 0;
	}
	rk__pages_drop(n);
	r = rk__do_reclaim(n);
	if (r <= 0)
		return r;
	/* With a full table the rest waits for the next mount: the driver
	 * keeps orphans on the device. */
	i = make(n);
	if (i)
		queue_reclaim(i);
	return 0;
}

static int reclaim_stage(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	/* It stays an orphan on the device, for the next mount. */
	if (rk__writable(v->mount) < 0)
		return 0;
	rk__pages_drop(node_of(v));
	return rk__do_reclaim(node_of(v));
}

static void end_reclaim(uint32_t index)
{
	uint32_t *at = &rk__core->reclaim;

	while (*at != index) {
		assert(*at);
		at = &rk__core->vnode[*at].hash_next;
	}
	RK_NOTE(at);
	*at = rk__core->vnode[index].hash_next;
	give_index(index);
}

bool rk__vnode_reclaim_some(void)
{
	uint32_t i;
	int n, r;

	/* A failure is rolled back, and must take nothing else with it. */
	if (rk__changed())
		return rk__core->reclaim != 0;
	for (n = 0; n < RECLAIM_AT_ONCE && rk__core->reclaim; n++) {
		i = rk__core->reclaim;
		r = reclaim_stage(i);
		if (r > 0)
			return true;
		if (r < 0) {
			/* What can't be freed stays an orphan on the device;
			 * it alone is given up, the others come again. */
			rk__rollback();
			rk__name_purge_all();
			rk__pages_rolled_back();
			end_reclaim(i);
			return true;
		}
		end_reclaim(i);
	}
	return n > 0;
}

bool rk__vnodes_are_there(void)
{
	for (uint32_t i = 1; i < rk__core->vnode_brk; i++) {
		struct rk__vnode *v = rk__vnode(i);
		struct rk_stat st;

		if (v && (rk__vfs_getattr(node_of(v), &st) < 0 ||
			  v->orphan != (st.nlink == 0)))
			return false;
	}
	return true;
}

void rk__vnode_drop_lookups(uint32_t mount)
{
	uint32_t i;

	for (i = 1; i < rk__core->vnode_brk; i++) {
		struct rk__vnode *v = rk__vnode(i);

		if (v && v->mount == mount && v->lookups)
			rk__vnode_put_lookup(i, v->lookups);
	}
}
