/*
 * htree.c - directories indexed by hash.
 *
 * Block 0 is the root (it begins as "." and ".." do, so that those who know
 * nothing of indexes see a directory of one entry), then up to two levels of
 * index blocks, then leaves. Entries of an index are sorted; entry i leads to
 * hashes from its own up to the next one's. A leaf whose hash has bit 0 set
 * goes on with hashes of the leaf before it.
 *
 * To add: if the leaf is full it is split by hash; if its index block is full
 * that is split first; if all are full the root moves down a level. After each
 * of these the path is walked anew, which keeps the steps independent.
 */
#include <stdlib.h>
#include "ext4.h"

#define MAX_LEVELS 3

struct level {
	uint64_t lblk, pblk;
	char *buf;
	struct ext2_dx_entry *entry;
	unsigned count, limit, at;
};

struct path {
	struct level level[MAX_LEVELS];
	unsigned depth;			/* of the index, at least 1 */
	int version;
};

struct moved {
	uint32_t hash;
	uint16_t off, size;
};

int rk__ext4_htree_version(struct ext4 *e, int on_disk)
{
	if (on_disk <= EXT2_HASH_TEA &&
	    (e->fs->super->s_flags & EXT2_FLAGS_UNSIGNED_HASH))
		return on_disk + 3;
	return on_disk;
}

void rk__ext4_hash(struct ext4 *e, int version, const char *name, size_t len,
		   struct hash *ret)
{
	ret->major = ret->minor = 0;
	(void)ext2fs_dirhash(version, name, len, e->fs->super->s_hash_seed,
			     &ret->major, &ret->minor);
	ret->major &= ~1u;
	/* The highest one means the end of a directory. */
	if (ret->major == 0xfffffffe)
		ret->major = 0xfffffffc;
}

static struct ext2_dx_root_info *root_info(char *buf)
{
	return (void *)(buf + 24);
}

static struct ext2_dx_countlimit *countlimit(struct level *l)
{
	return (void *)l->entry;
}

static unsigned limit_of(struct ext4 *e, unsigned header)
{
	unsigned room = e->block_size - header;

	if (ext2fs_has_feature_metadata_csum(e->fs->super))
		room -= sizeof(struct ext2_dx_tail);
	return room / sizeof(struct ext2_dx_entry);
}

static int load_level(struct ext4 *e, struct node *dir, struct path *p,
		      unsigned i, uint64_t lblk)
{
	struct level *l = &p->level[i];
	unsigned header = i ? 8 : 32;
	int err;

	l->buf = e->index[i];
	l->lblk = lblk;
	if (lblk >= rk__ext4_dir_blocks(e, dir))
		return -EUCLEAN;
	err = rk__ext4_dir_read(e, dir, lblk, l->buf, &l->pblk);
	if (err)
		return err;
	l->entry = (void *)(l->buf + header);
	l->limit = countlimit(l)->limit;
	l->count = countlimit(l)->count;
	if (l->limit != limit_of(e, header) || l->count == 0 ||
	    l->count > l->limit)
		return -EUCLEAN;
	return 0;
}

