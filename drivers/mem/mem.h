/*
 * mem.h - a file system in memory, from inside.
 *
 * All of it is ordinary data structures: recoverable memory makes them survive
 * a server. They are chosen so that an op writes few pages, for a commit copies
 * each of them: trees whose nodes are small, no table that is ever rebuilt.
 *
 * What can be refused is refused before rk_host.change(). After it an error
 * (there is no memory for a node) means that the server takes everything back.
 */
#ifndef RK_MEM_H
#define RK_MEM_H

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include "driver.h"

enum {
	PAGE = 4096,
	PAGE_BITS = 12,
	NAME_LIMIT = 255,
	LINK_LIMIT = 65000,
	SYMLINK_LIMIT = 4095,
	/* Pages freed in one stage: what a commit then carries stays small. */
	STAGE_PAGES = 8192,
	ROOT = 2,
	MAGIC = 0x01021994,		/* of tmpfs; FUSE shows its own */
};

#define SIZE_MAX_BYTES	(3ull << 30)	/* of 4 GiB of recoverable memory */
#define FILE_MAX	(0xffffffffull << PAGE_BITS)	/* as in ext4 */

#define FROZEN		(FS_IMMUTABLE_FL | FS_APPEND_FL)
#define ONLY_DIRS	(FS_DIRSYNC_FL | FS_TOPDIR_FL)
#define OF_ANY		(FS_NODUMP_FL | FS_NOATIME_FL)
#define SETTABLE	(FROZEN | OF_ANY | ONLY_DIRS | FS_SYNC_FL)

/* --- tree.c: from a number to a pointer, in order ------------------------------ */

/* With one entry at 0 it is that entry, without a node. */
struct tree {
	void *root;
	unsigned height;
};

void *rk__mem_tree_get(const struct tree *t, uint64_t key);
/* NULL takes it out. -ENOSPC: no memory, and nothing changed. */
int rk__mem_tree_set(struct tree *t, uint64_t key, void *value);
/* The first entry at or behind *key, or NULL. */
void *rk__mem_tree_next(const struct tree *t, uint64_t *key);

/* --- page.c: whole pages, aligned, so that a commit copies no neighbours ------- */

struct pool {
	char *fresh, *end;		/* never used yet */
	struct stack *spare;
	struct piece *pieces;
};

void *rk__mem_page_get(struct pool *p);		/* NULL: no memory */
void rk__mem_page_put(struct pool *p, void *page);
void rk__mem_pool_free(struct pool *p);

/* --- names.c: from a name to an entry, within one directory --------------------- */

struct entry {
	struct entry *same;		/* another with the same hash */
	uint64_t hash, cookie;
	struct inode *inode;
	uint8_t len;
	char name[];
};

/* The slot of a directory that names[] hangs on; NULL: empty. */
struct entry *rk__mem_names_find(void *root, uint64_t hash, const char *name,
				 size_t len);
int rk__mem_names_add(void **root, struct entry *e);
void rk__mem_names_remove(void **root, struct entry *e);

/* --- inode.c ------------------------------------------------------------------- */

struct xattr {
	struct xattr *next;
	size_t size;
	char *value;
	char name[];
};

struct inode {
	uint64_t ino;
	uint32_t mode, nlink, uid, gid, flags;
	uint64_t rdev, size, pages;
	struct rk_time atime, mtime, ctime, btime;
	struct xattr *xattrs;
	bool cutting;			/* a truncation is not done yet */
	union {
		struct tree data;	/* of a file: pages, or RESERVED */
		char *target;		/* of a symlink */
		struct {
			struct tree order;	/* by cookie */
			void *names;
			struct inode *parent;
			uint64_t cookie;	/* of the next entry */
			uint64_t entries;
		} dir;
	};
};

/* A page that was promised and never written. */
#define RESERVED	((void *)1)

struct mem {
	struct rk_host host;
	bool read_only;
	struct pool pool;
	struct tree inodes;
	uint64_t next_ino, seed;
	uint64_t used, limit;		/* bytes of pages and attributes */
	/* Objects and their further names: each takes memory beside data. */
	uint64_t inodes_used, inodes_limit;
};

