/*
 * pages_offset.c - offsets that a client keeps itself, against a model: open files
 * with one descriptor and with several, forks, and threads that share one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pages.h"

static int sink;			/* of the host */

enum { OPEN_FILES = 4, PLACES = 6, LENGTH = 300000 };

static uint8_t pattern[LENGTH];
static struct place {
	int fd;
	unsigned file;			/* which open file it is of */
} place[PLACES];
static int64_t offset_of[PLACES];	/* by open file */

static void read_some(struct rk_client *c, const struct place *p)
{
	static uint8_t buf[LENGTH];
	int64_t at = offset_of[p->file], n = 1 + rnd(5000), want, r;

	want = at >= LENGTH ? 0 : n < LENGTH - at ? n : LENGTH - at;
	r = rk_read(c, p->fd, buf, (uint64_t)n);
	CHECK(r == want, "%d, not %d, at %d", (int)r, (int)want, (int)at);
	CHECK(!memcmp(buf, pattern + at, (size_t)want), "at %d", (int)at);
	offset_of[p->file] += want;
}

static void in_child(struct rk_client *c, const struct place *p)
{
	int64_t *shared_offset = mmap(NULL, sizeof *shared_offset, PROT_READ |
				      PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				      -1, 0);
	int status;

	CHECK(shared_offset != MAP_FAILED, "mmap");
	if (fork() == 0) {
		for (unsigned i = rnd(8); i > 0; i--)
			read_some(c, p);
		*shared_offset = offset_of[p->file];
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0, "%x", status);
	offset_of[p->file] = *shared_offset;
	munmap(shared_offset, sizeof *shared_offset);
}

static void open_again(struct rk_client *c, unsigned i)
{
	int64_t r;

	if (place[i].fd >= 0)
		CHECK(rk_close(c, place[i].fd) == 0, "close");
	r = rk_openat(c, RK_AT_FDCWD, "/vol/places", O_RDWR, 0);
	CHECK(r >= 0, "%d", (int)r);
	place[i] = (struct place){ (int)r, i };
	offset_of[i] = 0;
}

static void step(struct rk_client *c, unsigned i)
{
	struct place *p = &place[i];
	int64_t at, r;
	unsigned n;

	switch (rnd(40)) {
	case 0:
		/* One that others refer to is not opened again. */
		for (unsigned k = 0; k < PLACES; k++)
			if (k != i && place[k].file == i)
				return;
		open_again(c, i);
		break;
	case 1:
		at = rnd(LENGTH);
		r = rk_lseek(c, p->fd, at, SEEK_SET);
		CHECK(r == at, "%d", (int)r);
		offset_of[p->file] = at;
		break;
	case 2:
		r = rk_lseek(c, p->fd, 0, SEEK_CUR);
		CHECK(r == offset_of[p->file], "%d, not %d", (int)r,
		      (int)offset_of[p->file]);
		break;
	case 3:
		r = rk_lseek(c, p->fd, -10, SEEK_END);
		CHECK(r == LENGTH - 10, "%d", (int)r);
		offset_of[p->file] = r;
		break;
	case 4:
		n = rnd(3000);
		at = offset_of[p->file];
		if (at + n > LENGTH)
			break;
		r = rk_write(c, p->fd, pattern + at, n);
		CHECK(r == n, "%d", (int)r);
		offset_of[p->file] += n;
		break;
	case 5:
		if (rnd(4) == 0)
			in_child(c, p);
		break;
	case 8:
		/* What fails leaves offsets as they are. */
		CHECK(rk_dup3(c, 1000, p->fd, 0) == -EBADF, "dup3");
		CHECK(rk_close_range(c, 0, ~0u, 1u << 20) == -EINVAL,
		      "close_range");
		CHECK(rk_close_range(c, 0, ~0u, CLOSE_RANGE_CLOEXEC) == 0,
		      "close_range");
		read_some(c, p);
		break;
	case 6:
		r = rk_dup(c, p->fd, 0);
		CHECK(r >= 0, "%d", (int)r);
		read_some(c, p);
		CHECK(rk_lseek(c, (int)r, 0, SEEK_CUR) == offset_of[p->file],
		      "of a duplicate");
		CHECK(rk_close(c, (int)r) == 0, "close");
		break;
	case 7:
		n = rnd(20000);
		at = offset_of[p->file];
		if (at + n > LENGTH)
			break;
		r = rk_send_to_host(c, sink, p->fd, NULL, n);
		CHECK(r == n, "%d", (int)r);
		offset_of[p->file] += n;
		break;
	default:
		for (n = rnd(30); n > 0; n--)
			read_some(c, p);
		break;
	}
}

/* Of one open file each reads what no other does. */
static _Atomic uint64_t taken;

static void *read_words(void *arg)
{
	static _Atomic unsigned char seen[LENGTH];
	struct rk_client *c = arg;
	uint32_t word;
	int64_t r;

	while ((r = rk_read(c, place[0].fd, &word, 4)) > 0) {
		CHECK(r == 4 && word < LENGTH && !atomic_exchange(&seen[word],
								  1),
		      "%d: %u", (int)r, word);
		atomic_fetch_add(&taken, 1);
	}
	CHECK(r == 0, "%d", (int)r);
	return NULL;
}

static int together(void)
{
	static uint32_t word[LENGTH];
	struct rk_client *c = attach();
	int64_t r = rk_openat(c, RK_AT_FDCWD, "/vol/words", O_RDWR | O_CREAT,
			      0644);
	pthread_t thread[4];

	place[0].fd = (int)r;
	for (unsigned i = 0; i < LENGTH; i++)
		word[i] = i;
	CHECK(rk_pwrite(c, (int)r, word, sizeof word, 0) == sizeof word, "pwrite");
	for (unsigned i = 0; i < 4; i++)
		CHECK(!pthread_create(&thread[i], NULL, read_words, c), "thread");
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	CHECK(taken == LENGTH, "%lu", (unsigned long)taken);
	rk_detach(c);
	return 0;
}

int places(unsigned n)
{
	struct rk_client *c = attach();
	int64_t r = rk_openat(c, RK_AT_FDCWD, "/vol/places", O_RDWR | O_CREAT,
			      0644);

	for (unsigned i = 0; i < LENGTH; i++)
		pattern[i] = (uint8_t)(i * 2654435761u >> 13);
	CHECK(rk_pwrite(c, (int)r, pattern, LENGTH, 0) == LENGTH, "pwrite");
	sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (unsigned i = 0; i < PLACES; i++) {
		place[i].fd = -1;
		if (i < OPEN_FILES) {
			open_again(c, i);
			continue;
		}
		place[i].file = i - OPEN_FILES;
		place[i].fd = (int)rk_dup(c, place[i - OPEN_FILES].fd, 0);
	}
	while (n-- > 0)
		step(c, rnd(PLACES));
	rk_detach(c);
	return together();
}
