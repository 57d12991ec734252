/*
 * xattr.c - extended attributes: a table of lists, values may stand elsewhere.
 */
#include <endian.h>
#include <string.h>
#include "squashfs.h"

static const char *const prefix[] = {
	[SQUASHFS_XATTR_USER] = "user.",
	[SQUASHFS_XATTR_TRUSTED] = "trusted.",
	[SQUASHFS_XATTR_SECURITY] = "security.",
};

enum { PREFIXES = sizeof prefix / sizeof *prefix, NAME_SIZE = 256 };

struct list {
	struct squash *s;
	sqfs_md_cursor cur;
	uint32_t left;
};

struct attr {
	char name[NAME_SIZE + 16];	/* with its prefix; "": unknown */
	size_t name_len;
	sqfs_md_cursor value;		/* where its length stands */
	uint32_t size;
};

static int list_begin(struct squash *s, uint64_t ino, struct list *l)
{
	struct squashfs_xattr_id id;
	struct inode *n;
	int r = rk__squash_inode(s, ino, &n);

	*l = (struct list){ .s = s };
	if (r < 0 || n->xattr == SQUASHFS_INVALID_XATTR)
		return r;
	r = rk__squash_table_get(s, &s->lib.xattr_table,
				 s->lib.xattr_info.xattr_ids, n->xattr, &id);
	if (r < 0)
		return r;
	l->left = le32toh(id.count);
	sqfs_md_cursor_inode(&l->cur, le64toh(id.xattr),
		(sqfs_off_t)s->lib.xattr_info.xattr_table_start);
	return 0;
}

/* Where the value really is. */
static int follow(struct list *l, struct attr *a)
{
	sqfs_md_cursor cur = a->value;
	uint64_t where;
	int r = rk__squash_md_read(l->s, &cur, NULL, 4);

	if (r == 0)
		r = rk__squash_md_read(l->s, &cur, &where, sizeof where);
	if (r < 0)
		return r;
	sqfs_md_cursor_inode(&a->value, le64toh(where),
		(sqfs_off_t)l->s->lib.xattr_info.xattr_table_start);
	return 0;
}

static int value_size(struct list *l, struct attr *a)
{
	sqfs_md_cursor cur = a->value;
	uint32_t size;
	int r = rk__squash_md_read(l->s, &cur, &size, sizeof size);

	a->size = le32toh(size);
	return r < 0 ? r : a->size > 65536 ? -EUCLEAN : 0;
}

static int take_name(struct list *l, const struct squashfs_xattr_entry *e,
		     struct attr *a)
{
	unsigned type = le16toh(e->type) & SQUASHFS_XATTR_PREFIX_MASK;
	size_t size = le16toh(e->size), at = 0;
	int r;

	if (size > NAME_SIZE - 1)
		return -EUCLEAN;
	if (type < PREFIXES) {
		at = strlen(prefix[type]);
		memcpy(a->name, prefix[type], at);
	}
	r = rk__squash_md_read(l->s, &l->cur, a->name + at, size);
	a->name_len = type < PREFIXES ? at + size : 0;
	a->name[a->name_len] = 0;
	if (r == 0 && strlen(a->name) != a->name_len)
		return -EUCLEAN;
	return r;
}

/* 1: an attribute, 0: the end. */
static int list_next(struct list *l, struct attr *a)
{
	struct squashfs_xattr_entry e;
	int r;

	if (!l->left)
		return 0;
	l->left--;
	r = rk__squash_md_read(l->s, &l->cur, &e, sizeof e);
	if (r == 0)
		r = take_name(l, &e, a);
	a->value = l->cur;
	if (r == 0)
		r = value_size(l, a);
	if (r == 0)
		r = rk__squash_md_read(l->s, &l->cur, NULL, 4 + a->size);
	if (r == 0 && le16toh(e.type) & SQUASHFS_XATTR_VALUE_OOL) {
		r = follow(l, a);
		if (r == 0)
			r = value_size(l, a);
	}
	return r < 0 ? r : 1;
}

int rk__squash_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			size_t size)
{
	struct squash *s = fs;
	struct list l;
	struct attr a;
	int r = list_begin(s, ino, &l);

	while (r == 0 && (r = list_next(&l, &a)) == 1) {
		r = 0;
		if (strcmp(a.name, name) != 0)
			continue;
		if (size == 0)
			return (int)a.size;
		if (size < a.size)
			return -ERANGE;
		r = rk__squash_md_read(s, &a.value, NULL, 4);
		if (r == 0)
			r = rk__squash_md_read(s, &a.value, buf, a.size);
		return r < 0 ? r : (int)a.size;
	}
	return r < 0 ? r : -ENODATA;
}

int rk__squash_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	struct squash *s = fs;
	size_t used = 0;
	struct list l;
	struct attr a;
	int r = list_begin(s, ino, &l);

	while (r == 0 && (r = list_next(&l, &a)) == 1) {
		r = 0;
		if (!a.name_len)
			continue;
		if (size && a.name_len + 1 > size - used)
			return -ERANGE;
		if (size)
			memcpy(list + used, a.name, a.name_len + 1);
		used += a.name_len + 1;
	}
	return r < 0 ? r : (int)used;
}