struct inode *rk__mem_inode(const struct mem *m, uint64_t ino);
/* -ESTALE, -ENOTDIR */
int rk__mem_dir(const struct mem *m, uint64_t ino, struct inode **ret);
/* In no directory yet, nlink 0. dir: NULL for the root. */
int rk__mem_inode_new(struct mem *m, const struct inode *dir,
		      const struct rk_new *what, struct inode **ret);
void rk__mem_stat(const struct inode *i, struct rk_stat *ret);

enum { T_ATIME = 1, T_MTIME = 2, T_CTIME = 4, T_BTIME = 8 };
void rk__mem_touch(struct mem *m, struct inode *i, unsigned times);

static inline void change(const struct mem *m)
{
	m->host.change(m->host.ctx);
}

static inline int guarded(const struct inode *i, uint32_t flags)
{
	return i->flags & flags ? -EPERM : 0;
}

static inline bool has_room(const struct mem *m, uint64_t bytes)
{
	return bytes <= m->limit && m->used <= m->limit - bytes;
}

/* --- dir.c ---------------------------------------------------------------------- */

int rk__mem_name_check(const char *name, size_t len);
struct entry *rk__mem_find(const struct mem *m, struct inode *dir,
			   const char *name, size_t len);
/* Takes one of the inodes' limit, and none of i's links. */
int rk__mem_enter(struct mem *m, struct inode *dir, const char *name,
		  size_t len, struct inode *i);
void rk__mem_leave(struct mem *m, struct inode *dir, struct entry *e);
/* i lost a name. */
void rk__mem_drop_link(struct mem *m, struct inode *i);

/* --- file.c ---------------------------------------------------------------------- */

/* Takes up to STAGE_PAGES away from page `first` on. 1: there are more. */
int rk__mem_cut(struct mem *m, struct inode *i, uint64_t first);
int rk__mem_resize(struct mem *m, struct inode *i, uint64_t size);
/* What a truncation in stages left behind the end goes before the end does. */
void rk__mem_settle(struct mem *m, struct inode *i);
void rk__mem_zero(struct inode *i, uint64_t off, uint64_t end);
void rk__mem_drop_page(struct mem *m, struct inode *i, uint64_t at);

/* --- the driver's functions ------------------------------------------------------- */

int rk__mem_getattr(void *fs, uint64_t ino, struct rk_stat *ret);
int rk__mem_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
		    struct rk_stat *ret);
int rk__mem_reclaim(void *fs, uint64_t ino);
int rk__mem_readdir(void *fs, uint64_t dir, uint64_t cookie,
		    rk_emit_fn *emit, void *arg);
int rk__mem_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		   struct rk_stat *ret);
int rk__mem_create(void *fs, uint64_t dir, const char *name, size_t len,
		   const struct rk_new *what, struct rk_stat *ret);
int rk__mem_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
		    struct rk_stat *ret);
int rk__mem_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		 size_t len, struct rk_stat *ret);
int rk__mem_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		   bool directory, struct rk_stat *ret);
int rk__mem_rename(void *fs, uint64_t dir, const char *name, size_t len,
		   uint64_t newdir, const char *newname, size_t newlen,
		   uint32_t flags, struct rk_stat *victim);
int rk__mem_readlink(void *fs, uint64_t ino, char *buf, size_t size);
int64_t rk__mem_read(void *fs, uint64_t ino, void *buf, size_t len,
		     uint64_t off);
int64_t rk__mem_write(void *fs, uint64_t ino, const void *buf, size_t len,
		      uint64_t off);
int rk__mem_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
		      uint64_t len);
int rk__mem_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		 uint64_t *ret);
int rk__mem_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
		     size_t size);
int rk__mem_setxattr(void *fs, uint64_t ino, const char *name,
		     const void *value, size_t size, uint32_t flags);
int rk__mem_listxattr(void *fs, uint64_t ino, char *list, size_t size);
int rk__mem_removexattr(void *fs, uint64_t ino, const char *name);
void rk__mem_xattrs_free(struct mem *m, struct inode *i);

#endif
