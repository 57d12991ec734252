/*
 * journal.c - the write-ahead journal: see journal.h for its form.
 *
 * Theory of operation. At any instant the image holds, block by block, either
 * what it held when the epoch began or the newest content that this journal
 * has of the block, and the journal is durable before anything of it gets to
 * the image. So copying all of it to the image gives exactly the flush point
 * of its last transaction, however often and however far that was done before.
 * A new head, and with it the next epoch, comes only after the image is
 * durable; transactions of that epoch overwrite the old ones only after the
 * head is durable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>
#include "keeper/journal.h"

enum {
	RUN_BLOCKS = 64,		/* written or read in one call */
};

static uint64_t blocks_of(const struct rk__journal *j)
{
	return (j->image_size + RK_PAGE - 1) / RK_PAGE;
}

static size_t descriptor_size(uint64_t n)
{
	size_t len = sizeof(struct rk__journal_tx) + n * sizeof(uint64_t);

	return (len + RK_PAGE - 1) & ~(size_t)(RK_PAGE - 1);
}

/* --- heads -------------------------------------------------------------- */

static uint64_t head_check(const struct rk__journal_head *h)
{
	return XXH3_64bits(h, offsetof(struct rk__journal_head, check));
}

static void hash_sectors(const uint8_t *block, uint64_t *ret)
{
	for (unsigned i = 0; i < RK_PROBES; i++)
		ret[i] = XXH3_64bits(block + i * RK_SECTOR, RK_SECTOR);
}

static int write_head(struct rk__journal *j)
{
	struct rk__journal_head h = {
		.magic = RK_JOURNAL_MAGIC,
		.version = RK_JOURNAL_VERSION,
		.count = j->count + 1,
		.image_size = j->image_size,
	};
	static uint8_t page[RK_PAGE];
	int r = rk__device_read(j->image_fd, page, sizeof page, 0);

	if (r < 0)
		return r;
	hash_sectors(page, h.probe);
	while (h.epoch == 0)
		if (getrandom(&h.epoch, sizeof h.epoch, 0) < 0 &&
		    errno != EINTR)
			return -errno;
	h.check = head_check(&h);
	memset(page, 0, sizeof page);
	memcpy(page, &h, sizeof h);
	r = rk__device_write(j->fd, page, sizeof page, h.count % 2 * RK_PAGE);
	if (r == 0)
		r = rk__device_sync(j->fd);
	if (r < 0)
		return r;
	j->count = h.count;
	j->epoch = h.epoch;
	j->number = 0;
	j->end = RK_JOURNAL_START;
	return 0;
}

/* The head that holds; count is 0 if there is none. */
static int read_head(const struct rk__journal *j, struct rk__journal_head *ret)
{
	struct rk__journal_head h;
	struct rk__journal_tx first;
	int r;

	*ret = (struct rk__journal_head){ 0 };
	for (unsigned i = 0; i < 2; i++) {
		r = rk__device_read(j->fd, &h, sizeof h, i * RK_PAGE);
		if (r < 0)
			return r;
		if (h.magic == RK_JOURNAL_MAGIC && h.check == head_check(&h) &&
		    h.count > ret->count)
			*ret = h;
	}
	if (ret->count)
		return ret->version == RK_JOURNAL_VERSION ? 0 : -EUCLEAN;
	/* The first head was durable before anything was put behind it. */
	r = rk__device_read(j->fd, &first, sizeof first, RK_JOURNAL_START);
	if (r == 0 && first.magic == RK_JOURNAL_TX_MAGIC)
		r = -EUCLEAN;
	return r;
}

/* --- reading ------------------------------------------------------------ */

/* A descriptor that can be one, in memory of its own; NULL at the end of what
 * counts. */
static int read_descriptor(const struct rk__journal *j,
			   struct rk__journal_tx **ret)
{
	struct rk__journal_tx t, *tx;
	int r = rk__device_read(j->fd, &t, sizeof t, j->end);

	*ret = NULL;
	if (r < 0 || t.magic != RK_JOURNAL_TX_MAGIC || t.epoch != j->epoch ||
	    t.number != j->number + 1 || t.n_blocks > blocks_of(j))
		return r;
	tx = malloc(descriptor_size(t.n_blocks));
	if (!tx)
		return -ENOMEM;
	r = rk__device_read(j->fd, tx, descriptor_size(t.n_blocks), j->end);
	/* The checksum holds for what was read the second time. */
	if (r < 0 || tx->n_blocks != t.n_blocks) {
		free(tx);
		return r;
	}
	*ret = tx;
	return 0;
}

