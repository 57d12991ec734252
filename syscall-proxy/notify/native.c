/*
 * native.c - calls of the host, done here as if by the caller: with its ids, its
 * umask, its working directory and its descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "notify/notify_int.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum { NAMES = 2, NONE = -1 };

/* Where paths stand among the words, and the descriptors that they begin at. */
struct row {
	long nr;
	struct {
		int8_t fd, path;
	} name[NAMES];
};

#define AT(nr, fd, path) { SYS_##nr, { { fd, path }, { NONE, NONE } } }
#define PATH(nr) AT(nr, NONE, 0)
#define FD(nr) AT(nr, 0, NONE)
#define AT2(nr, fd, path, fd2, path2)					\
	{ SYS_##nr, { { fd, path }, { fd2, path2 } } }

static const struct row rows[] = {
	PATH(open), AT(openat, 0, 1), AT(openat2, 0, 1), PATH(creat),
	PATH(stat), PATH(lstat), AT(newfstatat, 0, 1), AT(statx, 0, 1),
	PATH(access), AT(faccessat, 0, 1), AT(faccessat2, 0, 1),
	PATH(mkdir), AT(mkdirat, 0, 1), PATH(mknod), AT(mknodat, 0, 1),
	PATH(unlink), AT(unlinkat, 0, 1), PATH(rmdir),
	AT2(rename, NONE, 0, NONE, 1), AT2(renameat, 0, 1, 2, 3),
	AT2(renameat2, 0, 1, 2, 3),
	AT2(link, NONE, 0, NONE, 1), AT2(linkat, 0, 1, 2, 3),
	AT(symlink, NONE, 1), AT(symlinkat, 1, 2),
	PATH(readlink), AT(readlinkat, 0, 1),
	PATH(truncate), PATH(chmod), AT(fchmodat, 0, 1), AT(fchmodat2, 0, 1),
	PATH(chown), PATH(lchown), AT(fchownat, 0, 1),
	PATH(utime), PATH(utimes), AT(futimesat, 0, 1), AT(utimensat, 0, 1),
	PATH(statfs), PATH(getxattr), PATH(lgetxattr), PATH(setxattr),
	PATH(lsetxattr), PATH(listxattr), PATH(llistxattr),
	PATH(removexattr), PATH(lremovexattr), AT(name_to_handle_at, 0, 1),
	FD(fstat), FD(fstatfs), FD(fcntl),
};

/* One call on its way. */
struct native {
	struct call *c;
	uint64_t arg[6];
	int borrowed[NAMES];
	char *path[NAMES];		/* other than the given one */
	bool moved;			/* we are in the caller's directory */
	bool own_link;			/* a name in its own directory of /proc */
};

static const struct row *find(long nr)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].nr == nr)
			return &rows[i];
	return NULL;
}

static int enter_cwd(struct native *n)
{
	char path[32];

	if (n->moved)
		return 0;
	if (n->c->task->apart >= 0) {
		n->moved = fchdir(n->c->task->apart) == 0;
		return n->moved ? 0 : -errno;
	}
	snprintf(path, sizeof path, "/proc/%d/cwd", n->c->task->pid);
	ids_leave(n->c);
	n->moved = chdir(path) == 0;
	ids_enter(n->c);
	return n->moved ? 0 : -ESRCH;
}

static int set_descriptor(struct native *n, const struct row *row, int i)
{
	int8_t at = row->name[i].fd;
	int fd = at == NONE ? AT_FDCWD : (int)n->arg[at];

	if (fd == AT_FDCWD)
		return enter_cwd(n);
	fd = fds_borrow(&n->c->base, fd);
	if (fd < 0)
		return fd;
	n->borrowed[i] = fd;
	n->arg[at] = (uint64_t)fd;
	return 0;
}

/* A name in the directory, or in "fd" there: nothing is passed through. */
static bool is_own_link(const char *rest)
{
	if (strncmp(rest, "/fd/", 4) == 0)
		rest += 3;
	return *rest == '/' && !strchr(rest + 1, '/');
}

/* "/proc/self" is the caller. */
static int set_path(struct native *n, const char *path, int i, int at)
{
	static const char self[] = "/proc/self", thread[] = "/proc/thread-self";
	const char *rest = NULL;
	char *p;

	if (strncmp(path, self, sizeof self - 1) == 0)
		rest = path + sizeof self - 1;
	else if (strncmp(path, thread, sizeof thread - 1) == 0)
		rest = path + sizeof thread - 1;
	if (!rest || (*rest && *rest != '/'))
		return 0;
	p = malloc(strlen(rest) + 64);
	if (!p)
		return -ENOMEM;
	if (rest == path + sizeof self - 1)
		sprintf(p, "/proc/%d%s", n->c->task->pid, rest);
	else
		sprintf(p, "/proc/%d/task/%d%s", n->c->task->pid, n->c->tid,
			rest);
	n->path[i] = p;
	n->arg[at] = (uint64_t)(uintptr_t)p;
	n->own_link = is_own_link(rest);
	return 0;
}

