/*
 * ext4_dir.c - large directories of the ext4 driver: insert, look up, list in
 * small pieces while entries come and go, remove.
 */
#include "ext4_host.h"

#define COUNT 20000

struct listing {
	uint8_t *seen;
	uint64_t cookie;
	unsigned room;
};

static const char *name_of(unsigned i)
{
	static char text[64];

	sprintf(text, "file-%u-%.*s", i, (int)(i % 30),
		"abcdefghijklmnopqrstuvwxyz0123456789");
	return text;
}

static int note(void *arg, const char *name, size_t len, uint64_t ino,
		uint8_t type, uint64_t cookie)
{
	struct listing *l = arg;

	if (!l->room)
		return 1;
	l->room--;
	l->cookie = cookie;
	if (name[0] != '.')
		l->seen[atoi(name + 5)]++;
	return 0;
}

/* Even ones go, new ones come while it is listed; odd ones all show once. */
static void list_while_changing(struct image *im, uint64_t dir)
{
	struct listing l = { .seen = calloc(1, 2 * COUNT) };
	unsigned next = 0, i;

	do {
		l.room = 37;
		cr_assert_eq(im->d->readdir(im->fs, dir, l.cookie, note, &l),
			     0);
		for (i = 0; i < 8 && next < COUNT; i++, next += 2) {
			cr_assert_eq(gone(im, dir, name_of(next), false), 0);
			cr_assert_eq(create(im, dir, name_of(COUNT + next),
					    S_IFREG | 0600, NULL, NULL), 0);
		}
	} while (l.room == 0);
	for (i = 1; i < COUNT; i += 2)
		cr_assert_eq(l.seen[i], 1, "%u seen %u times", i, l.seen[i]);
	for (i = 0; i < 2 * COUNT; i++)
		cr_assert(l.seen[i] <= 1);
	for (; next < COUNT; next += 2)
		cr_assert_eq(gone(im, dir, name_of(next), false), 0);
	free(l.seen);
}

static void large(const char *mkfs)
{
	struct image im;
	struct rk_stat st;
	uint64_t dir = 0;
	unsigned i;

	image_create(&im, mkfs, 256 << 20);
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
	cr_assert_eq(create(&im, im.root, "d", S_IFDIR | 0755, NULL, &dir), 0);
	for (i = 0; i < COUNT; i++)
		cr_assert_eq(create(&im, dir, name_of(i), S_IFREG | 0600,
				    NULL, NULL), 0);
	image_sync(&im);
	for (i = 0; i < 2 * COUNT; i++) {
		const char *name = name_of(i);

		cr_assert_eq(im.d->lookup(im.fs, dir, name, strlen(name),
					  &st), i < COUNT ? 0 : -ENOENT);
	}
	list_while_changing(&im, dir);
	image_sync(&im);
	for (i = 0; i < 2 * COUNT; i++)
		gone(&im, dir, name_of(i), false);
	image_sync(&im);
	cr_assert_eq(gone(&im, im.root, "d", true), 0);
	image_unmount(&im);
	image_check(&im);
	image_destroy(&im);
}

Test(ext4_dir, large_4k)
{
	large("-t ext4 -b 4096 -N 60000");
}

Test(ext4_dir, large_1k)
{
	large("-t ext4 -b 1024 -N 60000 -O ^metadata_csum");
}
