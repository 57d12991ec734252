/*
 * files_dir.c - getdents: entries as the kernel lays them out.
 *
 * An entry of the kernel is never longer than the server's for the same name, so
 * a listing is converted where it lies, in the caller's room. It may be shorter:
 * then a buffer that is just enough for the kernel's is too small for the
 * server, and one entry is asked for beside it.
 */
#include <string.h>
#include <unistd.h>
#include "files_int.h"

enum {
	LISTING_MAX = 64 << 10,		/* nobody asks for more at once */
	ENTRY_MAX = (sizeof(struct rk_dirent) + 256 + 7) & ~7,
	TYPE_IN_HEAD = 19,		/* where linux_dirent64's name begins */
	NAME_IN_OLD = 18,		/* linux_dirent's, its type being last */
};

/* What both of the kernel's begin with. */
struct head {
	uint64_t ino;
	int64_t next;
	uint16_t reclen;
} __attribute__((packed));

/* Of both: NUL, type and rounding make them the same. */
static size_t length_of(size_t name)
{
	return (TYPE_IN_HEAD + name + 1 + 7) & ~(size_t)7;
}

/* `to` may be `from`, or lie before it. */
static void put(uint8_t *to, const struct rk_dirent *from, size_t name,
		bool old)
{
	struct head head = {
		.ino = from->ino, .next = (int64_t)from->cookie,
		.reclen = (uint16_t)length_of(name),
	};
	size_t at = old ? NAME_IN_OLD : TYPE_IN_HEAD;
	uint8_t type = from->type;

	memmove(to + at, from->name, name);
	memset(to + at + name, 0, head.reclen - at - name);
	memcpy(to, &head, sizeof head);
	to[old ? head.reclen - 1 : TYPE_IN_HEAD - 1] = type;
}

int64_t rk__dirents(uint8_t *buf, size_t n, size_t room, bool old,
		    uint64_t *ret_next, bool *ret_all)
{
	size_t at = 0, done = 0, name, reclen;

	*ret_all = true;
	while (at < n) {
		const struct rk_dirent *e = (const void *)(buf + at);

		if (n - at < sizeof *e)
			return -EPROTO;
		reclen = e->reclen;
		name = e->namelen;
		if (reclen > n - at || reclen % 8 ||
		    sizeof *e + name + 1 > reclen)
			return -EPROTO;
		if (length_of(name) > room - done) {
			*ret_all = false;
			break;
		}
		*ret_next = e->cookie;
		put(buf + done, e, name, old);
		done += length_of(name);
		at += reclen;
	}
	return (int64_t)done;
}

/* One entry, though the server's would not fit. */
static int64_t list_one(struct rk__task *t, const struct rk__target *f,
			uint64_t at, size_t room, bool old)
{
	_Alignas(8) uint8_t buf[ENTRY_MAX];
	uint64_t next;
	bool all;
	int64_t r = rk_getdents(f->client, f->fd, buf,
				rk__least(room + 8, sizeof buf));

	if (r <= 0)
		return r;
	r = rk__dirents(buf, (size_t)r, room, old, &next, &all);
	if (r <= 0)
		return r < 0 ? r : -EINVAL;
	/* What was listed beyond it is listed again. */
	if (!all)
		(void)rk_lseek(f->client, f->fd, (int64_t)next, SEEK_SET);
	return t->host->copy_out(t, at, buf, (size_t)r) < 0 ? -EFAULT : r;
}

static int64_t list(struct rk__task *t, const struct rk__target *f,
		    uint64_t at, uint32_t count, bool old)
{
	size_t room = rk__least(count, LISTING_MAX) & ~(size_t)7;
	uint8_t *buf = room ? t->host->out(t, at, room) : NULL, none[8];
	uint64_t next;
	int64_t r, n;
	bool all;

	r = rk_getdents(f->client, f->fd, buf ? buf : none, buf ? room : 0);
	n = r;
	if (r > 0)
		n = rk__dirents(buf, (size_t)r, room, old, &next, &all);
	if (buf && t->host->out_done(t, at, buf, n > 0 ? (size_t)n : 0) < 0)
		return -EFAULT;
	if (n == -EINVAL && room && !buf)
		return -EFAULT;
	if (n == -EINVAL && room && room < ENTRY_MAX)
		return list_one(t, f, at, room, old);
	return n;
}

static enum rk__routed getdents_as(struct rk__task *t, const uint64_t arg[6],
				   int64_t *ret, bool old)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, list(t, &f, arg[1], (uint32_t)arg[2], old));
}

RK__FILE_CALL(getdents)
{
	return getdents_as(t, arg, ret, true);
}

RK__FILE_CALL(getdents64)
{
	return getdents_as(t, arg, ret, false);
}
