/*
 * task_hold.c - what must not go while an op sleeps, and whom it shuts out.
 */
#include <string.h>
#include "fd.h"
#include "task.h"

static void hold_asker(struct rk__task *t, const struct rk__work *w)
{
	struct rk__proc *p = &rk__core->proc[w->proc - 1];

	t->proc = w->proc;
	RK_NOTE(&p->channels);
	p->channels++;
	for (uint32_t i = 0; i < w->n_fds; i++)
		t->ofd[i] = rk__fd_hold(p, w->fd[i]);
}

static void put_nodes(const uint32_t *vnode)
{
	for (unsigned i = 0; i < RK_TASK_NODES; i++)
		if (vnode[i])
			rk__vnode_put_open(vnode[i]);
}

void rk__task_hold(struct rk__task *t, const struct rk__work *w)
{
	uint32_t had[RK_TASK_NODES];

	RK_NOTE(t);
	if (w->proc && !t->proc)
		hold_asker(t, w);
	memcpy(had, t->vnode, sizeof had);
	memset(t->vnode, 0, sizeof t->vnode);
	for (uint32_t i = 0; i < w->n_claims; i++) {
		if (!w->claim[i].node.ino)
			continue;
		/* With a full table it goes without. */
		t->vnode[i] = rk__vnode_get(w->claim[i].node);
		if (t->vnode[i])
			rk__vnode_hold_open(t->vnode[i]);
	}
	put_nodes(had);
}
_Static_assert((int)RK_CLAIMS_MAX <= (int)RK_TASK_NODES, "each claim is held");

void rk__task_let_go(struct rk__task *t)
{
	struct rk__task was = *t;

	RK_NOTE(t);
	*t = (struct rk__task){ 0 };
	for (unsigned k = 0; k < RK_TASK_FDS; k++)
		if (was.ofd[k])
			rk__ofd_put(was.ofd[k]);
	put_nodes(was.vnode);
	if (was.proc)
		rk__proc_put(was.proc - 1);
}

static bool shuts_out(enum rk__use a, enum rk__use b)
{
	return a != RK_LOOKS && b != RK_LOOKS &&
	       (a == RK_WRITES || b == RK_WRITES);
}

bool rk__task_in_use(struct rk__node n, enum rk__use use, uint32_t but)
{
	for (uint32_t i = 0; n.ino && i < rk__core->task_brk; i++) {
		const struct rk__work *w = rk__work_of(i);

		if (i == but || !rk__core->task[i].asleep)
			continue;
		for (uint32_t k = 0; k < w->n_claims; k++)
			if (w->claim[k].node.ino == n.ino &&
			    w->claim[k].node.mount == n.mount &&
			    shuts_out(use, w->claim[k].use))
				return true;
	}
	return false;
}
