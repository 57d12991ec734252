/*
 * journal.c - the write-ahead journal: see journal.h for its form.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xxhash.h>
#include "keeper/journal.h"
#include "keeper/keeper.h"

enum {
	/* Blocks that are written, or read, in one call. */
	RUN_BLOCKS = 64,
	TX_BLOCKS_MAX = 1 << 22,	/* 16 GiB: more is damage */
};

/* --- where it is ----------------------------------------------------------- */

static int make_directories(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			*p = '/';
			return -errno;
		}
		*p = '/';
	}
	return 0;
}

static int state_path(const struct stat *st, char *ret, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(ret, size, "/var/lib/rump/");
	else if (state && *state == '/')
		n = snprintf(ret, size, "%s/rump/", state);
	else if (home && *home == '/')
		n = snprintf(ret, size, "%s/.local/state/rump/", home);
	else
		return -ENOENT;
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	n += snprintf(ret + n, size - (size_t)n, "%x-%x-%llu.rump-journal",
		      major(st->st_dev), minor(st->st_dev),
		      (unsigned long long)st->st_ino);
	return (size_t)n >= size ? -ENAMETOOLONG : make_directories(ret);
}

int rk__journal_path(const char *image, char *ret, size_t size)
{
	char *real = realpath(image, NULL), *slash;
	struct stat st;
	int n, r = 0;

	if (!real || stat(real, &st) < 0) {
		r = -errno;
		goto out;
	}
	n = snprintf(ret, size, "%s.rump-journal", real);
	if (n < 0 || (size_t)n >= size) {
		r = -ENAMETOOLONG;
		goto out;
	}
	slash = strrchr(real, '/');
	*(slash == real ? slash + 1 : slash) = '\0';
	/* Devices have no beside: /dev does not outlive the machine. */
	if (access(ret, R_OK | W_OK) < 0 &&
	    (!S_ISREG(st.st_mode) || access(real, W_OK) < 0))
		r = state_path(&st, ret, size);
out:
	free(real);
	return r;
}

/* --- reading --------------------------------------------------------------- */

static size_t descriptor_size(uint32_t n)
{
	size_t len = sizeof(struct rk__journal_tx) + n * sizeof(uint64_t);

	return (len + RK_PAGE - 1) & ~(size_t)(RK_PAGE - 1);
}

static uint64_t head_check(const struct rk__journal_head *h)
{
	return XXH3_64bits(h, offsetof(struct rk__journal_head, check));
}

static int write_head(struct rk__journal *j)
{
	static uint8_t page[RK_PAGE];
	struct rk__journal_head h = {
		.magic = RK_JOURNAL_MAGIC,
		.version = RK_JOURNAL_VERSION,
		.epoch = j->epoch,
		.identity = j->identity,
		.image_size = j->image_size,
	};
	int r;

	h.check = head_check(&h);
	memcpy(page, &h, sizeof h);
	r = rk__device_write(j->fd, page, sizeof page, 0);
	return r < 0 ? r : rk__device_sync(j->fd);
}

/* A descriptor that can be one, in memory of its own; NULL at the end of what
 * is valid. */
static int read_descriptor(const struct rk__journal *j,
			   struct rk__journal_tx **ret)
{
	struct rk__journal_tx t, *tx;
	int r = rk__device_read(j->fd, &t, sizeof t, j->end);

	*ret = NULL;
	if (r < 0 || t.magic != RK_JOURNAL_TX_MAGIC || t.epoch != j->epoch ||
	    t.number != j->number + 1 || t.n_blocks > TX_BLOCKS_MAX)
		return r;
	tx = malloc(descriptor_size(t.n_blocks));
	if (!tx)
		return -ENOMEM;
	r = rk__device_read(j->fd, tx, descriptor_size(t.n_blocks), j->end);
	if (r < 0) {
		free(tx);
		return r;
	}
	*ret = tx;
	return 0;
}

