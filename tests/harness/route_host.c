/*
 * route_host.c - a whole program through the router, without the preload: what
 * is linked with this has its own system calls handed to rk__route(), by system
 * call user dispatch (SIGSYS). For tests: slow, one thread, and programs that
 * are started know nothing of it.
 *
 * $ROUTE_MOUNT is the mount of the server behind $RUMP_SOCKET; without it
 * nothing is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "route/route.h"

enum { FDS = 4096, DISPATCH_ON = 1, RESTORER = 0x04000000 };

static struct rk__proxy_config config = { .n_servers = 1, .n_mounts = 1 };
static struct rk_client *client;
static struct {
	bool ours;
	struct rk__target at;
} table[FDS];
static volatile char selector;		/* 0: calls are the kernel's */

/* --- the host ----------------------------------------------------------------------- */

static bool there(uint64_t at, size_t n)
{
	return at >= 65536 && at < 1ull << 47 && n < 1ull << 47;
}

static int string(struct rk__task *t, uint64_t at, char *ret, size_t size)
{
	size_t n;

	if (!there(at, 1))
		return -EFAULT;
	n = strnlen((const char *)(uintptr_t)at, size);
	if (n == size)
		return -ENAMETOOLONG;
	memcpy(ret, (const char *)(uintptr_t)at, n + 1);
	return (int)n;
}

static int copy_in(struct rk__task *t, void *ret, uint64_t at, size_t n)
{
	if (!there(at, n))
		return -EFAULT;
	memcpy(ret, (const void *)(uintptr_t)at, n);
	return 0;
}

static int copy_out(struct rk__task *t, uint64_t at, const void *p, size_t n)
{
	if (!there(at, n))
		return -EFAULT;
	memcpy((void *)(uintptr_t)at, p, n);
	return 0;
}

static const void *in(struct rk__task *t, uint64_t at, size_t n)
{
	return there(at, n) ? (const void *)(uintptr_t)at : NULL;
}

static void *out(struct rk__task *t, uint64_t at, size_t n)
{
	return there(at, n) ? (void *)(uintptr_t)at : NULL;
}

static int out_done(struct rk__task *t, uint64_t at, void *p, size_t used)
{
	return 0;
}

static int find_client(struct rk__task *t, uint32_t server,
		       struct rk_client **ret)
{
	*ret = client;
	return 0;
}

static struct rk_client *attached(struct rk__task *t, uint32_t server)
{
	return client;
}

static bool find(struct rk__task *t, int fd, struct rk__target *ret)
{
	if (fd < 0 || fd >= FDS || !table[fd].ours)
		return false;
	*ret = table[fd].at;
	return true;
}

static int install(struct rk__task *t, const struct rk__target *f,
		   uint32_t flags)
{
	char path[64];
	int memfd = memfd_create(RK__PLACEHOLDER, MFD_CLOEXEC), fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
	fd = open(path, O_PATH);
	close(memfd);
	/* The lowest that is free is the one that the memfd had. */
	if (fd >= 0) {
		memfd = fcntl(fd, F_DUPFD, 0);
		if (memfd >= 0 && memfd < fd) {
			close(fd);
			fd = memfd;
		} else if (memfd >= 0) {
			close(memfd);
		}
	}
	if (fd < 0 || fd >= FDS)
		return -EMFILE;
	fcntl(fd, F_SETFD, flags & O_CLOEXEC ? FD_CLOEXEC : 0);
	table[fd].ours = true;
	table[fd].at = *f;
	return fd;
}

static int borrow(struct rk__task *t, int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -EBADF : fd;
}

static void give_back(struct rk__task *t, int fd)
{
}

static int install_host(struct rk__task *t, int fd, uint32_t flags)
{
	return fd;
}

static int64_t native(struct rk__task *t, long nr, const uint64_t a[6])
{
	long r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	return r < 0 ? -errno : r;
}

static int host_cwd(struct rk__task *t, char *ret, size_t size)
{
	return getcwd(ret, size) ? (int)strlen(ret) : -errno;
}

