/*
 * blockstore.c - the only device a driver has: rk_host of driver.h.
 *
 * A block is, in this order: staged for the next record, in a record that the
 * keeper has not applied, in the overlay, on the device. The first two are
 * found by a table from block to position in the log; a position before
 * `applied` means that the overlay has it. Only this process overwrites the
 * log, and only behind `applied`, so what was found may be read at leisure.
 * The keeper takes a block out of the overlay after it wrote it to the device:
 * it clears the bit first, so a reader that finds the bit cleared after it has
 * read reads the device instead.
 *
 * Overlay and device are mapped, because a system call costs more than the copy
 * of one block; runs of blocks are read by calls, which fault nothing in. A
 * device that fails under the mapping raises SIGBUS: the copy is left by a jump
 * and answers EIO, as the call would.
 *
 * A block that is written more than once by the ops of one commit is staged
 * once.
 */
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"
#include "recovery/calls.h"
#include "recovery/commit.h"
#include "recovery/region.h"

#define STAGED_MAX	(RK_RECORD_MAX / 2 / RK_PAGE)
/* Positions that no data has: a free entry of the table, and one that keeps
 * its place in the chain of others (data never starts at 0: a head does). */
#define NOWHERE		UINT64_MAX
#define GONE		0ull

struct entry {
	uint64_t id;
	uint64_t pos;			/* of the data; NOWHERE: free */
};

struct staged {
	uint64_t id;			/* with RK_BLOCK_NEW, if it is */
	uint64_t before;		/* where it was found before */
};

static struct {
	struct entry *table;		/* open addressing */
	size_t size, used;		/* entries, a power of two */
	struct staged staged[STAGED_MAX];
	uint32_t n_staged;
	const _Atomic uint64_t *bitmap[RK_MOUNTS_MAX];
	const uint8_t *overlay[RK_MOUNTS_MAX], *device[RK_MOUNTS_MAX];
	sigjmp_buf escape;
	volatile bool copying;		/* from a mapping; escape is set */
} store;

static uint64_t applied(void)
{
	return atomic_load_explicit(&rk__log.keeper->applied,
				    memory_order_acquire);
}

static uint64_t published(void)
{
	return atomic_load_explicit(&rk__log.server->published,
				    memory_order_relaxed);
}

/* --- the table ------------------------------------------------------------ */

static struct entry *slot_of(struct entry *table, size_t size, uint64_t id)
{
	size_t at = (id * 0x9e3779b97f4a7c15ull) >> 20 & (size - 1);

	while (table[at].pos != NOWHERE && table[at].id != id)
		at = (at + 1) & (size - 1);
	return &table[at];
}

static bool alive(const struct entry *e, uint64_t from)
{
	return e->pos != NOWHERE && e->pos != GONE && e->pos >= from;
}

/* Drops what is applied by now, and grows if that is not enough. */
static void rebuild(void)
{
	uint64_t from = applied();
	size_t live = 0, size = 1024;
	struct entry *table;

	for (size_t i = 0; i < store.size; i++)
		if (alive(&store.table[i], from))
			live++;
	while (size < live * 4)
		size *= 2;
	table = malloc(size * sizeof *table);
	if (!table)
		abort();
	for (size_t i = 0; i < size; i++)
		table[i].pos = NOWHERE;
	for (size_t i = 0; i < store.size; i++)
		if (alive(&store.table[i], from))
			*slot_of(table, size, store.table[i].id) =
				store.table[i];
	free(store.table);
	store.table = table;
	store.size = size;
	store.used = live;
}

/* Where the newest content of a block stands in the log, or NOWHERE. */
static uint64_t find(uint64_t id)
{
	uint64_t pos;

	if (store.used == 0)
		return NOWHERE;
	pos = slot_of(store.table, store.size, id)->pos;
	return pos != NOWHERE && pos != GONE && pos >= applied() ?
		pos : NOWHERE;
}

static void enter(uint64_t id, uint64_t pos)
{
	struct entry *e;

	if (store.used * 2 >= store.size)
		rebuild();
	e = slot_of(store.table, store.size, id);
	if (e->pos == NOWHERE)
		store.used++;
	e->id = id;
	e->pos = pos;
}

/* --- reading -------------------------------------------------------------- */

/* A file that is only read has none, nor has what is no file. */
static bool has_blocks(unsigned dev)
{
	return store.bitmap[dev];
}

static bool in_overlay(unsigned dev, uint64_t block)
{
	const _Atomic uint64_t *map = store.bitmap[dev];

	return atomic_load_explicit(&map[block / 64], memory_order_acquire) >>
	       (block % 64) & 1;
}

