/*
 * external.c - the state in its external form: what core holds comes out of a
 * stream as it went in, and nothing else is taken for one.
 */
#include <sys/file.h>
#include "core/external.h"
#include "../harness/syscall_fake.h"

enum { STREAM_MAX = 8 << 20 };

static struct stream {
	uint8_t *bytes;
	size_t n;
} first, second;
static char error[RK_SERVER_ERROR_LEN];

static int put(void *ctx, const void *bytes, size_t n)
{
	struct stream *s = ctx;

	cr_assert(s->n + n <= STREAM_MAX);
	memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
	return 0;
}

static int write_core(struct stream *s)
{
	struct rk__ext_out o = { .put = put, .ctx = s };
	int e;

	s->n = 0;
	rk__ext_begin(&o);
	e = rk__ext_write_core(&o);
	return e ? e : rk__ext_end(&o);
}

static int read_all(const uint8_t *bytes, size_t n)
{
	struct rk__ext_item item;
	struct rk__ext_in from;
	int e = rk__ext_open(&from, bytes, n, error);

	while (!e && (e = rk__ext_next(&from, &item)) == 1)
		e = rk__ext_read(&from, &item);
	return e ? e : rk__ext_read_end(&from);
}

static int prove(const struct stream *s)
{
	struct rk__ext_item item;
	struct rk__ext_in from;
	int e = rk__ext_open(&from, s->bytes, s->n, error);

	while (!e && (e = rk__ext_next(&from, &item)) == 1)
		e = rk__ext_prove(&from, &item);
	return e;
}

/* Core as a new server has it, but for the drivers that are mounted. */
static void forget_core(void)
{
	struct rk__mount_state old = rk__core->mount[0];

	cr_assert(madvise(rk__core, RK_CORE_SIZE, MADV_DONTNEED) == 0);
	cr_assert(madvise(fake.shadow, RK_CORE_SIZE, MADV_DONTNEED) == 0);
	RK_NOTE(&rk__core->mount[0]);
	memcpy(rk__core->mount[0].fs, old.fs, sizeof old.fs);
	memcpy(rk__core->mount[0].layer_root, old.layer_root,
	       sizeof old.layer_root);
	rk__core->mount[0].mounted = old.mounted;
	rk__name_purge_all();
	fake_commit();
}

static void setup_streams(void)
{
	setup();
	first.bytes = malloc(STREAM_MAX);
	second.bytes = malloc(STREAM_MAX);
}

TestSuite(external, .init = setup_streams, .fini = teardown);

/* Something in each table. */
static void fill(void)
{
	attach(2, 3, 0, 10);
	cr_assert_eq(CALL(0, mkdirat, AT, "d", 0777), 0);
	cr_assert_eq(CALL(0, mknodat, AT, "p", S_IFIFO | 0666, 0), 0);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(0, write, 0, "0123456789", 10), 10);
	cr_assert_eq(CALL(0, dup, 0, 5), 5);
	cr_assert_eq(OPEN(0, "p", O_RDWR), 1);
	cr_assert_eq(CALL(0, write, 1, "in the pipe", 11), 11);
	cr_assert_eq(CALL(2, chdir, "d"), 0);
	cr_assert_eq(CALL(0, umask, 027), 022);
	cr_assert_eq(CALL(0, flock, 0, LOCK_SH), 0);
	cr_assert_eq(OPEN(2, "/vol/f", O_RDWR), 0);
	/* a hole in the table of open files, and a forked child */
	cr_assert_eq(OPEN(1, "f", O_RDONLY), 0);
	attach(3, 4, 1, 10);
	cr_assert_eq(CALL(1, close, 0), 0);
	/* one without a name */
	cr_assert_eq(OPEN(2, "gone", O_CREAT | O_RDWR, 0600), 1);
	cr_assert_eq(CALL(2, unlinkat, AT, "gone", 0), 0);
	rk__vnode_hold_lookup(rk__vnode_get(rk__node(0, MEM_ROOT)));
	fake_commit();
}

