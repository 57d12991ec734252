/*
 * archive.c - the archive driver: each format reads the same, names are made
 * safe, reading inside what is packed is not quadratic, damage gives errors.
 */
#include "file_host.h"

#define TREE \
	"mkdir -p t/dir/sub t/empty; echo hello >t/hello; " \
	"for i in $(seq 300); do echo $i >t/dir/file$i; done; " \
	"head -c 700000 /dev/urandom >t/large; seq 200000 >t/text; " \
	"ln t/hello t/dir/sub/again; ln -s ../hello t/dir/link; " \
	": >t/nothing; "
#define OBJECTS (300 + 9)

static const struct {
	const char *name, *how;
	bool in_place;
} format[] = {
	{ "a.tar", "tar cf a.tar -C t .", true },
	{ "p.tar", "tar --format=pax -cf p.tar -C t .", true },
	{ "u.tar", "tar --format=ustar -cf u.tar -C t .", true },
	{ "v.tar", "tar --format=v7 -cf v.tar -C t .", true },
	{ "a.tgz", "tar czf a.tgz -C t .", false },
	{ "a.txz", "tar cJf a.txz -C t .", false },
	{ "a.tzst", "tar --zstd -cf a.tzst -C t .", false },
	{ "a.tbz", "tar cjf a.tbz -C t .", false },
	{ "a.zip", "cd t; zip -qry ../a.zip .", false },
	{ "s.zip", "cd t; zip -qry0 ../s.zip .", true },
	{ "a.cpio", "cd t; find . | cpio -o -H newc >../a.cpio 2>/dev/null",
	  true },
	{ "o.cpio", "cd t; find . | cpio -o -H odc >../o.cpio 2>/dev/null",
	  true },
};

static void make(struct medium *m, unsigned i)
{
	medium_create(m, "archive");
	medium_shell(m, TREE);
	medium_shell(m, format[i].how);
	medium_load(m, format[i].name);
}

