/*
 * journal.c - where a journal is, and what replaying it does to real files:
 * cut off anywhere, moved with its image, beside an image that changed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/store.h"
#include "../harness/temp.h"

enum {
	BLOCKS = 20,
	SIZE = BLOCKS * RK_PAGE - 512,
	POINTS = 6,
};

static char dir[TEMP_MAX], image[128], journal[256], path[4096];

static void enter(void)
{
	cr_assert(temp_dir(dir, "journal"));
	snprintf(path, sizeof path, "%s/state", dir);
	setenv("XDG_STATE_HOME", path, 1);
	snprintf(image, sizeof image, "%s/disk.img", dir);
	snprintf(journal, sizeof journal, "%s.rump-journal", image);
}

static void leave(void)
{
	snprintf(path, sizeof path, "rm -rf %s", dir);
	cr_assert_eq(system(path), 0);
}

static int file(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

/* --- places ------------------------------------------------------------- */

static void expect_place(const char *name, const char *place)
{
	cr_assert_eq(rk__journal_path(name, path, sizeof path), 0);
	cr_assert(strstr(path, place) == path && strstr(path, ".rump-journal"),
		  "%s", path);
}

Test(journal, lies_beside_the_image, .init = enter, .fini = leave)
{
	char link[128];

	cr_assert_eq(rk__journal_path(image, path, sizeof path), -ENOENT);
	close(file(image, SIZE));
	expect_place(image, journal);
	cr_assert_eq(rk__journal_path(image, path, 20), -ENAMETOOLONG);
	snprintf(link, sizeof link, "%s/link", dir);
	cr_assert_eq(symlink("disk.img", link), 0);
	expect_place(link, journal);
	rk__journal_sync_name(file(journal, 0));
	rk__journal_sync_name(memfd_create("none", 0));
}

Test(journal, has_one_place_for_all_names_of_an_image, .init = enter,
     .fini = leave)
{
	char other[128], state[128], first[4096];

	snprintf(other, sizeof other, "%s/other.img", dir);
	snprintf(state, sizeof state, "%s/state/rump/", dir);
	close(file(image, SIZE));
	cr_assert_eq(link(image, other), 0);
	expect_place(image, state);
	strcpy(first, path);
	expect_place(other, first);
	/* Where it is, it stays. */
	close(file(first, 0));
	cr_assert_eq(unlink(other), 0);
	expect_place(image, first);
	cr_assert_eq(unlink(first), 0);
	expect_place(image, journal);
	close(file(journal, 0));
	cr_assert_eq(link(image, other), 0);
	expect_place(image, journal);
}

/* --- replay ------------------------------------------------------------- */

static uint8_t point[POINTS + 1][SIZE];
static off_t end_of[POINTS + 1];	/* of the journal, at each point */

static void fill(uint8_t *model, struct rk__store *s, uint64_t b, uint8_t c)
{
	uint8_t data[RK_PAGE];
	size_t at = b * RK_PAGE;

	memset(data, c, sizeof data);
	cr_assert_eq(rk__store_put(s, b, data), 0);
	memcpy(model + at, data, SIZE - at < RK_PAGE ? SIZE - at : RK_PAGE);
}

/* Leaves POINTS flush points in the journal, and in the image none of them. */
static void make_pair(void)
{
	struct rk__device d = {
		.fd = file(image, SIZE), .journal_fd = file(journal, 0),
		.undo_fd = -1,
		.overlay_fd = memfd_create("o", 0),
		.bitmap_fd = memfd_create("b", 0), .size = SIZE,
	};
	struct rk__store s;

	cr_assert_eq(ftruncate(d.overlay_fd, BLOCKS * RK_PAGE), 0);
	cr_assert_eq(ftruncate(d.bitmap_fd, RK_PAGE), 0);
	for (unsigned i = 0; i < SIZE; i++)
		point[0][i] = (uint8_t)(i / 512);
	cr_assert_eq(pwrite(d.fd, point[0], SIZE, 0), SIZE);
	cr_assert_eq(rk__store_open(&s, &d), 0);
	end_of[0] = RK_JOURNAL_START;
	for (unsigned i = 1; i <= POINTS; i++) {
		memcpy(point[i], point[i - 1], SIZE);
		fill(point[i], &s, i, (uint8_t)i);
		fill(point[i], &s, i + 1, (uint8_t)(i + 100));
		fill(point[i], &s, i % 2 ? 0 : BLOCKS - 1, (uint8_t)i);
		cr_assert_eq(rk__store_flush(&s), 0);
		end_of[i] = lseek(d.journal_fd, 0, SEEK_END);
	}
	rk__store_close(&s);
	close(d.fd);
	close(d.journal_fd);
}

