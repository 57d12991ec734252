/*
 * inode.c - inodes: read, write, make, free, and what stat says of them.
 */
#include <stdlib.h>
#include <sys/sysmacros.h>
#include "ext4.h"

/* Where on the device an inode is. */
static int locate(struct ext4 *e, uint64_t ino, uint64_t *ret)
{
	struct ext2_super_block *sb = e->fs->super;
	unsigned group, in;
	uint64_t table;

	if (ino == 0 || ino > sb->s_inodes_count)
		return -ESTALE;
	if (ino != EXT2_ROOT_INO && ino < EXT2_FIRST_INO(sb))
		return -EUCLEAN;
	group = (ino - 1) / sb->s_inodes_per_group;
	in = (ino - 1) % sb->s_inodes_per_group;
	table = ext2fs_inode_table_loc(e->fs, group);
	*ret = (table << e->block_bits) +
	       (uint64_t)in * EXT2_INODE_SIZE(sb);
	return rk__ext4_block_ok(e, *ret >> e->block_bits, 1) ? 0 : -EUCLEAN;
}

static bool all_zero(const char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static int raw_read(struct ext4 *e, ext2_ino_t ino)
{
	uint64_t at;
	int err = locate(e, ino, &at);

	return err ? err : rk__ext4_read_at(e, e->raw,
				EXT2_INODE_SIZE(e->fs->super), at);
}

int rk__ext4_raw_read(struct ext4 *e, ext2_ino_t ino)
{
	unsigned size = EXT2_INODE_SIZE(e->fs->super);
	int err = raw_read(e, ino);

	if (!err && !rk__ext4_inode_sum_ok(e, ino) &&
	    !all_zero(e->raw, size))
		err = -EUCLEAN;
	return err;
}

static int raw_write(struct ext4 *e, ext2_ino_t ino)
{
	uint64_t at;
	int err = locate(e, ino, &at);

	if (err)
		return err;
	rk__ext4_inode_sum(e, ino);
	return rk__ext4_write_at(e, e->raw, EXT2_INODE_SIZE(e->fs->super),
				 at);
}

static unsigned known_size(struct ext4 *e)
{
	unsigned size = EXT2_INODE_SIZE(e->fs->super);

	return size < sizeof(struct ext2_inode_large)
		? size : sizeof(struct ext2_inode_large);
}

/* e->raw is that of n. */
static bool inline_attrs(struct ext4 *e, const struct node *n)
{
	unsigned size = EXT2_INODE_SIZE(e->fs->super);
	unsigned at = EXT2_GOOD_OLD_INODE_SIZE + n->i.i_extra_isize;
	uint32_t magic;

	if (size <= EXT2_GOOD_OLD_INODE_SIZE || at + sizeof(magic) > size)
		return false;
	memcpy(&magic, e->raw + at, sizeof(magic));
	return magic == EXT2_EXT_ATTR_MAGIC;
}

int rk__ext4_node_read_raw(struct ext4 *e, uint64_t ino, struct node *ret)
{
	int err = ino > UINT32_MAX ? -ESTALE : rk__ext4_raw_read(e, ino);

	if (err)
		return err;
	memset(&ret->i, 0, sizeof(ret->i));
	ret->ino = ino;
	memcpy(&ret->i, e->raw, known_size(e));
	ret->attrs = inline_attrs(e, ret);
	return 0;
}

static bool kind_ok(const struct node *n)
{
	switch (n->i.i_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	}
	return false;
}

int rk__ext4_node_read(struct ext4 *e, uint64_t ino, struct node *ret)
{
	int err = rk__ext4_node_read_raw(e, ino, ret);

	if (err)
		return err;
	if (!kind_ok(ret))
		return ret->i.i_links_count || ret->i.i_mode ? -EUCLEAN
							    : -ESTALE;
	if (ret->i.i_flags & (EXT4_ENCRYPT_FL | EXT4_VERITY_FL |
			      EXT4_EA_INODE_FL))
		return -EUCLEAN;
	if (rk__ext4_size(ret) > INT64_MAX)
		return -EUCLEAN;
	return 0;
}

/* What lies behind the part of an inode that we know stays as it is. */
int rk__ext4_node_write(struct ext4 *e, struct node *n)
{
	int err = raw_read(e, n->ino);

	if (err)
		return err;
	memcpy(e->raw, &n->i, known_size(e));
	return raw_write(e, n->ino);
}

uint64_t rk__ext4_size(const struct node *n)
{
	return n->i.i_size | (uint64_t)n->i.i_size_high << 32;
}

void rk__ext4_size_set(struct ext4 *e, struct node *n, uint64_t size)
{
	struct ext2_super_block *sb = e->fs->super;

	n->i.i_size = size;
	n->i.i_size_high = size >> 32;
	if (size >= 0x80000000u && S_ISREG(n->i.i_mode) &&
	    !ext2fs_has_feature_large_file(sb)) {
		ext2fs_set_feature_large_file(sb);
		e->dirty_super = true;
	}
}

static bool has_extra(const struct ext4 *e, const struct node *n, size_t end)
{
	return EXT2_INODE_SIZE(e->fs->super) > EXT2_GOOD_OLD_INODE_SIZE &&
	       EXT2_GOOD_OLD_INODE_SIZE + (size_t)n->i.i_extra_isize >= end;
}

#define EXTRA(e, n, field) has_extra(e, n,				\
	offsetof(struct ext2_inode_large, field) + sizeof((n)->i.field))

