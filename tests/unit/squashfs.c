/*
 * squashfs.c - the squashfs driver: each compression, reopening, listing in
 * pieces, and images that are damaged.
 */
#include "file_host.h"

#define TREE \
	"mkdir -p t/dir/sub t/empty; echo hello >t/hello; " \
	"for i in $(seq 700); do echo $i >t/dir/file$i; done; " \
	"head -c 700000 /dev/urandom >t/large; seq 200000 >t/text; " \
	"truncate -s 3M t/holes; printf end >>t/holes; " \
	"ln t/hello t/dir/sub/again; ln -s ../hello t/dir/link; " \
	"mkfifo t/fifo; : >t/nothing; "

static void make(struct medium *m, const char *options)
{
	char command[512];

	medium_create(m, "squashfs");
	medium_shell(m, TREE);
	snprintf(command, sizeof command,
		 "mksquashfs t i.sq -quiet -no-progress -b 65536 %s >log 2>&1",
		 options);
	medium_shell(m, command);
	medium_load(m, "i.sq");
}

/* Everything, and twice the same. */
static struct tally walk_twice(struct medium *m)
{
	struct tally a = { 0 }, b = { 0 };

	cr_assert_eq(medium_mount(m), 0, "%s", m->said);
	visit(m, m->root, 20, &a);
	medium_unmount(m);
	cr_assert_eq(medium_mount(m), 0);
	visit(m, m->root, 20, &b);
	medium_unmount(m);
	cr_assert_eq(a.hash, b.hash, "numbers differ after a reopen");
	cr_assert_eq(a.errors, 0);
	return a;
}

static const char *const methods[] = {
	"-comp gzip", "-comp xz", "-comp lzo", "-comp lz4", "-comp zstd",
	"-comp gzip -noI -noD -noF", "-comp gzip -no-fragments",
	"-comp gzip -no-exports", "-comp gzip -always-use-fragments",
};

Test(squashfs, every_compression_reads_the_same)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		struct medium m;
		struct tally t;

		make(&m, methods[i]);
		t = walk_twice(&m);
		/* 700 in dir, and the rest of the tree */
		cr_assert_eq(t.objects, 700 + 11, "%s: %zu", methods[i],
			     t.objects);
		cr_assert_gt(t.bytes, 700000 + 3 * 1024 * 1024);
		medium_destroy(&m);
	}
}

Test(squashfs, reads_at_any_offset)
{
	struct medium m;
	struct rk_stat st;
	uint8_t *want = malloc(700000), buf[70000];
	uint64_t seed = 42;
	char path[128];
	int fd;

	make(&m, "-comp zstd");
	snprintf(path, sizeof path, "%s/t/large", m.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, want, 700000), 700000);
	close(fd);
	cr_assert_eq(medium_mount(&m), 0);
	cr_assert_eq(find_path(&m, "large", &st), 0);
	cr_assert_eq(st.size, 700000);
	for (int i = 0; i < 2000; i++) {
		uint64_t off = next_random(&seed) % 700100;
		size_t len = next_random(&seed) % sizeof buf;
		int64_t n = m.d->read(m.fs, st.ino, buf, len, off);
		int64_t left = off < 700000 ? 700000 - (int64_t)off : 0;

		cr_assert_eq(n, (int64_t)len < left ? (int64_t)len : left);
		cr_assert(n == 0 || !memcmp(buf, want + off, (size_t)n));
	}
	medium_unmount(&m);
	free(want);
	medium_destroy(&m);
}

Test(squashfs, holes_are_found)
{
	struct medium m;
	struct rk_stat st;
	uint64_t at;

	make(&m, "-comp gzip");
	cr_assert_eq(medium_mount(&m), 0);
	cr_assert_eq(find_path(&m, "holes", &st), 0);
	cr_assert_eq(m.d->seek(m.fs, st.ino, 5, true, &at), 0);
	cr_assert_eq(at, 5);
	cr_assert_eq(m.d->seek(m.fs, st.ino, 5, false, &at), 0);
	cr_assert_eq(at, 3 << 20);
	cr_assert_eq(m.d->seek(m.fs, st.ino, 3 << 20, true, &at), 0);
	cr_assert_eq(at, st.size);
	cr_assert_lt(st.blocks, 100);
	medium_unmount(&m);
	medium_destroy(&m);
}

