/*
 * ext4_mix.c - random mixes of all ops against a model, for each kind of ext4
 * image; e2fsck has to agree at every sync.
 */
#include "ext4_host.h"

#define DIRS 5
#define NAMES 60
#define MAX_FILE 400000

struct object {
	uint64_t ino;
	unsigned links, size;
	unsigned char *data;
};

struct model {
	struct image im;
	unsigned seed;
	uint64_t dir[DIRS];
	struct object *at[DIRS][NAMES];
};

static unsigned dice(struct model *m, unsigned n)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % n;
}

static const char *name_of(unsigned i)
{
	static char text[2][256];
	static unsigned turn;
	char *t = text[turn++ & 1];
	unsigned len = 2 + i * i % 240;

	memset(t, 'a' + i % 26, len);
	sprintf(t, "%02u", i);
	t[2] = i % 240 ? 'x' : 0;
	t[len] = 0;
	return t;
}

static void drop(struct model *m, unsigned d, unsigned n)
{
	struct object *o = m->at[d][n];

	m->at[d][n] = NULL;
	if (o && --o->links == 0) {
		free(o->data);
		free(o);
	}
}

static void do_create(struct model *m, unsigned d, unsigned n)
{
	uint64_t ino = 0;
	int rc = create(&m->im, m->dir[d], name_of(n), S_IFREG | 0640, NULL,
			&ino);

	if (m->at[d][n]) {
		cr_assert_eq(rc, -EEXIST, "%d", rc);
		return;
	}
	cr_assert_eq(rc, 0, "create: %d", rc);
	m->at[d][n] = calloc(1, sizeof(struct object));
	m->at[d][n]->ino = ino;
	m->at[d][n]->links = 1;
	m->at[d][n]->data = calloc(1, MAX_FILE);
}

static void do_unlink(struct model *m, unsigned d, unsigned n)
{
	int rc = gone(&m->im, m->dir[d], name_of(n), false);

	cr_assert_eq(rc, m->at[d][n] ? 0 : -ENOENT, "unlink: %d", rc);
	drop(m, d, n);
}

static void do_link(struct model *m, unsigned d, unsigned n, unsigned d2,
		    unsigned n2)
{
	struct object *o = m->at[d][n];
	const char *name = name_of(n2);
	struct rk_stat st;
	int rc;

	if (!o)
		return;
	rc = m->im.d->link(m->im.fs, o->ino, m->dir[d2], name, strlen(name),
			   &st);
	if (m->at[d2][n2]) {
		cr_assert_eq(rc, -EEXIST);
		return;
	}
	cr_assert_eq(rc, 0, "link: %d", rc);
	m->at[d2][n2] = o;
	cr_assert_eq(st.nlink, ++o->links);
}

static void do_rename(struct model *m, unsigned d, unsigned n, unsigned d2,
		      unsigned n2)
{
	struct object *a = m->at[d][n], *b = m->at[d2][n2];
	const char *name = name_of(n), *name2 = name_of(n2);
	uint32_t flags = dice(m, 3);
	struct rk_stat victim;
	int want = 0, rc;

	rc = m->im.d->rename(m->im.fs, m->dir[d], name, strlen(name),
			     m->dir[d2], name2, strlen(name2), flags,
			     &victim);
	if (!a)
		want = -ENOENT;
	else if (b && flags == RENAME_NOREPLACE)
		want = -EEXIST;
	else if (!b && flags == RENAME_EXCHANGE)
		want = -ENOENT;
	cr_assert_eq(rc, want, "rename: %d, not %d", rc, want);
	if (rc || a == b)
		return;
	if (flags == RENAME_EXCHANGE) {
		m->at[d][n] = b;
		m->at[d2][n2] = a;
		return;
	}
	if (victim.ino && !victim.nlink)
		cr_assert_eq(m->im.d->reclaim(m->im.fs, victim.ino), 0);
	drop(m, d2, n2);
	m->at[d2][n2] = a;
	m->at[d][n] = NULL;
}

static void do_write(struct model *m, struct object *o)
{
	static unsigned char buf[MAX_FILE];
	unsigned off = dice(m, 4) ? dice(m, o->size + 1) : dice(m, 300000);
	unsigned len = 1 + dice(m, dice(m, 3) ? 300 : 99999), i;

	if (off > MAX_FILE - len)
		off = MAX_FILE - len;
	for (i = 0; i < len; i++)
		buf[i] = dice(m, 256);
	cr_assert_eq(m->im.d->write(m->im.fs, o->ino, buf, len, off), len);
	memcpy(o->data + off, buf, len);
	if (off + len > o->size)
		o->size = off + len;
}

static void do_truncate(struct model *m, struct object *o)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE };
	struct rk_stat st;
	int rc;

	set.size = dice(m, 2) ? dice(m, o->size + 1) : dice(m, 300000);
	while ((rc = m->im.d->setattr(m->im.fs, o->ino, &set, &st)) == 1)
		;
	cr_assert_eq(rc, 0);
	cr_assert_eq(st.size, set.size);
	if (set.size < o->size)
		memset(o->data + set.size, 0, o->size - set.size);
	o->size = set.size;
}