static int hash_data(const struct rk__journal *j, XXH3_state_t *hash,
		     uint64_t at, uint32_t n)
{
	static uint8_t buf[RUN_BLOCKS * RK_PAGE];
	int r = 0;

	while (n > 0 && r == 0) {
		uint32_t run = n < RUN_BLOCKS ? n : RUN_BLOCKS;

		r = rk__device_read(j->fd, buf, run * (size_t)RK_PAGE, at);
		XXH3_64bits_update(hash, buf, run * (size_t)RK_PAGE);
		at += run * (uint64_t)RK_PAGE;
		n -= run;
	}
	return r;
}

/* 1: the transaction is whole. 0: it is not. */
static int check_tx(const struct rk__journal *j,
		    const struct rk__journal_tx *tx)
{
	size_t head = descriptor_size(tx->n_blocks);
	uint64_t at = j->end + head;
	XXH3_state_t *hash = XXH3_createState();
	struct rk__journal_end end;
	int r;

	if (!hash)
		return -ENOMEM;
	XXH3_64bits_reset_withSeed(hash, j->epoch);
	XXH3_64bits_update(hash, tx, head);
	r = hash_data(j, hash, at, tx->n_blocks);
	at += (uint64_t)tx->n_blocks * RK_PAGE;
	if (r == 0)
		r = rk__device_read(j->fd, &end, sizeof end, at);
	if (r == 0)
		r = end.magic == RK_JOURNAL_END_MAGIC &&
		    end.number == tx->number &&
		    end.check == XXH3_64bits_digest(hash);
	XXH3_freeState(hash);
	return r;
}

static int make_room(struct rk__journal *j, size_t more)
{
	size_t max = j->max_logged ? j->max_logged : 1024;
	void *p;

	while (max < j->n_logged + more)
		max *= 2;
	if (max == j->max_logged)
		return 0;
	p = realloc(j->logged, max * sizeof *j->logged);
	if (!p)
		return -ENOMEM;
	j->logged = p;
	j->max_logged = max;
	return 0;
}

/* The transaction at the end counts. */
static int count_in(struct rk__journal *j, const uint64_t *block, uint32_t n)
{
	uint64_t at = j->end + descriptor_size(n);
	int r = make_room(j, n);

	for (uint32_t i = 0; i < n && r == 0; i++, at += RK_PAGE) {
		if (block[i] >= blocks_of(j))
			return -EUCLEAN;
		j->logged[j->n_logged++] = (struct rk__logged){ block[i], at };
	}
	if (r < 0)
		return r;
	j->number++;
	j->end = at + RK_PAGE;
	return 0;
}

static int scan(struct rk__journal *j)
{
	struct rk__journal_tx *tx;
	int r;

	do {
		r = read_descriptor(j, &tx);
		if (r < 0 || !tx)
			return r;
		r = check_tx(j, tx);
		if (r == 1) {
			r = count_in(j, tx->block, tx->n_blocks);
			r = r < 0 ? r : 1;
		}
		free(tx);
	} while (r == 1);
	return r;
}

/* Was the journal made for what this image holds? */
static int check_image(const struct rk__journal *j,
		       const struct rk__journal_head *h)
{
	uint64_t is[RK_PROBES], may[RK_PROBES];
	static uint8_t block[RK_PAGE];
	unsigned right = 0;
	int r = rk__device_read(j->image_fd, block, sizeof block, 0);

	if (h->image_size != j->image_size)
		return -EMEDIUMTYPE;
	hash_sectors(block, is);
	for (unsigned i = 0; i < RK_PROBES; i++)
		right |= (unsigned)(is[i] == h->probe[i]) << i;
	for (size_t k = 0; k < j->n_logged && r == 0; k++) {
		if (j->logged[k].block != 0)
			continue;
		r = rk__device_read(j->fd, block, sizeof block,
				    j->logged[k].at);
		hash_sectors(block, may);
		for (unsigned i = 0; i < RK_PROBES; i++)
			right |= (unsigned)(is[i] == may[i]) << i;
	}
	if (r < 0)
		return r;
	return right == (1u << RK_PROBES) - 1 ? 0 : -EMEDIUMTYPE;
}

