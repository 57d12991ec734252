/*
 * ids.c - a worker serves a process with other ids than the broker's as that
 * process: what it does to a server or to the host is checked against those.
 * The caller's memory and descriptors are reached as ourselves, because who
 * has changed its ids may not be looked at by its own.
 *
 * By system calls, which change the calling thread alone; the C library's
 * functions would change all.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include "notify/notify_int.h"

bool ids_equal(const struct ids *a, const struct ids *b)
{
	return a->uid == b->uid && a->gid == b->gid &&
	       a->n_groups == b->n_groups &&
	       memcmp(a->group, b->group,
		      a->n_groups * sizeof a->group[0]) == 0;
}

int ids_own(struct ids *ret)
{
	struct status s;
	int e = status_read(getpid(), &s);

	if (e == 0)
		*ret = s.ids;
	return e;
}

/* The effective ids change, the saved ones remain the way back. */
void ids_enter(const struct call *c)
{
	const struct ids *i = &c->task->ids;

	if (!c->task->foreign || c->task->refused)
		return;
	syscall(SYS_setgroups, (size_t)i->n_groups, i->group);
	syscall(SYS_setresgid, i->gid, i->gid, -1);
	syscall(SYS_setresuid, i->uid, i->uid, -1);
}

void ids_leave(const struct call *c)
{
	const struct ids *i = &c->n->own;

	if (!c->task->foreign || c->task->refused)
		return;
	syscall(SYS_setresuid, i->uid, i->uid, -1);
	syscall(SYS_setresgid, i->gid, i->gid, -1);
	syscall(SYS_setgroups, (size_t)i->n_groups, i->group);
}
