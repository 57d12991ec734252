/*
 * range.c - fallocate, and where data and holes are. A page that is only
 * promised is RESERVED: counted, but without memory until it is written.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include "mem.h"

/* How many pages of [first, end) are there. */
static uint64_t count(const struct inode *i, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	for (; rk__mem_tree_next(&i->data, &first) && first < end; first++)
		n++;
	return n;
}

/* Whole pages go, parts of pages become zeros. */
static void punch(struct mem *m, struct inode *i, uint64_t off, uint64_t end)
{
	uint64_t mask = PAGE - 1, up = (off + mask) & ~mask, down = end & ~mask;
	uint64_t at = up >> PAGE_BITS;

	if (up > down) {
		rk__mem_zero(i, off, end);
		return;
	}
	rk__mem_zero(i, off, up);
	rk__mem_zero(i, down, end);
	for (; rk__mem_tree_next(&i->data, &at) && at < down >> PAGE_BITS; at++)
		rk__mem_drop_page(m, i, at);
}

static int reserve(struct mem *m, struct inode *i, uint64_t first, uint64_t end)
{
	for (; first < end; first++) {
		if (rk__mem_tree_get(&i->data, first))
			continue;
		if (rk__mem_tree_set(&i->data, first, RESERVED) < 0)
			return -ENOSPC;
		i->pages++;
		m->used += PAGE;
	}
	return 0;
}

static int check(const struct mem *m, const struct inode *i, uint32_t mode,
		 uint64_t off, uint64_t len)
{
	uint64_t first = off >> PAGE_BITS, end, there = 0;

	if (!S_ISREG(i->mode))
		return S_ISDIR(i->mode) ? -EISDIR : -ENODEV;
	if (!len)
		return -EINVAL;
	if (guarded(i, mode & ~FALLOC_FL_KEEP_SIZE ? FROZEN : FS_IMMUTABLE_FL))
		return -EPERM;
	if (off > FILE_MAX || len > FILE_MAX - off)
		return -EFBIG;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return 0;
	end = (off + len + PAGE - 1) >> PAGE_BITS;
	if (end - first > m->limit >> PAGE_BITS)
		return -ENOSPC;
	there = count(i, first, end);
	return has_room(m, (end - first - there) << PAGE_BITS) ? 0 : -ENOSPC;
}

int rk__mem_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
		      uint64_t len)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);
	int r;

	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	r = m->read_only ? -EROFS : !i ? -ESTALE : check(m, i, mode, off, len);
	if (r < 0)
		return r;
	change(m);
	rk__mem_settle(m, i);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		punch(m, i, off, off + len);
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		r = reserve(m, i, off >> PAGE_BITS,
			    (off + len + PAGE - 1) >> PAGE_BITS);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > i->size)
		i->size = off + len;
	rk__mem_touch(m, i, T_MTIME | T_CTIME);
	return r;
}

int rk__mem_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		 uint64_t *ret)
{
	const struct inode *i = rk__mem_inode(fs, ino);
	uint64_t at = off >> PAGE_BITS, found = at;
	const void *page;

	if (!i)
		return -ESTALE;
	if (off >= i->size)
		return -ENXIO;
	if (!S_ISREG(i->mode)) {
		*ret = hole ? i->size : off;
		return 0;
	}
	while ((page = rk__mem_tree_next(&i->data, &found)) &&
	       (!hole || (found == at && page != RESERVED))) {
		if (!hole && page != RESERVED)
			break;
		at = ++found;
	}
	if (!hole)
		at = page ? found : UINT64_MAX >> PAGE_BITS;
	at <<= PAGE_BITS;
	if (at >= i->size && !hole)
		return -ENXIO;
	*ret = at < off ? off : at < i->size ? at : i->size;
	return 0;
}