Test(external, what_is_written_is_what_was_read)
{
	fill();
	cr_assert_eq(write_core(&first), 0);
	forget_core();
	cr_assert_eq(read_all(first.bytes, first.n), 0, "%s", error);
	fake_commit();
	cr_assert_eq(write_core(&second), 0);
	cr_assert_eq(first.n, second.n);
	cr_expect(!memcmp(first.bytes, second.bytes, first.n));
	cr_expect_eq(prove(&first), 0, "%s", error);
}

Test(external, clients_go_on_with_it)
{
	int64_t r;

	fill();
	cr_assert_eq(write_core(&first), 0);
	forget_core();
	cr_assert_eq(read_all(first.bytes, first.n), 0, "%s", error);
	fake_commit();
	r = CALL(0, read, 1, NULL, 100);
	cr_expect_eq(r, 11);
	cr_expect(!memcmp(out, "in the pipe", 11));
	r = CALL(0, lseek, 5, 0, SEEK_CUR);
	cr_expect_eq(r, 10, "one offset of two descriptors");
	cr_expect_eq(CALL(2, flock, 0, LOCK_EX | LOCK_NB), -EAGAIN);
	cr_expect_eq(CALL(0, close, 0), 0);
	cr_expect_eq(CALL(0, close, 5), 0);
	/* the forked child's */
	cr_expect_eq(CALL(3, close, 0), 0);
	cr_expect_eq(CALL(3, close, 5), 0);
	cr_expect_eq(CALL(2, flock, 0, LOCK_EX | LOCK_NB), 0);
	cr_expect_eq(CALL(0, umask, 0), 027);
	cr_expect_eq(CALL(2, write, 1, "x", 1), 1, "an orphan is written");
	/* the kernel's hold on the root */
	rk__vnode_put_lookup(rk__vnode_find(rk__node(0, MEM_ROOT)), 1);
	fake_commit();
}

Test(external, a_proof_that_fails)
{
	fill();
	cr_assert_eq(write_core(&first), 0);
	cr_expect_eq(CALL(2, write, 0, "more than ten bytes", 19), 19);
	cr_expect_eq(prove(&first), -EPROTO);
	cr_expect(strstr(error, "is not what it was"), "%s", error);
	rk__vnode_put_lookup(rk__vnode_find(rk__node(0, MEM_ROOT)), 1);
	fake_commit();
}

Test(external, what_is_cut_or_damaged_is_refused)
{
	struct rk__ext_item item;
	struct rk__ext_in from;
	uint8_t *copy;

	fill();
	cr_assert_eq(write_core(&first), 0);
	for (size_t n = 0; n < first.n; n++) {
		int e;

		/* behind its end is nothing that may be looked at */
		copy = malloc(n ? n : 1);
		memcpy(copy, first.bytes, n);
		e = rk__ext_open(&from, copy, n, error);
		while (!e && (e = rk__ext_next(&from, &item)) == 1)
			e = 0;
		cr_assert_eq(e, -EPROTO, "%zu bytes", n);
		free(copy);
	}
	for (size_t i = 0; i < first.n * 8; i += 3) {
		int e;

		first.bytes[i / 8] ^= 1u << i % 8;
		e = rk__ext_open(&from, first.bytes, first.n, error);
		while (!e && (e = rk__ext_next(&from, &item)) == 1)
			e = 0;
		first.bytes[i / 8] ^= 1u << i % 8;
		/* the word behind the version is for later */
		cr_assert(e == -EPROTO || (i / 8 >= 12 && i / 8 < 16),
			  "bit %zu", i);
	}
	rk__vnode_put_lookup(rk__vnode_find(rk__node(0, MEM_ROOT)), 1);
	fake_commit();
}

Test(external, another_version_is_refused)
{
	cr_assert_eq(write_core(&first), 0);
	setenv("RUMP_STATE_VERSION", "99", 1);
	cr_expect_eq(read_all(first.bytes, first.n), -EPROTO);
	unsetenv("RUMP_STATE_VERSION");
	cr_expect_str_eq(error, "it is a state of version 1, and this build "
			 "reads version 99");
	cr_expect_eq(read_all((const uint8_t *)"PK\3\4............", 16),
		     -EPROTO);
	cr_expect_str_eq(error, "it is no exported state");
}

