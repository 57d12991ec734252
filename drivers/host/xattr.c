/*
 * xattr.c - extended attributes, of files and directories.
 */
#include <sys/xattr.h>
#include "host.h"

/* Others have none that we could reach: -EOPNOTSUPP. */
static int attr_fd(struct fs *fs, uint64_t ino)
{
	int fd = rk__data_fd(fs, ino, O_RDONLY);

	if (fd == -EACCES)
		fd = rk__data_fd(fs, ino, O_WRONLY);
	return fd == -EINVAL ? -EOPNOTSUPP : fd;
}

int rk__host_getxattr(void *arg, uint64_t ino, const char *name, void *buf,
		      size_t size)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : attr_fd(fs, ino);

	if (fd < 0)
		return fd == -EOPNOTSUPP ? -ENODATA : fd;
	r = (int)fgetxattr(fd, name, buf, size);
	return r < 0 ? -errno : r;
}

int rk__host_listxattr(void *arg, uint64_t ino, char *list, size_t size)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : attr_fd(fs, ino);

	if (fd < 0)
		return fd == -EOPNOTSUPP ? 0 : fd;
	r = (int)flistxattr(fd, list, size);
	return r < 0 ? -errno : r;
}

/* Notes it, unless it was noted before. 1: it was done. */
static int note(struct fs *fs, enum effect_kind kind, uint64_t ino,
		const char *name, uint64_t more, struct effect **ret,
		bool *again)
{
	uint64_t digest = rk__digest(ino ^ more << 40, name, strlen(name));
	struct effect what = { .kind = kind, .digest = digest };

	*ret = rk__effect_again(fs, kind, digest);
	*again = *ret;
	if (!*ret)
		*ret = rk__effect_intend(fs, &what);
	return (*ret)->state == EFFECT_DONE;
}

int rk__host_setxattr(void *arg, uint64_t ino, const char *name,
		      const void *value, size_t size, uint32_t flags)
{
	struct fs *fs = arg;
	struct effect *e;
	bool again;
	int r = rk__begin(fs), fd = r < 0 ? r : attr_fd(fs, ino);

	if (fd < 0)
		return fd;
	if (!note(fs, EFFECT_SETXATTR, ino, name, size << 2 | flags, &e,
		  &again)) {
		/* what is there may be ours */
		if (fsetxattr(fd, name, value, size, again ? 0 : (int)flags) < 0)
			return rk__effect_failed(fs, e, -errno);
		rk__dirty(fs, ino);
	}
	rk__effect_done(fs, e, 0);
	return 0;
}

int rk__host_removexattr(void *arg, uint64_t ino, const char *name)
{
	struct fs *fs = arg;
	struct effect *e;
	bool again;
	int r = rk__begin(fs), fd = r < 0 ? r : attr_fd(fs, ino);

	if (fd < 0)
		return fd;
	if (!note(fs, EFFECT_REMOVEXATTR, ino, name, 0, &e, &again)) {
		if (fremovexattr(fd, name) < 0 && !(again && errno == ENODATA))
			return rk__effect_failed(fs, e, -errno);
		rk__dirty(fs, ino);
	}
	rk__effect_done(fs, e, 0);
	return 0;
}