static int prepare(struct native *n, const struct row *row)
{
	for (int i = 0; i < NAMES; i++) {
		int8_t fd = row->name[i].fd, at = row->name[i].path;
		const char *path = at == NONE ? NULL :
				   (const char *)(uintptr_t)n->arg[at];
		int e = 0;

		if (path && *path == '/')
			e = set_path(n, path, i, at);
		else if (path || fd != NONE)
			e = set_descriptor(n, row, i);
		if (e < 0)
			return e;
	}
	return 0;
}

static int64_t done(struct native *n, int64_t result)
{
	for (int i = 0; i < NAMES; i++) {
		if (n->borrowed[i] >= 0)
			close(n->borrowed[i]);
		free(n->path[i]);
	}
	if (n->moved && chdir("/") < 0)
		abort();
	return result;
}

static void leave_apart(struct task *t)
{
	if (t->apart >= 0)
		close(t->apart);
	t->apart = -1;
}

/* --- a directory that the caller's words do not lead to ------------------------ */

/* Our descriptor of it, for the caller. */
static void name_apart(const struct task *t, char ret[static 40])
{
	snprintf(ret, 40, "/proc/%d/fd/%d", getpid(), t->apart);
}

/*
 * Its words went through a server. Its directory is kept here, apart from the
 * kernel's, and its call begun again with the name of that, if it may have it:
 * so that the kernel has it there too.
 */
void native_send(struct call *c)
{
	char name[40];

	if (c->task->foreign)
		return;
	name_apart(c->task, name);
	c->task->arrives = c->tid;
	if (!exec_as(c, name, true))
		c->task->arrives = 0;
}

bool native_arrives(struct call *c)
{
	char name[40], path[40];

	if (c->task->arrives != c->tid || c->nr != SYS_chdir ||
	    c->task->apart < 0)
		return false;
	name_apart(c->task, name);
	return memory_string(&c->base, c->arg[0], path, sizeof path) > 0 &&
	       strcmp(path, name) == 0;
}

void native_arrived(struct call *c)
{
	struct stat is, want;
	char cwd[32];

	if (c->task->arrives != c->tid || native_arrives(c))
		return;
	c->task->arrives = 0;
	snprintf(cwd, sizeof cwd, "/proc/%d/cwd", c->task->pid);
	if (c->task->apart >= 0 && stat(cwd, &is) == 0 &&
	    fstat(c->task->apart, &want) == 0 && is.st_dev == want.st_dev &&
	    is.st_ino == want.st_ino)
		leave_apart(c->task);
}

