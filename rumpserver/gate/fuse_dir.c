/*
 * fuse_dir.c - reading directories: READDIR, and READDIRPLUS, which gives
 * attributes and references of the entries with them.
 *
 * The driver is not called from within its own readdir: a first pass lays the
 * names down, a second one fills in what each of them is.
 */
#include <errno.h>
#include <string.h>
#include "fuse.h"

struct list {
	uint8_t *at;
	uint32_t size, len;
	bool plus;
	bool full;		/* an entry did not fit */
};

static int emit(void *arg, const char *name, size_t len, uint64_t ino,
		uint8_t type, uint64_t cookie)
{
	struct list *l = arg;
	size_t head = l->plus ? sizeof(struct fuse_entry_out) : 0;
	size_t size = FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + len);
	struct fuse_dirent *d = (void *)(l->at + l->len + head);

	if (size > l->size - l->len) {
		l->full = true;
		return 1;
	}
	memset(l->at + l->len, 0, size);
	d->ino = ino;
	d->off = cookie;
	d->namelen = (uint32_t)len;
	d->type = type;
	memcpy(d->name, name, len);
	l->len += (uint32_t)size;
	return 0;
}

static int list(struct rk__fuse_call *c, bool plus, struct list *l)
{
	const struct fuse_read_in *in = c->arg;
	int r;

	*l = (struct list){
		.at = c->out,
		.size = in->size < c->room ? in->size : c->room,
		.plus = plus,
	};
	r = rk__vfs_readdir(c->node, in->offset, emit, l);
	if (r < 0)
		return r;
	/* Nothing would mean the end of the directory. */
	return l->full && !l->len ? -EINVAL : (int)l->len;
}

int rk__fuse_readdir(struct rk__fuse_call *c)
{
	struct list l;

	return list(c, false, &l);
}

static bool is_dots(const struct fuse_dirent *d)
{
	return d->namelen <= 2 && !memcmp(d->name, "..", d->namelen);
}

/* An entry without nodeid is one that the kernel looks up itself if it has to:
 * right for "." and "..", and for what can't be read now. */
static int fill(struct rk__fuse_call *c, struct fuse_direntplus *p)
{
	struct rk__node n = { .mount = c->mount, .ino = p->dirent.ino };
	struct rk_stat st;

	if (is_dots(&p->dirent) || rk__vfs_getattr(n, &st) < 0)
		return 0;
	return rk__fuse_enter(c, &st, &p->entry_out);
}

int rk__fuse_readdirplus(struct rk__fuse_call *c)
{
	struct list l;
	int r = list(c, true, &l);

	for (uint32_t at = 0; r > 0 && at < l.len;) {
		struct fuse_direntplus *p = (void *)(l.at + at);
		int error = fill(c, p);

		if (error < 0)
			return error;
		at += (uint32_t)FUSE_DIRENTPLUS_SIZE(p);
	}
	return r;
}
