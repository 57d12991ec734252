/*
 * name.c - looking up and making names.
 */
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host.h"

/* Files are dated by a clock that is behind by up to a tick. */
enum { TICK_NS = 20000000 };

int rk__find(struct fs *fs, uint64_t dir, const char *name,
	     struct rk_stat *ret)
{
	int fd = rk__path_fd(fs, dir);

	return fd < 0 ? fd : rk__stat_fd(fs, fd, name, ret);
}

/* --- looking up ------------------------------------------------------------------- */

/* What this request saw when it was run before. 1: no answer from there. */
static int as_before(struct fs *fs, uint64_t name, struct rk_stat *ret)
{
	const struct effect *e = rk__effect_next(fs);

	if (!e || (e->name != name && e->newname != name))
		return 1;
	switch (e->kind) {
	case EFFECT_CREATE:
	case EFFECT_LINK:
		return -ENOENT;
	case EFFECT_UNLINK:
	case EFFECT_RENAME:
		*ret = e->name == name ? e->from : e->to;
		return ret->ino ? 0 : -ENOENT;
	default:
		return 1;
	}
}

static int parent_of(struct fs *fs, uint64_t dir, struct rk_stat *ret)
{
	const struct node *n = rk__node_find(fs, dir);

	if (dir == fs->root)
		return rk__stat(fs, dir, ret);
	if (!n || !n->parent)
		return -ESTALE;
	return rk__stat(fs, n->parent, ret);
}

int rk__host_lookup(void *arg, uint64_t dir, const char *name, size_t len,
		    struct rk_stat *ret)
{
	struct fs *fs = arg;
	char text[NAME_LEN_MAX + 1];
	int r = rk__begin(fs);

	if (r == 0)
		r = take_name(fs, dir, name, len, -ENOENT, text);
	if (r < 0)
		return r;
	if (len == 2 && !memcmp(name, "..", 2))
		return parent_of(fs, dir, ret);
	if (len == 1 && *name == '.')
		return rk__stat(fs, dir, ret);
	r = as_before(fs, rk__name_digest(dir, name, len), ret);
	if (r <= 0)
		return r;
	r = rk__find(fs, dir, text, ret);
	return r < 0 ? r : rk__node_put(fs, ret->ino, dir, name, len,
					S_ISDIR(ret->mode));
}

/* --- making -------------------------------------------------------------------------- */

static int make_file(struct fs *fs, int dirfd, const char *name, uint32_t mode)
{
	struct open_how how = {
		.flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
		.mode = mode & 07777,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	struct rk_stat st;
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);

	if (fd < 0)
		return -errno;
	if (rk__stat_fd(fs, fd, "", &st) == 0)
		rk__fd_keep(fs, st.ino, fd, O_RDWR);
	else
		close(fd);
	return 0;
}

static int make(struct fs *fs, uint64_t dir, const char *name,
		const struct rk_new *what)
{
	int fd = rk__path_fd(fs, dir), r;

	if (fd < 0)
		return fd;
	switch (what->mode & S_IFMT) {
	case S_IFREG:
		return make_file(fs, fd, name, what->mode);
	case S_IFDIR:
		r = mkdirat(fd, name, what->mode & 07777);
		break;
	case S_IFLNK:
		r = symlinkat(what->target, fd, name);
		break;
	default:
		r = mknodat(fd, name, what->mode, what->rdev);
	}
	return r < 0 ? -errno : 0;
}

