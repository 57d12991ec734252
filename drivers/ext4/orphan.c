/*
 * orphan.c - objects without a name that are still in use.
 *
 * They hang on the list that begins in the superblock and goes on in i_dtime,
 * so that a crash of everything leaves them to e2fsck or to the next mount.
 */
#include "ext4.h"

static ext2_ino_t *find_staged(struct ext4 *e, ext2_ino_t ino)
{
	unsigned i;

	for (i = 0; i < STAGED; i++)
		if (e->staged[i] == ino)
			return &e->staged[i];
	return NULL;
}

int rk__ext4_orphan_add(struct ext4 *e, struct node *n)
{
	ext2_ino_t *staged = find_staged(e, n->ino);

	/* On the list already: it lost its last name between two stages. */
	if (staged && !n->i.i_links_count) {
		*staged = 0;
		return rk__ext4_node_write(e, n);
	}
	n->i.i_dtime = e->fs->super->s_last_orphan;
	e->fs->super->s_last_orphan = n->ino;
	e->dirty_super = true;
	return rk__ext4_node_write(e, n);
}

/* Takes n off the list; the one before it, if any, is written. */
static int orphan_remove(struct ext4 *e, struct node *n)
{
	ext2_ino_t at = e->fs->super->s_last_orphan;
	uint64_t left = e->fs->super->s_inodes_count;
	struct node p;
	int err;

	if (at == n->ino) {
		e->fs->super->s_last_orphan = n->i.i_dtime;
		e->dirty_super = true;
		return 0;
	}
	for (; at && left; left--, at = p.i.i_dtime) {
		err = rk__ext4_node_read_raw(e, at, &p);
		if (err)
			return err;
		if (p.i.i_dtime != n->ino)
			continue;
		p.i.i_dtime = n->i.i_dtime;
		return rk__ext4_node_write(e, &p);
	}
	return -EUCLEAN;
}

int rk__ext4_orphan_back(struct ext4 *e, struct node *n)
{
	int err = orphan_remove(e, n);

	n->i.i_dtime = 0;
	return err;
}

static int free_xattr_block(struct ext4 *e, struct node *n)
{
	errcode_t err;

	if (!ext2fs_file_acl_block(e->fs, small(n)))
		return 0;
	if (!rk__ext4_block_ok(e, ext2fs_file_acl_block(e->fs, small(n)), 1))
		return -EUCLEAN;
	lib_enter(e);
	err = ext2fs_free_ext_attr(e->fs, n->ino, &n->i);
	return rk__ext4_errno(err);
}

int rk__ext4_reclaim(void *fs, uint64_t ino)
{
	struct ext4 *e = fs;
	struct node n;
	int err;

	if (e->read_only)
		return -EROFS;
	err = rk__ext4_node_read(e, ino, &n);
	if (err)
		return err;
	if (n.i.i_links_count)
		return -EINVAL;
	e->host.change(e->host.ctx);
	err = rk__ext4_punch(e, &n, 0, ~0ull);
	if (err > 0)
		err = rk__ext4_node_write(e, &n) ?: 1;
	if (err)
		return err;
	err = orphan_remove(e, &n);
	if (!err)
		err = free_xattr_block(e, &n);
	rk__ext4_map_forget(e, ino);
	return err ? err : rk__ext4_free_node(e, &n);
}

bool rk__ext4_is_staged(struct ext4 *e, ext2_ino_t ino)
{
	return find_staged(e, ino) != NULL;
}

/* 1: stages remain. Where there is no room to note it, none do. */
int rk__ext4_stage(struct ext4 *e, struct node *n)
{
	ext2_ino_t *free_one = find_staged(e, 0);
	int rc;

	if (rk__ext4_is_staged(e, n->ino))
		return 1;
	if (free_one) {
		*free_one = n->ino;
		rc = rk__ext4_orphan_add(e, n);
		return rc ? rc : 1;
	}
	do
		rc = rk__ext4_punch(e, n, (rk__ext4_size(n) +
				    e->block_size - 1) >> e->block_bits, ~0ull);
	while (rc > 0);
	return rc;
}

int rk__ext4_unstage(struct ext4 *e, struct node *n)
{
	int err = orphan_remove(e, n);

	if (err)
		return err;
	*find_staged(e, n->ino) = 0;
	n->i.i_dtime = 0;
	return rk__ext4_node_write(e, n);
}

/* A linked file on the list was being truncated. */
static int finish_truncate(struct ext4 *e, struct node *n)
{
	*find_staged(e, 0) = n->ino;
	return rk__ext4_settle(e, n);
}

/* A server that went on from another one's state knows whose it is. */
static bool in_use(struct ext4 *e, const struct node *n)
{
	return !n->i.i_links_count && e->host.held &&
	       e->host.held(e->host.ctx, n->ino);
}

static int end_orphan(struct ext4 *e, struct node *n)
{
	int rc;

	if (n->i.i_links_count)
		return finish_truncate(e, n);
	do
		rc = rk__ext4_reclaim(e, n->ino);
	while (rc > 0);
	return rc;
}

int rk__ext4_orphan_resume(struct ext4 *e)
{
	uint64_t left = e->fs->super->s_inodes_count;
	ext2_ino_t at = e->fs->super->s_last_orphan;

	for (; at; at = left ? at : 0) {
		ext2_ino_t *free_one = find_staged(e, 0);
		struct node n;
		int rc = left-- ? rk__ext4_node_read(e, at, &n) : -EUCLEAN;

		if (rc)
			return rc;
		if (n.i.i_links_count && !free_one)
			return -EUCLEAN;
		if (n.i.i_links_count)
			*free_one = at;
		at = n.i.i_dtime;
	}
	return 0;
}

int rk__ext4_orphan_replay(struct ext4 *e)
{
	uint64_t left = e->fs->super->s_inodes_count;
	ext2_ino_t ino = e->fs->super->s_last_orphan;

	while (ino && left--) {
		struct node n;
		int rc = rk__ext4_node_read(e, ino, &n);

		if (rc)
			return rc;
		ino = n.i.i_dtime;
		if (in_use(e, &n))
			continue;
		rc = end_orphan(e, &n);
		if (rc)
			return rc;
	}
	return 0;
}
