/*
 * xattr.c - extended attributes, in the inode and in its attribute block.
 *
 * libext2fs keeps the layout. It is told to leave values alone (raw), since
 * access lists are converted here.
 */
#include <linux/limits.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include "acl.h"
#include "ext4.h"

#define VALUE_LIMIT 65536

static bool is_acl(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static int check_name(const char *name)
{
	static const char *const prefix[] = { "user.", "trusted.",
					      "security." };
	size_t i;

	if (strlen(name) > XATTR_NAME_MAX)
		return -ERANGE;
	if (is_acl(name))
		return 0;
	for (i = 0; i < sizeof(prefix) / sizeof(*prefix); i++)
		if (!strncmp(name, prefix[i], strlen(prefix[i])))
			return name[strlen(prefix[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

/* Most files have none: seen without building libext2fs's table of them. */
static bool has_any(struct ext4 *e, struct node *n)
{
	return n->attrs || ext2fs_file_acl_block(e->fs, small(n));
}

static int open_attrs(struct ext4 *e, struct node *n,
		      struct ext2_xattr_handle **ret)
{
	uint64_t block = ext2fs_file_acl_block(e->fs, small(n));
	unsigned flags = XATTR_HANDLE_FLAG_RAW;
	errcode_t err;

	if (block && !rk__ext4_block_ok(e, block, 1))
		return -EUCLEAN;
	lib_enter(e);
	err = ext2fs_xattrs_open(e->fs, n->ino, ret);
	if (err)
		return rk__ext4_errno(err);
	err = ext2fs_xattrs_flags(*ret, &flags, NULL);
	if (!err)
		err = ext2fs_xattrs_read(*ret);
	if (err)
		ext2fs_xattrs_close(ret);
	return rk__ext4_errno(err);
}

static int hand_out(const char *name, const void *value, size_t len,
		    void *buf, size_t size)
{
	int64_t n = len;

	if (is_acl(name))
		n = rk__ext4_acl_from_disk(value, len, buf, size);
	if (n < 0 || !size)
		return n;
	if ((size_t)n > size)
		return -ERANGE;
	if (!is_acl(name))
		memcpy(buf, value, len);
	return n;
}

int rk__ext4_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
		      size_t size)
{
	struct ext4 *e = fs;
	struct ext2_xattr_handle *h;
	struct node n;
	void *value;
	size_t len;
	int err = check_name(name);

	if (!err)
		err = rk__ext4_node_read(e, ino, &n);
	if (!err && !has_any(e, &n))
		err = -ENODATA;
	if (!err)
		err = open_attrs(e, &n, &h);
	if (err)
		return err;
	err = rk__ext4_errno(ext2fs_xattr_get(h, name, &value, &len));
	ext2fs_xattrs_close(&h);
	if (err)
		return err;
	err = hand_out(name, value, len, buf, size);
	free(value);
	return err;
}

struct lister {
	char *list;
	size_t size, used;
};

static int list_one(char *name, char *value, size_t len, void *arg)
{
	struct lister *l = arg;
	size_t n = strlen(name) + 1;

	if (check_name(name))
		return 0;
	if (l->used + n <= l->size)
		memcpy(l->list + l->used, name, n);
	l->used += n;
	return 0;
}

int rk__ext4_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	struct lister l = { list, size, 0 };
	struct ext4 *e = fs;
	struct ext2_xattr_handle *h;
	struct node n;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err || !has_any(e, &n))
		return err;
	err = open_attrs(e, &n, &h);
	if (err)
		return err;
	err = rk__ext4_errno(ext2fs_xattrs_iterate(h, list_one, &l));
	ext2fs_xattrs_close(&h);
	if (err)
		return err;
	return size && l.used > size ? -ERANGE : (int)l.used;
}

/* libext2fs has written the inode: only its ctime is left to do. */
static int finish(struct ext4 *e, struct node *n)
{
	int err = rk__ext4_node_read(e, n->ino, n);

	if (err)
		return err;
	rk__ext4_touch(e, n, T_CTIME);
	return rk__ext4_node_write(e, n);
}

static bool present(struct ext2_xattr_handle *h, const char *name)
{
	void *value;
	size_t len;

	if (ext2fs_xattr_get(h, name, &value, &len))
		return false;
	free(value);
	return true;
}

/* Setting what is there already changes nothing, no time either. */
static bool same(struct ext2_xattr_handle *h, const char *name,
		 const void *value, size_t size)
{
	void *now;
	size_t len;
	bool is;

	if (ext2fs_xattr_get(h, name, &now, &len))
		return false;
	is = len == size && !memcmp(now, value, size);
	free(now);
	return is;
}

static int store(struct ext4 *e, struct node *n, struct ext2_xattr_handle *h,
		 const char *name, const void *value, size_t size)
{
	errcode_t err;

	e->host.change(e->host.ctx);
	if (value)
		err = ext2fs_xattr_set(h, name, value, size);
	else
		err = ext2fs_xattr_remove(h, name);
	return err ? rk__ext4_errno(err) : finish(e, n);
}

static int open_to_change(struct ext4 *e, uint64_t ino, const char *name,
			  struct node *n, struct ext2_xattr_handle **ret)
{
	int err = e->read_only ? -EROFS : check_name(name);

	if (!err)
		err = rk__ext4_node_read(e, ino, n);
	if (!err)
		err = guarded(n, FROZEN);
	return err ? err : open_attrs(e, n, ret);
}

int rk__ext4_setxattr(void *fs, uint64_t ino, const char *name,
		      const void *value, size_t size, uint32_t flags)
{
	struct ext4 *e = fs;
	struct ext2_xattr_handle *h;
	struct node n;
	char *copy = NULL;
	int64_t len = size;
	int err;

	if (size > VALUE_LIMIT)
		return -E2BIG;
	err = open_to_change(e, ino, name, &n, &h);
	if (err)
		return err;
	if (flags && (flags & XATTR_CREATE ? present(h, name)
					   : !present(h, name)))
		err = flags & XATTR_CREATE ? -EEXIST : -ENODATA;
	if (!err && size > e->block_size)
		err = -ENOSPC;
	if (!err && is_acl(name)) {
		copy = malloc(size + 1);
		len = copy ? rk__ext4_acl_to_disk(value, size, copy)
			   : -ENOMEM;
		value = copy;
		err = len < 0 ? len : 0;
	}
	if (!err)
		err = same(h, name, value ? value : "", len) ? 0 :
			store(e, &n, h, name, value ? value : "", len);
	free(copy);
	ext2fs_xattrs_close(&h);
	return err;
}

int rk__ext4_removexattr(void *fs, uint64_t ino, const char *name)
{
	struct ext4 *e = fs;
	struct ext2_xattr_handle *h;
	struct node n;
	int err = open_to_change(e, ino, name, &n, &h);

	if (err)
		return err;
	err = present(h, name) ? store(e, &n, h, name, NULL, 0) : -ENODATA;
	ext2fs_xattrs_close(&h);
	return err;
}