/* The caller goes there itself if its words say the same. */
static int64_t change_directory(struct call *c, const char *path)
{
	char words[RK_PATH_LEN_MAX];
	int from = c->task->apart >= 0 ? c->task->apart : AT_FDCWD, e = 0;
	int fd = openat(from, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (faccessat(from, path, X_OK, AT_EACCESS) < 0)
		e = -errno;
	if (e < 0) {
		close(fd);
		return e;
	}
	leave_apart(c->task);
	if (*path == '/' && memory_string(&c->base, c->arg[0], words,
					  sizeof words) >= 0 &&
	    strcmp(words, path) == 0) {
		close(fd);
		c->go_on = true;
	} else {
		c->task->apart = fd;
		c->leaves = true;
	}
	return 0;
}

/* The kernel will, if it can. */
static int64_t change_to(struct call *c, int fd)
{
	struct stat st;
	int e = 0;

	fd = fds_borrow(&c->base, fd);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		e = -errno;
	else if (!S_ISDIR(st.st_mode))
		e = -ENOTDIR;
	else if (faccessat(fd, ".", X_OK, AT_EACCESS) < 0)
		e = -errno;
	close(fd);
	if (e == 0) {
		leave_apart(c->task);
		c->go_on = true;
	}
	return e;
}

/* What only the caller itself can do. */
static int64_t left_to_caller(struct call *c, long nr, const uint64_t arg[6])
{
	if (nr == SYS_chdir)
		return change_directory(c,
					(const char *)(uintptr_t)arg[0]);
	if (nr == SYS_fchdir)
		return change_to(c, (int)arg[0]);
	c->go_on = true;
	return 0;
}

static int64_t getcwd_apart(struct call *c)
{
	char path[RK_PATH_LEN_MAX];
	int n = native_cwd(&c->base, path, sizeof path);

	if (n < 0)
		return n;
	if ((uint64_t)n >= c->arg[1])
		return -ERANGE;
	n++;
	return memory_copy_out(&c->base, c->arg[0], path, (size_t)n) < 0 ?
		       -EFAULT : n;
}

/* Whether a path in it starts at the working directory. The kernel does nothing
 * where one cannot be read, is too long, or is empty. */
static bool starts_here(struct call *c)
{
	const struct row *row = find(c->nr);
	char path[RK_PATH_LEN_MAX];
	bool here = false;

	for (int i = 0; row && i < NAMES; i++) {
		int8_t fd = row->name[i].fd, at = row->name[i].path;
		int r;

		if (at == NONE)
			continue;
		r = memory_string(&c->base, c->arg[at], path, sizeof path);
		if (r < 0 || (r == 0 && c->nr != SYS_linkat))
			return false;
		here |= r > 0 && *path != '/' &&
			(fd == NONE || (int)c->arg[fd] == AT_FDCWD);
	}
	return here;
}

/* It says where it is by going to an absolute path of the host. */
static bool is_found(struct call *c, int64_t *ret)
{
	char path[RK_PATH_LEN_MAX];

	if (c->nr != SYS_chdir ||
	    memory_string(&c->base, c->arg[0], path, sizeof path) <= 0 ||
	    *path != '/')
		return false;
	*ret = native_call(&c->base, SYS_chdir, (const uint64_t[6]){
		(uintptr_t)path });
	c->task->lost = *ret < 0;
	return true;
}

void native_apart(struct call *c, int64_t *ret)
{
	char path[RK_PATH_LEN_MAX];

	c->go_on = false;
	if (c->task->lost && is_found(c, ret))
		return;
	if (c->task->cwd.inside || c->task->lost) {
		/* Nothing may be done in the wrong place, whatever went wrong. */
		c->refused = starts_here(c) ||
			     (c->task->lost && c->nr == SYS_getcwd);
		c->go_on = !c->refused;
		*ret = -EIO;
	} else if (c->task->apart < 0) {
		c->go_on = true;
	} else if (c->nr == SYS_getcwd) {
		*ret = getcwd_apart(c);
	} else if (c->nr == SYS_chdir &&
		   memory_string(&c->base, c->arg[0], path, sizeof path) > 0) {
		*ret = native_call(&c->base, SYS_chdir, (const uint64_t[6]){
			(uintptr_t)path });
	} else if (c->nr == SYS_execve || c->nr == SYS_execveat ||
		   starts_here(c)) {
		/* It would be somewhere else. */
		c->refused = true;
		*ret = -ENOSYS;
	} else if (c->nr == SYS_fchdir) {
		*ret = change_to(c, (int)c->arg[0]);
	} else {
		c->go_on = true;
	}
}

/* A link that is who reads it. */
static bool is_self(long nr, const char *path, struct call *c, int64_t *ret,
		    char *to, uint64_t size)
{
	char text[64];
	int n;

	if (strcmp(path, "/proc/self") == 0)
		n = sprintf(text, "%d", c->task->pid);
	else if (strcmp(path, "/proc/thread-self") == 0)
		n = sprintf(text, "%d/task/%d", c->task->pid, c->tid);
	else
		return false;
	if ((uint64_t)n > size)
		n = (int)size;
	memcpy(to, text, (size_t)n);
	*ret = n;
	return true;
}

int64_t native_call(struct rk__task *t, long nr, const uint64_t arg[6])
{
	struct call *c = call_of(t);
	const struct row *row = find(nr);
	struct native n = { .c = c, .borrowed = { NONE, NONE } };
	int at = nr == SYS_readlinkat;
	bool as_ourselves;
	int64_t r;

	if ((nr == SYS_readlink || nr == SYS_readlinkat) &&
	    is_self(nr, (const char *)(uintptr_t)arg[at], c, &r,
		    (char *)(uintptr_t)arg[at + 1], arg[at + 2]))
		return r;
	if (nr == SYS_chdir || nr == SYS_fchdir ||
	    (nr == SYS_fcntl && (int)arg[1] == F_SETFD))
		return left_to_caller(c, nr, arg);
	if (!row) {
		c->refused = true;
		return -ENOSYS;
	}
	memcpy(n.arg, arg, sizeof n.arg);
	r = prepare(&n, row);
	if (r < 0)
		return done(&n, r);
	if (c->umask != c->task->umask) {
		c->umask = c->task->umask;
		umask((mode_t)c->umask);
	}
	/* Everybody may read these of himself, whoever he is by now. */
	as_ourselves = n.own_link &&
		       (nr == SYS_readlink || nr == SYS_readlinkat);
	if (as_ourselves)
		ids_leave(c);
	worker_may_sleep();
	r = syscall(nr, n.arg[0], n.arg[1], n.arg[2], n.arg[3], n.arg[4],
		    n.arg[5]);
	r = r < 0 ? -errno : r;
	if (as_ourselves)
		ids_enter(c);
	return done(&n, r);
}

static int read_link(struct rk__task *t, const char *path, char *ret,
		     size_t size)
{
	ssize_t n;

	ids_leave(call_of(t));
	n = readlink(path, ret, size - 1);
	if (n < 0)
		n = -errno;
	ids_enter(call_of(t));
	if (n < 0)
		return (int)n;
	ret[n] = 0;
	return (size_t)n == size - 1 ? -ENAMETOOLONG :
	       *ret == '/' ? (int)n : -ENOTDIR;
}

int native_cwd(struct rk__task *t, char *ret, size_t size)
{
	const struct task *task = call_of(t)->task;
	char path[32];

	if (task->apart >= 0)
		snprintf(path, sizeof path, "/proc/self/fd/%d", task->apart);
	else
		snprintf(path, sizeof path, "/proc/%d/cwd", task->pid);
	return read_link(t, path, ret, size);
}

int native_path(struct rk__task *t, int fd, char *ret, size_t size)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", call_of(t)->task->pid,
		 fd);
	return read_link(t, path, ret, size);
}
