/*
 * log.c - reading records that somebody else wrote: what is whole is read
 * right wherever it lies in the ring, and whatever else there is is refused or
 * at least stays within the record.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "recovery/recovery.h"

static struct rk__log log_;

static void open_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, RK_LOG_RING_AT + RK_LOG_SIZE), 0);
	cr_assert_eq(rk__log_map(fd, RK_LOG_SERVER, &log_), 0);
	close(fd);
}

static void seal(uint64_t pos)
{
	struct rk__record *h = (struct rk__record *)rk__log_at(&log_, pos);

	h->check = rk__record_hash(h, (uint8_t *)(h + 1),
				   h->length - sizeof *h);
}

/* 2 blocks, 1 page, notes of 5 and 8 bytes, a reply of 3 and one of none. */
static uint64_t make_record(uint64_t pos)
{
	struct rk__record h = {
		.magic = RK_RECORD_MAGIC, .flags = RK_RECORD_FLUSH, .seq = 7,
		.n_blocks = 2, .n_pages = 1, .n_notes = 2, .n_replies = 2,
		.notes_len = 2 * 8 + 8 + 8, .replies_len = 2 * 24 + 8,
	};
	struct rk__note_head note = { 100, 5 };
	struct rk__reply_head reply = { .id = 9, .result = -2, .slot = 3,
					.length = 3 };
	uint64_t id[3] = { RK_BLOCK_ID(0, 5), RK_BLOCK_ID(1, 6), 77 };
	uint8_t *p = rk__log_at(&log_, pos) + sizeof h;

	memset(p, 'b', 2 * RK_PAGE);
	memset(p + 2 * RK_PAGE, 'p', RK_PAGE);
	p += 3 * RK_PAGE;
	p = (uint8_t *)memcpy(p, id, sizeof id) + sizeof id;
	memcpy(p, &note, 8);
	memcpy(p + 8, "hello\0\0\0", 8);
	note = (struct rk__note_head){ 200, 8 };
	memcpy(p + 16, &note, 8);
	memcpy(p + 24, "12345678", 8);
	p += 32;
	memcpy(p, &reply, 24);
	memcpy(p + 24, "abc\0\0\0\0\0", 8);
	reply.length = 0;
	memcpy(p + 32, &reply, 24);
	h.length = (sizeof h + 3 * RK_PAGE + 24 + 32 + 56 + 63) & ~63ull;
	memset(p + 56, 0, rk__log_at(&log_, pos) + h.length - (p + 56));
	memcpy(rk__log_at(&log_, pos), &h, sizeof h);
	seal(pos);
	return h.length;
}

static void check_parts(const struct rk__record_view *v)
{
	struct rk__reply_head reply;
	struct rk__note_head note;
	const uint8_t *bytes;
	uint32_t at = 0;

	cr_assert(v->seq == 7 && v->flags == RK_RECORD_FLUSH);
	cr_assert(v->n_blocks == 2 && v->n_pages == 1);
	cr_assert(v->block_data[0] == 'b' && v->block_data[8191] == 'b');
	cr_assert(v->page_data[0] == 'p' && v->page_data[4095] == 'p');
	cr_assert(RK_BLOCK_DEV(v->blocks[1]) == 1 &&
		  RK_BLOCK_NO(v->blocks[1]) == 6 && v->pages[0] == 77);
	cr_assert_eq(rk__note_next(v, &at, &note, &bytes), 1);
	cr_assert(note.offset == 100 && note.length == 5 &&
		  !memcmp(bytes, "hello", 5));
	cr_assert_eq(rk__note_next(v, &at, &note, &bytes), 1);
	cr_assert(note.offset == 200 && !memcmp(bytes, "12345678", 8));
	cr_assert_eq(rk__note_next(v, &at, &note, &bytes), 0);
	at = 0;
	cr_assert_eq(rk__reply_next(v, &at, &reply, &bytes), 1);
	cr_assert(reply.id == 9 && reply.result == -2 && reply.slot == 3 &&
		  !memcmp(bytes, "abc", 3));
	cr_assert_eq(rk__reply_next(v, &at, &reply, &bytes), 1);
	cr_assert_eq(reply.length, 0);
	cr_assert_eq(rk__reply_next(v, &at, &reply, &bytes), 0);
}

Test(log, a_record_is_read_wherever_it_lies)
{
	static const uint64_t at[] = {
		0, 64, RK_LOG_SIZE - 64, RK_LOG_SIZE - 4096 - 64,
		RK_LOG_SIZE - 3 * 4096 - 128, 5ull * RK_LOG_SIZE - 8192,
	};
	struct rk__record_view v;

	open_log();
	for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++) {
		uint64_t len = make_record(at[i]);

		cr_assert_eq(rk__record_check(&log_, at[i], at[i] + len, &v),
			     0);
		cr_assert_eq(v.length, len);
		check_parts(&v);
	}
	rk__log_unmap(&log_);
}

