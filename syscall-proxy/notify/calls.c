/*
 * calls.c - one call, from what was shown to what it comes to. Most is route's;
 * here is what is different for who stands outside of the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "notify/notify_int.h"

enum { LOCKS_ABOVE = 1024 };	/* where descriptors that it dupped are, at most */

/* --- descriptors that are copied or end --------------------------------------- */

static bool is_ours(struct call *c, int fd)
{
	struct rk__mark m;

	return fd >= 0 && fds_mark(c, fd, &m) == 0 &&
	       rk__registry_knows(c->n->how.registry, &m);
}

/* A copy has a number of our choice, where it is not the caller's. */
static void duplicate(struct call *c, int fd, int minimum, uint32_t flags,
		      int64_t *ret)
{
	if (minimum < 0 || !is_ours(c, fd))
		c->go_on = true;
	else
		*ret = fds_duplicate(c, fd, minimum, flags);
}

/* Where the filter does not show reading and writing, a number is good for all
 * else, and for copying back; those fail loudly. */
static void duplicate_to(struct call *c, int fd, int to)
{
	c->go_on = true;
	if (!rk__filter_sees(to) && is_ours(c, fd))
		c->refused = true;
}

/* close lets go of all POSIX locks that the process has on the file. */
static void unlock(struct call *c, int fd)
{
	struct rk__target f;

	if (c->task->locks && fds_find(&c->base, fd, &f))
		(void)rk_setlk(f.client, f.fd, F_UNLCK, 0, 0, SEEK_SET, 0);
}

static void unlock_range(struct call *c, uint32_t first, uint32_t last)
{
	uint32_t top = (uint32_t)c->task->hint + LOCKS_ABOVE;

	if (!c->task->locks)
		return;
	for (uint32_t fd = first; fd <= last && fd < top; fd++)
		unlock(c, (int)fd);
}

/* --- programs ----------------------------------------------------------------- */

/* A program inside of a mount that the kernel does not know. What is not there
 * must be said, because shells look on. */
static void execute(struct call *c, int dirfd, uint64_t at, uint32_t flags,
		    int64_t *ret)
{
	static _Thread_local struct rk__place p;
	static _Thread_local char path[RK_PATH_LEN_MAX];
	bool follow = !(flags & AT_SYMLINK_NOFOLLOW);

	if (c->n->how.config->over_mount ||
	    memory_string(&c->base, at, path, sizeof path) < 0 ||
	    (!*path && !(flags & AT_EMPTY_PATH)) ||
	    rk__place(&c->base, dirfd, path, follow ? RK__FOLLOW : 0, &p) < 0 ||
	    (!p.inside && !(*path && exec_script(c, dirfd, path, ret)))) {
		c->go_on = true;
		c->task->execs = 0;
		return;
	}
	if (!p.inside)
		return;
	p.itself |= !*path;
	*ret = exec_inside(c, &p, follow);
	if (*ret == -EXDEV)
		c->go_on = true;
}

/* --- what the notifier itself has to know of ---------------------------------- */

/* Returns false if it is for route. */
static bool special(struct call *c, int64_t *ret)
{
	const uint64_t *a = c->arg;

	if (rk__changes_ids(c->nr)) {
		c->task->ids_change = true;
		c->go_on = true;
		return true;
	}
	switch (c->nr) {
	case SYS_mmap:
		return map_file(c, ret);
	case SYS_msync:
		*ret = pinned_sync(c, a[0], a[1], a[2] & MS_SYNC);
		c->go_on = *ret == 0;
		return true;
	case SYS_dup:
		duplicate(c, (int)a[0], 0, 0, ret);
		return true;
	case SYS_dup2:
	case SYS_dup3:
		unlock(c, (int)a[1]);
		duplicate_to(c, (int)a[0], (int)a[1]);
		return true;
	case SYS_fcntl:
		if ((int)a[1] != F_DUPFD && (int)a[1] != F_DUPFD_CLOEXEC)
			return false;
		duplicate(c, (int)a[0], (int)a[2], (int)a[1] == F_DUPFD ? 0 :
			  O_CLOEXEC, ret);
		return true;
	case SYS_close:
		unlock(c, (int)a[0]);
		if ((int)a[0] >= RK__FILTER_BASE && (int)a[0] < c->task->hint)
			c->task->hint = (int)a[0];
		c->go_on = true;
		return true;
	case SYS_close_range:
		if (!(a[2] & ~(uint64_t)CLOSE_RANGE_UNSHARE))
			unlock_range(c, (uint32_t)a[0], (uint32_t)a[1]);
		c->go_on = true;
		return true;
	case SYS_execve:
		execute(c, AT_FDCWD, a[0], 0, ret);
		return true;
	case SYS_execveat:
		execute(c, (int)a[0], a[1], (uint32_t)a[4], ret);
		return true;
	case SYS_exit_group:
		if (c->n->inside)
			task_bind_children(c->n, c->task);
		c->go_on = true;
		return true;
	case SYS_setrlimit:
	case SYS_prlimit64:
		c->task->limits_change = true;
		c->go_on = true;
		return true;
	}
	return false;
}

