/*
 * mem_driver.h - a file system in one struct, for tests of what stands above
 * drivers. Small on purpose: it can be copied whole, compared and rolled back.
 * Truncations and reclaims of files beyond MEM_STAGE go in stages.
 */
#ifndef RK_MEM_DRIVER_H
#define RK_MEM_DRIVER_H

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "driver.h"

enum {
	MEM_INODES = 256,
	MEM_ENTRIES = 512,
	MEM_FILE = 4096,
	MEM_STAGE = 2048,
	MEM_XATTRS = 64,
	MEM_ROOT = 2,
};

struct mem_inode {
	bool used;
	uint64_t parent;		/* of a directory */
	struct rk_stat st;
	uint8_t data[MEM_FILE];		/* or a symlink's target */
};

struct mem_entry {
	uint64_t dir, ino;		/* dir 0: free */
	uint8_t len;
	char name[255];
};

struct mem_xattr {
	uint64_t ino;			/* 0: free */
	size_t size;
	char name[64], value[64];
};

struct mem_fs {
	struct mem_inode inode[MEM_INODES];
	struct mem_entry entry[MEM_ENTRIES];
	struct mem_xattr xattr[MEM_XATTRS];
};

static struct mem_fs mem_fs;
static const struct rk_host *mem_host;
static unsigned mem_lookups;		/* calls, to see the name cache work */
static bool mem_sync_fails, mem_reclaim_fails;

static struct mem_inode *mem_inode(uint64_t ino)
{
	return ino < MEM_INODES && mem_fs.inode[ino].used ?
		       &mem_fs.inode[ino] : NULL;
}

static void mem_change(void)
{
	mem_host->change(mem_host->ctx);
}

static struct mem_entry *mem_entry(uint64_t dir, const char *name, size_t len)
{
	for (int i = 0; i < MEM_ENTRIES; i++) {
		struct mem_entry *e = &mem_fs.entry[i];

		if (e->dir == dir && e->len == len &&
		    !memcmp(e->name, name, len))
			return e;
	}
	return NULL;
}

static bool mem_is_empty(uint64_t dir)
{
	for (int i = 0; i < MEM_ENTRIES; i++)
		if (mem_fs.entry[i].dir == dir)
			return false;
	return true;
}

static int mem_add(uint64_t dir, const char *name, size_t len, uint64_t ino)
{
	for (int i = 0; i < MEM_ENTRIES; i++) {
		struct mem_entry *e = &mem_fs.entry[i];

		if (e->dir)
			continue;
		e->dir = dir;
		e->ino = ino;
		e->len = (uint8_t)len;
		memcpy(e->name, name, len);
		return 0;
	}
	return -ENOSPC;
}

static uint64_t mem_new(uint32_t mode)
{
	for (uint64_t i = MEM_ROOT; i < MEM_INODES; i++) {
		struct mem_inode *n = &mem_fs.inode[i];

		if (n->used)
			continue;
		memset(n, 0, sizeof *n);
		n->used = true;
		n->st.ino = i;
		n->st.mode = mode;
		n->st.nlink = S_ISDIR(mode) ? 2 : 1;
		n->st.blksize = 4096;
		return i;
	}
	return 0;
}

static int mem_mount(const struct rk_host *host,
		     const struct rk_mount_options *opt, void **ret_fs,
		     uint64_t *ret_root, bool *needs_recovery)
{
	mem_host = host;
	for (size_t i = 0; i < opt->n_options; i++) {
		if (strcmp(opt->option[i], "good")) {
			host->complain(host->ctx, "there is no such option");
			return -EINVAL;
		}
	}
	mem_change();
	memset(&mem_fs, 0, sizeof mem_fs);
	mem_new(S_IFDIR | 0755);
	mem_fs.inode[MEM_ROOT].parent = MEM_ROOT;
	*ret_fs = &mem_fs;
	*ret_root = MEM_ROOT;
	return 0;
}

static int mem_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	struct mem_inode *n = mem_inode(ino);

	if (!n)
		return -ESTALE;
	*ret = n->st;
	return 0;
}

static int mem_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		      struct rk_stat *ret)
{
	struct mem_inode *d = mem_inode(dir);
	const struct mem_entry *e;

	mem_lookups++;
	if (!d)
		return -ESTALE;
	if (!S_ISDIR(d->st.mode))
		return -ENOTDIR;
	if (len == 2 && !memcmp(name, "..", 2))
		return mem_getattr(fs, d->parent, ret);
	e = mem_entry(dir, name, len);
	return e ? mem_getattr(fs, e->ino, ret) : -ENOENT;
}

static int mem_setattr(void *fs, uint64_t ino, const struct rk_setattr *s,
		       struct rk_stat *ret)
{
	struct mem_inode *n = mem_inode(ino);
	int r = 0;

