/*
 * graft.c - see graft.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "graft.h"
#include "recovery/family.h"

int rk__graft_clone(const char *path)
{
	/* In a user namespace what lies below may be had only with it. */
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE |
			   OPEN_TREE_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_parents(const char *path)
{
	char p[PATH_MAX];

	if (snprintf(p, sizeof p, "%s", path) >= (int)sizeof p)
		return -ENAMETOOLONG;
	for (char *s = p + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	return 0;
}

static int make_point(int tree, const char *path)
{
	struct stat want, there;
	int r, fd;

	if (fstat(tree, &want) < 0)
		return -errno;
	if (stat(path, &there) == 0)
		return S_ISDIR(want.st_mode) == S_ISDIR(there.st_mode) ? 0 :
		       S_ISDIR(want.st_mode) ? -ENOTDIR : -EISDIR;
	if (errno != ENOENT)
		return -errno;
	r = make_parents(path);
	if (r < 0)
		return r;
	if (S_ISDIR(want.st_mode))
		return mkdir(path, 0755) < 0 ? -errno : 0;
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int refuse(int r, const char *path, char *error)
{
	snprintf(error, RK_SERVER_ERROR_LEN,
		 "cannot put anything at %.150s: %s", path, r == -EROFS ?
		 "it is not there, and cannot be made, as the file system is "
		 "read-only" : strerror(-r));
	return r;
}

int rk__graft_directory(const char *path, char *error)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		r = errno == ENOENT ? make_parents(path) : -errno;
	else
		return S_ISDIR(st.st_mode) ? 0 : refuse(-ENOTDIR, path, error);
	if (r == 0 && mkdir(path, 0755) < 0)
		r = -errno;
	return r ? refuse(r, path, error) : 0;
}

int rk__graft_attach(int tree, const char *path, bool read_only, char *error)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int r = make_point(tree, path);

	if (r == 0 && read_only &&
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			  sizeof attr) < 0)
		r = -errno;
	if (r == 0 && move_mount(tree, "", AT_FDCWD, path,
				 MOVE_MOUNT_F_EMPTY_PATH |
				 MOVE_MOUNT_T_SYMLINKS) < 0)
		r = -errno;
	return r ? refuse(r, path, error) : 0;
}
