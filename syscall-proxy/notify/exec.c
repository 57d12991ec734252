/*
 * exec.c - a program inside of a mount. The kernel can start it only from a file
 * of its own: a copy in memory, which the caller gets as a descriptor, and under
 * whose name in /proc its call is begun again. For that its thread is traced,
 * for an instant: the name is written below its stack, and the register that
 * points to the path changed. Where somebody else traces it already (strace,
 * gdb), or tracing is not allowed, the call is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include "notify/notify_int.h"
#include "route/calls.h"

enum {
	RESTART_SYS = 512,		/* as the kernel says it to itself */
	BELOW_STACK = 256,		/* the red zone is 128 bytes */
	PIECE = 1 << 20,
	TRIES = 4,
};

/* What the kernel can start: its own formats. Others are for shells, who want to
 * hear ENOEXEC. */
static int copy_program(struct rk_client *client, int32_t fd, bool *ret_script)
{
	int memfd = memfd_create("program", MFD_CLOEXEC);
	char *p = malloc(PIECE);
	int64_t n = 1, at = 0;
	int e = memfd < 0 || !p ? -ENOMEM : 0;

	while (e == 0 && n > 0) {
		n = rk_pread(client, fd, p, PIECE, at);
		if (at == 0 && n >= 0) {
			*ret_script = n >= 2 && !memcmp(p, "#!", 2);
			if (!*ret_script && (n < 4 || memcmp(p, "\177ELF", 4)))
				e = -ENOEXEC;
		}
		if (n < 0)
			e = (int)n;
		else if (e == 0 && write(memfd, p, (size_t)n) != n)
			e = -ENOMEM;
		at += n;
	}
	free(p);
	if (e == 0)
		return memfd;
	if (memfd >= 0)
		close(memfd);
	return e;
}

static int program(struct rk__place *place, bool follow, bool *ret_script)
{
	int64_t fd = rk__open_program(place, follow);
	int r;

	/* One may execute what one may not read; nobody can from outside. */
	if (fd < 0)
		return (int)fd;
	r = copy_program(place->client, (int32_t)fd, ret_script);
	rk_close(place->client, (int32_t)fd);
	return r;
}

/* In its stop: the path is another. */
static bool redirect(const struct call *c, const char *name)
{
	struct user_regs_struct regs;
	struct iovec from = { (void *)name, strlen(name) + 1 }, to = from;

	if (ptrace(PTRACE_GETREGS, c->tid, NULL, &regs) < 0 ||
	    (long)regs.orig_rax != c->nr ||
	    (int64_t)regs.rax != -RESTART_SYS)
		return false;
	to.iov_base = (void *)(uintptr_t)(regs.rsp - BELOW_STACK);
	if (process_vm_writev(c->tid, &from, 1, &to, 1, 0) !=
	    (ssize_t)from.iov_len)
		return false;
	if (c->nr == SYS_execveat)
		regs.rsi = regs.rsp - BELOW_STACK;
	else
		regs.rdi = regs.rsp - BELOW_STACK;
	return ptrace(PTRACE_SETREGS, c->tid, NULL, &regs) == 0;
}

/* The call is answered by its beginning again. */
static void begin_again(struct call *c, const char *name)
{
	struct seccomp_notif_resp resp = { .id = c->id, .error = -RESTART_SYS };
	int status = 0, sig = 0;

	c->answered = true;
	if (ioctl(c->n->how.listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		return;
	while (waitpid(c->tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return;
	if (!WIFSTOPPED(status))
		return;
	/* A signal comes first: then it asks once more. */
	if (status >> 16 == 0)
		sig = WSTOPSIG(status);
	else
		(void)redirect(c, name);
	ptrace(PTRACE_DETACH, c->tid, NULL, (void *)(intptr_t)sig);
}

int64_t exec_inside(struct call *c, struct rk__place *place, bool follow)
{
	bool script = false;
	char name[32];
	int memfd, fd;

	memfd = program(place, follow, &script);
	if (memfd < 0)
		return memfd;
	if (c->task->execs++ >= TRIES) {
		close(memfd);
		c->refused = true;
		return -ENOSYS;
	}
	fd = fds_put(c, memfd, script ? 0 : O_CLOEXEC);
	close(memfd);
	if (fd < 0)
		return fd;
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	ids_leave(c);
	if (ptrace(PTRACE_SEIZE, c->tid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, c->tid, NULL, NULL) < 0) {
		ids_enter(c);
		c->refused = true;
		return -ENOSYS;
	}
	begin_again(c, name);
	ids_enter(c);
	return 0;
}
