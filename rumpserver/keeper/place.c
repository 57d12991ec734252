/*
 * place.c - where the journal of an image is, and what was saved for its
 * checkpoints.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "keeper/journal.h"
#include "keeper/undo.h"

static int make_directories(char *path)
{
	for (char *p = path + 1; *p; p++) {
		int r;

		if (*p != '/')
			continue;
		*p = '\0';
		r = mkdir(path, 0700) < 0 ? errno : 0;
		*p = '/';
		if (r && r != EEXIST)
			return -r;
	}
	return 0;
}

static int state_path(const struct stat *st, const char *what, char *ret,
		      size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	bool block = S_ISBLK(st->st_mode);
	dev_t dev = block ? st->st_rdev : st->st_dev;
	/* The node of a device is made anew at every boot. */
	unsigned long long ino = block ? 0 : st->st_ino;
	int n;

	if (state && *state == '/')
		n = snprintf(ret, size, "%s/rump/", state);
	else if (geteuid() == 0)
		n = snprintf(ret, size, "/var/lib/rump/");
	else if (home && *home == '/')
		n = snprintf(ret, size, "%s/.local/state/rump/", home);
	else
		return -ENOENT;
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	n += snprintf(ret + n, size - (size_t)n, "%x-%x-%llu.%s",
		      major(dev), minor(dev), ino, what);
	return (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool may_write(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* /dev does not outlive the machine, and who comes by another name of the
 * image must find its journal too. */
static bool goes_beside(char *real, const struct stat *st)
{
	char *slash = strrchr(real, '/');
	char *cut = slash == real ? slash + 1 : slash, was = *cut;
	bool may;

	*cut = '\0';
	may = may_write(real);
	*cut = was;
	return may && S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static int choose(char *real, const struct stat *st, const char *what,
		  char *ret, size_t size)
{
	char beside[4096 + 64];
	int n = snprintf(beside, sizeof beside, "%s.%s", real, what);
	int r = state_path(st, what, ret, size);

	if (n < 0 || (size_t)n >= sizeof beside)
		return -ENAMETOOLONG;
	if (exists(beside) || ((r < 0 || !exists(ret)) &&
			       goes_beside(real, st)))
		return (size_t)snprintf(ret, size, "%s", beside) < size ? 0 :
		       -ENAMETOOLONG;
	return r < 0 ? r : make_directories(ret);
}

static int place_of(const char *image, const char *what, char *ret, size_t size)
{
	char *real = realpath(image, NULL);
	struct stat st;
	int r;

	if (!real || stat(real, &st) < 0)
		r = -errno;
	else
		r = choose(real, &st, what, ret, size);
	free(real);
	return r;
}

int rk__journal_path(const char *image, char *ret, size_t size)
{
	return place_of(image, "rump-journal", ret, size);
}

int rk__undo_path(const char *image, char *ret, size_t size)
{
	return place_of(image, "rump-checkpoints", ret, size);
}

void rk__journal_sync_name(int fd)
{
	char link[32], path[4096], *slash;
	ssize_t n;
	int dir;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0 || path[0] != '/')
		return;
	path[n] = '\0';
	slash = strrchr(path, '/');
	slash[slash == path] = '\0';
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	fsync(dir);
	close(dir);
}