/* Reads all of it; what lies behind the end of the file is zeros. */
static int read_fully(int fd, uint8_t *buf, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pread(fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset(buf, 0, len);
			return 0;
		}
		buf += n;
		len -= (size_t)n;
		off += (size_t)n;
	}
	return 0;
}

void rk__blockstore_fault(void)
{
	if (!store.copying)
		return;
	store.copying = false;
	siglongjmp(store.escape, 1);
}

static int copy_mapped(uint8_t *to, const uint8_t *from, size_t len)
{
	if (sigsetjmp(store.escape, 0))
		return -EIO;
	store.copying = true;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(to, from, len);
	atomic_signal_fence(memory_order_seq_cst);
	store.copying = false;
	return 0;
}

/* A piece of one block. */
static int read_block(unsigned dev, uint64_t block, uint8_t *buf, size_t len,
		      size_t at)
{
	uint64_t pos = find(RK_BLOCK_ID(dev, block));
	uint64_t off = block * RK_PAGE + at;
	int r;

	if (pos != NOWHERE) {
		memcpy(buf, rk__log_at(&rk__log, pos) + at, len);
		return 0;
	}
	if (in_overlay(dev, block)) {
		r = copy_mapped(buf, store.overlay[dev] + off, len);
		if (r < 0)
			return r;
		atomic_thread_fence(memory_order_seq_cst);
		if (in_overlay(dev, block))
			return 0;
	}
	/* What lies behind the end of the device is zeros, not mapped. */
	if (off + len > rk__family->device[dev].size)
		return read_fully(rk__family->device[dev].fd, buf, len, off);
	return copy_mapped(buf, store.device[dev] + off, len);
}

/* How many blocks from here on, at most max, are only on the device. The log
 * is looked at first: what has left it by then is in the overlay. */
static uint64_t device_run(unsigned dev, uint64_t block, uint64_t max)
{
	uint64_t n = 0;

	while (n < max && find(RK_BLOCK_ID(dev, block + n)) == NOWHERE &&
	       !in_overlay(dev, block + n))
		n++;
	return n;
}

static int read_range(unsigned dev, uint8_t *buf, size_t len, uint64_t off)
{
	if (!has_blocks(dev))
		return read_fully(rk__family->device[dev].fd, buf, len, off);
	while (len > 0) {
		uint64_t block = off / RK_PAGE;
		size_t at = off % RK_PAGE, n = RK_PAGE - at;
		uint64_t blocks = (at + len + RK_PAGE - 1) / RK_PAGE;
		uint64_t run = blocks > 1 ? device_run(dev, block, blocks) : 0;
		int r;

		if (run > 1) {
			n = run * RK_PAGE - at;
			n = n < len ? n : len;
			r = read_fully(rk__family->device[dev].fd, buf, n, off);
		} else {
			n = n < len ? n : len;
			r = read_block(dev, block, buf, n, at);
		}
		if (r < 0)
			return r;
		buf += n;
		len -= n;
		off += n;
	}
	return 0;
}

static unsigned device_of(void *ctx)
{
	return (unsigned)(uintptr_t)ctx;
}

static int check_range(unsigned dev, size_t len, uint64_t off)
{
	uint64_t size = rk__family->device[dev].size;

	return off > size || len > size - off ? -EIO : 0;
}

/* Driver memory may be write-protected: no system call writes there. */
static int host_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	static uint8_t bounce[65536];
	unsigned dev = device_of(ctx);
	uint8_t *to = buf;
	int r = check_range(dev, len, off);

	if (r < 0)
		return r;
	if (!rk__region_has(buf))
		return read_range(dev, buf, len, off);
	while (len > 0) {
		size_t n = len < sizeof bounce ? len : sizeof bounce;

		r = read_range(dev, bounce, n, off);
		if (r < 0)
			return r;
		memcpy(to, bounce, n);
		to += n;
		len -= n;
		off += n;
	}
	return 0;
}

/* --- writing -------------------------------------------------------------- */

/* The block's place in the record to come; filled with what the block holds
 * unless the caller overwrites all of it. */
static int stage(unsigned dev, uint64_t block, bool whole, bool new,
		 uint8_t **ret)
{
	uint64_t id = RK_BLOCK_ID(dev, block), start = published();
	uint64_t had = find(id), pos;
	uint8_t *to;
	int r;

	if (had != NOWHERE && had >= start) {
		*ret = rk__log_at(&rk__log, had);
		return 0;
	}
	if (store.n_staged == STAGED_MAX)
		return -EFBIG;
	pos = RK_STAGED_AT(start, store.n_staged);
	r = rk__log_reserve(pos + RK_PAGE - start);
	if (r < 0)
		return r;
	to = rk__log_at(&rk__log, pos);
	if (!whole) {
		r = read_block(dev, block, to, RK_PAGE, 0);
		if (r < 0)
			return r;
	}
	store.staged[store.n_staged++] = (struct staged){
		.id = new ? id | RK_BLOCK_NEW : id,
		.before = had,
	};
	enter(id, pos);
	*ret = to;
	return 0;
}

