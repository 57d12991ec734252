/*
 * nowhere.c - a directory that is empty, gone, and far from any other. Who is in
 * a directory of a server is there for the kernel: so a relative path that no
 * proxy has seen leads nowhere on the host. The way up from a removed directory
 * still leads to its parents; so they are removed too, more of them than any
 * path has "..".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/nowhere.h"

enum { DEPTH = 128 };

/* The deepest of a chain below `top`, which is removed; takes over top. */
static int descend(int top)
{
	int fd[DEPTH] = { top }, n = 1, e = 0;

	while (n < DEPTH && e == 0) {
		if (mkdirat(fd[n - 1], "d", 0755) < 0) {
			e = -errno;
			break;
		}
		fd[n] = openat(fd[n - 1], "d",
			       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd[n] < 0)
			e = -errno;
		else
			n++;
	}
	for (int i = n - 1; i > 0; i--) {
		if (unlinkat(fd[i - 1], "d", AT_REMOVEDIR) < 0 && e == 0)
			e = -errno;
		if (i < n - 1)
			close(fd[i]);
	}
	if (n == 1)
		return e;
	close(fd[0]);
	if (e < 0)
		close(fd[n - 1]);
	return e < 0 ? e : fd[n - 1];
}

static int below(const char *dir)
{
	char path[4096];
	int fd, top;

	if ((size_t)snprintf(path, sizeof path, "%s/rump-nowhere.XXXXXX",
			     dir) >= sizeof path)
		return -ENAMETOOLONG;
	if (!mkdtemp(path))
		return -errno;
	top = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = top < 0 ? -errno : chmod(path, 0755) < 0 ? -errno : descend(top);
	if (rmdir(path) < 0 && fd >= 0) {
		close(fd);
		fd = -errno;
	}
	return fd;
}

int rk__nowhere_open(void)
{
	const char *places[] = {
		getenv("TMPDIR"), getenv("XDG_RUNTIME_DIR"), "/dev/shm",
		"/tmp", "/var/tmp", "/run", ".",
	};
	int fd = -ENOENT;

	for (size_t i = 0; fd < 0 && i < sizeof places / sizeof *places; i++)
		if (places[i])
			fd = below(places[i]);
	return fd;
}