static struct rk_time get_time(uint32_t low, bool has, uint32_t extra)
{
	struct rk_time t = { .sec = (int32_t)low };

	if (has) {
		t.sec += (int64_t)(extra & 3) << 32;
		t.nsec = extra >> 2;
		if (t.nsec > 999999999)
			t.nsec = 0;
	}
	return t;
}

/* Two bits more than 32, all of them for later times. */
#define TIME_MAX_EXTRA 15032385535ll

/* A time beyond what the inode can hold stays at the end of it. */
static uint32_t put_time(const struct rk_time *t, bool has, uint32_t *extra)
{
	int64_t max = has ? TIME_MAX_EXTRA : INT32_MAX, sec = t->sec;
	uint32_t nsec = t->nsec;

	if (sec >= max || sec <= INT32_MIN) {
		sec = sec >= max ? max : INT32_MIN;
		nsec = 0;
	}
	if (has)
		*extra = (((sec - (int32_t)sec) >> 32) & 3) | nsec << 2;
	return sec;
}

void rk__ext4_set_time(struct ext4 *e, struct node *n, int which,
		       const struct rk_time *t)
{
	struct ext2_inode_large *i = &n->i;

	if (which & T_ATIME)
		i->i_atime = put_time(t, EXTRA(e, n, i_atime_extra),
				      &i->i_atime_extra);
	if (which & T_MTIME)
		i->i_mtime = put_time(t, EXTRA(e, n, i_mtime_extra),
				      &i->i_mtime_extra);
	if (which & T_CTIME)
		i->i_ctime = put_time(t, EXTRA(e, n, i_ctime_extra),
				      &i->i_ctime_extra);
	if ((which & T_CRTIME) && EXTRA(e, n, i_crtime_extra))
		i->i_crtime = put_time(t, true, &i->i_crtime_extra);
}

void rk__ext4_touch(struct ext4 *e, struct node *n, int which)
{
	struct rk_time now = e->host.now(e->host.ctx);

	rk__ext4_set_time(e, n, which, &now);
}

static uint64_t rdev_of(const struct node *n)
{
	uint32_t old = n->i.i_block[0], v = n->i.i_block[1];

	if (!S_ISCHR(n->i.i_mode) && !S_ISBLK(n->i.i_mode))
		return 0;
	if (old)
		return makedev((old >> 8) & 0xff, old & 0xff);
	return makedev((v & 0xfff00) >> 8,
		       (v & 0xff) | ((v >> 12) & 0xfff00));
}