static int write_blocks(unsigned dev, const void *buf, size_t len,
			uint64_t off, bool new)
{
	const uint8_t *from = buf;
	int r = check_range(dev, len, off);

	if (r < 0 || !has_blocks(dev))
		return r < 0 ? r : -EROFS;
	rk__change_driver();
	while (len > 0) {
		size_t at = off % RK_PAGE, n = RK_PAGE - at;
		uint8_t *to;

		n = n < len ? n : len;
		r = stage(dev, off / RK_PAGE, n == RK_PAGE,
			  new && n == RK_PAGE, &to);
		if (r < 0)
			return r;
		memcpy(to + at, from, n);
		from += n;
		len -= n;
		off += n;
		RK_CRASHPOINT(op_half_done);
	}
	return 0;
}

static int host_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	return write_blocks(device_of(ctx), buf, len, off, false);
}

static int host_write_new(void *ctx, const void *buf, size_t len, uint64_t off)
{
	return write_blocks(device_of(ctx), buf, len, off, true);
}

static int host_discard(void *ctx, uint64_t off, uint64_t len)
{
	(void)ctx;
	(void)off;
	(void)len;
	return 0;
}

static uint64_t host_size(void *ctx)
{
	return rk__family->device[device_of(ctx)].size;
}

static void host_change(void *ctx)
{
	(void)ctx;
	rk__change_driver();
}

static struct rk_time host_now(void *ctx)
{
	struct rk_time now;
	struct timespec t;

	(void)ctx;
	if (rk__time_stands(&now))
		return now;
	clock_gettime(CLOCK_REALTIME, &t);
	now = (struct rk_time){ .sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec };
	rk__time_says(&now);
	return now;
}

void rk__blockstore_host(unsigned dev,
			 void (*complain)(void *ctx, const char *sentence),
			 struct rk_host *ret)
{
	*ret = (struct rk_host){
		.ctx = (void *)(uintptr_t)dev,
		.read = host_read,
		.write = host_write,
		.write_new = host_write_new,
		.discard = host_discard,
		.size = host_size,
		.change = host_change,
		.now = host_now,
		.wanted = rk__wanted,
		.complain = complain,
		.dirfd = rk__family->mount[dev].kind == RK_SOURCE_DIRECTORY ?
			 rk__family->device[dev].fd : -1,
	};
}

static const void *map_read_only(int fd, size_t length)
{
	void *p = mmap(NULL, length ? length : 1, PROT_READ,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

int rk__blockstore_open(const struct rk__family *f)
{
	for (unsigned i = 0; i < f->n_mounts; i++) {
		const struct rk__device *d = &f->device[i];
		uint64_t blocks = (d->size + RK_PAGE - 1) / RK_PAGE;

		if (d->bitmap_fd < 0)
			continue;
		store.bitmap[i] = map_read_only(d->bitmap_fd,
						(blocks + 63) / 64 * 8);
		store.overlay[i] = map_read_only(d->overlay_fd,
						 blocks * RK_PAGE);
		store.device[i] = map_read_only(d->fd, d->size);
		if (!store.bitmap[i] || !store.overlay[i] || !store.device[i])
			return -ENOMEM;
	}
	rebuild();
	return 0;
}

/* --- what the commit does with staged blocks ------------------------------ */

uint32_t rk__staged_count(void)
{
	return store.n_staged;
}

uint64_t rk__staged_bytes(void)
{
	return (uint64_t)store.n_staged * RK_PAGE + rk__changed_bytes();
}

void rk__staged_write_ids(uint8_t *to)
{
	for (uint32_t i = 0; i < store.n_staged; i++)
		memcpy(to + i * sizeof(uint64_t), &store.staged[i].id,
		       sizeof(uint64_t));
}

void rk__staged_committed(void)
{
	store.n_staged = 0;
}

void rk__staged_drop(void)
{
	for (uint32_t i = store.n_staged; i > 0; i--) {
		const struct staged *s = &store.staged[i - 1];
		struct entry *e = slot_of(store.table, store.size,
					  s->id & ~RK_BLOCK_NEW);

		assert(e->pos != NOWHERE);
		e->pos = s->before == NOWHERE ? GONE : s->before;
	}
	store.n_staged = 0;
}

void rk__staged_learn(const struct rk__record_view *v, uint64_t pos)
{
	for (uint32_t i = 0; i < v->n_blocks; i++)
		enter(v->blocks[i] & ~RK_BLOCK_NEW, RK_STAGED_AT(pos, i));
}
