/*
 * pages_cut.c - a file that gets shorter and longer, and is mapped now and then,
 * while several threads read it without asking: what they hold of its pages comes
 * and goes under them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "pages.h"

enum { SIZE = 64 << 10, WORDS = SIZE / 8, THREADS = 3, TIMES = 6 };

static struct {
	struct rk_client *client;
	int fd;
	_Atomic bool stop;
	_Atomic unsigned long reads;
} cut;

/* One write, of which the end may have been cut off and be zeros again. */
static void check(const uint64_t *buf, int64_t n)
{
	int64_t k = 0;

	CHECK(n >= 0 && n <= SIZE && n % 8 == 0, "%d", (int)n);
	while (k < n / 8 && buf[k] && buf[k] == buf[0])
		k++;
	for (int64_t i = k; i < n / 8; i++)
		CHECK(buf[i] == 0, "at %d: %lu after %lu", (int)i,
		      (unsigned long)buf[i], (unsigned long)buf[0]);
}

static void *reader(void *unused)
{
	uint64_t *buf = malloc(SIZE);

	(void)unused;
	CHECK(buf, "no memory");
	while (!atomic_load(&cut.stop)) {
		check(buf, rk_pread(cut.client, cut.fd, buf, SIZE, 0));
		atomic_fetch_add(&cut.reads, 1);
	}
	free(buf);
	return NULL;
}

/* All of it is gone, and other pages come, with the next write. */
static void map_it(struct rk_client *c, int fd)
{
	uint64_t from;
	int memfd;
	int64_t h = rk_map(c, fd, 0, SIZE, PROT_READ, MAP_SHARED, &memfd, &from);
	void *p;

	CHECK(h >= 0, "%d", (int)h);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, memfd, (off_t)from);
	CHECK(p != MAP_FAILED, "%m");
	close(memfd);
	check(p, SIZE);
	munmap(p, SIZE);
	CHECK(rk_unmap(c, (uint32_t)h) == 0, "unmap");
}

static void change(struct rk_client *c, int fd, uint64_t n)
{
	static uint64_t buf[WORDS];
	int64_t r;

	for (unsigned i = 0; i < WORDS; i++)
		buf[i] = n;
	r = rk_pwrite(c, fd, buf, SIZE, 0);
	CHECK(r == SIZE, "%d", (int)r);
	/* until it is read without asking */
	for (unsigned i = 0; i < TIMES; i++)
		check(buf, rk_pread(c, fd, buf, SIZE, 0));
	CHECK(buf[0] == n && buf[WORDS - 1] == n, "not what was written");
	if (n % 7 == 3)
		map_it(c, fd);
	r = rk_ftruncate(c, fd, rnd(WORDS) * 8);
	CHECK(r == 0, "%d", (int)r);
	if (n % 2) {
		r = rk_ftruncate(c, fd, rnd(WORDS) * 8);
		CHECK(r == 0, "%d", (int)r);
	}
	check(buf, rk_pread(c, fd, buf, SIZE, 0));
}

int cuts(double seconds)
{
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/cut", O_RDWR | O_CREAT,
			       0644);
	double until = now() + seconds;
	pthread_t thread[THREADS];
	uint64_t n = 1;

	cut.client = attach();
	cut.fd = (int)rk_openat(cut.client, RK_AT_FDCWD, "/vol/cut", O_RDONLY, 0);
	CHECK(fd >= 0 && cut.fd >= 0, "%d %d", (int)fd, cut.fd);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, reader, NULL), "%m");
	for (; now() < until; n++)
		change(c, (int)fd, n);
	atomic_store(&cut.stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	rk_detach(cut.client);
	rk_detach(c);
	printf("%lu cuts, %lu reads\n", (unsigned long)n,
	       (unsigned long)atomic_load(&cut.reads));
	return 0;
}
