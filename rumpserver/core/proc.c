/*
 * proc.c - client processes: made with their first channel, copied by fork,
 * gone with their last channel. What the kernel told of a client (ids and
 * groups), with its latest channel, is kept here; nothing a request says changes
 * it.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "fd.h"
#include "lock.h"
#include "core/pages.h"
#include "syscalls.h"
#include "task.h"
#include "vfs_int.h"

enum { UMASK = 022 };

static struct rk__proc *find(uint64_t token)
{
	uint32_t i;

	for (i = 0; i < rk__core->proc_brk; i++)
		if (rk__core->proc[i].used && rk__core->proc[i].token == token)
			return &rk__core->proc[i];
	return NULL;
}

static struct rk__proc *take(void)
{
	uint32_t i;

	for (i = 0; i < rk__core->proc_brk; i++)
		if (!rk__core->proc[i].used)
			return &rk__core->proc[i];
	if (i == RK_PROCS_MAX)
		return NULL;
	if (i == 0 && rk__watcher)
		rk__watcher->shared();
	RK_NOTE(&rk__core->proc_brk);
	rk__core->proc_brk = i + 1;
	return &rk__core->proc[i];
}

struct rk__proc *rk__proc_of_channel(uint32_t channel)
{
	uint32_t i = channel < RK_CHANNELS_MAX ?
			rk__core->channel_proc[channel] : 0;

	return i ? &rk__core->proc[i - 1] : NULL;
}

struct rk__node rk__proc_cwd(const struct rk__proc *p)
{
	const struct rk__vnode *v = rk__vnode(p->cwd);

	return v ? rk__node(v->mount, v->ino) :
		   rk__node(0, rk__core->mount[0].root);
}

int rk__proc_set_cwd(struct rk__proc *p, struct rk__node dir)
{
	uint32_t v = rk__vnode_get(dir), old = p->cwd;

	if (!v)
		return -ENFILE;
	rk__vnode_hold_open(v);
	RK_NOTE(&p->cwd);
	p->cwd = v;
	if (old)
		rk__vnode_put_open(old);
	return 0;
}

static void set_cred(struct rk__proc *p, const struct rk__attach *a)
{
	uint32_t n = a->n_groups < RK_GROUPS_MAX ? a->n_groups : RK_GROUPS_MAX;

	if (p->uid == a->uid && p->gid == a->gid && p->n_groups == n &&
	    !memcmp(p->group, a->group, n * sizeof p->group[0]))
		return;
	rk__note(p, offsetof(struct rk__proc, group) +
			    n * sizeof p->group[0]);
	p->uid = a->uid;
	p->gid = a->gid;
	p->n_groups = n;
	memcpy(p->group, a->group, n * sizeof p->group[0]);
}

/* A free proc has no descriptors, so only what comes before them is set. */
static void fill(struct rk__proc *p, const struct rk__attach *a)
{
	uint32_t n = a->n_groups < RK_GROUPS_MAX ? a->n_groups : RK_GROUPS_MAX;

	rk__note(p, offsetof(struct rk__proc, group) +
			    n * sizeof p->group[0]);
	p->used = 1;
	p->channels = 0;
	p->token = a->token;
	p->uid = a->uid;
	p->gid = a->gid;
	p->pid = a->pid;
	p->n_groups = n;
	p->umask = UMASK;
	p->nofile = RK_FDS_MAX;
	p->fsize = UINT64_MAX;
	p->cwd = 0;
	memcpy(p->group, a->group, n * sizeof p->group[0]);
}

static void inherit(struct rk__proc *child, const struct rk__proc *parent)
{
	child->umask = parent->umask;
	child->nofile = parent->nofile;
	child->fsize = parent->fsize;
	if (parent->cwd)
		rk__proc_set_cwd(child, rk__proc_cwd(parent));
	rk__fd_inherit(child, parent);
	if (rk__pages)
		rk__pages->inherit(child, parent);
}

static struct rk__proc *make(const struct rk__attach *a)
{
	const struct rk__proc *parent = a->parent ? find(a->parent) : NULL;
	struct rk__proc *p = take();

	if (!p)
		return NULL;
	fill(p, a);
	if (parent)
		inherit(p, parent);
	return p;
}

int rk__proc_attach(const struct rk__attach *a)
{
	struct rk__proc *p;

	if (a->channel >= RK_CHANNELS_MAX)
		return -EINVAL;
	if (rk__core->channel_proc[a->channel])
		return 0;
	p = find(a->token);
	if (p)
		set_cred(p, a);
	else
		p = make(a);
	if (!p)
		return -EAGAIN;
	RK_NOTE(&p->channels);
	RK_NOTE(&rk__core->channel_proc[a->channel]);
	p->channels++;
	rk__core->channel_proc[a->channel] =
		(uint32_t)(p - rk__core->proc) + 1;
	return 0;
}

static void end(struct rk__proc *p)
{
	int fd;

	for (fd = 0; fd < RK_FDS_MAX; fd++)
		if (p->fd[fd])
			rk__fd_close(p, fd);
	if (p->cwd)
		rk__vnode_put_open(p->cwd);
	rk__lock_wait_end_all(p->token);
	rk__offer_end_all(p);
	if (rk__pages)
		rk__pages->unpin_all(p);
	rk__note(p, offsetof(struct rk__proc, group));
	p->used = 0;
	p->cwd = 0;
}

bool rk__proc_release(bool all)
{
	bool any = false;

	for (uint32_t i = 0; i < rk__core->proc_brk; i++) {
		struct rk__proc *p = &rk__core->proc[i];

		if (!p->used || p->channels)
			continue;
		any = true;
		if (all)
			end(p);
	}
	return any;
}

void rk__proc_put(uint32_t index)
{
	struct rk__proc *p = &rk__core->proc[index];

	RK_NOTE(&p->channels);
	if (--p->channels == 0)
		end(p);
}

void rk__proc_detach(uint32_t channel)
{
	struct rk__proc *p = rk__proc_of_channel(channel);

	if (!p)
		return;
	if (rk__tasks)
		rk__tasks->client_gone(channel);
	RK_NOTE(&rk__core->channel_proc[channel]);
	rk__core->channel_proc[channel] = 0;
	rk__proc_put((uint32_t)(p - rk__core->proc));
}

bool rk__proc_channel_next(uint32_t *at, uint32_t *ret_channel)
{
	while (*at < RK_CHANNELS_MAX) {
		uint32_t i = (*at)++;

		if (rk__core->channel_proc[i]) {
			*ret_channel = i;
			return true;
		}
	}
	return false;
}