	if (!n)
		return -ESTALE;
	if ((s->valid & RK_SET_SIZE) && s->size > MEM_FILE)
		return -EFBIG;
	mem_change();
	if (s->valid & RK_SET_MODE)
		n->st.mode = (n->st.mode & S_IFMT) | s->mode;
	if (s->valid & RK_SET_UID)
		n->st.uid = s->uid;
	if (s->valid & RK_SET_GID)
		n->st.gid = s->gid;
	if (s->valid & RK_SET_ATIME)
		n->st.atime = s->atime;
	if (s->valid & RK_SET_MTIME)
		n->st.mtime = s->mtime;
	if (s->valid & RK_SET_SIZE) {
		uint64_t size = s->size;

		if (n->st.size > MEM_STAGE && size < MEM_STAGE) {
			size = MEM_STAGE;
			r = 1;
		}
		if (size < n->st.size)
			memset(n->data + size, 0, n->st.size - size);
		n->st.size = size;
	}
	*ret = n->st;
	return r;
}

static int mem_create(void *fs, uint64_t dir, const char *name, size_t len,
		      const struct rk_new *what, struct rk_stat *ret)
{
	struct mem_inode *d = mem_inode(dir), *n;
	uint64_t ino;

	if (!d || !S_ISDIR(d->st.mode))
		return -ENOTDIR;
	if (mem_entry(dir, name, len))
		return -EEXIST;
	mem_change();
	ino = mem_new(what->mode);
	if (!ino)
		return -ENOSPC;
	n = &mem_fs.inode[ino];
	n->st.uid = what->uid;
	n->st.gid = what->gid;
	n->st.rdev = what->rdev;
	n->parent = dir;
	if (S_ISLNK(what->mode)) {
		n->st.size = strlen(what->target);
		memcpy(n->data, what->target, n->st.size);
	}
	if (S_ISDIR(what->mode))
		d->st.nlink++;
	*ret = n->st;
	return mem_add(dir, name, len, ino);
}

static int mem_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		    size_t len, struct rk_stat *ret)
{
	struct mem_inode *n = mem_inode(ino);

	if (mem_entry(dir, name, len))
		return -EEXIST;
	mem_change();
	n->st.nlink++;
	*ret = n->st;
	return mem_add(dir, name, len, ino);
}

static void mem_lose(struct mem_inode *n)
{
	if (S_ISDIR(n->st.mode)) {
		n->st.nlink = 0;
		mem_fs.inode[n->parent].st.nlink--;
	} else {
		n->st.nlink--;
	}
}

static int mem_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		      bool directory, struct rk_stat *ret)
{
	struct mem_entry *e = mem_entry(dir, name, len);
	struct mem_inode *n = e ? mem_inode(e->ino) : NULL;

	if (!n)
		return -ENOENT;
	if (directory != S_ISDIR(n->st.mode))
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && !mem_is_empty(e->ino))
		return -ENOTEMPTY;
	mem_change();
	e->dir = 0;
	mem_lose(n);
	*ret = n->st;
	return 0;
}

static void mem_reparent(struct mem_inode *n, uint64_t dir)
{
	if (!S_ISDIR(n->st.mode))
		return;
	mem_fs.inode[n->parent].st.nlink--;
	mem_fs.inode[dir].st.nlink++;
	n->parent = dir;
}

static int mem_rename(void *fs, uint64_t dir, const char *name, size_t len,
		      uint64_t newdir, const char *newname, size_t newlen,
		      uint32_t flags, struct rk_stat *victim)
{
	struct mem_entry *a = mem_entry(dir, name, len);
	struct mem_entry *b = mem_entry(newdir, newname, newlen);
	struct mem_inode *from = a ? mem_inode(a->ino) : NULL;
	struct mem_inode *to = b ? mem_inode(b->ino) : NULL;
	uint64_t ino;

	victim->ino = 0;
	if (!from)
		return -ENOENT;
	if (to && !(flags & RENAME_EXCHANGE) && S_ISDIR(to->st.mode) &&
	    !mem_is_empty(b->ino))
		return -ENOTEMPTY;
	mem_change();
	ino = a->ino;
	if (flags & RENAME_EXCHANGE) {
		a->ino = b->ino;
		b->ino = ino;
		mem_reparent(from, newdir);
		mem_reparent(to, dir);
		return 0;
	}
	a->dir = 0;
	if (to) {
		b->dir = 0;
		mem_lose(to);
		*victim = to->st;
	}
	mem_reparent(from, newdir);
	return mem_add(newdir, newname, newlen, ino);
}

static int mem_reclaim(void *fs, uint64_t ino)
{
	struct mem_inode *n = mem_inode(ino);

	if (!n || n->st.nlink)
		return -EUCLEAN;
	mem_change();
	if (mem_reclaim_fails)
		return -EIO;
	if (n->st.size > MEM_STAGE) {
		n->st.size = MEM_STAGE;
		return 1;
	}
	for (int i = 0; i < MEM_XATTRS; i++)
		if (mem_fs.xattr[i].ino == ino)
			mem_fs.xattr[i].ino = 0;
	n->used = false;
	return 0;
}