/* Before route does it. */
static void look_at(struct call *c)
{
	switch (c->nr) {
	case SYS_chdir:
	case SYS_fchdir:
		task_bind_children(c->n, c->task);
		break;
	case SYS_umask:
		c->task->umask = (uint32_t)c->arg[0] & 0777;
		break;
	case SYS_fcntl:
		if ((int)c->arg[1] == F_SETLK || (int)c->arg[1] == F_SETLKW)
			c->task->locks = true;
		break;
	}
}

/* --- route's host ------------------------------------------------------------- */

static void cwd_changed(struct rk__task *t)
{
	struct call *c = call_of(t);

	pthread_mutex_lock(&c->task->lock);
	c->task->cwd = t->cwd;
	c->task->lost = false;
	if (t->cwd.inside)
		c->n->inside = true;
	if (t->cwd.inside && c->task->apart >= 0) {
		close(c->task->apart);
		c->task->apart = -1;
	}
	pthread_mutex_unlock(&c->task->lock);
	rk__cwds_forget(c->n->how.cwds, c->task->pid);
}

static const struct rk__host host = {
	.foreign = true,
	.string = memory_string,
	.copy_in = memory_copy_in,
	.copy_out = memory_copy_out,
	.in = memory_in,
	.out = memory_out,
	.out_done = memory_out_done,
	.client = task_client,
	.attached = task_attached,
	.find = fds_find,
	.install = fds_install,
	.borrow = fds_borrow,
	.give_back = fds_give_back,
	.install_host = fds_install_host,
	.native = native_call,
	.host_cwd = native_cwd,
	.host_path = native_path,
	.cwd_changed = cwd_changed,
};

/* What the kernel does to who writes where it may not. The library's own signal
 * went to us. */
static void signal_caller(const struct call *c, int64_t result)
{
	switch (c->nr) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_truncate:
	case SYS_ftruncate:
	case SYS_fallocate:
		if (result == -EPIPE || result == -EFBIG)
			syscall(SYS_tgkill, c->task->pid, c->tid,
				result == -EPIPE ? SIGPIPE : SIGXFSZ);
	}
}

void call_serve(struct call *c, int64_t *ret)
{
	int e = task_refresh(c);

	if (e < 0) {
		*ret = e;
		return;
	}
	if (c->task->arrives)
		native_arrived(c);
	c->base.host = &host;
	c->base.config = c->n->how.config;
	c->base.cwd = c->task->cwd;
	c->leaves = false;
	c->base.cwd_apart = c->task->apart >= 0;
	ids_enter(c);
	if (c->task->swapped)
		map_restore(c);
	if (native_arrives(c)) {
		c->go_on = true;
		ids_leave(c);
		return;
	}
	if (!special(c, ret)) {
		look_at(c);
		if (rk__route(&c->base, c->nr, c->arg, ret) == RK__NATIVE)
			c->go_on = true;
		else if (!c->go_on)
			signal_caller(c, *ret);
	}
	if (c->go_on && (c->task->apart >= 0 || c->task->cwd.inside ||
			 c->task->lost))
		native_apart(c, ret);
	if (c->leaves && *ret == 0)
		native_send(c);
	ids_leave(c);
}