static int host_path(struct rk__task *t, int fd, char *ret, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = readlink(path, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = 0;
	return (int)n;
}

static void cwd_changed(struct rk__task *t)
{
}

static const struct rk__host host = {
	.string = string, .copy_in = copy_in, .copy_out = copy_out, .in = in,
	.out = out, .out_done = out_done, .client = find_client, .attached = attached,
	.find = find,
	.install = install, .borrow = borrow, .give_back = give_back,
	.install_host = install_host, .native = native, .host_cwd = host_cwd,
	.host_path = host_path, .cwd_changed = cwd_changed,
};

static struct rk__task task = {
	.host = &host, .config = &config, .cwd = { .fd = RK_AT_FDCWD },
};

/* --- what is the keeper's of descriptors ------------------------------------------- */

static void drop(unsigned fd)
{
	if (fd >= FDS || !table[fd].ours)
		return;
	table[fd].ours = false;
	(void)rk_close(table[fd].at.client, table[fd].at.fd);
}

static int64_t share(const struct rk__target *f, int64_t fd)
{
	struct rk__target copy = *f;

	if (fd < 0)
		return fd;
	drop((unsigned)fd);
	copy.fd = (int32_t)rk_dup(f->client, f->fd, 0);
	if (copy.fd < 0)
		return copy.fd;
	table[fd].ours = true;
	table[fd].at = copy;
	return fd;
}

static bool is_dup(long nr, const uint64_t a[6])
{
	return nr == SYS_dup || nr == SYS_dup2 || nr == SYS_dup3 ||
	       (nr == SYS_fcntl &&
		((int)a[1] == F_DUPFD || (int)a[1] == F_DUPFD_CLOEXEC));
}

static int64_t call(long nr, const uint64_t a[6])
{
	struct rk__target f;
	int64_t r;

	/* Programs and mappings are for who is in a process: not for this. */
	if (nr == SYS_execve ||
	    (nr == SYS_mmap && find(&task, (int)a[4], &f)))
		return -ENOSYS;
	if (nr == SYS_close)
		drop((unsigned)a[0]);
	if (is_dup(nr, a)) {
		bool ours = find(&task, (int)a[0], &f);

		r = native(&task, nr, a);
		if (ours)
			return share(&f, r);
		if (r >= 0)
			drop((unsigned)r);
		return r;
	}
	if (rk__route(&task, nr, a, &r) == RK__DONE)
		return r;
	r = native(&task, nr, a);
	if (r >= 0 && (nr == SYS_setresuid || nr == SYS_setresgid ||
		       nr == SYS_setgroups || nr == SYS_setuid ||
		       nr == SYS_setgid || nr == SYS_setreuid ||
		       nr == SYS_setregid || nr == SYS_prlimit64 ||
		       nr == SYS_setrlimit))
		(void)rk_refresh(client);
	return r;
}

/* --- dispatch ------------------------------------------------------------------------- */

/* Calls from here are the kernel's, whoever's they are. */
__asm__(".text\n"
	".balign 64\n"
	"route_way_back: mov $15, %eax\n"
	"route_syscall: syscall\n"
	"jmp *%r9\n"
	".balign 64\n"
	"route_end:\n");
extern const char route_way_back[], route_syscall[], route_end[];

static void arm(void)
{
	selector = 0;
	if (syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON,
		    route_way_back, route_end - route_way_back,
		    &selector) < 0) {
		perror("route: no system call user dispatch");
		_exit(2);
	}
}

static void handler(int sig, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint64_t a[6] = {
		(uint64_t)g[REG_RDI], (uint64_t)g[REG_RSI],
		(uint64_t)g[REG_RDX], (uint64_t)g[REG_R10],
		(uint64_t)g[REG_R8], (uint64_t)g[REG_R9],
	};
	long nr = info->si_syscall;
	int before = errno;

	selector = 0;
	/* What has to do with the stack, happens on it; none of these has a sixth
	 * word. */
	if (nr == SYS_rt_sigreturn || nr == SYS_vfork || nr == SYS_clone3 ||
	    (nr == SYS_clone && a[1])) {
		g[REG_R9] = g[REG_RIP];
		g[REG_RIP] = (greg_t)(uintptr_t)route_syscall;
		g[REG_RAX] = nr;
	} else {
		g[REG_RAX] = call(nr, a);
		if ((nr == SYS_clone || nr == SYS_fork) && !g[REG_RAX])
			arm();
	}
	errno = before;
	selector = 1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *mount = getenv("ROUTE_MOUNT");
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		const void *restorer;
		uint64_t mask;
	} action = {
		handler, SA_SIGINFO | SA_NODEFER | SA_RESTART | RESTORER,
		route_way_back, 0,
	};
	int r;

	if (!mount)
		return;
	snprintf(config.mount[0].path, sizeof config.mount[0].path, "%s",
		 mount);
	r = rk_socket_path(NULL, config.server[0], sizeof config.server[0]);
	if (r == 0)
		r = rk_attach(config.server[0], 0, &client);
	if (r < 0) {
		fprintf(stderr, "route: no server: %s\n", strerror(-r));
		_exit(2);
	}
	syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8);
	arm();
	selector = 1;
}
