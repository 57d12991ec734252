/*
 * namespace.c - a private mount namespace with mount points that the host does
 * not have.
 *
 * Theory of operation. A directory that the host lacks can't be made without
 * the host seeing it. So the deepest directory on the way that exists is
 * replaced, in the private namespace only, by a tmpfs: each of its entries is
 * there, directories and files by bind mounts, symbolic links as copies; and
 * beside them stands the new directory. What is created beside them later is
 * private too and goes away with the namespace.
 *
 * Bind mounts are recursive: in a user namespace a directory with mounts
 * beneath it may be had only with them.
 *
 * The root can't be replaced by mounting over it, as nobody would see it. The
 * tmpfs becomes the root by pivot_root, is filled from the old one, which hangs
 * in it for a moment, and that one is let go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "namespace.h"
#include "recovery/family.h"

#define OLD_ROOT ".rump-old-root"

/* The tmpfs that stand for directories of the host. */
struct replaced {
	dev_t dev[RK_POINTS_MAX];
	unsigned n;
};

__attribute__((format(printf, 3, 4)))
static int fail(char *error, int r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, RK_SERVER_ERROR_LEN, format, ap);
	va_end(ap);
	return r;
}

/* --- entering ------------------------------------------------------------------ */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int map_ids(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	/* Missing on kernels that do not ask for it. */
	r = write_file("/proc/self/setgroups", "deny");
	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(map, sizeof map, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
	r = write_file("/proc/self/uid_map", map);
	if (r < 0)
		return r;
	snprintf(map, sizeof map, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static int unshare_view(char *error)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	if (errno != EPERM)
		return fail(error, -errno, "cannot make a mount namespace: %s",
			    strerror(errno));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return fail(error, -errno, "this system does not let an "
			    "ordinary user make a user namespace (%s)",
			    strerror(errno));
	r = map_ids(uid, gid);
	if (r < 0)
		return fail(error, r, "cannot map user ids: %s", strerror(-r));
	return 0;
}

/* --- standing in for a directory ------------------------------------------------- */

static int copy_link(int from, const char *name, int to)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, to, name) < 0 ? -errno : 0;
}

/* Paths are given to mount(2) from the directory they are in, so that neither
 * the length of a name nor what covers it matters. */
static int bind_entry(int from, const char *name, int to, const char *to_path,
		      mode_t type)
{
	char target[PATH_MAX], source[NAME_MAX + 3];
	int fd;

	snprintf(source, sizeof source, "./%s", name);
	if (snprintf(target, sizeof target, "%s/%s", to_path, name) >=
	    (int)sizeof target)
		return -ENAMETOOLONG;
	if (S_ISDIR(type)) {
		if (mkdirat(to, name, 0755) < 0)
			return -errno;
	} else {
		fd = openat(to, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
			    0600);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	if (fchdir(from) < 0 || mount(source, target, NULL, MS_BIND |
				      (S_ISDIR(type) ? MS_REC : 0), NULL) < 0)
		return -errno;
	return 0;
}

static int copy_entry(int from, const char *name, int to, const char *to_path)
{
	struct stat st;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from, name, to);
	else
		r = bind_entry(from, name, to, to_path, st.st_mode);
	return r == -ENOENT ? 0 : r;	/* it went away meanwhile */
}

/* Every entry of the directory `from` also in `to`. */
static int copy_entries(int from, int to, const char *to_path)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = copy_entry(from, e->d_name, to, to_path);
	closedir(d);
	return r;
}

