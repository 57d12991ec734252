/*
 * exec.c - a program inside of a mount. The kernel can start it only from a file
 * of its own: a copy in memory, which the caller gets as a descriptor, and under
 * whose name in /proc its call is begun again. For that its thread is traced,
 * for an instant: the name is written below its stack, and the register that
 * points to the path changed. Where somebody else traces it already (strace,
 * gdb), or tracing is not allowed, the call is refused.
 *
 * A script names its interpreter by a path, which only we can follow into a
 * mount: in its copy, the first line has the name in /proc of the copy of the
 * interpreter, which may be a script again.
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
#include <sys/stat.h>
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
	LINE = 256,			/* what the kernel looks at of a script */
	DEPTH = 4,			/* scripts that name scripts, as there */
	NAME = 32,
};

/* Where a program is read: a client's file, or with NULL one of the host. */
struct source {
	struct rk_client *client;
	int32_t fd;
};

static int64_t read_at(const struct source *s, char *buf, size_t n, int64_t at)
{
	int64_t r = s->client ? rk_pread(s->client, s->fd, buf, n, at) :
				pread(s->fd, buf, n, at);

	return r < 0 && !s->client ? -errno : r;
}

/* The interpreter that the `n` first bytes name: its length, and where; 0: there
 * is none, or none that the kernel would see. */
static size_t interpreter(const char *text, size_t n, size_t *ret_at)
{
	size_t at = 2, end;

	if (n > LINE)
		n = LINE;
	if (n < 2 || memcmp(text, "#!", 2))
		return 0;
	while (at < n && (text[at] == ' ' || text[at] == '\t'))
		at++;
	for (end = at; end < n && text[end] && !strchr(" \t\n", text[end]);)
		end++;
	*ret_at = at;
	return end < n ? end - at : 0;
}

/* Where it is, if that is in a mount. */
static bool leads_inside(struct call *c, const char *text, size_t n,
			 struct rk__place *ret)
{
	char path[LINE];

	memcpy(path, text, n);
	path[n] = 0;
	return n && rk__place(&c->base, AT_FDCWD, path, RK__FOLLOW, ret) == 0 &&
	       ret->inside;
}

static int program(struct call *c, struct rk__place *place, bool follow,
		   unsigned depth, bool *ret_script);

/* The caller gets the interpreter. Its name in *ret. */
static int put_interpreter(struct call *c, struct rk__place *place,
			   unsigned depth, char ret[NAME])
{
	bool script;
	int fd, memfd = depth < DEPTH ?
			program(c, place, true, depth + 1, &script) : -ELOOP;

	if (memfd < 0)
		return memfd;
	fd = fds_put(c, memfd, script ? 0 : O_CLOEXEC);
	close(memfd);
	snprintf(ret, NAME, "/proc/self/fd/%d", fd);
	return fd < 0 ? fd : 0;
}

/* Writes the beginning of a script whose interpreter is in a mount; how much of
 * it that was, 0 if it is another, or a negative errno. */
static int64_t begin_script(struct call *c, int memfd, const char *text,
			    size_t n, unsigned depth)
{
	struct rk__place *place = malloc(sizeof *place);
	size_t at = 0, length = interpreter(text, n, &at);
	char name[NAME];
	int64_t r = 0;

	if (!place)
		return -ENOMEM;
	if (length && leads_inside(c, text + at, length, place)) {
		r = put_interpreter(c, place, depth, name);
		if (r == 0 && dprintf(memfd, "#!%s", name) < 0)
			r = -ENOMEM;
		if (r == 0)
			r = (int64_t)(at + length);
	}
	free(place);
	return r;
}

/* What the kernel can start: its own formats. Others are for shells, who want to
 * hear ENOEXEC. */