int rk__journal_open(struct rk__journal *j, int fd, int image_fd,
		     uint64_t image_size)
{
	struct rk__journal_head h;
	int r;

	*j = (struct rk__journal){
		.fd = fd,
		.image_fd = image_fd,
		.image_size = image_size,
		.end = RK_JOURNAL_START,
	};
	r = read_head(j, &h);
	if (r < 0 || !h.count)
		return r;
	j->count = h.count;
	j->epoch = h.epoch;
	/* Blocks are bounded by the size of the image it was made for. */
	j->image_size = h.image_size;
	r = scan(j);
	j->image_size = image_size;
	if (r == 0 && j->number > 0)
		r = check_image(j, &h);
	if (r == 0 && j->number > 0)
		r = rk__device_sync(fd);
	/* Nothing counts, so the image may have changed since: a new head. */
	if (r == 0 && j->number == 0)
		j->epoch = 0;
	if (r < 0)
		rk__journal_close(j);
	return r;
}

void rk__journal_close(struct rk__journal *j)
{
	free(j->logged);
	j->logged = NULL;
	j->n_logged = j->max_logged = 0;
}

/* --- writing ------------------------------------------------------------ */

/* Gathers blocks so that few calls write them. */
struct run {
	struct rk__journal *j;
	XXH3_state_t *hash;
	uint8_t *buf;
	size_t len;
	uint64_t at;
};

static int run_end(struct run *run)
{
	int r = rk__device_write(run->j->fd, run->buf, run->len, run->at);

	run->at += run->len;
	run->len = 0;
	return r;
}

static int write_data(struct run *run, uint32_t n, rk__journal_data_fn *data,
		      void *arg)
{
	for (uint32_t i = 0; i < n; i++) {
		const void *content = data(arg, i);
		int r;

		if (!content)
			return -EIO;
		memcpy(run->buf + run->len, content, RK_PAGE);
		XXH3_64bits_update(run->hash, run->buf + run->len, RK_PAGE);
		run->len += RK_PAGE;
		if (i == n / 2)
			RK_CRASHPOINT(flush_half_done);
		/* Room stays for the trailer. */
		if (run->len < RUN_BLOCKS * (size_t)RK_PAGE)
			continue;
		r = run_end(run);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_trailer(struct run *run, uint64_t number)
{
	struct rk__journal_end end = {
		.magic = RK_JOURNAL_END_MAGIC,
		.number = number,
		.check = XXH3_64bits_digest(run->hash),
	};
	uint8_t *to = run->buf + run->len;

	memset(to, 0, RK_PAGE);
	memcpy(to, &end, sizeof end);
	run->len += RK_PAGE;
	return run_end(run);
}

static int write_tx(struct run *run, const struct rk__journal_tx *tx,
		    rk__journal_data_fn *data, void *arg)
{
	size_t head = descriptor_size(tx->n_blocks);
	int r = rk__device_write(run->j->fd, tx, head, run->at);

	run->at += head;
	XXH3_64bits_reset_withSeed(run->hash, tx->epoch);
	XXH3_64bits_update(run->hash, tx, head);
	if (r == 0)
		r = write_data(run, tx->n_blocks, data, arg);
	if (r == 0)
		r = write_trailer(run, tx->number);
	RK_CRASHPOINT(flush_not_synced);
	return r < 0 ? r : rk__device_sync(run->j->fd);
}

int rk__journal_append(struct rk__journal *j, const uint64_t *block,
		       uint32_t n, rk__journal_data_fn *data, void *arg)
{
	int r = j->epoch ? 0 : write_head(j);
	struct run run = { .j = j, .at = j->end };
	struct rk__journal_tx *tx = calloc(1, descriptor_size(n));

	run.hash = XXH3_createState();
	run.buf = malloc((RUN_BLOCKS + 1) * (size_t)RK_PAGE);
	if (!tx || !run.hash || !run.buf)
		r = -ENOMEM;
	if (r < 0)
		goto out;
	tx->magic = RK_JOURNAL_TX_MAGIC;
	tx->n_blocks = n;
	tx->epoch = j->epoch;
	tx->number = j->number + 1;
	memcpy(tx->block, block, n * sizeof *block);
	r = write_tx(&run, tx, data, arg);
	if (r == 0)
		r = count_in(j, block, n);
out:
	free(run.buf);
	XXH3_freeState(run.hash);
	free(tx);
	return r;
}

int rk__journal_reset(struct rk__journal *j)
{
	int r = write_head(j);

	if (r == 0)
		j->n_logged = 0;
	return r;
}