static void do_fallocate(struct model *m, struct object *o)
{
	static const uint32_t modes[] = { 0, 1, 3, 0x10, 0x11 };
	uint32_t mode = modes[dice(m, 5)];
	unsigned off = dice(m, 200000), len = 1 + dice(m, 60000);
	int rc = m->im.d->fallocate(m->im.fs, o->ino, mode, off, len);

	if (rc == -EOPNOTSUPP)
		return;
	cr_assert_eq(rc, 0, "fallocate %x: %d", mode, rc);
	if (mode > 1)
		memset(o->data + off, 0, len);
	if (!(mode & 1) && off + len > o->size)
		o->size = off + len;
}

static void do_read(struct model *m, struct object *o)
{
	static unsigned char buf[MAX_FILE];
	int64_t n = m->im.d->read(m->im.fs, o->ino, buf, sizeof(buf), 0);

	cr_assert_eq(n, o->size, "read %lld of %u", (long long)n, o->size);
	cr_assert(!memcmp(buf, o->data, n));
}

static int count(void *arg, const char *name, size_t len, uint64_t ino,
		 uint8_t type, uint64_t cookie)
{
	++*(unsigned *)arg;
	return 0;
}

static void verify(struct model *m)
{
	/* Root: lost+found, D1; D1: D2, D3; D2: D4. */
	static const unsigned subdirs[DIRS] = { 2, 2, 1 };
	unsigned d, n;

	for (d = 0; d < DIRS; d++) {
		unsigned want = 2 + subdirs[d], seen = 0;

		for (n = 0; n < NAMES; n++) {
			const char *name = name_of(n);
			struct object *o = m->at[d][n];
			struct rk_stat st;
			int rc = m->im.d->lookup(m->im.fs, m->dir[d], name,
						 strlen(name), &st);

			cr_assert_eq(rc, o ? 0 : -ENOENT, "lookup: %d", rc);
			if (!o)
				continue;
			want++;
			cr_assert_eq(st.ino, o->ino);
			cr_assert_eq(st.nlink, o->links);
			do_read(m, o);
		}
		cr_assert_eq(m->im.d->readdir(m->im.fs, m->dir[d], 0, count,
					      &seen), 0);
		cr_assert_eq(seen, want, "readdir %u of %u", seen, want);
	}
}

static void step(struct model *m)
{
	unsigned d = dice(m, DIRS), n = dice(m, NAMES);
	unsigned d2 = dice(m, DIRS), n2 = dice(m, NAMES);
	struct object *o = m->at[d][n];

	switch (dice(m, 12)) {
	case 0:
	case 1:
	case 2:
		do_create(m, d, n);
		break;
	case 3:
		do_unlink(m, d, n);
		break;
	case 4:
		do_link(m, d, n, d2, n2);
		break;
	case 5:
		do_rename(m, d, n, d2, n2);
		break;
	case 6:
	case 7:
	case 8:
		if (o)
			do_write(m, o);
		break;
	case 9:
		if (o)
			do_truncate(m, o);
		break;
	case 10:
		if (o)
			do_fallocate(m, o);
		break;
	default:
		if (o)
			do_read(m, o);
	}
}

static void mix(const char *mkfs, unsigned seed)
{
	struct model m = { .seed = seed };
	unsigned i, j;

	image_create(&m.im, mkfs, 128 << 20);
	cr_assert_eq(image_mount(&m.im, false), 0, "%s", m.im.said);
	m.dir[0] = m.im.root;
	for (i = 1; i < DIRS; i++)
		cr_assert_eq(create(&m.im, m.dir[i / 2], (char[]){ 'D',
				'0' + i, 0 }, S_IFDIR | 0755, NULL,
				&m.dir[i]), 0);
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 1200; j++)
			step(&m);
		image_sync(&m.im);
	}
	image_unmount(&m.im);
	image_check(&m.im);
	cr_assert_eq(image_mount(&m.im, true), 0);
	for (i = 0; i < DIRS; i++)
		for (j = 0; j < NAMES; j++)
			if (m.at[i][j])
				do_read(&m, m.at[i][j]);
	verify(&m);
	image_unmount(&m.im);
	for (i = 0; i < DIRS; i++)
		for (j = 0; j < NAMES; j++)
			drop(&m, i, j);
	image_destroy(&m.im);
}

#define MIX(name, mkfs, seed) Test(ext4_mix, name) { mix(mkfs, seed); }

MIX(plain_4k, "-t ext4 -b 4096", 7)
MIX(no_csum_1k, "-t ext4 -b 1024 -O ^metadata_csum", 8)
MIX(small_inodes, "-t ext4 -b 1024 -I 128", 9)
MIX(b64_2k, "-t ext4 -b 2048 -O 64bit,metadata_csum", 10)
MIX(inline_4k, "-t ext4 -b 4096 -O inline_data", 11)
MIX(inline_1k, "-t ext4 -b 1024 -O inline_data", 12)
MIX(linear_no_journal, "-t ext4 -b 4096 -O ^dir_index,^has_journal", 13)
MIX(uninit_bg, "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^flex_bg", 14)
MIX(meta_bg, "-t ext4 -b 1024 -O meta_bg,^resize_inode", 15)
MIX(orphan_file, "-t ext4 -b 4096 -O orphan_file", 16)
MIX(ext3, "-t ext3 -b 1024", 17)
MIX(ext2_small_inodes, "-t ext2 -b 1024 -I 128", 18)
MIX(ext2_no_filetype, "-t ext2 -b 4096 -O ^filetype", 19)
