/*
 * exec.c - a new image for the process. What has to outlive the old one goes to
 * the broker: descriptors of servers that are not close-on-exec, and the working
 * directory. The environment keeps what brings us into the new image. A program
 * that is in a mount is copied into a memfd, because the kernel cannot read it
 * there; a script's interpreter is looked for by the script's own first line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bare.h"
#include "broker/ask.h"
#include "environment.h"
#include "preload_int.h"
#include "refs.h"
#include "route/calls.h"

enum {
	DEPTH = 5,			/* scripts that name scripts, as the kernel */
	LINE = 256,
	COPY = 1 << 20,
	MAX_ARGS = 1 << 20,
};

struct exec {
	struct rk__task *task;
	int dirfd;
	const char *path;
	char *const *argv, *const *envp;
	int flags;
	struct rk__place place;
	char elsewhere[sizeof ((struct rk__place *)0)->path]; /* on the host */
	char by_fd[32];
	char line[DEPTH][LINE];		/* of scripts */
	char **argv_made;		/* ours to be freed */
};

/* --- what outlives ---------------------------------------------------------------- */

bool rk__cwd_told;

int rk__tell_cwd(void)
{
	const struct rk__cwd *cwd = &rk__view()->cwd;
	struct rk_ticket ticket;
	struct rk_client *c;
	int64_t fd;
	int r;

	if (!cwd->inside) {
		r = rk__cwd_told ? rk__ask_cwd(rk__socket, 0, NULL) : 0;
		/* A child of vfork speaks for itself alone. */
		if (r == 0 && !rk__view()->borrowed)
			rk__cwd_told = false;
		return r;
	}
	r = rk__client_get(cwd->server, &c);
	if (r < 0)
		return r;
	fd = rk_openat(c, cwd->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	r = (int)rk_offer(c, (int32_t)fd, &ticket);
	if (r == 0)
		r = rk__ask_cwd(rk__socket, cwd->server, &ticket);
	(void)rk_close(c, (int32_t)fd);
	if (r == 0 && !rk__view()->borrowed)
		rk__cwd_told = true;
	return r;
}

int rk__prepare_exec(void)
{
	int r = rk__fd_publish_all();

	return r < 0 ? r : rk__tell_cwd();
}

/* --- programs in a mount ----------------------------------------------------------- */

/* Opens what the path names, in a server or, with *ret_client NULL, on the host. */
static int64_t open_program(struct exec *e, struct rk_client **ret_client)
{
	bool follow = !(e->flags & AT_SYMLINK_NOFOLLOW);
	struct rk__place *p = &e->place;
	int64_t r = 0;
	int left;

	*ret_client = NULL;
	if (!e->path[0] && !(e->flags & AT_EMPTY_PATH))
		return -ENOENT;
	r = rk__place(e->task, e->dirfd, e->path, follow, p);
	p->itself |= r == 0 && p->inside && !e->path[0];
	while (r == 0 && p->inside) {
		r = rk__open_program(p, follow);
		if (r == -EXDEV) {
			left = rk__place_leave(e->task, p, follow);
			r = left < 0 ? left : left ? 0 : -EXDEV;
			continue;
		}
		*ret_client = p->client;
		break;
	}
	return r;
}

/* Nobody may have it open for writing, or it is busy. */
static int readable(int memfd)
{
	char path[32];
	int fd;

	(void)fcntl(memfd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	rk__proc_path(path, memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int copy(struct rk_client *c, int32_t from)
{
	int memfd = memfd_create("rump-program", MFD_ALLOW_SEALING), fd;
	uint8_t *buf = malloc(COPY);
	int64_t n = memfd < 0 || !buf ? -ENOMEM : 1;

	while (n > 0) {
		n = rk_read(c, from, buf, COPY);
		if (n > 0 && write(memfd, buf, (size_t)n) != n)
			n = -ENOMEM;
	}
	free(buf);
	fd = n < 0 ? (int)n : readable(memfd);
	if (memfd >= 0)
		close(memfd);
	return fd;
}

/* --- scripts ------------------------------------------------------------------------ */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The words of a first line, in place. False: it is no script. */
static bool parse(char *line, size_t n, char **ret_program, char **ret_arg)
{
	char *p = line + 2, *end = line + n;

	line[n] = '\0';
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	for (char *q = line; q < end; q++)
		if (*q == '\n')
			end = q;
	*end = '\0';
	while (end > p && is_space(end[-1]))
		*--end = '\0';
	while (is_space(*p))
		p++;
	if (!*p)
		return false;
	*ret_program = p;
	while (*p && !is_space(*p))
		p++;
	if (*p)
		*p++ = '\0';
	while (is_space(*p))
		p++;
	*ret_arg = *p ? p : NULL;
	return true;
}

/* program [arg] path argv[1]... */
static int shift_args(struct exec *e, char *program, char *arg)
{
	size_t n = 0, k = 0;
	char **v;

	while (e->argv && e->argv[n])
		if (++n > MAX_ARGS)
			return -E2BIG;
	v = calloc(n + 4, sizeof *v);
	if (!v)
		return -ENOMEM;
	v[k++] = program;
	if (arg)
		v[k++] = arg;
	if (!e->path[0]) {
		strcpy(e->by_fd, "/dev/fd/");
		rk__decimal(e->by_fd + strlen(e->by_fd), e->dirfd);
		e->path = e->by_fd;
	}
	v[k++] = (char *)(uintptr_t)e->path;
	for (size_t i = 1; i < n; i++)
		v[k++] = e->argv[i];
	free(e->argv_made);
	e->argv_made = v;
	e->argv = v;
	e->path = program;
	e->dirfd = AT_FDCWD;
	e->flags = 0;
	return 0;
}

static int64_t head_of(struct rk_client *c, int32_t fd, char *ret)
{
	return c ? rk_pread(c, fd, ret, LINE - 1, 0) :
	       RK__R4(SYS_pread64, fd, ret, LINE - 1, 0);
}

/*
 * A path that may have begun in a mount and led to the host. 1: to a script,
 * whose interpreter is next, and gets the path as it was; 0: the kernel can do
 * the rest; or a negative errno.
 */
static int leave(struct exec *e, char *line)
{
	char *program, *arg;
	int64_t n = -1;
	long fd;

	if (!e->place.moved)
		return 0;
	strcpy(e->elsewhere, e->place.path);
	fd = RK__R3(SYS_access, e->elsewhere, 1, 0) < 0 ? -1 :
	     RK__R3(SYS_open, e->elsewhere, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		n = head_of(NULL, (int32_t)fd, line);
		(void)RK__R1(SYS_close, fd);
	}
	if (n >= 0 && parse(line, (size_t)n, &program, &arg)) {
		n = shift_args(e, program, arg);
		return n < 0 ? (int)n : 1;
	}
	e->path = e->elsewhere;
	e->dirfd = AT_FDCWD;
	e->flags = 0;
	return 0;
}

/*
 * Follows scripts for as long as they, or what they name, are in a mount. 0: the
 * kernel can do it by its name; a descriptor + 1: of the program, copied; or
 * a negative errno.
 */
static int find_program(struct exec *e)
{
	char *program, *arg;
	struct rk_client *c;
	int64_t fd, n, r;

	/* The kernel finds it in the mount. */
	if (rk__config.over_mount)
		return 0;
	for (unsigned depth = 0; depth < DEPTH; depth++) {
		fd = open_program(e, &c);
		if (fd < 0)
			return (int)fd;
		if (!c) {
			r = leave(e, e->line[depth]);
			if (r <= 0)
				return (int)r;
			continue;
		}
		n = head_of(c, (int32_t)fd, e->line[depth]);
		if (n >= 0 && parse(e->line[depth], (size_t)n, &program,
				    &arg)) {
			r = shift_args(e, program, arg);
			(void)rk_close(c, (int32_t)fd);
			if (r < 0)
				return (int)r;
			continue;
		}
		r = n < 0 ? n : copy(c, (int32_t)fd);
		(void)rk_close(c, (int32_t)fd);
		return r < 0 ? (int)r : (int)r + 1;
	}
	return -ELOOP;
}

/* The kernel did not find the interpreter of a script on the host: it may be in
 * a mount. True: *e is the interpreter now. */
static bool host_script(struct exec *e)
{
	char *line = e->line[DEPTH - 1], *program, *arg;
	long fd = RK__R4(SYS_openat, e->dirfd, e->path, O_RDONLY | O_CLOEXEC,
			 0);
	int64_t n;

	if (fd < 0)
		return false;
	n = head_of(NULL, (int32_t)fd, line);
	(void)RK__R1(SYS_close, fd);
	return n >= 0 && parse(line, (size_t)n, &program, &arg) &&
	       shift_args(e, program, arg) == 0;
}

/* --- all of it ---------------------------------------------------------------------- */

static int64_t run(struct exec *e, char *const *envp)
{
	int found = find_program(e);
	int64_t r;

	if (found < 0)
		return found;
	if (found > 0) {
		r = RK__R5(SYS_execveat, found - 1, "", e->argv, envp,
			   AT_EMPTY_PATH);
		close(found - 1);
		return r;
	}
	return e->dirfd == AT_FDCWD && !e->flags ?
	       RK__R3(SYS_execve, e->path, e->argv, envp) :
	       RK__R5(SYS_execveat, e->dirfd, e->path, e->argv, envp, e->flags);
}

int64_t rk__do_exec(struct rk__task *t, long nr, const uint64_t arg[6])
{
	bool at = nr == SYS_execveat;
	struct rk__environment env = { 0 };
	struct exec *e = malloc(sizeof *e);
	int64_t r;

	if (!e)
		return -ENOMEM;
	e->task = t;
	e->argv_made = NULL;
	e->dirfd = at ? (int)arg[0] : AT_FDCWD;
	e->path = (const char *)arg[at ? 1 : 0];
	e->argv = (char *const *)arg[at ? 2 : 1];
	e->envp = (char *const *)arg[at ? 3 : 2];
	e->flags = at ? (int)arg[4] : 0;
	r = (uintptr_t)e->path < 4096 ? -EFAULT :
	    rk__environment(e->envp, &env);
	if (r == 0)
		r = rk__prepare_exec();
	if (r == 0)
		r = run(e, env.envp);
	if (r == -ENOENT && host_script(e))
		r = run(e, env.envp);
	/* The program goes on as it was; so do we, but for the placeholders. */
	rk__environment_free(&env);
	free(e->argv_made);
	free(e);
	return r;
}
