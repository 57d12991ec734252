/*
 * csum.c - checksums of inodes, extent blocks and directory blocks.
 *
 * libext2fs's own read the inode again for its generation at each block, and
 * use tables for what most processors do in one instruction.
 */
#include "ext4.h"

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc_fast(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t c = crc, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; len; p++, len--)
		c = __builtin_ia32_crc32qi(c, *p);
	return c;
}

static bool is_fast(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
#define crc_fast ext2fs_crc32c_le
static bool is_fast(void)
{
	return false;
}
#endif

static uint32_t crc(uint32_t start, const void *p, size_t len)
{
	return is_fast() ? crc_fast(start, p, len)
			 : ext2fs_crc32c_le(start, p, len);
}

static uint32_t seed(struct ext4 *e, ext2_ino_t ino, uint32_t generation)
{
	return crc(crc(e->fs->csum_seed, &ino, 4), &generation, 4);
}

static bool on(struct ext4 *e)
{
	return ext2fs_has_feature_metadata_csum(&e->super);
}

static uint32_t inode_sum(struct ext4 *e, ext2_ino_t ino, bool *ret_high)
{
	struct ext2_inode_large *i = (void *)e->raw;
	unsigned size = EXT2_INODE_SIZE(&e->super);
	uint16_t low = i->i_checksum_lo, high = 0;
	uint32_t sum;

	*ret_high = size > EXT2_GOOD_OLD_INODE_SIZE && i->i_extra_isize >=
		    EXT4_INODE_CSUM_HI_EXTRA_END;
	i->i_checksum_lo = 0;
	if (*ret_high) {
		high = i->i_checksum_hi;
		i->i_checksum_hi = 0;
	}
	sum = crc(seed(e, ino, i->i_generation), i, size);
	i->i_checksum_lo = low;
	if (*ret_high)
		i->i_checksum_hi = high;
	return sum;
}

bool rk__ext4_inode_sum_ok(struct ext4 *e, ext2_ino_t ino)
{
	const struct ext2_inode_large *i = (void *)e->raw;
	uint32_t sum;
	bool high;

	if (!on(e))
		return true;
	sum = inode_sum(e, ino, &high);
	return i->i_checksum_lo == (sum & 0xffff) &&
	       (!high || i->i_checksum_hi == sum >> 16);
}

void rk__ext4_inode_sum(struct ext4 *e, ext2_ino_t ino)
{
	struct ext2_inode_large *i = (void *)e->raw;
	uint32_t sum;
	bool high;

	if (!on(e))
		return;
	sum = inode_sum(e, ino, &high);
	i->i_checksum_lo = sum;
	if (high)
		i->i_checksum_hi = sum >> 16;
}

/* header_ok() has bounded eh_max; the checksum stands behind the entries. */
static uint32_t *extent_tail(struct ext3_extent_header *h)
{
	return (uint32_t *)((struct ext3_extent *)(h + 1) + h->eh_max);
}

static bool extent_fits(struct ext4 *e, const struct ext3_extent_header *h)
{
	return sizeof(*h) + h->eh_max * sizeof(struct ext3_extent) + 4 <=
	       e->block_size;
}

bool rk__ext4_extent_sum_ok(struct ext4 *e, const struct node *n,
			    struct ext3_extent_header *h)
{
	if (!on(e))
		return true;
	return extent_fits(e, h) && *extent_tail(h) ==
	       crc(seed(e, n->ino, n->i.i_generation), h,
		   (char *)extent_tail(h) - (char *)h);
}

void rk__ext4_extent_sum(struct ext4 *e, const struct node *n,
			 struct ext3_extent_header *h)
{
	if (on(e) && extent_fits(e, h))
		*extent_tail(h) = crc(seed(e, n->ino, n->i.i_generation), h,
				      (char *)extent_tail(h) - (char *)h);
}

/* Offset of the limit and count of an index block; 0: a block of entries. */
static unsigned index_offset(struct ext4 *e, char *buf)
{
	if (rk__ext4_rec_len(e, rk__ext4_dirent(buf, 0)) == e->block_size)
		return 8;
	if (rk__ext4_rec_len(e, rk__ext4_dirent(buf, 0)) == 12 &&
	    rk__ext4_rec_len(e, rk__ext4_dirent(buf, 12)) ==
	    e->block_size - 12)
		return 32;
	return 0;
}

/* The sum of a directory block and where it is kept; false: it has none. */
static bool dir_sum(struct ext4 *e, const struct node *dir, char *buf,
		    uint32_t *ret, uint32_t **ret_at)
{
	unsigned at = index_offset(e, buf), end;
	uint32_t sum = seed(e, dir->ino, dir->i.i_generation), none = 0;
	const struct ext2_dx_countlimit *cl = (void *)(buf + at);
	struct ext2_dir_entry_tail *tail;
	struct ext2_dx_tail *dx;

	if (at) {
		end = at + cl->limit * sizeof(struct ext2_dx_entry);
		if (cl->count > cl->limit || end + sizeof(*dx) > e->block_size)
			return false;
		dx = (void *)(buf + end);
		sum = crc(sum, buf, at + cl->count *
			  sizeof(struct ext2_dx_entry));
		sum = crc(sum, dx, offsetof(struct ext2_dx_tail, dt_checksum));
		*ret = crc(sum, &none, 4);
		*ret_at = &dx->dt_checksum;
		return true;
	}
	tail = EXT2_DIRENT_TAIL(buf, e->block_size);
	if (tail->det_reserved_zero1 ||
	    tail->det_rec_len != sizeof(*tail) ||
	    tail->det_reserved_name_len != EXT2_DIR_NAME_LEN_CSUM)
		return false;
	*ret = crc(sum, buf, e->block_size - sizeof(*tail));
	*ret_at = &tail->det_checksum;
	return true;
}

bool rk__ext4_dir_sum_ok(struct ext4 *e, const struct node *dir, char *buf)
{
	uint32_t sum, *at;

	return !on(e) || (dir_sum(e, dir, buf, &sum, &at) && *at == sum);
}

bool rk__ext4_dir_sum(struct ext4 *e, const struct node *dir, char *buf)
{
	uint32_t sum, *at;

	if (!on(e))
		return true;
	if (!dir_sum(e, dir, buf, &sum, &at))
		return false;
	*at = sum;
	return true;
}
