/*
 * pages_file.c - pages: a memfd of exactly the file's size, filled part by part.
 * Unless the file is mapped, nobody can cut it, and a file that gets shorter loses
 * it.
 *
 * Nobody maps it here: a client that cuts it would bring the server down. It is
 * read and written by descriptor, and what comes back short is a client's doing,
 * who then has what it wants.
 */
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/pages_int.h"
#include "core/sys.h"

enum {
	FILES_MAX = 256,		/* descriptors, here and at the supervisor */
	BUFFER = 64 << 10,
	FILL_AT_ONCE = 1 << 20,
	SEALED_MAX = 1 << 20,
	SHIFT_MAX = 25,
};

static struct {
	uint32_t n;
	uint64_t bytes, bytes_max;	/* filled */
	uint8_t buffer[BUFFER];
} files;

static uint64_t part(const struct rk_cell *c)
{
	return 1ull << c->shift;
}

static bool has_part(const struct rk_cell *c, uint64_t k)
{
	return atomic_load_explicit(&c->valid[k / 64], memory_order_relaxed) >>
	       k % 64 & 1;
}

static void set_part(struct rk_cell *c, uint64_t k, bool on)
{
	uint64_t word = atomic_load_explicit(&c->valid[k / 64],
					     memory_order_relaxed);
	uint64_t bit = 1ull << k % 64;

	if (!!(word & bit) == on)
		return;
	if (on)
		files.bytes += part(c);
	else
		files.bytes -= part(c) < files.bytes ? part(c) : files.bytes;
	atomic_store_explicit(&c->valid[k / 64], on ? word | bit : word & ~bit,
			      memory_order_release);
}

static unsigned shift_of(uint64_t size)
{
	unsigned shift = RK_CELL_SHIFT_MIN;

	while (size > (uint64_t)RK_CELL_PARTS << shift)
		shift++;
	return shift;
}

/* From the driver, as it is committed. */
static int copy_in(uint32_t i, uint64_t from, uint64_t to)
{
	struct rk__node n = rk__cell_node(i);

	while (from < to) {
		size_t len = to - from < BUFFER ? (size_t)(to - from) : BUFFER;
		int64_t got = rk__vfs_read_stored(n, files.buffer, len, from);

		if (got < 0)
			return (int)got;
		/* a hole at the end, which is one in the memfd as well */
		if (got == 0)
			return 0;
		if (pwrite(rk__cell[i].fd, files.buffer, (size_t)got,
			   (off_t)from) != got)
			return -ENOMEM;
		from += (uint64_t)got;
		RK_CRASHPOINT(pages_half_done);
	}
	return 0;
}

void rk__pages_end(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);

	if (rk__cell[i].fd < 0)
		return;
	for (unsigned k = 0; k < RK_CELL_PARTS; k++)
		set_part(c, k, false);
	close(rk__cell[i].fd);
	rk__cell[i].fd = -1;
	files.n--;
	rk__pages_links.keep(i, rk__cell[i].fd_generation, -1);
}

static uint64_t bytes_max(void)
{
	if (!files.bytes_max)
		files.bytes_max = (uint64_t)sysconf(_SC_PHYS_PAGES) *
				  RK_PAGE / 8;
	return files.bytes_max;
}

/* A file loses its pages for another. */
static bool make_room(void)
{
	uint32_t i = rk__cell_victim(true);

	if (i)
		rk__cell_drop(i - 1);
	return i != 0;
}

/* Clients can seal it as well, if anybody can: so that is sealed too, at once where
 * it is still to be written. */
static int open_memfd(uint64_t size, enum rk__pages_kind kind)
{
	int fd = memfd_create("rump-pages", MFD_CLOEXEC |
			      (kind == RK__PAGES_MAPPED ? 0 :
			       MFD_ALLOW_SEALING));

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
	    (kind != RK__PAGES_READ ||
	     fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0))
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOMEM;
}