Test(squashfs, listing_in_pieces_gives_each_name_once)
{
	struct medium m;
	struct listing all, some = { 0 };
	struct rk_stat st;
	uint64_t seed = 7, cookie = 0;

	make(&m, "-comp gzip");
	cr_assert_eq(medium_mount(&m), 0);
	cr_assert_eq(find_path(&m, "dir", &st), 0);
	cr_assert_eq(list(&m, st.ino, &all), 0);
	cr_assert_eq(all.n, 2 + 702);
	while (some.n < all.n) {
		some.stop_at = some.n + 1 + next_random(&seed) % 30;
		cr_assert_eq(m.d->readdir(m.fs, st.ino, cookie, listing_add,
					  &some), 0);
		cookie = some.name[some.n - 1].cookie;
		/* a reopen in between changes nothing */
		medium_unmount(&m);
		cr_assert_eq(medium_mount(&m), 0);
	}
	for (size_t i = 0; i < all.n; i++) {
		struct rk_stat child;

		cr_assert_str_eq(all.name[i].name, some.name[i].name);
		cr_assert_eq(all.name[i].ino, some.name[i].ino);
		cr_assert_eq(find(&m, st.ino, all.name[i].name, &child), 0);
		cr_assert_eq(child.ino, all.name[i].ino);
	}
	cr_assert_eq(find(&m, st.ino, "file701", &st), -ENOENT);
	medium_unmount(&m);
	free(all.name);
	free(some.name);
	medium_destroy(&m);
}

Test(squashfs, what_is_no_image_is_refused)
{
	struct medium m;

	make(&m, "-comp gzip");
	m.bytes[0] ^= 1;
	cr_assert_eq(medium_mount(&m), -EINVAL);
	cr_assert(strstr(m.said, "not a squashfs"));
	m.bytes[0] ^= 1;
	m.bytes[28] = 3;		/* the version */
	cr_assert_eq(medium_mount(&m), -EINVAL);
	m.bytes[28] = 4;
	m.bytes[20] = 9;		/* the compression */
	cr_assert_eq(medium_mount(&m), -EINVAL);
	cr_assert(strstr(m.said, "method 9"));
	m.bytes[20] = 1;
	m.size /= 2;
	cr_assert_eq(medium_mount(&m), -EUCLEAN);
	m.size = 0;
	cr_assert_eq(medium_mount(&m), -EINVAL);
	medium_destroy(&m);
}

/* Uncompressed metadata, so that damage is not caught by the unpacking. */
Test(squashfs, damage_gives_errors_and_nothing_worse, .timeout = 600)
{
	unsigned mounted = 0, failed = 0;
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) :
					 20;
	int rounds = getenv("LONG") && *getenv("LONG") == '1' ? 3000 : 150;
	static const char *const how[] = { "-comp gzip -noI -noF",
		"-comp lz4 -noI", "-comp zstd" };

	for (unsigned h = 0; h < 3; h++) {
		uint64_t tables, size;
		struct medium m;
		uint8_t *good;

		make(&m, how[h]);
		size = m.size;
		good = malloc(size);
		memcpy(good, m.bytes, size);
		memcpy(&tables, good + 64, 8);	/* the inode table */
		for (int i = 0; i < rounds; i++) {
			struct tally t = { 0 };

			memcpy(m.bytes, good, size);
			m.size = size;
			damage(&m, &seed, i % 4 ? tables : i % 8 ? 0 : 32,
			       i % 8 ? size : 96);
			if (medium_mount(&m) < 0)
				continue;
			mounted++;
			visit(&m, m.root, 20, &t);
			failed += t.errors > 0;
			medium_unmount(&m);
		}
		free(good);
		medium_destroy(&m);
	}
	cr_assert_gt(mounted, 50);
	cr_assert_gt(failed, 20);
}
