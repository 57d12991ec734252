/*
 * files_attr.c - attributes of open files: stat, mode, owner, extended ones; and
 * files opened by handle.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include "files_int.h"

enum {
	XATTR_NAME_ROOM = 256,
	HANDLE_MAX = 128,
	LEGAL_MODE = 07777,
};

RK__FILE_CALL(fstat)
{
	struct rk__target f;
	struct rk_stat st;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = rk_fstat(f.client, f.fd, &st);
	if (r >= 0)
		r = rk__put_stat(t, arg[1], f.server, &st);
	return rk__done(ret, r);
}

RK__FILE_CALL(fstatfs)
{
	struct rk__target f;
	struct rk_statfs st;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = rk_fstatfs(f.client, f.fd, &st);
	if (r >= 0)
		r = rk__put_statfs(t, arg[1], &st);
	return rk__done(ret, r);
}

RK__FILE_CALL(fchmod)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_fchmod(f.client, f.fd,
				       (uint32_t)arg[1] & LEGAL_MODE));
}

RK__FILE_CALL(fchown)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_fchown(f.client, f.fd, (uint32_t)arg[1],
				       (uint32_t)arg[2]));
}

/* --- extended attributes ---------------------------------------------------------- */

static int name_of(struct rk__task *t, uint64_t at, char name[XATTR_NAME_ROOM])
{
	int r = t->host->string(t, at, name, XATTR_NAME_ROOM);

	return r == 0 || r == -ENAMETOOLONG ? -ERANGE : r < 0 ? r : 0;
}

/* What the server gave back is `r` bytes of the room at `to`, if room was asked
 * for. */
static int64_t give(struct rk__task *t, uint64_t at, void *to, uint64_t size,
		    int64_t r)
{
	if (size && t->host->out_done(t, at, to, r > 0 ? (size_t)r : 0) < 0)
		return -EFAULT;
	return r;
}

RK__FILE_CALL(fgetxattr)
{
	uint64_t size = rk__least(arg[3], RK_XATTR_SIZE_MAX);
	char name[XATTR_NAME_ROOM];
	struct rk__target f;
	void *to = NULL;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = name_of(t, arg[1], name);
	if (r == 0 && size) {
		to = t->host->out(t, arg[2], size);
		r = to ? 0 : -EFAULT;
	}
	if (r == 0)
		r = give(t, arg[2], to, size,
			 rk_fgetxattr(f.client, f.fd, name, to, size));
	return rk__done(ret, r);
}

RK__FILE_CALL(flistxattr)
{
	uint64_t size = rk__least(arg[2], RK_XATTR_SIZE_MAX);
	struct rk__target f;
	void *to = NULL;
	int64_t r = 0;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	if (size) {
		to = t->host->out(t, arg[1], size);
		r = to ? 0 : -EFAULT;
	}
	if (r == 0)
		r = give(t, arg[1], to, size,
			 rk_flistxattr(f.client, f.fd, to, size));
	return rk__done(ret, r);
}

static int64_t set_xattr(struct rk__task *t, const struct rk__target *f,
			 const uint64_t arg[6])
{
	uint32_t flags = (uint32_t)arg[4];
	char name[XATTR_NAME_ROOM];
	const void *value = NULL;
	int r;

	if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	r = name_of(t, arg[1], name);
	if (r < 0)
		return r;
	if (arg[3] > RK_XATTR_SIZE_MAX)
		return -E2BIG;
	if (arg[3]) {
		value = t->host->in(t, arg[2], arg[3]);
		if (!value)
			return -EFAULT;
	}
	return rk_fsetxattr(f->client, f->fd, name, value, arg[3], flags);
}

RK__FILE_CALL(fsetxattr)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, set_xattr(t, &f, arg));
}

RK__FILE_CALL(fremovexattr)
{
	char name[XATTR_NAME_ROOM];
	struct rk__target f;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = name_of(t, arg[1], name);
	if (r == 0)
		r = rk_fremovexattr(f.client, f.fd, name);
	return rk__done(ret, r);
}

/* --- handles ----------------------------------------------------------------------- */

/* struct file_handle, as far as it has a fixed size. */
struct handle_head {
	uint32_t bytes;
	int32_t type;
};

static int64_t open_handle(struct rk__task *t, struct rk__target *f,
			   uint64_t at, uint32_t flags)
{
	struct rk_file_handle h;
	struct handle_head head;
	int64_t r;

	if (t->host->copy_in(t, &head, at, sizeof head) < 0)
		return -EFAULT;
	if (head.bytes == 0 || head.bytes > HANDLE_MAX)
		return -EINVAL;
	if (head.bytes != sizeof h || head.type != RK__HANDLE_TYPE)
		return -ESTALE;
	if (t->host->copy_in(t, &h, at + sizeof head, sizeof h) < 0)
		return -EFAULT;
	r = rk_open_by_handle_at(f->client, f->fd, h.ino, h.generation, flags);
	if (r < 0)
		return r;
	f->fd = (int32_t)r;
	return t->host->install(t, f, flags & O_CLOEXEC);
}

RK__FILE_CALL(open_by_handle_at)
{
	struct rk__target f;
	int r;

	if ((int)arg[0] == AT_FDCWD && t->cwd.inside) {
		f = (struct rk__target){
			.server = t->cwd.server, .fd = t->cwd.fd,
		};
		r = t->host->client(t, f.server, &f.client);
		if (r < 0)
			return rk__done(ret, r);
	} else if (!rk__find(t, arg[0], &f)) {
		return RK__NATIVE;
	}
	return rk__done(ret, open_handle(t, &f, arg[1], (uint32_t)arg[2]));
}