static int replay(unsigned *ret, char *error)
{
	int fd = open(image, O_RDWR | O_CLOEXEC);
	int log = open(journal, O_RDWR | O_CLOEXEC);
	int r = rk__journal_replay(fd, log, -1, ret, error);

	close(fd);
	close(log);
	return r;
}

static bool image_is(const uint8_t *want)
{
	static uint8_t got[SIZE + 1];
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, got, sizeof got);

	close(fd);
	return n == SIZE && !memcmp(got, want, SIZE);
}

Test(journal, cut_off_anywhere_gives_the_flush_point_before,
     .init = enter, .fini = leave)
{
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;

	make_pair();
	for (off_t len = end_of[POINTS]; len >= RK_PAGE; len -= 700) {
		unsigned want = POINTS;

		make_pair();
		cr_assert_eq(truncate(journal, len), 0);
		/* A trailer is in the first bytes of its block. */
		while (want && end_of[want] - RK_PAGE +
		       (off_t)sizeof(struct rk__journal_end) > len)
			want--;
		cr_assert_eq(replay(&n, error), 0);
		cr_assert_eq(n, want);
		cr_assert(image_is(point[want]), "cut at %ld", (long)len);
		cr_assert(replay(&n, error) == 0 && n == 0);
		cr_assert_eq(unlink(journal), 0);
	}
}

Test(journal, moves_with_its_image, .init = enter, .fini = leave)
{
	char error[RK_SERVER_ERROR_LEN], command[512];
	unsigned n;

	make_pair();
	snprintf(command, sizeof command, "cd %s && cp disk.img a && "
		 "cp disk.img.rump-journal b && rm disk.img* && "
		 "mv a disk.img && mv b disk.img.rump-journal", dir);
	cr_assert_eq(system(command), 0);
	cr_assert(replay(&n, error) == 0 && n == POINTS);
	cr_assert(image_is(point[POINTS]));
}

static void expect_refusal(off_t size)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	static uint8_t before[SIZE];
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	unsigned n;

	cr_assert_eq(pread(fd, before, SIZE, 0), size < SIZE ? size : SIZE);
	cr_assert_eq(replay(&n, error), -EMEDIUMTYPE);
	cr_assert(strstr(error, journal) && strstr(error, "another image"));
	cr_assert(size != SIZE || image_is(before));
	close(fd);
}

Test(journal, of_another_image_is_refused, .init = enter, .fini = leave)
{
	int fd;

	make_pair();
	cr_assert_eq(truncate(image, SIZE - 1), 0);
	expect_refusal(SIZE - 1);
	make_pair();
	fd = open(image, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "new fs", 6, 1024), 6);
	close(fd);
	expect_refusal(SIZE);
}

/* After a stop that left it there empty, the image is anybody's. */
Test(journal, that_is_empty_binds_nobody, .init = enter, .fini = leave)
{
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;
	int fd;

	make_pair();
	cr_assert(replay(&n, error) == 0 && n == POINTS);
	fd = open(image, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "new fs", 6, 1024), 6);
	cr_assert_eq(ftruncate(fd, SIZE + 8192), 0);
	close(fd);
	cr_assert(replay(&n, error) == 0 && n == 0);
}

Test(journal, that_is_no_journal_is_left_alone, .init = enter, .fini = leave)
{
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;

	make_pair();
	truncate(journal, 0);
	cr_assert(replay(&n, error) == 0 && n == 0);
	cr_assert(image_is(point[0]));
	truncate(journal, 100000);
	cr_assert(replay(&n, error) == 0 && n == 0);
	cr_assert(image_is(point[0]));
}
