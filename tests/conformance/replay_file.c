/*
 * replay_file.c - the calls about names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "replay.h"

static mode_t mode(const char *s)
{
	return (mode_t)number(s);
}

static long c_open(char **a)
{
	int fd = openat(at_fd, a[1], (int)number(a[2]) | O_CLOEXEC,
			a[3] ? mode(a[3]) : 0);

	return keep_descriptor(a[0], fd);
}

static long c_close(char **a)
{
	return close(drop_descriptor(a[0]));
}

static long c_mkdir(char **a)
{
	return mkdirat(at_fd, a[0], mode(a[1]));
}

static long c_rmdir(char **a)
{
	return unlinkat(at_fd, a[0], AT_REMOVEDIR);
}

static long c_unlink(char **a)
{
	return unlinkat(at_fd, a[0], 0);
}

static long c_link(char **a)
{
	return linkat(at_fd, a[0], at_fd, a[1],
		      a[2] ? (int)number(a[2]) : 0);
}

static long c_link_fd(char **a)
{
#ifdef REPLAY_LIBRARY
	return door_linkfd(descriptor(a[0]), a[1]);
#else
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor(a[0]));
	return linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW);
#endif
}

static long c_symlink(char **a)
{
	return symlinkat(a[0], at_fd, a[1]);
}

static long c_readlink(char **a)
{
	static char target[5000];
	long n = readlinkat(at_fd, a[0], target, a[1] ? (size_t)number(a[1]) :
			  sizeof target);

	if (n > 0)
		tell(" %.*s", (int)(n < 80 ? n : 80), target);
	return n;
}

static long c_rename(char **a)
{
	return renameat2(at_fd, a[0], at_fd, a[1],
			 a[2] ? (unsigned)number(a[2]) : 0);
}

static long c_mknod(char **a)
{
	return mknodat(at_fd, a[0], mode(a[1]), a[2] ? makedev((unsigned)number(a[2]),
		     (unsigned)number(a[3])) : 0);
}

static long c_bind(char **a)
{
#ifdef REPLAY_LIBRARY
	return door_bind(a[0]);
#else
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	long r;
	int error;

	snprintf(un.sun_path, sizeof un.sun_path, "%s", a[0]);
	r = bind(fd, (struct sockaddr *)&un, sizeof un);
	/* A proxy refuses that by name: a file of that type is one as well. */
	if (r < 0 && errno == EADDRNOTAVAIL) {
		mode_t now = umask(0);

		umask(now);
		r = mknod(un.sun_path, S_IFSOCK | (0777 & ~now), 0);
		if (r < 0 && errno == EEXIST)
			errno = EADDRINUSE;
	}
	error = errno;
	close(fd);
	errno = error;
	return r;
#endif
}

static long c_access(char **a)
{
	return faccessat(at_fd, a[0], (int)number(a[1]), AT_EACCESS);
}

static long c_umask(char **a)
{
	return umask(mode(a[0]));
}

static long c_exec(char **a)
{
	char *argv[] = { a[0], NULL };
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		execv(a[0], argv);
		_exit(errno);
	}
	if (waitpid(pid, &status, 0) < 0 || !WEXITSTATUS(status))
		return status;
	errno = WEXITSTATUS(status);
	return -1;
}

/* --- directories ------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static long c_ls(char **a)
{
	DIR *d = opendir(a[0]);
	char **name = NULL;
	struct dirent *e;
	long n = 0;

	if (!d)
		return -1;
	while ((errno = 0, e = readdir(d)) != NULL) {
		name = realloc(name, (size_t)(n + 1) * sizeof *name);
		if (!name || asprintf(&name[n++], "%s/%d", e->d_name,
				      e->d_type) < 0)
			abort();
	}
	if (errno)
		tell(" %s", strerrorname_np(errno));
	closedir(d);
	qsort(name, (size_t)n, sizeof *name, by_name);
	for (long i = 0; i < n; i++) {
		if (n < 50)
			tell(" %s", name[i]);
		free(name[i]);
	}
	free(name);
	return n;
}

static long c_mkmany(char **a)		/* DIR/PREFIX COUNT */
{
	long n = number(a[1]), i;
	char path[4096];
	int fd;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s%ld", a[0], i);
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return i;
}

static long c_rmmany(char **a)
{
	long n = number(a[1]), step = a[2] ? number(a[2]) : 1, i;
	char path[4096];

	for (i = 0; i < n; i += step) {
		snprintf(path, sizeof path, "%s%ld", a[0], i);
		if (unlink(path) < 0)
			return -1;
	}
	return i;
}

/* Reads a directory with a cursor that is put back at every step, while
 * entries behind it go: each other one is seen exactly once. */
static long c_cursor(char **a)
{
	DIR *d = opendir(a[0]);
	struct dirent *e;
	long seen = 0, at;

	if (!d)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.') {
			seen++;
			unlinkat(dirfd(d), e->d_name, 0);
		}
		at = telldir(d);
		seekdir(d, at);
	}
	rewinddir(d);
	for (at = 0; readdir(d); at++)
		;
	closedir(d);
	tell(" left %ld", at);
	return seen;
}

/*
 * Reads a directory while others of its entries come and go, and goes back to
 * places that it remembers: what is there all the time is seen once each time.
 */
static long c_walk(char **a)		/* DIR SEED */
{
	unsigned seed = (unsigned)number(a[1]);
	DIR *d = opendir(a[0]);
	struct dirent *e;
	long seen = 0, again = 0, mark = -1, since = 0;
	char name[64];

	if (!d)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (!strncmp(e->d_name, "tmp-", 4) || e->d_name[0] == '.')
			continue;
		seen++;
		since++;
		snprintf(name, sizeof name, "tmp-%u", rand_r(&seed) % 50);
		if (mknodat(dirfd(d), name, S_IFREG | 0600, 0) < 0)
			unlinkat(dirfd(d), name, 0);
		if (rand_r(&seed) % 40 == 0) {
			mark = telldir(d);
			since = 0;
		}
		if (mark >= 0 && again < 20 && rand_r(&seed) % 60 == 0) {
			seekdir(d, mark);
			seen -= since;
			since = 0;
			again++;
		}
	}
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "tmp-%u", i);
		unlinkat(dirfd(d), name, 0);
	}
	closedir(d);
	return seen;
}

const struct call file_calls[] = {
	{ "open", "-p-", c_open }, { "close", "-", c_close },
	{ "mkdir", "p-", c_mkdir }, { "rmdir", "p", c_rmdir },
	{ "unlink", "p", c_unlink }, { "link", "pp", c_link },
	{ "linkfd", "-p", c_link_fd }, { "symlink", "-p", c_symlink },
	{ "readlink", "p", c_readlink }, { "rename", "pp", c_rename },
	{ "mknod", "p-", c_mknod }, { "bind", "-", c_bind },
	{ "access", "p-", c_access }, { "umask", "-", c_umask },
	{ "exec", "p", c_exec }, { "ls", "p", c_ls },
	{ "mkmany", "p-", c_mkmany }, { "rmmany", "p-", c_rmmany },
	{ "cursor", "p", c_cursor }, { "walk", "p-", c_walk },
	{ NULL, NULL, NULL },
};