/* Owner and mode as they were asked for; again is no harm. */
static int dress(struct fs *fs, uint64_t dir, const char *name, size_t len,
		 const struct rk_new *what, struct rk_stat *st)
{
	int r = rk__find(fs, dir, name, st);

	if (r == 0)
		r = rk__node_put(fs, st->ino, dir, name, len,
				 S_ISDIR(st->mode));
	if (r < 0)
		return r;
	if (st->uid != what->uid || st->gid != what->gid) {
		if (fchownat(rk__path_fd(fs, dir), name, what->uid, what->gid,
			     AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		r = rk__find(fs, dir, name, st);
	}
	if (r == 0 && !S_ISLNK(st->mode) &&
	    (st->mode ^ what->mode) & 07777) {
		r = rk__set_mode(fs, st->ino, what->mode);
		if (r == 0)
			r = rk__find(fs, dir, name, st);
	}
	return r;
}

static bool is_ours(const struct effect *e, const struct rk_stat *st,
		    const struct rk_new *what)
{
	int64_t born = st->btime.sec * 1000000000 + st->btime.nsec;

	return !((st->mode ^ what->mode) & S_IFMT) &&
	       born >= e->began_ns - TICK_NS;
}

/* Was it made before we died? 1: yes. */
static int made_before(struct fs *fs, const struct effect *e, uint64_t dir,
		       const char *name, const struct rk_new *what)
{
	struct rk_stat st;
	int r = rk__find(fs, dir, name, &st);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return e->state == EFFECT_DONE || is_ours(e, &st, what) ? 1 :
	       -EEXIST;
}

static void unmake(struct fs *fs, uint64_t dir, const char *name,
		   const struct rk_stat *st)
{
	int fd = rk__path_fd(fs, dir);

	if (fd >= 0)
		unlinkat(fd, name, S_ISDIR(st->mode) ? AT_REMOVEDIR : 0);
	rk__node_drop(fs, st->ino);
}

int rk__host_create(void *arg, uint64_t dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret)
{
	struct fs *fs = arg;
	char text[NAME_LEN_MAX + 1];
	struct effect *e, intent = { .kind = EFFECT_CREATE };
	struct rk_stat st = { 0 };
	int r = rk__begin(fs);

	if (r == 0)
		r = take_name(fs, dir, name, len, -EPERM, text);
	if (r < 0)
		return r;
	intent.name = rk__name_digest(dir, name, len);
	intent.digest = intent.name ^ what->mode;
	e = rk__effect_again(fs, EFFECT_CREATE, intent.digest);
	if (e)
		r = made_before(fs, e, dir, text, what);
	else
		e = rk__effect_intend(fs, &intent);
	if (r == 0)
		r = make(fs, dir, text, what);
	if (r < 0)
		return rk__effect_failed(fs, e, r);
	r = dress(fs, dir, text, len, what, &st);
	if (r < 0) {
		unmake(fs, dir, text, &st);
		return rk__effect_failed(fs, e, r);
	}
	rk__effect_done(fs, e, 0);
	rk__dirty(fs, dir);
	rk__dirty(fs, st.ino);
	*ret = st;
	return 0;
}

static int do_link(struct fs *fs, uint64_t ino, uint64_t dir, const char *name)
{
	const struct node *n = rk__node_find(fs, ino);
	struct rk_stat st;
	int from, to;

	if (!n || !n->parent)
		return -ESTALE;
	from = rk__path_fd(fs, n->parent);
	to = rk__path_fd(fs, dir);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (linkat(from, n->name, to, name, 0) < 0)
		return -errno;
	/* another may have taken the name that we went by */
	if (rk__find(fs, dir, name, &st) == 0 && st.ino == ino)
		return 0;
	unlinkat(to, name, 0);
	return -ESTALE;
}

int rk__host_link(void *arg, uint64_t ino, uint64_t dir, const char *name,
		  size_t len, struct rk_stat *ret)
{
	struct fs *fs = arg;
	char text[NAME_LEN_MAX + 1];
	struct effect *e, intent = { .kind = EFFECT_LINK };
	struct rk_stat st;
	bool done;
	int r = rk__begin(fs);

	if (r == 0)
		r = take_name(fs, dir, name, len, -EPERM, text);
	if (r < 0)
		return r;
	intent.name = rk__name_digest(dir, name, len);
	intent.digest = intent.name ^ ino;
	e = rk__effect_again(fs, EFFECT_LINK, intent.digest);
	done = e && (e->state == EFFECT_DONE ||
		     (rk__find(fs, dir, text, &st) == 0 && st.ino == ino));
	if (!e) {
		r = rk__stat(fs, ino, &intent.from);
		if (r < 0)
			return r;
		e = rk__effect_intend(fs, &intent);
	}
	if (!done)
		r = do_link(fs, ino, dir, text);
	if (r < 0)
		return rk__effect_failed(fs, e, r);
	rk__effect_done(fs, e, 0);
	rk__dirty(fs, dir);
	return rk__stat(fs, ino, ret);
}

int rk__host_readlink(void *arg, uint64_t ino, char *buf, size_t size)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : rk__path_fd(fs, ino);
	struct own *o;

	if (fd < 0)
		return fd;
	o = own(fs);
	r = (int)readlinkat(fd, "", o->path, sizeof o->path);
	if (r < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	if ((size_t)r > size)
		r = (int)size;
	memcpy(buf, o->path, (size_t)r);
	return r;
}
