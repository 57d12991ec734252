/*
 * check.c - do the core's tables make sense? Asked by a successor whose
 * predecessor was brought down by a fault of its own, before it goes on with
 * them: what a wild store has left in them must not be followed.
 *
 * Every index must name something that is there, every list must end. It reads
 * all that is in use and nothing else, and follows nothing before it has looked
 * whether it may.
 */
#include <stdlib.h>
#include <string.h>
#include "core/core.h"
#include "core/vfs_int.h"

static bool brks_hold(void)
{
	return rk__core->n_mounts <= RK_MOUNTS_MAX &&
	       rk__core->vnode_brk <= RK_VNODES_MAX &&
	       rk__core->ofd_brk <= RK_OFDS_MAX &&
	       rk__core->lock_brk <= RK_LOCKS_MAX &&
	       rk__core->proc_brk <= RK_PROCS_MAX &&
	       rk__core->task_brk <= RK_TASKS_MAX &&
	       rk__core->offer_brk <= RK_TICKETS_MAX &&
	       rk__core->pin_brk <= RK_PINS_MAX;
}

/* A bool may hold anything by now: it is read as the byte that it is. */
static unsigned byte_of(const bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, sizeof byte);
	return byte;
}

static bool is_vnode(uint32_t i)
{
	return i > 0 && i < rk__core->vnode_brk &&
	       byte_of(&rk__core->vnode[i].used) == 1;
}

static bool is_ofd(uint32_t i)
{
	return i > 0 && i < rk__core->ofd_brk && rk__core->ofd[i].vnode;
}

/* refs: of each open file, counted. */
static bool proc_holds(const struct rk__proc *p, uint32_t *refs)
{
	if (p->n_groups > RK_GROUPS_MAX || p->nofile > RK_FDS_MAX ||
	    (p->cwd && !is_vnode(p->cwd)))
		return false;
	for (unsigned fd = 0; fd < RK_FDS_MAX; fd++) {
		if (!p->fd[fd])
			continue;
		if (!is_ofd(p->fd[fd]))
			return false;
		refs[p->fd[fd]]++;
	}
	return true;
}

static bool procs_hold(uint32_t *refs)
{
	for (uint32_t i = 0; i < rk__core->proc_brk; i++)
		if (rk__core->proc[i].used &&
		    !proc_holds(&rk__core->proc[i], refs))
			return false;
	return true;
}

static bool ofds_hold(const uint32_t *refs)
{
	for (uint32_t i = 1; i < rk__core->ofd_brk; i++) {
		const struct rk__ofd *o = &rk__core->ofd[i];

		if (o->vnode && (!is_vnode(o->vnode) || o->refs < refs[i] ||
				 o->pipe >= RK_PIPES_MAX))
			return false;
	}
	return true;
}

static bool locks_hold(uint32_t vnode)
{
	uint32_t i = rk__core->vnode[vnode].locks, left = rk__core->lock_brk;

	for (; i; i = rk__core->lock[i].next)
		if (i >= rk__core->lock_brk || !left-- ||
		    rk__core->lock[i].vnode != vnode)
			return false;
	return true;
}

static bool vnodes_hold(void)
{
	for (uint32_t i = 1; i < rk__core->vnode_brk; i++) {
		const struct rk__vnode *v = &rk__core->vnode[i];

		if (byte_of(&v->used) > 1 || byte_of(&v->early) > 1 ||
		    byte_of(&v->orphan) > 1 || byte_of(&v->reclaiming) > 1 ||
		    byte_of(&v->linkable) > 1)
			return false;
		if (v->used && (v->mount >= rk__core->n_mounts || !v->ino ||
				!locks_hold(i)))
			return false;
	}
	return true;
}

/* A list of vnodes, linked by hash_next; *left bounds all lists together. */
static bool list_ends(uint32_t i, uint32_t *left)
{
	for (; i; i = rk__core->vnode[i].hash_next)
		if (i >= rk__core->vnode_brk || !(*left)--)
			return false;
	return true;
}

static bool vnode_lists_end(void)
{
	uint32_t left = rk__core->vnode_brk;

	for (unsigned b = 0; b < RK_VNODE_HASH; b++)
		if (!list_ends(rk__core->vnode_hash[b], &left))
			return false;
	return list_ends(rk__core->reclaim, &left) &&
	       list_ends(rk__core->vnode_free, &left);
}

static bool free_lists_end(void)
{
	uint32_t i, left = rk__core->ofd_brk;

	for (i = rk__core->ofd_free; i; i = rk__core->ofd[i].next_free)
		if (i >= rk__core->ofd_brk || !left--)
			return false;
	left = rk__core->lock_brk;
	for (i = rk__core->lock_free; i; i = rk__core->lock[i].next)
		if (i >= rk__core->lock_brk || !left--)
			return false;
	return true;
}

bool rk__core_check(void)
{
	uint32_t *refs;
	bool good;

	if (!brks_hold())
		return false;
	refs = calloc((size_t)rk__core->ofd_brk + 1, sizeof *refs);
	/* nothing is known then, and a doubt is no reason */
	if (!refs)
		return true;
	good = procs_hold(refs) && ofds_hold(refs) && vnodes_hold() &&
	       vnode_lists_end() && free_lists_end();
	free(refs);
	return good;
}