static void rdev_set(struct node *n, uint64_t rdev)
{
	unsigned ma = major(rdev), mi = minor(rdev);

	if (ma < 256 && mi < 256)
		n->i.i_block[0] = ma << 8 | mi;
	else
		n->i.i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

unsigned rk__ext4_nlink(const struct node *n)
{
	return n->i.i_links_count;
}

int rk__ext4_nlink_add(struct ext4 *e, struct node *n, int delta)
{
	unsigned links = n->i.i_links_count;
	bool dir = S_ISDIR(n->i.i_mode);

	/* A directory with 1 link has more than can be counted. */
	if (dir && links == 1)
		return 0;
	if (delta > 0 && links >= EXT2_LINK_MAX) {
		if (!dir || !ext2fs_has_feature_dir_nlink(e->fs->super))
			return -EMLINK;
		n->i.i_links_count = 1;
		return 0;
	}
	if (delta < 0 && links == 0)
		return -EUCLEAN;
	n->i.i_links_count = links + delta;
	return 0;
}

void rk__ext4_stat(struct ext4 *e, const struct node *n, struct rk_stat *ret)
{
	const struct ext2_inode_large *i = &n->i;

	memset(ret, 0, sizeof(*ret));
	ret->ino = n->ino;
	ret->size = rk__ext4_size(n);
	ret->blocks = ext2fs_get_stat_i_blocks(e->fs, small((void *)n));
	ret->mode = i->i_mode;
	ret->nlink = i->i_links_count;
	ret->uid = inode_uid(*i);
	ret->gid = inode_gid(*i);
	ret->rdev = rdev_of(n);
	ret->blksize = e->block_size;
	ret->generation = i->i_generation;
	ret->flags = i->i_flags & FLAGS_VISIBLE;
	if (n->attrs || ext2fs_file_acl_block(e->fs, small((void *)n)))
		ret->hints = RK_STAT_ACL;
	ret->atime = get_time(i->i_atime, EXTRA(e, n, i_atime_extra),
			      i->i_atime_extra);
	ret->mtime = get_time(i->i_mtime, EXTRA(e, n, i_mtime_extra),
			      i->i_mtime_extra);
	ret->ctime = get_time(i->i_ctime, EXTRA(e, n, i_ctime_extra),
			      i->i_ctime_extra);
	if (EXTRA(e, n, i_crtime_extra))
		ret->btime = get_time(i->i_crtime, true, i->i_crtime_extra);
}

static unsigned extra_size(struct ext4 *e)
{
	struct ext2_super_block *sb = e->fs->super;
	unsigned room = EXT2_INODE_SIZE(sb) - EXT2_GOOD_OLD_INODE_SIZE;
	unsigned want = sizeof(struct ext2_inode_large) -
			EXT2_GOOD_OLD_INODE_SIZE;

	if (sb->s_want_extra_isize > want)
		want = sb->s_want_extra_isize & ~3u;
	return want > room ? room : want;
}

static void inherit(struct ext4 *e, const struct node *dir, struct node *n)
{
	uint32_t keep = EXT2_SYNC_FL | EXT2_NODUMP_FL | EXT2_NOATIME_FL |
			EXT4_PROJINHERIT_FL | EXT2_DIRSYNC_FL;

	n->i.i_flags = dir->i.i_flags & keep;
	if (!S_ISDIR(n->i.i_mode))
		n->i.i_flags &= ~(EXT2_DIRSYNC_FL | EXT4_PROJINHERIT_FL);
	if (!S_ISDIR(n->i.i_mode) && !S_ISREG(n->i.i_mode))
		n->i.i_flags &= EXT2_NOATIME_FL | EXT2_NODUMP_FL;
	if ((dir->i.i_flags & EXT4_PROJINHERIT_FL) && EXTRA(e, n, i_projid))
		n->i.i_projid = dir->i.i_projid;
}

static void fill_new(struct ext4 *e, const struct node *dir,
		     const struct rk_new *what, struct node *n)
{
	struct ext2_inode_large *i = &n->i;
	struct rk_wanted w;

	memset(i, 0, sizeof(*i));
	i->i_mode = what->mode;
	i->i_uid = what->uid;
	i->i_gid = what->gid;
	ext2fs_set_i_uid_high(*i, what->uid >> 16);
	ext2fs_set_i_gid_high(*i, what->gid >> 16);
	i->i_links_count = S_ISDIR(what->mode) ? 2 : 1;
	i->i_generation = e->host.wanted && e->host.wanted(e->host.ctx, &w) ?
			  w.generation : e->next_generation++;
	if (EXT2_INODE_SIZE(e->fs->super) > EXT2_GOOD_OLD_INODE_SIZE)
		i->i_extra_isize = extra_size(e);
	inherit(e, dir, n);
	rk__ext4_touch(e, n, T_ATIME | T_MTIME | T_CTIME | T_CRTIME);
	if (S_ISCHR(what->mode) || S_ISBLK(what->mode))
		rdev_set(n, what->rdev);
}

int rk__ext4_new_node(struct ext4 *e, const struct node *dir,
		      const struct rk_new *what, struct node *n)
{
	ext2_ino_t ino;
	int err = rk__ext4_alloc_inode(e, dir->ino, S_ISDIR(what->mode), &ino);

	if (err)
		return err;
	n->ino = ino;
	n->attrs = false;
	fill_new(e, dir, what, n);
	if (S_ISREG(what->mode) || S_ISDIR(what->mode) || S_ISLNK(what->mode))
		rk__ext4_map_init(e, n);
	/* The whole inode, so that nothing of its last life shows. */
	memset(e->raw, 0, EXT2_INODE_SIZE(e->fs->super));
	memcpy(e->raw, &n->i, known_size(e));
	return raw_write(e, ino);
}

int rk__ext4_free_node(struct ext4 *e, struct node *n)
{
	bool dir = S_ISDIR(n->i.i_mode);
	int err;

	if (!ext2fs_test_inode_bitmap2(e->fs->inode_map, n->ino))
		return -EUCLEAN;
	n->i.i_dtime = e->host.now(e->host.ctx).sec;
	if (n->i.i_dtime == 0)
		n->i.i_dtime = 1;
	n->i.i_links_count = 0;
	n->i.i_size = 0;
	n->i.i_size_high = 0;
	n->i.i_mode = 0;
	err = rk__ext4_node_write(e, n);
	if (!err)
		rk__ext4_free_inode(e, n->ino, dir);
	return err;
}
