/*
 * object.c - attributes, directories, and what else is known of a member
 * without reading its bytes.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "archive.h"

/* Cookies: a name's number behind these two. */
enum { COOKIE_DOT = 1, COOKIE_NAMES = 2 };

struct object *rk__object(struct tree *t, uint64_t ino)
{
	return ino >= ROOT && ino < t->n_objects ? &t->object[ino] : NULL;
}

void rk__object_clear(struct object *o)
{
	while (o->xattr) {
		struct xattr *x = o->xattr;

		o->xattr = x->next;
		free(x->value);
		free(x);
	}
	free(o->target);
	o->target = NULL;
}

/* --- from libarchive ------------------------------------------------------------ */

static int take_xattr(struct object *o, const char *name, const void *value,
		      size_t size)
{
	size_t len = strlen(name);
	struct xattr *x;

	if (len == 0 || len > 255 || size > 65536)
		return 0;
	x = calloc(1, sizeof *x + len + 1);
	if (!x)
		return -ENOMEM;
	memcpy(x->name, name, len);
	x->value = malloc(size + 1);
	if (!x->value) {
		free(x);
		return -ENOMEM;
	}
	memcpy(x->value, value, size);
	x->size = size;
	x->next = o->xattr;
	o->xattr = x;
	return 0;
}

static int take_xattrs(struct object *o, struct archive_entry *e)
{
	const char *name;
	const void *value;
	size_t size;
	int r = 0;

	archive_entry_xattr_reset(e);
	while (r == 0 && archive_entry_xattr_next(e, &name, &value, &size) ==
	       ARCHIVE_OK)
		r = take_xattr(o, name, value, size);
	return r;
}

static int take_target(struct object *o, struct archive_entry *e)
{
	const char *target = archive_entry_symlink(e);

	if (!target)
		target = archive_entry_symlink_utf8(e);
	o->target = strndup(target ? target : "", PATH_LEN_MAX - 1);
	if (!o->target)
		return -ENOMEM;
	o->size = strlen(o->target);
	return 0;
}

static struct rk_time a_time(int64_t sec, long nsec)
{
	return (struct rk_time){ .sec = sec, .nsec = (uint32_t)nsec % 1000000000 };
}

static void take_times(struct object *o, struct archive_entry *e)
{
	o->mtime = a_time(archive_entry_mtime(e), archive_entry_mtime_nsec(e));
	o->atime = o->ctime = o->btime = o->mtime;
	if (archive_entry_atime_is_set(e))
		o->atime = a_time(archive_entry_atime(e),
				  archive_entry_atime_nsec(e));
	if (archive_entry_ctime_is_set(e))
		o->ctime = a_time(archive_entry_ctime(e),
				  archive_entry_ctime_nsec(e));
}

int rk__object_take(struct tree *t, struct object *o, struct archive_entry *e)
{
	uint32_t type = archive_entry_filetype(e);

	rk__object_clear(o);
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK &&
	    type != S_IFIFO && type != S_IFCHR && type != S_IFBLK &&
	    type != S_IFSOCK)
		type = S_IFREG;
	o->mode = type | (archive_entry_perm(e) & 07777);
	if (type == S_IFLNK)
		o->mode = S_IFLNK | 0777;
	o->uid = (uint32_t)archive_entry_uid(e);
	o->gid = (uint32_t)archive_entry_gid(e);
	if (type == S_IFCHR || type == S_IFBLK)
		o->rdev = archive_entry_rdev(e);
	take_times(o, e);
	if (type == S_IFLNK && take_target(o, e) < 0)
		return -ENOMEM;
	return take_xattrs(o, e);
}

/* --- for the server --------------------------------------------------------------- */

int rk__archive_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	const struct object *o = rk__object(fs, ino);

	if (!o)
		return -ESTALE;
	*ret = (struct rk_stat){
		.ino = ino, .mode = o->mode, .nlink = o->nlink,
		.uid = o->uid, .gid = o->gid, .size = o->size,
		.blocks = S_ISREG(o->mode) ? (o->size + 511) / 512 : 0,
		.rdev = o->rdev, .blksize = CHUNK, .atime = o->atime,
		.mtime = o->mtime, .ctime = o->ctime, .btime = o->btime,
	};
	return 0;
}

static int get_dir(struct tree *t, uint64_t ino, const struct object **ret)
{
	const struct object *o = rk__object(t, ino);

	if (!o)
		return -ESTALE;
	*ret = o;
	return S_ISDIR(o->mode) ? 0 : -ENOTDIR;
}

int rk__archive_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		       struct rk_stat *ret)
{
	struct tree *t = fs;
	const struct object *d;
	uint32_t found;
	int r = get_dir(t, dir, &d);

	if (r < 0)
		return r;
	if (len == 1 && *name == '.')
		return rk__archive_getattr(fs, dir, ret);
	if (len == 2 && memcmp(name, "..", 2) == 0)
		return rk__archive_getattr(fs, d->parent, ret);
	found = rk__tree_find(t, (uint32_t)dir, name, len);
	if (!found || !t->name[found].object)
		return -ENOENT;
	return rk__archive_getattr(fs, t->name[found].object, ret);
}

int rk__archive_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	const struct object *o = rk__object(fs, ino);

	if (!o || !o->target)
		return -EINVAL;
	if (size > o->size)
		size = o->size;
	memcpy(buf, o->target, size);
	return (int)size;
}

int rk__archive_readdir(void *fs, uint64_t dir, uint64_t cookie,
			rk_emit_fn *emit, void *arg)
{
	struct tree *t = fs;
	const struct object *d;
	uint32_t i;
	int r = get_dir(t, dir, &d);

	if (r < 0)
		return r;
	if (cookie < COOKIE_DOT && emit(arg, ".", 1, dir, DT_DIR, COOKIE_DOT))
		return 0;
	if (cookie < COOKIE_NAMES &&
	    emit(arg, "..", 2, d->parent, DT_DIR, COOKIE_NAMES))
		return 0;
	if (cookie > COOKIE_NAMES &&
	    (cookie - COOKIE_NAMES >= t->n_names ||
	     t->name[cookie - COOKIE_NAMES].dir != dir))
		return -EINVAL;
	i = cookie > COOKIE_NAMES ? t->name[cookie - COOKIE_NAMES].next :
				    d->first;
	for (; i; i = t->name[i].next) {
		const struct name *n = &t->name[i];

		if (n->object &&
		    emit(arg, n->text, n->len, n->object,
			 IFTODT(t->object[n->object].mode),
			 (uint64_t)i + COOKIE_NAMES))
			return 0;
	}
	return 0;
}

int rk__archive_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			 size_t size)
{
	const struct object *o = rk__object(fs, ino);
	const struct xattr *x = o ? o->xattr : NULL;

	while (x && strcmp(x->name, name) != 0)
		x = x->next;
	if (!x)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	return (int)x->size;
}

int rk__archive_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	const struct object *o = rk__object(fs, ino);
	size_t used = 0;

	for (const struct xattr *x = o ? o->xattr : NULL; x; x = x->next) {
		size_t n = strlen(x->name) + 1;

		if (size && n > size - used)
			return -ERANGE;
		if (size)
			memcpy(list + used, x->name, n);
		used += n;
	}
	return (int)used;
}

int rk__archive_statfs(void *fs, struct rk_statfs *ret)
{
	const struct tree *t = fs;

	ret->bsize = 4096;
	ret->blocks = (t->bytes + 4095) / 4096;
	ret->bfree = ret->bavail = 0;
	ret->files = t->n_objects - ROOT;
	ret->ffree = 0;
	ret->namelen = 255;
	return 0;
}
