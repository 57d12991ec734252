/*
 * inode.c - objects, their attributes, and their end.
 */
#include "mem.h"

struct inode *rk__mem_inode(const struct mem *m, uint64_t ino)
{
	return rk__mem_tree_get(&m->inodes, ino);
}

int rk__mem_dir(const struct mem *m, uint64_t ino, struct inode **ret)
{
	*ret = rk__mem_inode(m, ino);
	if (!*ret)
		return -ESTALE;
	return S_ISDIR((*ret)->mode) ? 0 : -ENOTDIR;
}

void rk__mem_touch(struct mem *m, struct inode *i, unsigned times)
{
	struct rk_time now = m->host.now(m->host.ctx);

	if (times & T_ATIME)
		i->atime = now;
	if (times & T_MTIME)
		i->mtime = now;
	if (times & T_CTIME)
		i->ctime = now;
	if (times & T_BTIME)
		i->btime = now;
}

static uint32_t inherited(const struct inode *dir, uint32_t mode)
{
	uint32_t flags = dir ? dir->flags & (OF_ANY | FS_SYNC_FL |
					     FS_DIRSYNC_FL) : 0;

	if (S_ISDIR(mode))
		return flags;
	return flags & (S_ISREG(mode) ? ~ONLY_DIRS : OF_ANY);
}

int rk__mem_inode_new(struct mem *m, const struct inode *dir,
		      const struct rk_new *what, struct inode **ret)
{
	struct inode *i = calloc(1, sizeof *i);
	int r = i ? 0 : -ENOSPC;

	if (!r && S_ISLNK(what->mode)) {
		i->target = strdup(what->target);
		i->size = strlen(what->target);
		r = i->target ? 0 : -ENOSPC;
	}
	if (!r)
		r = rk__mem_tree_set(&m->inodes, m->next_ino, i);
	if (r < 0) {
		if (i && S_ISLNK(what->mode))
			free(i->target);
		free(i);
		return r;
	}
	i->ino = m->next_ino++;
	i->mode = what->mode;
	i->uid = what->uid;
	i->gid = what->gid;
	i->rdev = what->rdev;
	i->flags = inherited(dir, what->mode);
	if (S_ISDIR(i->mode))
		i->dir.cookie = 3;	/* behind "." and ".." */
	rk__mem_touch(m, i, T_ATIME | T_MTIME | T_CTIME | T_BTIME);
	*ret = i;
	return 0;
}

static uint32_t has_acl(const struct inode *i)
{
	for (const struct xattr *x = i->xattrs; x; x = x->next)
		if (strncmp(x->name, "system.posix_acl_", 17) == 0)
			return RK_STAT_ACL;
	return 0;
}

void rk__mem_stat(const struct inode *i, struct rk_stat *ret)
{
	*ret = (struct rk_stat){
		.ino = i->ino,
		.size = S_ISDIR(i->mode) ? PAGE : i->size,
		.blocks = i->pages * (PAGE / 512),
		.mode = i->mode,
		.nlink = i->nlink,
		.uid = i->uid,
		.gid = i->gid,
		.rdev = i->rdev,
		.blksize = PAGE,
		.generation = 1,	/* no number is used twice */
		.atime = i->atime,
		.mtime = i->mtime,
		.ctime = i->ctime,
		.btime = i->btime,
		.flags = i->flags,
		.hints = has_acl(i),
	};
}

int rk__mem_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	const struct inode *i = rk__mem_inode(fs, ino);

	if (!i)
		return -ESTALE;
	rk__mem_stat(i, ret);
	return 0;
}

/* --- setattr ----------------------------------------------------------------------- */

static int check_flags(const struct inode *i, uint32_t flags)
{
	uint32_t kind = S_ISDIR(i->mode) ? SETTABLE :
			S_ISREG(i->mode) ? SETTABLE & ~ONLY_DIRS : OF_ANY;

	return flags & ~kind ? -EOPNOTSUPP : 0;
}

static int check_guards(const struct inode *i, const struct rk_setattr *set)
{
	uint32_t owners = RK_SET_MODE | RK_SET_UID | RK_SET_GID | RK_SET_SIZE;

	if (set->valid & (RK_SET_FORCE | RK_SET_FLAGS))
		return 0;
	if (!(set->valid & RK_SET_TOUCH))
		owners |= RK_SET_ATIME | RK_SET_MTIME | RK_SET_CTIME;
	return guarded(i, set->valid & owners ? FROZEN : FS_IMMUTABLE_FL);
}

static int check(const struct inode *i, const struct rk_setattr *set)
{
	int r = check_guards(i, set);

	if (!r && (set->valid & RK_SET_FLAGS))
		r = check_flags(i, set->flags);
	if (r || !(set->valid & RK_SET_SIZE))
		return r;
	if (S_ISDIR(i->mode))
		return -EISDIR;
	if (!S_ISREG(i->mode))
		return -EINVAL;
	return set->size > FILE_MAX ? -EFBIG : 0;
}

static void apply(struct mem *m, struct inode *i, const struct rk_setattr *set)
{
	if (set->valid & RK_SET_MODE)
		i->mode = (i->mode & S_IFMT) | (set->mode & 07777);
	if (set->valid & RK_SET_UID)
		i->uid = set->uid;
	if (set->valid & RK_SET_GID)
		i->gid = set->gid;
	if (set->valid & RK_SET_FLAGS)
		i->flags = set->flags;
	if (set->valid & RK_SET_ATIME)
		i->atime = set->atime;
	if (set->valid & RK_SET_MTIME)
		i->mtime = set->mtime;
	else if (set->valid & RK_SET_SIZE)
		rk__mem_touch(m, i, T_MTIME);
	if (set->valid & RK_SET_CTIME)
		i->ctime = set->ctime;
	else
		rk__mem_touch(m, i, T_CTIME);
}

int rk__mem_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
		    struct rk_stat *ret)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);
	int r = m->read_only ? -EROFS : i ? check(i, set) : -ESTALE;

	if (r < 0)
		return r;
	change(m);
	if (set->valid & RK_SET_SIZE)
		r = rk__mem_resize(m, i, set->size);
	if (r < 0)
		return r;
	apply(m, i, set);
	rk__mem_stat(i, ret);
	return r;
}

/* --- the end ------------------------------------------------------------------------ */

int rk__mem_reclaim(void *fs, uint64_t ino)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);

	if (!i)
		return -ESTALE;
	if (i->nlink)
		return -EINVAL;
	change(m);
	if (S_ISREG(i->mode) && rk__mem_cut(m, i, 0))
		return 1;
	if (S_ISLNK(i->mode))
		free(i->target);
	rk__mem_xattrs_free(m, i);
	rk__mem_tree_set(&m->inodes, ino, NULL);
	m->inodes_used--;
	free(i);
	return 0;
}