/* --- what does not belong together ------------------------------------------ */

static struct rk__ext_out made;

static void begin(void)
{
	forget_core();
	first.n = 0;
	made = (struct rk__ext_out){ .put = put, .ctx = &first };
	rk__ext_begin(&made);
}

#define RECORD(name, ...) do {						\
	struct rk__ext_##name r_ = { __VA_ARGS__ };			\
	rk__ext_put(&made, RK_EXT_NO_##name, &r_, NULL, 0);		\
} while (0)

static void begin_with_root(void)
{
	begin();
	RECORD(root, .vnode = 1, .root = MEM_ROOT);
	RECORD(vnode, .index = 1, .ino = MEM_ROOT, .opens = 1);
}

static void expect(const char *sentence)
{
	cr_assert_eq(rk__ext_end(&made), 0);
	error[0] = 0;
	cr_expect_eq(read_all(first.bytes, first.n), sentence ? -EPROTO : 0);
	cr_expect(strstr(error, sentence ? sentence : ""), "%s, not %s", error,
		  sentence);
	rk__rollback();
	fake_commit();
}

Test(external, what_is_not_consistent_is_refused, .fini = NULL)
{
	begin_with_root();
	expect(NULL);
	begin();
	RECORD(root, .vnode = 1, .root = MEM_ROOT);
	expect("the root of mount 0");
	begin();
	RECORD(root, .mount = RK_MOUNTS_MAX);
	expect("mount 8");
	begin_with_root();
	RECORD(vnode, .index = 2, .ino = MEM_ROOT, .lookups = 1);
	expect("file 2");
	begin_with_root();
	RECORD(vnode, .index = RK_VNODES_MAX, .ino = 7, .lookups = 1);
	expect("file 1048576");
	begin_with_root();
	RECORD(vnode, .index = 2, .ino = 7);
	expect("references of file 2");
	begin_with_root();
	RECORD(ofd, .index = 1, .vnode = 9, .refs = 1);
	expect("open file 1");
	begin_with_root();
	RECORD(ofd, .index = 1, .vnode = 1, .refs = 1, .pipe = 3);
	expect("open file 1");
	begin_with_root();
	RECORD(ofd, .index = RK_OFDS_MAX, .vnode = 1);
	expect("open file");
	begin_with_root();
	RECORD(fd, .proc = 4, .ofd = 1);
	expect("descriptor 0 of process 4");
	begin_with_root();
	RECORD(proc, .index = RK_PROCS_MAX, .token = 5);
	expect("process 4096");
	begin_with_root();
	RECORD(proc, .token = 5, .n_groups = 3);
	expect("process 0");
	begin_with_root();
	RECORD(proc, .token = 5);
	RECORD(proc, .index = 1, .token = 5);
	expect("process 1");
	begin_with_root();
	RECORD(channel, .channel = 1);
	expect("channel 1");
	begin_with_root();
	RECORD(lock, .vnode = 1, .kind = 4);
	expect("a lock of file 1");
	begin_with_root();
	RECORD(lock, .vnode = 1, .kind = 1, .exclusive = 1, .owner = 1,
	       .end = 9);
	RECORD(lock, .vnode = 1, .kind = 1, .exclusive = 1, .owner = 2,
	       .end = 9);
	expect("a lock of file 1");
	begin_with_root();
	RECORD(pin, .vnode = 1, .handle = 1);
	expect("mapping 0");
	begin_with_root();
	RECORD(offer, .ofd = 3);
	expect("offer 0");
	begin_with_root();
	RECORD(slot, .slot = RK_SLOTS_ALL + 1, .id = 1);
	expect("slot");
	begin_with_root();
	RECORD(pipe, .index = 1, .vnode = 1);
	expect("nobody has pipe 1 open");
}