Test(log, what_is_not_all_published_is_refused)
{
	struct rk__record_view v;
	uint64_t len;

	open_log();
	len = make_record(128);
	for (uint64_t end = 0; end < 128 + len; end++)
		cr_assert_eq(rk__record_check(&log_, 128, end, &v), -EBADMSG);
	cr_assert_eq(rk__record_check(&log_, 127, 128 + len, &v), -EBADMSG);
	cr_assert_eq(rk__record_check(&log_, 128, UINT64_MAX, &v), 0);
}

Test(log, every_flipped_byte_is_noticed)
{
	struct rk__record_view v;
	uint64_t len;
	uint8_t *p;

	open_log();
	len = make_record(0);
	p = rk__log_at(&log_, 0);
	for (uint64_t i = 0; i < len; i += i < 512 ? 1 : 61) {
		p[i] ^= 0x40;
		cr_assert_eq(rk__record_check(&log_, 0, len, &v), -EBADMSG);
		p[i] ^= 0x40;
	}
	cr_assert_eq(rk__record_check(&log_, 0, len, &v), 0);
}

static bool within(const void *p, size_t len, uint64_t length)
{
	const uint8_t *rec = rk__log_at(&log_, 0), *at = p;

	return at >= rec && at <= rec + length &&
	       len <= (size_t)(rec + length - at);
}

static void walk(const struct rk__record_view *v)
{
	struct rk__reply_head reply;
	struct rk__note_head note;
	const uint8_t *bytes;
	uint32_t at = 0;

	cr_assert(within(v->block_data, v->n_blocks * 4096ull, v->length));
	cr_assert(within(v->page_data, v->n_pages * 4096ull, v->length));
	cr_assert(within(v->blocks, v->n_blocks * 8ull, v->length));
	cr_assert(within(v->pages, v->n_pages * 8ull, v->length));
	while (rk__note_next(v, &at, &note, &bytes) == 1) {
		cr_assert(within(bytes, note.length, v->length));
		cr_assert((uint64_t)note.offset + note.length <= RK_CORE_SIZE);
	}
	at = 0;
	while (rk__reply_next(v, &at, &reply, &bytes) == 1)
		cr_assert(within(bytes, reply.length, v->length));
}

static uint32_t odd_number(uint32_t was)
{
	switch (rand() % 6) {
	case 0: return 0;
	case 1: return UINT32_MAX - (uint32_t)rand() % 8;
	case 2: return (uint32_t)rand();
	case 3: return was + (uint32_t)rand() % 17 - 8;
	case 4: return 1u << (rand() % 32);
	default: return was;
	}
}

/* A hostile server computes checksums too. */
Test(log, lies_with_a_right_checksum_stay_within_the_record)
{
	struct rk__record_view v;
	struct rk__record *h;
	unsigned passed = 0;
	uint64_t len;
	uint32_t *p;

	srand(3);
	open_log();
	for (unsigned i = 0; i < 60000; i++) {
		len = make_record(0);
		h = (struct rk__record *)rk__log_at(&log_, 0);
		p = (uint32_t *)h;
		for (int n = rand() % 3; n >= 0; n--) {
			unsigned w = (unsigned)rand() % 16;

			/* Sections too: from the numbers of blocks on. */
			if (rand() % 2)
				w = (unsigned)(sizeof *h + 3 * 4096) / 4 +
				    (unsigned)rand() % 28;
			p[w] = odd_number(p[w]);
		}
		if (h->length >= sizeof *h && h->length <= RK_RECORD_MAX)
			seal(0);
		if (rk__record_check(&log_, 0, rand() % 2 ? len : UINT64_MAX,
				     &v) < 0)
			continue;
		passed++;
		walk(&v);
	}
	cr_assert(passed > 1000);
}

/* Only its own part: the rest is not even mapped writable. */
Test(log, each_side_writes_its_own_page_only)
{
	int fd = memfd_create("log", MFD_CLOEXEC), status;
	struct rk__log k;

	cr_assert_eq(ftruncate(fd, RK_LOG_RING_AT + RK_LOG_SIZE), 0);
	for (int part = 0; part < 2; part++) {
		pid_t pid = fork();

		if (pid == 0) {
			signal(SIGSEGV, SIG_DFL);
			rk__log_map(fd, RK_LOG_KEEPER, &k);
			atomic_store(&k.keeper->applied, 1);
			if (part == 0)
				k.ring[0] = 1;
			else
				atomic_store(&k.server->published, 1);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	cr_assert(rk__log_map(-1, RK_LOG_KEEPER, &k) == -EBADF);
}

Test(log, crash_points_have_names)
{
	cr_assert_eq(rk__crashpoint_find("flush_not_synced"),
		     RK_CRASH_flush_not_synced);
	cr_assert_eq(rk__crashpoint_find("forget_taken"),
		     RK_CRASH_forget_taken);
	cr_assert_eq(rk__crashpoint_find("none_such"), -ENOENT);
}