static int fill_and_seal(uint32_t i)
{
	int r = rk__pages_fill(i, 0, rk__cell_shared(i)->st.size);

	if (r == 0 && fcntl(rk__cell[i].fd, F_ADD_SEALS, F_SEAL_SHRINK |
			    F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -EOPNOTSUPP;
	return r;
}

/* Whether there are pages that may be read, or mapped. */
static bool serves(const struct rk_cell *c, enum rk__pages_kind kind)
{
	return (c->flags & RK_CELL_PAGES) &&
	       (kind != RK__PAGES_MAPPED || !(c->flags & RK_CELL_UNCUT));
}

static uint16_t flags_of(enum rk__pages_kind kind)
{
	switch (kind) {
	case RK__PAGES_READ:
		return RK_CELL_USED | RK_CELL_PAGES | RK_CELL_UNCUT;
	case RK__PAGES_SEALED:
		return RK_CELL_USED | RK_CELL_PAGES | RK_CELL_UNCUT |
		       RK_CELL_SEALED;
	default:
		return RK_CELL_USED | RK_CELL_PAGES;
	}
}

int rk__pages_make(uint32_t i, enum rk__pages_kind kind)
{
	struct rk_cell *c = rk__cell_shared(i);
	bool sealed = kind == RK__PAGES_SEALED;
	int fd, r = 0;

	if (serves(c, kind))
		return 0;
	if (c->st.size > (uint64_t)RK_CELL_PARTS << SHIFT_MAX ||
	    (sealed && c->st.size > SEALED_MAX))
		return -EOPNOTSUPP;
	if (files.n >= FILES_MAX && !make_room())
		return -EAGAIN;
	fd = open_memfd(c->st.size, kind);
	if (fd < 0)
		return fd;
	rk__cell_begin(i);
	rk__pages_end(i);
	files.n++;
	c->generation++;
	c->shift = (uint16_t)shift_of(c->st.size);
	for (unsigned k = 0; k < RK_CELL_PARTS / 64; k++)
		c->valid[k] = 0;
	c->flags = flags_of(kind);
	rk__cell[i].fd = fd;
	rk__cell[i].fd_generation = c->generation;
	/* Before anybody hears of it: a successor must find it. */
	rk__pages_links.keep(i, c->generation, fd);
	rk__cell_end(i);
	if (sealed)
		r = fill_and_seal(i);
	if (r < 0)
		rk__cell_drop(i);
	return r;
}

void rk__pages_kept(uint32_t i, uint32_t generation, int fd)
{
	if (i >= RK_CELLS) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (rk__cell[i].fd >= 0) {
		close(rk__cell[i].fd);
		files.n--;
	}
	rk__cell[i].fd = fd;
	rk__cell[i].fd_generation = generation;
	files.n += fd >= 0;
}

void rk__pages_adopt(uint32_t i)
{
	const struct rk_cell *c = rk__cell_shared(i);

	for (unsigned k = 0; k < RK_CELL_PARTS; k++)
		files.bytes += has_part(c, k) ? part(c) : 0;
}

int rk__pages_fill(uint32_t i, uint64_t from, uint64_t to)
{
	struct rk_cell *c = rk__cell_shared(i);
	uint64_t size = c->st.size, start = from;
	int r;

	to = to < size ? to : size;
	for (uint64_t k = from >> c->shift; k << c->shift < to; k++) {
		uint64_t at = k << c->shift, end = at + part(c);

		if (has_part(c, k))
			continue;
		if (at >= start + FILL_AT_ONCE)
			return 0;
		while (files.bytes + part(c) > bytes_max())
			if (!make_room())
				return -ENOMEM;
		r = copy_in(i, at, end < size ? end : size);
		if (r < 0)
			return r;
		set_part(c, k, true);
	}
	return 0;
}

/* Parts twice as long: what is only half there is none. */
static void coarsen(struct rk_cell *c)
{
	bool has[RK_CELL_PARTS / 2];

	for (unsigned k = 0; k < RK_CELL_PARTS / 2; k++)
		has[k] = has_part(c, 2 * k) && has_part(c, 2 * k + 1);
	for (unsigned k = 0; k < RK_CELL_PARTS; k++)
		set_part(c, k, false);
	c->shift++;
	for (unsigned k = 0; k < RK_CELL_PARTS / 2; k++)
		set_part(c, k, has[k]);
}

static int grow(uint32_t i, uint64_t old, uint64_t size)
{
	struct rk_cell *c = rk__cell_shared(i);
	int r = 0;

	if (size > (uint64_t)RK_CELL_PARTS << SHIFT_MAX)
		return -EFBIG;
	while (size > (uint64_t)RK_CELL_PARTS << c->shift && r == 0) {
		/* What mappings made of it is nowhere else. */
		for (uint64_t at = 0; rk__cell[i].pins && at < old && r == 0;
		     at += FILL_AT_ONCE)
			r = rk__pages_fill(i, at, at + FILL_AT_ONCE);
		if (r == 0)
			coarsen(c);
	}
	/* What lies wholly beyond the old end is zeros on both sides. */
	for (uint64_t k = (old + part(c) - 1) >> c->shift;
	     r == 0 && k << c->shift < size; k++)
		set_part(c, k, true);
	return r;
}

int rk__pages_follow(uint32_t i, const struct rk_stat *st, uint64_t from,
		     uint64_t to)
{
	struct rk_cell *c = rk__cell_shared(i);
	uint64_t size = st->size;
	int r = 0;

	if ((c->flags & RK_CELL_SEALED) ||
	    ((c->flags & RK_CELL_UNCUT) && size < c->st.size))
		return -EROFS;		/* it is dropped */
	if (size != c->st.size && ftruncate(rk__cell[i].fd, (off_t)size) < 0)
		return -ENOMEM;
	if (size > c->st.size)
		r = grow(i, c->st.size, size);
	for (uint64_t k = (size + part(c) - 1) >> c->shift; k < RK_CELL_PARTS;
	     k++)
		set_part(c, k, false);
	to = to < size ? to : size;
	while (from < to && r == 0) {
		uint64_t k = from >> c->shift, end = (k + 1) << c->shift;

		end = end < to ? end : to;
		if (has_part(c, k))
			r = copy_in(i, from, end);
		from = end;
	}
	return r;
}

void rk__pages_give(struct rk_hot *hot)
{
	uint32_t slot = rk__handle_now->slot;
	struct rk_gift gift = {
		.id = rk__handle_now->id, .cell = hot->cell,
		.generation = hot->generation,
	};

	if (slot >= RK_SLOT_CHANNELS && rk__cell[hot->cell].fd >= 0 &&
	    rk__pages_links.give((slot - RK_SLOT_CHANNELS) /
				 RK_SLOTS_PER_CHANNEL, &gift,
				 rk__cell[hot->cell].fd))
		hot->flags |= RK_HOT_SENT;
}

/* --- written by mapping ------------------------------------------------------------ */

void rk__pages_overlay(struct rk__node n, void *buf, uint64_t len,
		       uint64_t off)
{
	uint32_t i = rk__cells_written ? rk__cell_find(n) : 0;
	const struct rk_cell *c;

	if (!i || !rk__cell[i - 1].writers)
		return;
	c = rk__cell_shared(i - 1);
	while (len > 0) {
		uint64_t k = off >> c->shift;
		uint64_t n_here = ((k + 1) << c->shift) - off;

		n_here = n_here < len ? n_here : len;
		if (k < RK_CELL_PARTS && has_part(c, k))
			(void)!pread(rk__cell[i - 1].fd, buf, n_here,
				     (off_t)off);
		buf = (uint8_t *)buf + n_here;
		off += n_here;
		len -= n_here;
	}
}