static void compare(struct medium *m, const char *name, uint64_t seed)
{
	static uint8_t want[2000000], buf[70000];
	struct rk_stat st;
	char path[320];
	int64_t size;
	int fd;

	snprintf(path, sizeof path, "%s/t/%s", m->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = read(fd, want, sizeof want);
	close(fd);
	cr_assert_eq(find_path(m, name, &st), 0, "%s", name);
	cr_assert_eq(st.size, size);
	for (int i = 0; i < 300; i++) {
		int64_t off = (int64_t)(next_random(&seed) % (size + 1));
		size_t len = 1 + next_random(&seed) % (sizeof buf - 1);
		int64_t n = m->d->read(m->fs, st.ino, buf, len,
				       (uint64_t)off);

		cr_assert_eq(n, (int64_t)len < size - off ? (int64_t)len :
			     size - off);
		cr_assert(!n || !memcmp(buf, want + off, (size_t)n));
	}
}

Test(archive, every_format_reads_the_same, .timeout = 600)
{
	for (unsigned i = 0; i < sizeof format / sizeof *format; i++) {
		struct tally a = { 0 }, b = { 0 };
		struct rk_stat one, other;
		struct medium m;

		make(&m, i);
		cr_assert_eq(medium_mount(&m), 0, "%s: %s", format[i].name,
			     m.said);
		visit(&m, m.root, 20, &a);
		cr_assert_eq(a.objects, OBJECTS, "%s: %zu", format[i].name,
			     a.objects);
		cr_assert_eq(a.errors, 0);
		compare(&m, "large", 1 + i);
		compare(&m, "text", 2 + i);
		compare(&m, "dir/file77", 3 + i);
		cr_assert_eq(find_path(&m, "hello", &one), 0);
		cr_assert_eq(find_path(&m, "dir/sub/again", &other), 0);
		/* zip has no hard links */
		if (!strstr(format[i].name, "zip")) {
			cr_assert_eq(one.ino, other.ino, "%s", format[i].name);
			cr_assert_eq(one.nlink, 2);
		}
		medium_unmount(&m);
		cr_assert_eq(medium_mount(&m), 0);
		visit(&m, m.root, 20, &b);
		cr_assert_eq(a.hash, b.hash, "numbers differ after a reopen");
		medium_unmount(&m);
		medium_destroy(&m);
	}
}

/* In whatever order: of the file not much more is read than once, and of what
 * stands there as it is no more than was asked for. */
Test(archive, reading_is_not_quadratic, .timeout = 600)
{
	for (unsigned i = 0; i < sizeof format / sizeof *format; i++) {
		struct medium m;
		struct rk_stat st;
		uint64_t seed = 5, asked = 0;
		char name[32], buf[4096];

		make(&m, i);
		cr_assert_eq(medium_mount(&m), 0);
		m.bytes_read = 0;
		for (int k = 0; k < 3000; k++) {
			uint64_t off = next_random(&seed) % 690000;
			size_t n = 1 + next_random(&seed) % 4096;
			int64_t got;

			snprintf(name, sizeof name, "dir/file%d",
				 1 + (int)(next_random(&seed) % 300));
			cr_assert_eq(find_path(&m, k % 2 ? "large" : name,
					       &st), 0);
			got = m.d->read(m.fs, st.ino, buf, n, k % 2 ? off : 0);
			cr_assert_gt(got, 0);
			asked += (uint64_t)got;
		}
		if (format[i].in_place)
			cr_assert_eq(m.bytes_read, asked, "%s: %lu for %lu",
				     format[i].name, m.bytes_read, asked);
		else	/* each small member of a zip is found by one buffer */
			cr_assert_lt(m.bytes_read, 4 * m.size + 302 * 65536,
				     "%s", format[i].name);
		medium_unmount(&m);
		medium_destroy(&m);
	}
}

/* With a cache that is smaller than one file. */
Test(archive, more_than_the_cache_holds, .timeout = 600)
{
	const char *option[] = { "cache=1" };
	struct rk_mount_options opt = { .option = option, .n_options = 1 };
	struct medium m;
	bool recovery;

	medium_create(&m, "archive");
	medium_shell(&m, "mkdir t; seq 280000 >t/text; seq 250000 >t/other;"
		     "tar czf a.tgz -C t .");
	medium_load(&m, "a.tgz");
	cr_assert_eq(m.d->mount(&m.host, &opt, &m.fs, &m.root, &recovery), 0);
	compare(&m, "other", 9);
	compare(&m, "text", 10);
	compare(&m, "other", 11);
	medium_unmount(&m);
	option[0] = "cache=much";
	cr_assert_eq(m.d->mount(&m.host, &opt, &m.fs, &m.root, &recovery),
		     -EINVAL);
	cr_assert(strstr(m.said, "cache="));
	option[0] = "colour";
	cr_assert_eq(m.d->mount(&m.host, &opt, &m.fs, &m.root, &recovery),
		     -EINVAL);
	cr_assert(strstr(m.said, "'colour'"));
	medium_destroy(&m);
}

Test(archive, names_are_made_safe_and_the_last_wins)
{
	struct medium m;
	struct rk_stat st, other;
	char buf[64] = "";
	struct listing l;

	medium_create(&m, "archive");
	medium_shell(&m,
		"echo 1 >one; echo 22 >two; mkdir d; echo in >d/in;"
		"tar cf a.tar -P --transform='s,^one,/abs/./x//one,' one;"
		"tar rf a.tar -P --transform='s,^one,../../up,' one;"
		"tar rf a.tar -P --transform='s,^one,a/../b,' one;"
		"tar rf a.tar one;"
		"tar rf a.tar --transform='s,^two,one,' two;"
		"tar rf a.tar d; tar rf a.tar d;"
		"tar rf a.tar --transform='s,^one,two/below/it,' one;"
		"tar rf a.tar two");
	medium_load(&m, "a.tar");
	cr_assert_eq(medium_mount(&m), 0, "%s", m.said);
	cr_assert_eq(list(&m, m.root, &l), 0);
	/* . .. abs one d two */
	cr_assert_eq(l.n, 6);
	cr_assert_eq(find_path(&m, "abs/x/one", &st), 0);
	cr_assert_eq(find_path(&m, "abs", &st), 0);
	cr_assert_eq(st.mode, S_IFDIR | 0755);
	cr_assert_eq(find_path(&m, "one", &st), 0);
	cr_assert_eq(m.d->read(m.fs, st.ino, buf, sizeof buf, 0), 3);
	cr_assert_eq(memcmp(buf, "22\n", 3), 0);
	cr_assert_eq(find_path(&m, "d/in", &st), 0);
	cr_assert_eq(st.nlink, 1);
	cr_assert_eq(find_path(&m, "d", &st), 0);
	cr_assert_eq(st.nlink, 2);
	/* what was a directory is a file now */
	cr_assert_eq(find_path(&m, "two", &st), 0);
	cr_assert(S_ISREG(st.mode));
	cr_assert_eq(find_path(&m, "two/below", &other), -ENOTDIR);
	cr_assert_eq(find_path(&m, "abs/..", &st), 0);
	cr_assert_eq(st.ino, m.root);
	cr_assert_eq(st.nlink, 4);
	medium_unmount(&m);
	free(l.name);
	medium_destroy(&m);
}

Test(archive, sparse_files_and_attributes)
{
	struct medium m;
	struct rk_stat st;
	char buf[4096], want[4096] = { 0 };

	medium_create(&m, "archive");
	medium_shell(&m, "truncate -s 3M h; printf abc | dd of=h bs=1 "
		"seek=2000000 conv=notrunc 2>/dev/null; touch -d @1234567.25 h;"
		"setfattr -n user.a -v bcd h 2>/dev/null || :;"
		"tar --format=pax --xattrs -Scf a.tar h; tar -Szcf b.tgz h");
	for (int k = 0; k < 2; k++) {
		medium_load(&m, k ? "b.tgz" : "a.tar");
		cr_assert_lt(m.size, 100000);
		cr_assert_eq(medium_mount(&m), 0);
		cr_assert_eq(find_path(&m, "h", &st), 0);
		cr_assert_eq(st.size, 3 << 20);
		cr_assert_eq(st.mtime.sec, 1234567);
		cr_assert_eq(st.mtime.nsec, k ? 0 : 250000000);
		cr_assert_eq(m.d->read(m.fs, st.ino, buf, 4096, 1999000), 4096);
		memcpy(want + 1000, "abc", 3);
		cr_assert_eq(memcmp(buf, want, 4096), 0);
		cr_assert_eq(m.d->read(m.fs, st.ino, buf, 4096, 10), 4096);
		if (!k && m.d->listxattr(m.fs, st.ino, buf, sizeof buf) > 0) {
			cr_assert_str_eq(buf, "user.a");
			cr_assert_eq(m.d->getxattr(m.fs, st.ino, "user.a", buf,
						   sizeof buf), 3);
			cr_assert_eq(memcmp(buf, "bcd", 3), 0);
		}
		medium_unmount(&m);
	}
	medium_destroy(&m);
}

Test(archive, encrypted_members_are_refused)
{
	struct medium m;
	struct rk_stat st;
	char buf[16];

	medium_create(&m, "archive");
	medium_shell(&m, "echo plain >a; echo secret >b; zip -q a.zip a; "
		     "zip -q -P word a.zip b");
	medium_load(&m, "a.zip");
	cr_assert_eq(medium_mount(&m), 0, "%s", m.said);
	cr_assert_eq(find_path(&m, "a", &st), 0);
	cr_assert_eq(m.d->read(m.fs, st.ino, buf, 16, 0), 6);
	cr_assert_eq(find_path(&m, "b", &st), 0);
	cr_assert_eq(st.size, 7);
	cr_assert_eq(m.d->read(m.fs, st.ino, buf, 16, 0), -ENOKEY);
	medium_unmount(&m);
	medium_destroy(&m);
}

Test(archive, what_is_none_is_refused)
{
	struct medium m;

	medium_create(&m, "archive");
	medium_shell(&m, "seq 1000 >text; : >empty; seq 100000 >big;"
		     "tar czf cut.tgz text big; truncate -s -5000 cut.tgz");
	medium_load(&m, "text");
	cr_assert_eq(medium_mount(&m), -EINVAL);
	cr_assert(strstr(m.said, "not a tar, zip or cpio"), "%s", m.said);
	medium_load(&m, "empty");
	cr_assert_eq(medium_mount(&m), -EINVAL);
	medium_load(&m, "cut.tgz");
	cr_assert_eq(medium_mount(&m), -EINVAL);
	cr_assert(strstr(m.said, "damaged after"), "%s", m.said);
	medium_destroy(&m);
}

Test(archive, damage_gives_errors_and_nothing_worse, .timeout = 600)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) :
					 30;
	int rounds = getenv("LONG") && *getenv("LONG") == '1' ? 1000 : 15;
	unsigned mounted = 0;

	for (unsigned k = 0; k < sizeof format / sizeof *format; k++) {
		struct medium m;
		uint8_t *good;
		uint64_t size;

		make(&m, k);
		size = m.size;
		good = malloc(size);
		memcpy(good, m.bytes, size);
		for (int i = 0; i < rounds; i++) {
			struct tally t = { 0 };

			memcpy(m.bytes, good, size);
			m.size = size;
			/* headers stand at the beginning, or at the end */
			damage(&m, &seed, i % 3 ? 0 : size - size / 20,
			       i % 3 == 1 ? size / 20 : size);
			if (medium_mount(&m) < 0)
				continue;
			mounted++;
			visit(&m, m.root, 20, &t);
			medium_unmount(&m);
		}
		free(good);
		medium_destroy(&m);
	}
	cr_assert_gt(mounted, 30);
}
