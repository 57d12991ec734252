/*
 * undo.c - the file of checkpoints holds anything: it is read, a label is looked
 * for, restored, removed and made, and no content is ever believed that its
 * checksum does not vouch for.
 *
 * The first byte says whether the checksums of heads and batches are put right
 * before, so that what is behind them is reached.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "keeper/keeper.h"
#include "keeper/undo.h"

enum { IMAGE_FD = 1000, JOURNAL_FD, UNDO_FD, DISK = 1 << 18, SIZE = 16 * RK_PAGE };

struct rk__board *rk__crash_board;
static uint8_t disk[3][DISK];

void rk__crash(enum rk__crashpoint point)
{
	(void)point;
}

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off)
{
	if (off > DISK || len > DISK - off)
		return -28;
	memcpy(disk[fd - IMAGE_FD] + off, buf, len);
	return 0;
}

int rk__device_read(int fd, void *buf, size_t len, uint64_t off)
{
	size_t there = off < DISK ? DISK - off : 0;

	there = there < len ? there : len;
	memset(buf, 0, len);
	if (there)
		memcpy(buf, disk[fd - IMAGE_FD] + off, there);
	return 0;
}

int rk__device_sync(int fd)
{
	(void)fd;
	return 0;
}

uint64_t rk__device_size(int fd)
{
	return fd == IMAGE_FD ? SIZE : DISK;
}

void rk__device_punch(int fd, uint64_t off, uint64_t len)
{
	if (off < DISK)
		memset(disk[fd - IMAGE_FD] + off, 0,
		       len < DISK - off ? len : DISK - off);
}

static void put_right(void)
{
	struct rk__undo_head *h = (struct rk__undo_head *)disk[2];
	struct rk__undo_batch *b =
		(struct rk__undo_batch *)(disk[2] + RK_UNDO_START);

	h->magic = RK_UNDO_MAGIC;
	h->version = RK_UNDO_VERSION;
	h->n = h->n % 4 + 1;
	h->image_size = SIZE;
	h->end = RK_UNDO_START + h->end % (DISK - RK_UNDO_START) / RK_PAGE *
		RK_PAGE;
	for (uint32_t i = 0; i < h->n; i++) {
		struct rk__checkpoint *c = &h->checkpoint[i];

		memset(c->label, 0, sizeof c->label);
		c->label[0] = (char)('a' + i);
		c->why = 0;
		c->at = RK_UNDO_START + (c->at % 8) * RK_PAGE * (i > 0);
		if (i && c->at < c[-1].at)
			c->at = c[-1].at;
		if (c->at > h->end)
			c->at = h->end;
	}
	for (unsigned i = 0; i < RK_PROBES; i++)
		h->before[i] = XXH3_64bits(disk[0] + i * RK_SECTOR, RK_SECTOR);
	h->check = 0;
	h->check = XXH3_64bits(h, offsetof(struct rk__undo_head, checkpoint) +
			       h->n * sizeof h->checkpoint[0]);
	b->magic = RK_UNDO_BATCH_MAGIC;
	b->epoch = h->epoch;
	b->at = RK_UNDO_START;
	b->n = b->n % 64 + 1;
	b->check = rk__undo_batch_check(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rk__undo u;
	char error[RK_SERVER_ERROR_LEN];
	struct rk__order o = { .token = 5, .label = "new" };
	size_t n, head, behind;

	if (size < 2)
		return 0;
	memset(disk, 0, sizeof disk);
	/* Half of it is head, half what is behind. */
	head = (size - 1) / 2 < RK_UNDO_HEAD ? (size - 1) / 2 : RK_UNDO_HEAD;
	behind = size - 1 - head;
	memcpy(disk[2], data + 1, head);
	memcpy(disk[2] + RK_UNDO_START, data + 1 + head,
	       behind < DISK - RK_UNDO_START ? behind : DISK - RK_UNDO_START);
	if (data[0] & 1)
		put_right();
	if (data[0] & 2)
		rk__undo_restore(IMAGE_FD, JOURNAL_FD, UNDO_FD, "a", &n, error);
	(void)rk__undo_open(&u, UNDO_FD, IMAGE_FD, SIZE);
	rk__undo_delete(&u, data[0] & 4 ? "a" : "b");
	rk__undo_mark(&u, &o);
	rk__undo_keep(&u, (const uint64_t[]){ 0, 3, 15 }, 3, disk[0]);
	rk__undo_close(&u);
	return 0;
}
