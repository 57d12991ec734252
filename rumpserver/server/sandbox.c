/*
 * sandbox.c - what a server may still do once it has all it needs.
 *
 * A driver parses images that may be hostile. What it can reach is its own
 * memory and the descriptors it was given: nothing that opens a path, a
 * socket, a process or a program is allowed, so namespaces would add nothing
 * to it. Each system call is named with who needs it.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "server/loop.h"

static const int allowed[] = {
	/* gates: fuse, sockets of clients, doorbells; control messages */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv),
	SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto), SCMP_SYS(close), SCMP_SYS(fcntl),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	/* loop */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu),
	SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* block store */
	SCMP_SYS(pread64),
	/* recoverable memory, channels, the C library's heap */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(brk),
	SCMP_SYS(mincore),
	/* the lock, the end, crash points */
	SCMP_SYS(set_robust_list), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	/* the page tracker: PAGEMAP_SCAN, UFFDIO_WRITEPROTECT */
	SCMP_SYS(ioctl),
	/* libext2fs asks for them when it makes a superblock */
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(prlimit64),
};

static int drop_privileges(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };

	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Credentials changed nothing, but what the zygote set may be gone. */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

int rk__server_sandbox(void)
{
	scmp_filter_ctx ctx;
	int r = drop_privileges();

	if (r < 0 || RK_SANITIZED)		/* their run-time opens files as it likes */
		return r;
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0] && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
