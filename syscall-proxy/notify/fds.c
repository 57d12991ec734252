/*
 * fds.c - descriptors of the caller. Its table in the kernel is the truth: what a
 * number is, is asked there at every call, so that dup, close, fork, exec and
 * SCM_RIGHTS need nothing from us.
 *
 * What is put in has a number that the filter shows (filter.h): the lowest that
 * is free if that is one of the first ten, so that close(0) and open() give 0 as
 * ever, else one from RK__FILTER_BASE on.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "notify/notify_int.h"

/* Ours, until it is closed; or a negative errno. */
static int get(const struct call *c, int fd)
{
	long r = syscall(SYS_pidfd_getfd, c->task->pidfd, fd, 0);

	return r < 0 ? -errno : (int)r;
}

int fds_borrow(struct rk__task *t, int fd)
{
	struct call *c = call_of(t);
	int r;

	if (fd < 0)
		return -EBADF;
	ids_leave(c);
	r = get(c, fd);
	ids_enter(c);
	return r;
}

void fds_give_back(struct rk__task *t, int fd)
{
	close(fd);
}

int fds_mark(struct call *c, int fd, struct rk__mark *ret)
{
	int ours = fds_borrow(&c->base, fd), e;

	if (ours < 0)
		return -ENOENT;
	e = rk__placeholder_mark(ours, ret);
	close(ours);
	return e < 0 ? -ENOENT : 0;
}

static int client_of(void *arg, uint32_t server, struct rk_client **ret)
{
	return task_client(arg, server, ret);
}

bool fds_find(struct rk__task *t, int fd, struct rk__target *ret)
{
	struct call *c = call_of(t);
	struct rk__mark m;

	if (fd < 0 || fds_mark(c, fd, &m) < 0)
		return false;
	return rk__registry_find(c->n->how.registry, &m, client_of, t,
				 &ret->server, &ret->client, &ret->fd) == 0;
}

/* --- numbers ------------------------------------------------------------------ */

static bool is_free(const struct call *c, int fd)
{
	int ours = get(c, fd);

	if (ours >= 0)
		close(ours);
	return ours == -EBADF;
}

/* From `minimum` on, or -EMFILE. The kernel's own limit is told by who puts it
 * there. */
static int choose(struct call *c, int minimum)
{
	struct task *t = c->task;
	struct rlimit limit = { .rlim_cur = 1024 };
	int fd = minimum;

	for (; fd < RK__FILTER_LOW; fd++)
		if (is_free(c, fd))
			return fd;
	if (fd < t->hint)
		fd = t->hint;
	(void)prlimit(t->pid, RLIMIT_NOFILE, NULL, &limit);
	for (int round = 0; round < 2; round++) {
		for (; fd < (int)limit.rlim_cur; fd++) {
			if (!is_free(c, fd))
				continue;
			if (minimum < RK__FILTER_BASE)
				t->hint = fd + 1;
			return fd;
		}
		fd = minimum > RK__FILTER_BASE ? minimum : RK__FILTER_BASE;
	}
	return -EMFILE;
}

/* number -1: what the kernel takes. The number, or a negative errno. */
static int add_at(struct call *c, int fd, int number, uint32_t flags)
{
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.srcfd = (uint32_t)fd,
		.newfd_flags = flags & O_CLOEXEC,
	};
	int r;

	if (number >= 0) {
		add.flags = SECCOMP_ADDFD_FLAG_SETFD;
		add.newfd = (uint32_t)number;
	}
	r = ioctl(c->n->how.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	if (r >= 0)
		return r;
	return number >= 0 && errno == EBADF ? -EMFILE : -errno;
}

/* Another thread of the caller took the low number meanwhile, so that the kernel
 * gave one that the filter does not show. We cannot close it; what fails loudly
 * stays there. */
static int put_higher(struct call *c, int fd, int wrong, uint32_t flags)
{
	int inert = rk__placeholder_make(), to;

	if (inert >= 0) {
		add_at(c, inert, wrong, O_CLOEXEC);
		close(inert);
	}
	to = choose(c, RK__FILTER_BASE);
	return to < 0 ? to : add_at(c, fd, to, flags);
}

/* The number in the caller, or a negative errno. `fd` remains ours. */
static int put(struct call *c, int fd, int minimum, uint32_t flags)
{
	int r, to;

	pthread_mutex_lock(&c->n->install);
	ids_leave(c);
	to = choose(c, minimum);
	if (to >= RK__FILTER_BASE || to < 0 || minimum)
		r = to < 0 ? to : add_at(c, fd, to, flags);
	else
		r = add_at(c, fd, -1, flags);
	if (r >= 0 && !rk__filter_sees(r))
		r = put_higher(c, fd, r, flags);
	ids_enter(c);
	pthread_mutex_unlock(&c->n->install);
	return r;
}

int fds_replace(struct call *c, int fd, int number, uint32_t flags)
{
	return add_at(c, fd, number, flags);
}

int fds_put(struct call *c, int fd, uint32_t flags)
{
	return put(c, fd, 0, flags);
}

int fds_install(struct rk__task *t, const struct rk__target *target,
		uint32_t flags)
{
	struct call *c = call_of(t);
	int r, placeholder = rk__placeholder_make();

	if (placeholder < 0) {
		rk_close(target->client, target->fd);
		return placeholder;
	}
	r = rk__registry_add(c->n->how.registry, placeholder, target->server,
			     target->client, target->fd);
	if (r == 0)
		r = put(c, placeholder, 0, flags);
	/* If nobody has it now, this is its end. */
	close(placeholder);
	return r;
}

int fds_install_host(struct rk__task *t, int fd, uint32_t flags)
{
	int r = add_at(call_of(t), fd, -1, flags);

	close(fd);
	return r;
}

int fds_duplicate(struct call *c, int fd, int minimum, uint32_t flags)
{
	int ours = fds_borrow(&c->base, fd), r;

	if (ours < 0)
		return ours;
	r = put(c, ours, minimum, flags);
	close(ours);
	return r;
}
