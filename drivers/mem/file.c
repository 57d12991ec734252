/*
 * file.c - file data: a tree of pages. What a page holds behind the end of the
 * file is zeros, and a page that is missing reads as zeros too.
 *
 * A large truncation goes in stages: the size goes first, then pages. Whoever
 * makes the file longer in between takes the rest away before that; so no
 * page behind the end ever comes back.
 */
#include "mem.h"

static uint64_t page_of(uint64_t off)
{
	return off >> PAGE_BITS;
}

static bool is_written(const void *page)
{
	return page && page != RESERVED;
}

void rk__mem_drop_page(struct mem *m, struct inode *i, uint64_t at)
{
	void *page = rk__mem_tree_get(&i->data, at);

	if (is_written(page))
		rk__mem_page_put(&m->pool, page);
	rk__mem_tree_set(&i->data, at, NULL);
	i->pages--;
	m->used -= PAGE;
}

int rk__mem_cut(struct mem *m, struct inode *i, uint64_t first)
{
	for (unsigned n = 0; rk__mem_tree_next(&i->data, &first); n++) {
		if (n == STAGE_PAGES)
			return 1;
		rk__mem_drop_page(m, i, first);
	}
	return 0;
}

void rk__mem_settle(struct mem *m, struct inode *i)
{
	if (!i->cutting)
		return;
	while (rk__mem_cut(m, i, page_of(i->size + PAGE - 1)))
		;
	i->cutting = false;
}

void rk__mem_zero(struct inode *i, uint64_t off, uint64_t end)
{
	while (off < end) {
		char *page = rk__mem_tree_get(&i->data, page_of(off));
		uint64_t in = off & (PAGE - 1), n = PAGE - in;

		n = n < end - off ? n : end - off;
		if (is_written(page))
			memset(page + in, 0, n);
		off += n;
	}
}

int rk__mem_resize(struct mem *m, struct inode *i, uint64_t size)
{
	uint64_t tail = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (size > i->size)
		rk__mem_settle(m, i);
	else
		rk__mem_zero(i, size, tail < i->size ? tail : i->size);
	/* the same size again: a further stage, or what was reserved goes */
	if (size <= i->size)
		i->cutting = rk__mem_cut(m, i, page_of(tail));
	i->size = size;
	return i->cutting;
}

/* --- reading ------------------------------------------------------------------------ */

static int open_data(const struct inode *i)
{
	if (!i)
		return -ESTALE;
	if (S_ISREG(i->mode))
		return 0;
	return S_ISDIR(i->mode) ? -EISDIR : -EINVAL;
}

int64_t rk__mem_read(void *fs, uint64_t ino, void *buf, size_t len,
		     uint64_t off)
{
	const struct inode *i = rk__mem_inode(fs, ino);
	int r = open_data(i);
	char *to = buf;

	if (r < 0)
		return r;
	if (off >= i->size)
		return 0;
	len = len < i->size - off ? len : i->size - off;
	for (size_t done = 0; done < len;) {
		const char *page = rk__mem_tree_get(&i->data,
						    page_of(off + done));
		size_t in = (off + done) & (PAGE - 1), n = PAGE - in;

		n = n < len - done ? n : len - done;
		if (is_written(page))
			memcpy(to + done, page + in, n);
		else
			memset(to + done, 0, n);
		done += n;
	}
	return (int64_t)len;
}

int rk__mem_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	const struct inode *i = rk__mem_inode(fs, ino);

	if (!i)
		return -ESTALE;
	if (!S_ISLNK(i->mode))
		return -EINVAL;
	size = size < i->size ? size : i->size;
	memcpy(buf, i->target, size);
	return (int)size;
}

/* --- writing ------------------------------------------------------------------------ */

/* A page to write to, of which [in, in + n) will be written: the rest of a new
 * one is made zeros. */
static char *page_for(struct mem *m, struct inode *i, uint64_t at, size_t in,
		      size_t n)
{
	char *page = rk__mem_tree_get(&i->data, at);
	bool reserved = page == RESERVED;

	if (is_written(page))
		return page;
	if (!reserved && !has_room(m, PAGE))
		return NULL;
	page = rk__mem_page_get(&m->pool);
	if (!page)
		return NULL;
	if (rk__mem_tree_set(&i->data, at, page) < 0) {
		rk__mem_page_put(&m->pool, page);
		return NULL;
	}
	if (!reserved) {
		i->pages++;
		m->used += PAGE;
	}
	memset(page, 0, in);
	memset(page + in + n, 0, PAGE - in - n);
	return page;
}

static size_t put(struct mem *m, struct inode *i, const char *from, size_t len,
		  uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		size_t in = (off + done) & (PAGE - 1), n = PAGE - in;
		char *page;

		n = n < len - done ? n : len - done;
		page = page_for(m, i, page_of(off + done), in, n);
		if (!page)
			break;
		memcpy(page + in, from + done, n);
		done += n;
	}
	return done;
}

int64_t rk__mem_write(void *fs, uint64_t ino, const void *buf, size_t len,
		      uint64_t off)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);
	int r = m->read_only ? -EROFS : open_data(i);
	size_t done;

	if (r < 0 || !len)
		return r;
	if (guarded(i, FS_IMMUTABLE_FL))
		return -EPERM;
	if (off >= FILE_MAX)
		return -EFBIG;
	len = len < FILE_MAX - off ? len : FILE_MAX - off;
	if (!has_room(m, PAGE) && !rk__mem_tree_get(&i->data, page_of(off)))
		return -ENOSPC;
	change(m);
	if (off + len > i->size)
		rk__mem_settle(m, i);
	done = put(m, i, buf, len, off);
	if (!done)
		return -ENOSPC;
	if (off + done > i->size)
		i->size = off + done;
	rk__mem_touch(m, i, T_MTIME | T_CTIME);
	return (int64_t)done;
}
