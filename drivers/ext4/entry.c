/*
 * entry.c - the driver's table. Each call gets its scratch on the stack.
 *
 * The stack is no part of recoverable memory, so scratch costs no copies at
 * a commit, and none of it is alive between two calls.
 */
#include "ext4.h"

enum { ALIGN = 64 };

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

size_t rk__ext4_scratch_size(const struct ext4 *e)
{
	return 6 * (size_t)e->block_size +
	       round_up(EXT2_INODE_SIZE(&e->super)) +
	       round_up(rk__ext4_gather_size(e));
}

void rk__ext4_scratch_set(struct ext4 *e, uint64_t *room)
{
	char *at = (char *)room;
	unsigned i;

	/* The same as at the last call, mostly: then *e stays clean. */
	if ((char *)e->gather == at)
		return;
	e->gather = (struct gather *)at;
	at += round_up(rk__ext4_gather_size(e));
	e->raw = at;
	at += round_up(EXT2_INODE_SIZE(&e->super));
	for (i = 0; i < 3; i++, at += e->block_size)
		e->block[i] = at;
	for (i = 0; i < 3; i++, at += e->block_size)
		e->index[i] = at;
}

static int ext4_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		       struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_lookup(fs, dir, name, len, ret);
}

static int ext4_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_getattr(fs, ino, ret);
}

static int ext4_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
			struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_setattr(fs, ino, set, ret);
}

static int ext4_create(void *fs, uint64_t dir, const char *name, size_t len,
		       const struct rk_new *what, struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_create(fs, dir, name, len, what, ret);
}

static int ext4_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
			struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_tmpfile(fs, dir, what, ret);
}

static int ext4_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		     size_t len, struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_link(fs, ino, dir, name, len, ret);
}

static int ext4_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		       bool directory, struct rk_stat *ret)
{
	SCRATCH(fs);
	return rk__ext4_unlink(fs, dir, name, len, directory, ret);
}

static int ext4_rename(void *fs, uint64_t dir, const char *name, size_t len,
		       uint64_t newdir, const char *newname, size_t newlen,
		       uint32_t flags, struct rk_stat *victim)
{
	SCRATCH(fs);
	return rk__ext4_rename(fs, dir, name, len, newdir, newname, newlen,
			       flags, victim);
}

static int ext4_reclaim(void *fs, uint64_t ino)
{
	SCRATCH(fs);
	return rk__ext4_reclaim(fs, ino);
}

static int ext4_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	SCRATCH(fs);
	return rk__ext4_readlink(fs, ino, buf, size);
}

static int64_t ext4_read(void *fs, uint64_t ino, void *buf, size_t len,
			 uint64_t off)
{
	SCRATCH(fs);
	return rk__ext4_read(fs, ino, buf, len, off);
}

static int64_t ext4_write(void *fs, uint64_t ino, const void *buf, size_t len,
			  uint64_t off)
{
	SCRATCH(fs);
	return rk__ext4_write(fs, ino, buf, len, off);
}

static int ext4_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
			  uint64_t len)
{
	SCRATCH(fs);
	return rk__ext4_fallocate(fs, ino, mode, off, len);
}

static int ext4_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		     uint64_t *ret)
{
	SCRATCH(fs);
	return rk__ext4_seek(fs, ino, off, hole, ret);
}

static int ext4_readdir(void *fs, uint64_t dir, uint64_t cookie,
			rk_emit_fn *emit, void *arg)
{
	SCRATCH(fs);
	return rk__ext4_readdir(fs, dir, cookie, emit, arg);
}

static int ext4_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			 size_t size)
{
	SCRATCH(fs);
	return rk__ext4_getxattr(fs, ino, name, buf, size);
}

static int ext4_setxattr(void *fs, uint64_t ino, const char *name,
			 const void *value, size_t size, uint32_t flags)
{
	SCRATCH(fs);
	return rk__ext4_setxattr(fs, ino, name, value, size, flags);
}

static int ext4_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	SCRATCH(fs);
	return rk__ext4_listxattr(fs, ino, list, size);
}

static int ext4_removexattr(void *fs, uint64_t ino, const char *name)
{
	SCRATCH(fs);
	return rk__ext4_removexattr(fs, ino, name);
}

static int ext4_statfs(void *fs, struct rk_statfs *ret)
{
	SCRATCH(fs);
	return rk__ext4_statfs(fs, ret);
}

static int ext4_sync(void *fs)
{
	SCRATCH(fs);
	return rk__ext4_sync(fs);
}

static int ext4_fiemap(void *fs, uint64_t ino, uint64_t off, uint64_t end,
		       rk_extent_fn *emit, void *arg)
{
	SCRATCH(fs);
	return rk__ext4_fiemap(fs, ino, off, end, emit, arg);
}

static int ext4_unmount(void *fs)
{
	SCRATCH(fs);
	return rk__ext4_unmount(fs);
}

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.name = "ext4",
	.help = "ext2, ext3 and ext4 in an image or on a block device\n",
	.mount = rk__ext4_mount,
	.unmount = ext4_unmount,
	.lookup = ext4_lookup,
	.getattr = ext4_getattr,
	.setattr = ext4_setattr,
	.create = ext4_create,
	.tmpfile = ext4_tmpfile,
	.link = ext4_link,
	.unlink = ext4_unlink,
	.rename = ext4_rename,
	.reclaim = ext4_reclaim,
	.readlink = ext4_readlink,
	.read = ext4_read,
	.write = ext4_write,
	.fallocate = ext4_fallocate,
	.seek = ext4_seek,
	.readdir = ext4_readdir,
	.getxattr = ext4_getxattr,
	.setxattr = ext4_setxattr,
	.listxattr = ext4_listxattr,
	.removexattr = ext4_removexattr,
	.statfs = ext4_statfs,
	.sync = ext4_sync,
	.fiemap = ext4_fiemap,
};