static int mem_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	struct mem_inode *n = mem_inode(ino);

	if (!n || !S_ISLNK(n->st.mode))
		return -EINVAL;
	if (size > n->st.size)
		size = n->st.size;
	memcpy(buf, n->data, size);
	return (int)size;
}

static int64_t mem_read(void *fs, uint64_t ino, void *buf, size_t len,
			uint64_t off)
{
	struct mem_inode *n = mem_inode(ino);

	if (!n)
		return -ESTALE;
	if (off >= n->st.size)
		return 0;
	if (len > n->st.size - off)
		len = n->st.size - off;
	memcpy(buf, n->data + off, len);
	return (int64_t)len;
}

static int64_t mem_write(void *fs, uint64_t ino, const void *buf, size_t len,
			 uint64_t off)
{
	struct mem_inode *n = mem_inode(ino);

	if (!n)
		return -ESTALE;
	if (off >= MEM_FILE)
		return -EFBIG;
	if (len > MEM_FILE - off)
		len = MEM_FILE - off;
	mem_change();
	memcpy(n->data + off, buf, len);
	if (off + len > n->st.size)
		n->st.size = off + len;
	return (int64_t)len;
}

static int mem_readdir(void *fs, uint64_t dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg)
{
	struct mem_inode *d = mem_inode(dir);

	if (!d || !S_ISDIR(d->st.mode))
		return -ENOTDIR;
	if (cookie < 1 && emit(arg, ".", 1, dir, 4, 1))
		return 0;
	if (cookie < 2 && emit(arg, "..", 2, d->parent, 4, 2))
		return 0;
	for (uint64_t i = cookie < 2 ? 0 : cookie - 2; i < MEM_ENTRIES; i++) {
		const struct mem_entry *e = &mem_fs.entry[i];

		if (e->dir == dir &&
		    emit(arg, e->name, e->len, e->ino,
			 (uint8_t)(mem_fs.inode[e->ino].st.mode >> 12), i + 3))
			break;
	}
	return 0;
}

static struct mem_xattr *mem_xattr(uint64_t ino, const char *name)
{
	for (int i = 0; i < MEM_XATTRS; i++)
		if (mem_fs.xattr[i].ino == ino &&
		    (!ino || !strcmp(mem_fs.xattr[i].name, name)))
			return &mem_fs.xattr[i];
	return NULL;
}

static int mem_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			size_t size)
{
	struct mem_xattr *x = mem_xattr(ino, name);

	if (!x)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	return (int)x->size;
}

static int mem_setxattr(void *fs, uint64_t ino, const char *name,
			const void *value, size_t size, uint32_t flags)
{
	struct mem_xattr *x = mem_xattr(ino, name);

	if (x && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!x && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (!x)
		x = mem_xattr(0, NULL);
	if (!x || size > sizeof x->value || strlen(name) >= sizeof x->name)
		return -ENOSPC;
	mem_change();
	x->ino = ino;
	x->size = size;
	strcpy(x->name, name);
	memcpy(x->value, value, size);
	return 0;
}

static int mem_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	size_t len = 0, n;

	for (int i = 0; i < MEM_XATTRS; i++) {
		if (mem_fs.xattr[i].ino != ino)
			continue;
		n = strlen(mem_fs.xattr[i].name) + 1;
		if (size && len + n > size)
			return -ERANGE;
		if (size)
			memcpy(list + len, mem_fs.xattr[i].name, n);
		len += n;
	}
	return (int)len;
}

static int mem_removexattr(void *fs, uint64_t ino, const char *name)
{
	struct mem_xattr *x = mem_xattr(ino, name);

	if (!x)
		return -ENODATA;
	mem_change();
	x->ino = 0;
	return 0;
}

static int mem_sync(void *fs)
{
	return mem_sync_fails ? -EIO : 0;
}

static const struct rk_driver mem_driver = {
	.abi = RK_DRIVER_ABI,
	.name = "mem",
	.mount = mem_mount,
	.lookup = mem_lookup,
	.getattr = mem_getattr,
	.setattr = mem_setattr,
	.create = mem_create,
	.link = mem_link,
	.unlink = mem_unlink,
	.rename = mem_rename,
	.reclaim = mem_reclaim,
	.readlink = mem_readlink,
	.read = mem_read,
	.write = mem_write,
	.readdir = mem_readdir,
	.getxattr = mem_getxattr,
	.setxattr = mem_setxattr,
	.listxattr = mem_listxattr,
	.removexattr = mem_removexattr,
	.sync = mem_sync,
};

#endif