static void choose(struct level *l, uint32_t hash)
{
	unsigned lo = 1, hi = l->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (l->entry[mid].hash <= hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	l->at = lo - 1;
}

static uint64_t child(const struct level *l)
{
	return l->entry[l->at].block & 0x0fffffff;
}

static int read_root(struct ext4 *e, struct node *dir, struct path *p)
{
	const struct ext2_dx_root_info *info;
	int err = load_level(e, dir, p, 0, 0);

	if (err)
		return err;
	info = root_info(p->level[0].buf);
	if (info->reserved_zero || info->info_length != 8 ||
	    info->hash_version > EXT2_HASH_TEA_UNSIGNED ||
	    info->indirect_levels + 1u > ext2_dir_htree_level(e->fs))
		return -EUCLEAN;
	p->version = rk__ext4_htree_version(e, info->hash_version);
	p->depth = info->indirect_levels + 1;
	return 0;
}

/* From level i on down to the leaf for the hash. */
static int descend(struct ext4 *e, struct node *dir, struct path *p,
		   unsigned i, uint32_t hash)
{
	int err;

	for (;; i++) {
		choose(&p->level[i], hash);
		if (i + 1 == p->depth)
			return 0;
		err = load_level(e, dir, p, i + 1, child(&p->level[i]));
		if (err)
			return err;
	}
}

static int probe(struct ext4 *e, struct node *dir, struct path *p,
		 uint32_t hash)
{
	int err = read_root(e, dir, p);

	return err ? err : descend(e, dir, p, 0, hash);
}

/* Hash where the next leaf begins; false: this is the last. */
static bool next_hash(const struct path *p, uint32_t *ret)
{
	unsigned i;

	for (i = p->depth; i-- > 0;) {
		const struct level *l = &p->level[i];

		if (l->at + 1 < l->count) {
			*ret = l->entry[l->at + 1].hash;
			return true;
		}
	}
	return false;
}

/* To the next leaf; there is one. */
static int advance(struct ext4 *e, struct node *dir, struct path *p)
{
	unsigned i = p->depth - 1;

	while (p->level[i].at + 1 >= p->level[i].count)
		i--;
	p->level[i].at++;
	for (; i + 1 < p->depth; i++) {
		int err = load_level(e, dir, p, i + 1, child(&p->level[i]));

		if (err)
			return err;
		p->level[i + 1].at = 0;
	}
	return 0;
}

static int read_leaf(struct ext4 *e, struct node *dir, const struct path *p,
		     struct slot *s)
{
	s->lblk = child(&p->level[p->depth - 1]);
	if (s->lblk == 0 || s->lblk >= rk__ext4_dir_blocks(e, dir))
		return -EUCLEAN;
	return rk__ext4_dir_read(e, dir, s->lblk, e->block[B_DIR], &s->pblk);
}

int rk__ext4_htree_find(struct ext4 *e, struct node *dir, const char *name,
			size_t len, struct slot *ret)
{
	uint64_t left = rk__ext4_dir_blocks(e, dir);
	struct hash hash;
	struct path p;
	uint32_t next;
	int rc = read_root(e, dir, &p);

	if (rc)
		return rc;
	rk__ext4_hash(e, p.version, name, len, &hash);
	rc = descend(e, dir, &p, 0, hash.major);
	while (!rc && left--) {
		rc = read_leaf(e, dir, &p, ret);
		if (!rc)
			rc = rk__ext4_leaf_find(e, e->block[B_DIR], name, len,
						ret);
		if (rc)
			return rc < 0 ? rc : 0;
		if (!next_hash(&p, &next) || (next & ~1u) != hash.major)
			return -ENOENT;
		rc = advance(e, dir, &p);
	}
	return rc ? rc : -EUCLEAN;
}

int rk__ext4_htree_leaf(struct ext4 *e, struct node *dir, uint32_t major,
			uint64_t *ret_lblk, uint32_t *ret_next,
			int *ret_version)
{
	struct path p;
	int err = probe(e, dir, &p, major);

	if (err)
		return err;
	*ret_lblk = child(&p.level[p.depth - 1]);
	*ret_version = p.version;
	if (*ret_lblk == 0 || *ret_lblk >= rk__ext4_dir_blocks(e, dir))
		return -EUCLEAN;
	return next_hash(&p, ret_next);
}

static int write_level(struct ext4 *e, struct node *dir, struct level *l)
{
	return rk__ext4_dir_write(e, dir, l->pblk, l->buf);
}

/* Entry (hash, lblk) behind the chosen one of a level that has room. */
static int index_insert(struct ext4 *e, struct node *dir, struct level *l,
			uint32_t hash, uint64_t lblk)
{
	struct ext2_dx_entry *x = l->entry + l->at + 1;

	memmove(x + 1, x, (l->count - l->at - 1) * sizeof(*x));
	x->hash = hash;
	x->block = lblk;
	countlimit(l)->count = ++l->count;
	return write_level(e, dir, l);
}

/* A new index block, in B_NEW, with `count` entries. */
static void index_block(struct ext4 *e, char *buf,
			const struct ext2_dx_entry *entry, unsigned count)
{
	struct ext2_dx_countlimit cl = { limit_of(e, 8), count };

	memset(buf, 0, e->block_size);
	rk__ext4_set_rec_len(e, rk__ext4_dirent(buf, 0), e->block_size);
	memcpy(buf + 8, entry, count * sizeof(*entry));
	memcpy(buf + 8, &cl, sizeof(cl));
}

static int split_index(struct ext4 *e, struct node *dir, struct path *p,
		       unsigned i)
{
	struct level *l = &p->level[i];
	unsigned keep = l->count / 2;
	uint32_t hash = l->entry[keep].hash;
	uint64_t lblk, pblk;
	int err = rk__ext4_dir_grow(e, dir, &lblk, &pblk);

	if (err)
		return err;
	index_block(e, e->block[B_NEW], l->entry + keep, l->count - keep);
	err = rk__ext4_dir_write(e, dir, pblk, e->block[B_NEW]);
	if (err)
		return err;
	countlimit(l)->count = l->count = keep;
	err = write_level(e, dir, l);
	return err ? err : index_insert(e, dir, &p->level[i - 1], hash, lblk);
}

static int deepen(struct ext4 *e, struct node *dir, struct path *p)
{
	struct level *root = &p->level[0];
	uint64_t lblk, pblk;
	int err;

	if (p->depth >= ext2_dir_htree_level(e->fs))
		return -ENOSPC;
	err = rk__ext4_dir_grow(e, dir, &lblk, &pblk);
	if (err)
		return err;
	index_block(e, e->block[B_NEW], root->entry, root->count);
	err = rk__ext4_dir_write(e, dir, pblk, e->block[B_NEW]);
	if (err)
		return err;
	countlimit(root)->count = 1;
	root->entry[0].block = lblk;
	root_info(root->buf)->indirect_levels++;
	return write_level(e, dir, root);
}

/* Walks to the leaf and sees to it that its index block has room. */
static int probe_with_room(struct ext4 *e, struct node *dir, struct path *p,
			   uint32_t hash)
{
	unsigned tries;

	for (tries = 0; tries < 2 * MAX_LEVELS; tries++) {
		unsigned i;
		int err = probe(e, dir, p, hash);

		if (err)
			return err;
		i = p->depth - 1;
		if (p->level[i].count < p->level[i].limit)
			return 0;
		while (i > 0 && p->level[i].count == p->level[i].limit)
			i--;
		if (p->level[i].count < p->level[i].limit)
			err = split_index(e, dir, p, i + 1);
		else
			err = deepen(e, dir, p);
		if (err)
			return err;
	}
	return -EUCLEAN;
}

static int by_hash(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/* The live entries of a leaf in hash order; at most block_size / 12. */
static int collect(struct ext4 *e, int version, char *buf,
		   struct moved *ret, unsigned *ret_count)
{
	unsigned off, len, n = 0;
	struct hash h;

	for (off = 0; off < rk__ext4_dir_usable(e); off += len) {
		struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);

		if (rk__ext4_dirent_check(e, buf, off, &len))
			return -EUCLEAN;
		if (!d->inode || !(d->name_len & 0xff))
			continue;
		rk__ext4_hash(e, version, d->name, d->name_len & 0xff, &h);
		ret[n++] = (struct moved){ h.major, off,
					   dirent_size(d->name_len & 0xff) };
	}
	qsort(ret, n, sizeof(*ret), by_hash);
	*ret_count = n;
	return 0;
}

/* Puts the listed entries of `from` into a fresh leaf `to`. */
static int repack(struct ext4 *e, char *to, char *from,
		  const struct moved *list, unsigned count)
{
	unsigned end = rk__ext4_dir_usable(e), at = 0, i;

	rk__ext4_leaf_init(e, to);
	for (i = 0; i < count; i++) {
		struct ext2_dir_entry *d = rk__ext4_dirent(to, at);

		memcpy(d, from + list[i].off, list[i].size);
		rk__ext4_set_rec_len(e, d, i + 1 < count ? list[i].size
							 : end - at);
		at += list[i].size;
		if (at > end)
			return -EUCLEAN;
	}
	return 0;
}

/* Where the upper half, by size, begins. */
static unsigned half(struct ext4 *e, const struct moved *list, unsigned count)
{
	unsigned size = 0, i;

	for (i = count; i-- > 1;) {
		if (size + list[i].size / 2 > e->block_size / 2)
			return i + 1 < count ? i + 1 : i;
		size += list[i].size;
	}
	return count / 2;
}

/* Splits the full leaf in B_DIR; then *s and B_DIR are the half where the
 * hash belongs. */
static int split_leaf(struct ext4 *e, struct node *dir, struct path *p,
		      uint32_t hash, struct slot *s)
{
	struct moved list[65536 / 12];
	struct level *l = &p->level[p->depth - 1];
	char *old = e->block[B_DIR], *new = e->block[B_NEW];
	unsigned count, at;
	uint64_t lblk, pblk;
	uint32_t from;
	int err = collect(e, p->version, old, list, &count);

	if (!err && count < 2)
		err = -EUCLEAN;
	if (!err)
		err = rk__ext4_dir_grow(e, dir, &lblk, &pblk);
	if (err)
		return err;
	at = half(e, list, count);
	from = list[at].hash;
	err = repack(e, new, old, list + at, count - at);
	if (!err)
		err = repack(e, e->block[B_META], old, list, at);
	if (err)
		return err;
	memcpy(old, e->block[B_META], e->block_size);
	err = index_insert(e, dir, l, from | (from == list[at - 1].hash),
			   lblk);
	if (!err)
		err = rk__ext4_dir_write(e, dir, hash >= from ? s->pblk : pblk,
					 hash >= from ? old : new);
	if (err || hash < from)
		return err;
	memcpy(old, new, e->block_size);
	s->lblk = lblk;
	s->pblk = pblk;
	return 0;
}

int rk__ext4_htree_add(struct ext4 *e, struct node *dir, const char *name,
		       size_t len, ext2_ino_t ino, unsigned type)
{
	struct hash hash;
	struct slot s;
	struct path p;
	int rc = read_root(e, dir, &p);

	if (rc)
		return rc;
	rk__ext4_hash(e, p.version, name, len, &hash);
	rc = descend(e, dir, &p, 0, hash.major);
	if (!rc)
		rc = read_leaf(e, dir, &p, &s);
	if (!rc)
		rc = rk__ext4_leaf_add(e, e->block[B_DIR], name, len, ino,
				       type);
	if (rc == 0) {
		rc = probe_with_room(e, dir, &p, hash.major);
		if (!rc)
			rc = read_leaf(e, dir, &p, &s);
		if (!rc)
			rc = split_leaf(e, dir, &p, hash.major, &s);
		if (!rc)
			rc = rk__ext4_leaf_add(e, e->block[B_DIR], name, len,
					       ino, type);
		if (rc == 0)
			rc = -EUCLEAN;
	}
	return rc < 0 ? rc : rk__ext4_dir_write(e, dir, s.pblk,
						e->block[B_DIR]);
}

/* Block 0 becomes the root, all but "." and ".." move to block 1. */
static void make_root(struct ext4 *e, char *buf, uint32_t self,
		      uint32_t parent, uint64_t leaf)
{
	unsigned type = rk__ext4_file_type(e, S_IFDIR);
	struct ext2_dx_countlimit cl = { limit_of(e, 32), 1 };
	struct ext2_dx_root_info *info = root_info(buf);
	struct ext2_dx_entry first = { .block = leaf };
	uint8_t version = e->fs->super->s_def_hash_version;

	rk__ext4_leaf_init(e, buf);
	rk__ext4_leaf_add(e, buf, ".", 1, self, type);
	rk__ext4_leaf_add(e, buf, "..", 2, parent, type);
	rk__ext4_set_rec_len(e, rk__ext4_dirent(buf, 12), e->block_size - 12);
	memset(buf + 24, 0, e->block_size - 24);
	info->hash_version = version <= EXT2_HASH_TEA ? version
						      : EXT2_HASH_HALF_MD4;
	info->info_length = 8;
	memcpy(buf + 32, &first, sizeof(first));
	memcpy(buf + 32, &cl, sizeof(cl));
}

int rk__ext4_htree_make(struct ext4 *e, struct node *dir)
{
	struct moved list[65536 / 12];
	char *buf = e->block[B_DIR];
	uint64_t root, lblk, pblk;
	struct slot dot, dots;
	unsigned count;
	int err = rk__ext4_dir_read(e, dir, 0, buf, &root);

	if (err)
		return err;
	if (rk__ext4_leaf_find(e, buf, ".", 1, &dot) != 1 || dot.off != 0 ||
	    rk__ext4_leaf_find(e, buf, "..", 2, &dots) != 1 || dots.off != 12)
		return -EUCLEAN;
	err = rk__ext4_dir_grow(e, dir, &lblk, &pblk);
	if (err)
		return err;
	rk__ext4_dirent(buf, 0)->inode = 0;
	rk__ext4_dirent(buf, 12)->inode = 0;
	err = collect(e, EXT2_HASH_LEGACY, buf, list, &count);
	if (!err)
		err = repack(e, e->block[B_NEW], buf, list, count);
	if (!err)
		err = rk__ext4_dir_write(e, dir, pblk, e->block[B_NEW]);
	if (err)
		return err;
	make_root(e, buf, dir->ino, dots.ino, lblk);
	dir->i.i_flags |= EXT2_INDEX_FL;
	return rk__ext4_dir_write(e, dir, root, buf);
}
