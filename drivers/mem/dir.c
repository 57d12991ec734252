/*
 * dir.c - entries of a directory: found by name, listed by cookie. A cookie is
 * the entry's number in the order in which they were made, and never given
 * again, so that a listing goes on at the same place whatever came and went.
 */
#include "mem.h"

int rk__mem_name_check(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > NAME_LIMIT)
		return -ENAMETOOLONG;
	return memchr(name, '/', len) || memchr(name, 0, len) ? -EINVAL : 0;
}

/* Nobody outside knows the seed, so nobody can choose names that collide. */
static uint64_t hash_of(const struct mem *m, const char *name, size_t len)
{
	uint64_t h = m->seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3ull;
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

struct entry *rk__mem_find(const struct mem *m, struct inode *dir,
			   const char *name, size_t len)
{
	return rk__mem_names_find(dir->dir.names, hash_of(m, name, len), name,
				  len);
}

int rk__mem_enter(struct mem *m, struct inode *dir, const char *name,
		  size_t len, struct inode *i)
{
	struct entry *e = malloc(sizeof *e + len);
	int r = e ? 0 : -ENOSPC;

	if (r < 0)
		return r;
	*e = (struct entry){
		.hash = hash_of(m, name, len), .cookie = dir->dir.cookie,
		.inode = i, .len = (uint8_t)len,
	};
	memcpy(e->name, name, len);
	r = rk__mem_tree_set(&dir->dir.order, e->cookie, e);
	if (r < 0) {
		free(e);
		return r;
	}
	r = rk__mem_names_add(&dir->dir.names, e);
	if (r < 0) {
		rk__mem_tree_set(&dir->dir.order, e->cookie, NULL);
		free(e);
		return r;
	}
	dir->dir.cookie++;
	dir->dir.entries++;
	rk__mem_touch(m, dir, T_MTIME | T_CTIME);
	return 0;
}

void rk__mem_leave(struct mem *m, struct inode *dir, struct entry *e)
{
	rk__mem_names_remove(&dir->dir.names, e);
	rk__mem_tree_set(&dir->dir.order, e->cookie, NULL);
	dir->dir.entries--;
	free(e);
	rk__mem_touch(m, dir, T_MTIME | T_CTIME);
}

void rk__mem_drop_link(struct mem *m, struct inode *i)
{
	if (S_ISDIR(i->mode))
		i->nlink = 0;
	else if (--i->nlink)
		m->inodes_used--;	/* the last one goes with the inode */
	rk__mem_touch(m, i, T_CTIME);
}

static uint8_t type_of(uint32_t mode)
{
	return (mode & S_IFMT) >> 12;
}

int rk__mem_readdir(void *fs, uint64_t ino, uint64_t cookie, rk_emit_fn *emit,
		    void *arg)
{
	const struct entry *e;
	struct inode *dir;
	int r = rk__mem_dir(fs, ino, &dir);

	if (r < 0)
		return r;
	if (cookie < 1 && emit(arg, ".", 1, ino, type_of(S_IFDIR), 1))
		return 0;
	if (cookie < 2 && emit(arg, "..", 2, dir->dir.parent->ino,
			       type_of(S_IFDIR), 2))
		return 0;
	cookie = cookie < 2 ? 3 : cookie + 1;
	for (; (e = rk__mem_tree_next(&dir->dir.order, &cookie)); cookie++)
		if (emit(arg, e->name, e->len, e->inode->ino,
			 type_of(e->inode->mode), cookie))
			break;
	return 0;
}