/* 1: the transaction is whole. 0: it is not. */
static int check_tx(const struct rk__journal *j, const struct rk__journal_tx *tx)
{
	static uint8_t buf[RUN_BLOCKS * RK_PAGE];
	size_t head = descriptor_size(tx->n_blocks);
	XXH3_state_t *state = XXH3_createState();
	uint64_t at = j->end + head;
	struct rk__journal_end end;
	int r = 0;

	if (!state)
		return -ENOMEM;
	XXH3_64bits_reset_withSeed(state, tx->epoch);
	XXH3_64bits_update(state, tx, head);
	for (uint32_t left = tx->n_blocks; left > 0 && r == 0;) {
		uint32_t n = left < RUN_BLOCKS ? left : RUN_BLOCKS;

		r = rk__device_read(j->fd, buf, n * (size_t)RK_PAGE, at);
		XXH3_64bits_update(state, buf, n * (size_t)RK_PAGE);
		at += n * (uint64_t)RK_PAGE;
		left -= n;
	}
	if (r == 0)
		r = rk__device_read(j->fd, &end, sizeof end, at);
	if (r == 0)
		r = end.magic == RK_JOURNAL_END_MAGIC &&
		    end.number == tx->number &&
		    end.check == XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return r;
}

static int visit(const struct rk__journal *j, const struct rk__journal_tx *tx,
		 rk__journal_each_fn *each, void *arg)
{
	uint64_t at = j->end + descriptor_size(tx->n_blocks);
	static uint8_t data[RK_PAGE];

	for (uint32_t i = 0; i < tx->n_blocks; i++, at += RK_PAGE) {
		int r = rk__device_read(j->fd, data, RK_PAGE, at);

		if (r == 0 && tx->block[i] >= (j->image_size + RK_PAGE - 1) /
		    RK_PAGE)
			r = -EBADMSG;
		if (r == 0)
			r = each(arg, tx->block[i], at, data);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_head(struct rk__journal *j)
{
	struct rk__journal_head h;
	struct rk__journal_tx first;
	int r = rk__device_read(j->fd, &h, sizeof h, 0);

	if (r == 0)
		r = rk__device_read(j->fd, &first, sizeof first, RK_PAGE);
	if (r < 0)
		return r;
	if (h.magic == RK_JOURNAL_MAGIC && h.check == head_check(&h)) {
		if (h.version != RK_JOURNAL_VERSION ||
		    h.identity != j->identity ||
		    h.image_size != j->image_size)
			return -EMEDIUMTYPE;
		j->epoch = h.epoch;
		return 0;
	}
	/* The head was durable before anything was put behind it. */
	if (first.magic == RK_JOURNAL_TX_MAGIC)
		return -EMEDIUMTYPE;
	j->epoch = 1;
	return write_head(j);
}

int rk__journal_open(struct rk__journal *j, int fd, uint64_t identity,
		     uint64_t image_size, rk__journal_each_fn *each, void *arg)
{
	struct rk__journal_tx *tx;
	int r;

	*j = (struct rk__journal){
		.fd = fd,
		.identity = identity,
		.image_size = image_size,
		.end = RK_PAGE,
	};
	r = read_head(j);
	while (r >= 0) {
		r = read_descriptor(j, &tx);
		if (r < 0 || !tx)
			break;
		r = check_tx(j, tx);
		if (r == 1 && each)
			r = visit(j, tx, each, arg) < 0 ? -EIO : 1;
		if (r == 1) {
			j->number = tx->number;
			j->end += descriptor_size(tx->n_blocks) +
				  (uint64_t)tx->n_blocks * RK_PAGE + RK_PAGE;
		}
		free(tx);
		if (r != 1)
			break;
	}
	return r < 0 ? r : 0;
}

/* --- writing --------------------------------------------------------------- */

/* Gathers blocks so that few calls write them. */
struct run {
	struct rk__journal *j;
	XXH3_state_t *hash;
	uint8_t *buf;
	size_t len;
	uint64_t at;
};

static int run_end(struct run *r)
{
	int e = rk__device_write(r->j->fd, r->buf, r->len, r->at);

	r->at += r->len;
	r->len = 0;
	return e;
}

static int write_data(struct run *run, uint32_t n, rk__journal_data_fn *data,
		      void *arg)
{
	for (uint32_t i = 0; i < n; i++) {
		const void *d = data(arg, i);
		int r;

		if (!d)
			return -EIO;
		memcpy(run->buf + run->len, d, RK_PAGE);
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

int rk__journal_append(struct rk__journal *j, const uint64_t *block,
		       uint32_t n, rk__journal_data_fn *data, void *arg,
		       uint64_t *ret_data)
{
	size_t head = descriptor_size(n);
	struct run run = { .j = j, .at = j->end };
	struct rk__journal_tx *tx = calloc(1, head);
	int r = -ENOMEM;

	run.hash = XXH3_createState();
	run.buf = malloc((RUN_BLOCKS + 1) * (size_t)RK_PAGE);
	if (!tx || !run.hash || !run.buf)
		goto out;
	tx->magic = RK_JOURNAL_TX_MAGIC;
	tx->n_blocks = n;
	tx->epoch = j->epoch;
	tx->number = j->number + 1;
	memcpy(tx->block, block, n * sizeof *block);
	XXH3_64bits_reset_withSeed(run.hash, tx->epoch);
	XXH3_64bits_update(run.hash, tx, head);
	r = rk__device_write(j->fd, tx, head, run.at);
	run.at += head;
	*ret_data = run.at;
	if (r == 0)
		r = write_data(&run, n, data, arg);
	if (r == 0)
		r = write_trailer(&run, tx->number);
	RK_CRASHPOINT(flush_not_synced);
	if (r == 0)
		r = rk__device_sync(j->fd);
	if (r == 0) {
		j->number = tx->number;
		j->end = run.at;
	}
out:
	free(run.buf);
	XXH3_freeState(run.hash);
	free(tx);
	return r;
}

int rk__journal_reset(struct rk__journal *j)
{
	int r;

	j->epoch++;
	r = write_head(j);
	if (r < 0) {
		j->epoch--;
		return r;
	}
	j->number = 0;
	j->end = RK_PAGE;
	return 0;
}

/* --- replay ---------------------------------------------------------------- */

struct replay {
	int image;
	uint64_t size;
	unsigned n_blocks;
};

static int replay_block(void *arg, uint64_t block, uint64_t at, const void *data)
{
	struct replay *p = arg;
	uint64_t off = block * RK_PAGE;
	size_t len = p->size - off < RK_PAGE ? p->size - off : RK_PAGE;

	(void)at;
	if (p->n_blocks++ == 1)
		RK_CRASHPOINT(replay_half_done);
	return rk__device_write(p->image, data, len, off);
}

int rk__journal_identity(int image_fd, uint64_t *ret, uint64_t *ret_size)
{
	off_t end = lseek(image_fd, 0, SEEK_END);
	struct statx st;
	uint64_t word[3];

	if (end < 0 || statx(image_fd, "", AT_EMPTY_PATH,
			     STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	word[0] = st.stx_ino;
	word[1] = st.stx_mask & STATX_BTIME ? (uint64_t)st.stx_btime.tv_sec : 0;
	word[2] = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_nsec : 0;
	*ret = XXH3_64bits(word, sizeof word);
	*ret_size = (uint64_t)end;
	return 0;
}

int rk__journal_replay_as(int image_fd, int journal_fd, uint64_t identity,
			  uint64_t size, unsigned *ret_replayed)
{
	struct replay p = { .image = image_fd, .size = size };
	struct rk__journal j;
	int r = rk__journal_open(&j, journal_fd, identity, size, replay_block,
				 &p);

	*ret_replayed = 0;
	if (r < 0 || j.number == 0)
		return r;
	*ret_replayed = (unsigned)j.number;
	r = rk__device_sync(image_fd);
	return r < 0 ? r : rk__journal_reset(&j);
}

int rk__journal_replay(int image_fd, int journal_fd, unsigned *ret_replayed,
		       char *error)
{
	uint64_t identity, size;
	int r = rk__journal_identity(image_fd, &identity, &size);

	if (r == 0)
		r = rk__journal_replay_as(image_fd, journal_fd, identity, size,
					  ret_replayed);
	if (r == -EMEDIUMTYPE)
		snprintf(error, RK_SERVER_ERROR_LEN, "the journal of the image "
			 "belongs to another image or is damaged; move it away "
			 "if the image is whole without it");
	else if (r < 0)
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot replay the journal: %s", strerror(-r));
	return r;
}