static int mount_tmpfs(const char *at, const struct stat *like)
{
	char options[64];

	snprintf(options, sizeof options, "mode=%o",
		 (unsigned)like->st_mode & 07777);
	if (mount("rump", at, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	/* In a user namespace its owner may have no number here. */
	(void)!chown(at, like->st_uid, like->st_gid);
	return 0;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int replace_dir(const char *dir)
{
	int from = open_dir(dir), to = -1, r;
	struct stat st;

	if (from < 0)
		return from;
	r = fstat(from, &st) < 0 ? -errno : mount_tmpfs(dir, &st);
	if (r == 0) {
		to = open_dir(dir);
		r = to < 0 ? to : copy_entries(from, to, dir);
	}
	close(from);
	if (to >= 0)
		close(to);
	return r;
}

/* Any directory will do to hang the tmpfs on for a moment. */
static int hang_new_root(char *at, size_t size)
{
	DIR *d = opendir("/");
	struct dirent *e;
	struct stat st, root;
	int r = -ENOENT;

	if (!d || stat("/", &root) < 0)
		return -errno;
	while (r < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(at, size, "/%s", e->d_name);
		if (lstat(at, &st) == 0 && S_ISDIR(st.st_mode))
			r = mount_tmpfs(at, &root);
	}
	closedir(d);
	return r;
}

static int pivot(const char *new_root)
{
	char old[NAME_MAX + 32];

	snprintf(old, sizeof old, "%s/" OLD_ROOT, new_root);
	if (mkdir(old, 0700) < 0 ||
	    syscall(SYS_pivot_root, new_root, old) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int replace_root(void)
{
	char at[NAME_MAX + 2];
	int from, to, r = hang_new_root(at, sizeof at);

	if (r == 0)
		r = pivot(at);
	if (r < 0)
		return r;
	from = open_dir("/" OLD_ROOT);
	to = open_dir("/");
	r = from < 0 ? from : to < 0 ? to : copy_entries(from, to, "");
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	if (r == 0 && (chdir("/") < 0 ||
		       umount2("/" OLD_ROOT, MNT_DETACH) < 0 ||
		       rmdir("/" OLD_ROOT) < 0))
		r = -errno;
	return r;
}

/* --- mount points ------------------------------------------------------------------ */

static int make_dirs(const char *path)
{
	char p[PATH_MAX];

	if (snprintf(p, sizeof p, "%s", path) >= (int)sizeof p)
		return -ENAMETOOLONG;
	for (char *s = p + 1;; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = c;
		if (!c)
			return 0;
	}
}

/* The deepest directory on the way to path that exists, links resolved. */
static int existing_parent(const char *path, char *ret, struct stat *st)
{
	char p[PATH_MAX];
	char *slash;

	if (snprintf(p, sizeof p, "%s", path) >= (int)sizeof p)
		return -ENAMETOOLONG;
	do {
		slash = strrchr(p, '/');
		if (!slash)
			return -EINVAL;
		*slash = '\0';
		if (realpath(*p ? p : "/", ret))
			return stat(ret, st) < 0 ? -errno :
				S_ISDIR(st->st_mode) ? 0 : -ENOTDIR;
	} while (errno == ENOENT);
	return -errno;
}

static int make_point(struct replaced *all, const char *path)
{
	char parent[PATH_MAX];
	struct stat st;
	int r = existing_parent(path, parent, &st);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < all->n; i++)
		if (all->dev[i] == st.st_dev)
			return make_dirs(path);
	r = strcmp(parent, "/") ? replace_dir(parent) : replace_root();
	if (r < 0)
		return r;
	if (stat(parent, &st) < 0)
		return -errno;
	all->dev[all->n++] = st.st_dev;
	return make_dirs(path);
}

static int ensure_point(struct replaced *all, const char *path, char *error)
{
	struct stat st;
	int r;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		return fail(error, -ENOTDIR, "mount point %s is not a "
			    "directory", path);
	}
	if (errno != ENOENT)
		return fail(error, -errno, "mount point %s: %s", path,
			    strerror(errno));
	if (lstat(path, &st) == 0)
		return fail(error, -ENOENT, "mount point %s is a link to "
			    "nowhere", path);
	r = make_point(all, path);
	if (r < 0)
		return fail(error, r, "cannot make the mount point %s: %s",
			    path, strerror(-r));
	return 0;
}

/* The inner one would have to be looked up in a mount that nobody serves. */
static int check_nesting(const struct rk__points *points, char *error)
{
	for (unsigned i = 0; i < points->n; i++) {
		const char *outer = points->path[i];
		size_t len = strlen(outer);

		for (unsigned j = 0; j < points->n; j++) {
			const char *inner = points->path[j];

			if (i != j && !strncmp(inner, outer, len) &&
			    (inner[len] == '/' || outer[len - 1] == '/'))
				return fail(error, -EINVAL, "mount point %s "
					    "lies inside mount point %s",
					    inner, outer);
		}
	}
	return 0;
}

int rk__namespace_unshare(char *error)
{
	int r = unshare_view(error);

	if (r == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		r = fail(error, -errno, "cannot make mounts private: %s",
			 strerror(errno));
	return r;
}

int rk__namespace_enter(const struct rk__points *points, char *error)
{
	struct replaced all = { .n = 0 };
	char cwd[PATH_MAX];
	bool has_cwd = getcwd(cwd, sizeof cwd) && cwd[0] == '/';
	int r = check_nesting(points, error);

	if (r == 0)
		r = rk__namespace_unshare(error);
	for (unsigned i = 0; i < points->n && r == 0; i++)
		r = ensure_point(&all, points->path[i], error);
	if (r < 0)
		return r;
	if (has_cwd && chdir(cwd) < 0)
		return fail(error, -errno, "cannot return to %s: %s", cwd,
			    strerror(errno));
	return 0;
}

int rk__namespace_pivot(const char *dir, char *error)
{
	/* The old root comes to hang upon the new one. */
	if (chdir(dir) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
	    umount2(".", MNT_DETACH) == 0 && chdir("/") == 0)
		return 0;
	return fail(error, -errno, "cannot change the root: %s",
		    strerror(errno));
}