static int copy_program(struct call *c, const struct source *s, unsigned depth,
			bool *ret_script)
{
	int memfd = memfd_create("program", MFD_CLOEXEC);
	char *p = malloc(PIECE);
	int64_t n = 1, at = 0, skip;
	int e = memfd < 0 || !p ? -ENOMEM : 0;

	while (e == 0 && n > 0) {
		n = read_at(s, p, PIECE, at);
		skip = 0;
		if (at == 0 && n >= 0) {
			*ret_script = n >= 2 && !memcmp(p, "#!", 2);
			if (*ret_script)
				skip = begin_script(c, memfd, p, (size_t)n,
						    depth);
			else if (n < 4 || memcmp(p, "\177ELF", 4))
				skip = -ENOEXEC;
		}
		if (n < 0 || skip < 0)
			e = (int)(n < 0 ? n : skip);
		else if (write(memfd, p + skip, (size_t)(n - skip)) != n - skip)
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

static int program(struct call *c, struct rk__place *place, bool follow,
		   unsigned depth, bool *ret_script)
{
	struct source s = { .client = place->client };
	int64_t fd = rk__open_program(place, follow);
	int r;

	/* One may execute what one may not read; nobody can from outside. */
	if (fd < 0)
		return (int)fd;
	s.fd = (int32_t)fd;
	r = copy_program(c, &s, depth, ret_script);
	rk_close(place->client, s.fd);
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

/* In its stop, where it cannot begin again as another: it has succeeded. */
static void succeed(const struct call *c)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, c->tid, NULL, &regs) < 0 ||
	    (long)regs.orig_rax != c->nr ||
	    (int64_t)regs.rax != -RESTART_SYS)
		return;
	regs.rax = 0;
	regs.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, c->tid, NULL, &regs);
}

/* The call is answered by its beginning again. */
static void begin_again(struct call *c, const char *name, bool once)
{
	struct seccomp_notif_resp resp = { .id = c->id, .error = -RESTART_SYS };
	int status = 0, sig = 0;
	bool redirected = false;

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
		redirected = redirect(c, name);
	if (once && !redirected)
		succeed(c);
	ptrace(PTRACE_DETACH, c->tid, NULL, (void *)(intptr_t)sig);
}

bool exec_as(struct call *c, const char *name, bool once)
{
	bool traced;

	ids_leave(c);
	traced = ptrace(PTRACE_SEIZE, c->tid, NULL, NULL) == 0 &&
		 ptrace(PTRACE_INTERRUPT, c->tid, NULL, NULL) == 0;
	if (traced)
		begin_again(c, name, once);
	ids_enter(c);
	return traced;
}

/* The call begins again with a copy, which it takes over. */
static int64_t start(struct call *c, int memfd, bool script)
{
	char name[NAME];
	int fd;

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
	if (exec_as(c, name, false))
		return 0;
	c->refused = true;
	return -ENOSYS;
}

int64_t exec_inside(struct call *c, struct rk__place *place, bool follow)
{
	bool script = false;
	int memfd = program(c, place, follow, 0, &script);

	return memfd < 0 ? memfd : start(c, memfd, script);
}

/* A file of the host that the caller may execute, opened; or -1. */
static int open_host(struct call *c, int dirfd, const char *path)
{
	const uint64_t at = (uint64_t)(int64_t)dirfd, name = (uintptr_t)path;
	struct stat st;
	int64_t fd;

	if (native_call(&c->base, SYS_newfstatat, (const uint64_t[6]){
			at, name, (uintptr_t)&st }) < 0 ||
	    !S_ISREG(st.st_mode) || !(st.st_mode & 0111) ||
	    native_call(&c->base, SYS_faccessat2, (const uint64_t[6]){
			at, name, X_OK, AT_EACCESS }) < 0)
		return -1;
	fd = native_call(&c->base, SYS_openat, (const uint64_t[6]){
			at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK });
	return fd < 0 ? -1 : (int)fd;
}

bool exec_script(struct call *c, int dirfd, const char *path, int64_t *ret)
{
	struct source s = { .fd = open_host(c, dirfd, path) };
	struct rk__place *place = malloc(sizeof *place);
	bool script = false, ours = false;
	size_t at = 0, length;
	char text[LINE];
	int64_t n = -1;

	if (s.fd >= 0)
		n = read_at(&s, text, sizeof text, 0);
	if (n > 0 && place) {
		length = interpreter(text, (size_t)n, &at);
		ours = leads_inside(c, text + at, length, place);
	}
	if (ours) {
		n = copy_program(c, &s, 0, &script);
		*ret = n < 0 ? n : start(c, (int)n, script);
	}
	if (s.fd >= 0)
		close(s.fd);
	free(place);
	return ours;
}
