/*
 * host.c - the process as the host of its own calls: its memory is ours, and
 * what its kernel does we have done for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bare.h"
#include "preload_int.h"
#include "refs.h"

static int get_string(struct rk__task *t, uint64_t at, char *ret, size_t size)
{
	int64_t n = rk__string_length(at, size);

	if (n < 0)
		return (int)n;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	memcpy(ret, (const char *)at, (size_t)n + 1);
	return (int)n;
}

static int copy_in(struct rk__task *t, void *ret, uint64_t at, size_t n)
{
	if (!rk__readable(at, n))
		return -EFAULT;
	memcpy(ret, (const void *)at, n);
	return 0;
}

static int copy_out(struct rk__task *t, uint64_t at, const void *p, size_t n)
{
	if (!rk__writable(at, n) || (n && !rk__writable(at + n - 1, 1)))
		return -EFAULT;
	memcpy((void *)at, p, n);
	return 0;
}

static const void *in(struct rk__task *t, uint64_t at, size_t n)
{
	static const char nothing[1];

	if (n == 0)
		return nothing;
	return rk__readable(at, n) ? (const void *)at : NULL;
}

static void *out(struct rk__task *t, uint64_t at, size_t n)
{
	static char nothing[1];

	if (n == 0)
		return nothing;
	return rk__writable(at, n) ? (void *)at : NULL;
}

static int out_done(struct rk__task *t, uint64_t at, void *p, size_t used)
{
	return 0;
}

static int client(struct rk__task *t, uint32_t server, struct rk_client **ret)
{
	return rk__client_get(server, ret);
}

static struct rk_client *attached(struct rk__task *t, uint32_t server)
{
	return rk__client_attached(server);
}

static bool find(struct rk__task *t, int fd, struct rk__target *ret)
{
	return rk__fd_find(fd, &ret->server, &ret->fd) &&
	       rk__client_get(ret->server, &ret->client) == 0;
}

static int install(struct rk__task *t, const struct rk__target *target,
		   uint32_t flags)
{
	return rk__fd_install(target->server, target->fd, (int)flags, -1, 0);
}

static int borrow(struct rk__task *t, int fd)
{
	return rk__fd_is_own(fd) ? -EBADF : fd;
}

static void give_back(struct rk__task *t, int fd)
{
}

static int install_host(struct rk__task *t, int fd, uint32_t flags)
{
	long r = RK__R3(SYS_fcntl, fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC :
			F_DUPFD, 0);

	close(fd);
	if (r >= 0)
		rk__fd_fresh((int)r);
	return (int)r;
}

static int64_t native(struct rk__task *t, long nr, const uint64_t arg[6])
{
	return RK__RAW(nr, arg);
}

static int host_cwd(struct rk__task *t, char *ret, size_t size)
{
	long r = RK__R2(SYS_getcwd, ret, size);

	if (r > 0 && ret[0] != '/')
		return -ENOENT;
	return r < 0 ? (int)r : (int)r - 1;
}

static int host_path(struct rk__task *t, int fd, char *ret, size_t size)
{
	char path[32];
	long r;

	rk__proc_path(path, fd);
	r = RK__R3(SYS_readlink, path, ret, size - 1);
	if (r < 0)
		return r == -ENOENT ? -EBADF : (int)r;
	ret[r] = '\0';
	return ret[0] == '/' ? (int)r : -ENOTDIR;
}

/*
 * The kernel must not have us where a relative path that we do not see would
 * lead to the host's files. The notifier is told at once, who serves what we do
 * not see; without it, it is soon enough at exec.
 */
static void cwd_changed(struct rk__task *t)
{
	rk__view()->cwd = t->cwd;
	if (t->cwd.inside)
		(void)RK__R1(SYS_fchdir, rk__nowhere);
	if (rk__config.net && !t->cwd_by_fd)
		(void)rk__tell_cwd();
}

const struct rk__host rk__preload_host = {
	.string = get_string,
	.copy_in = copy_in,
	.copy_out = copy_out,
	.in = in,
	.out = out,
	.out_done = out_done,
	.client = client,
	.attached = attached,
	.find = find,
	.install = install,
	.borrow = borrow,
	.give_back = give_back,
	.install_host = install_host,
	.native = native,
	.host_cwd = host_cwd,
	.host_path = host_path,
	.cwd_changed = cwd_changed,
};
