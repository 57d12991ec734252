/*
 * memory.c - drivers' memory in an application: what recovery/commit.c does for
 * a server, without a log, because nobody comes after us.
 *
 * Theory of operation. As in a server the regions are private mappings of an
 * image. When an op is done, the pages that it wrote are copied to the image;
 * when it failed, they are dropped, and show the image again. Written pages are
 * found by the tracker where the kernel can tell; where it cannot, each page of
 * the heap is compared, which is slow and right: no signal handler is put into
 * somebody else's process. Writable data of a driver's code is not taken back.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "local_int.h"
#include "recovery/commit.h"
#include "recovery/region.h"
#include "supervisor/loader.h"

static struct {
	int core_fd, driver_fd;
	uint8_t *image;			/* of the drivers' heap, to write to */
	uint64_t page[RK_TRACK_MAX];
	/* The drivers' writable data as it was loaded, for the next time. */
	struct rk__segment segment[RK_SEGMENTS_MAX];
	void *fresh[RK_SEGMENTS_MAX];
	unsigned n_segments;
} memory = { .core_fd = -1, .driver_fd = -1 };

/* Passed by nothing that stands here; the code it shares asks for it. */
struct rk__board *rk__crash_board;

void rk__crash(enum rk__crashpoint point)
{
}

static int make(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0)
		return fd;
	close(fd);
	return -ENOMEM;
}

static int map(void)
{
	int r = rk__region_map(memory.core_fd, memory.driver_fd);

	if (r < 0)
		return r;
	memory.image = mmap(NULL, RK_DRIVER_HEAP, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, memory.driver_fd, 0);
	if (memory.image == MAP_FAILED) {
		memory.image = NULL;
		return -ENOMEM;
	}
	rk__arena_format();
	r = rk__track_open();
	if (r == 0 && rk__track_method() == RK_TRACK_WRITE_PROTECT)
		r = rk__track_arm();
	if (r == 0)
		rk__change_driver();
	return r;
}

static int keep_data(void)
{
	struct rk__segment *s = memory.segment;
	unsigned n = rk__loader_segments(s, RK_SEGMENTS_MAX);

	if (n > RK_SEGMENTS_MAX)
		return -ENOSPC;
	for (unsigned i = memory.n_segments; i < n; i++) {
		memory.fresh[i] = malloc(s[i].length);
		if (!memory.fresh[i])
			return -ENOMEM;
		rk__region_copy(memory.fresh[i], (void *)s[i].addr,
				s[i].length);
		memory.n_segments = i + 1;
	}
	return 0;
}

int rk__memory_open(void)
{
	int r = 0;

	memory.core_fd = make("rump-core", RK_CORE_SIZE);
	memory.driver_fd = make("rump-driver", RK_DRIVER_SIZE);
	if (memory.core_fd < 0 || memory.driver_fd < 0)
		r = -ENOMEM;
	if (r == 0)
		r = keep_data();
	if (r == 0)
		r = map();
	if (r < 0)
		rk__memory_close();
	else
		memcpy(memory.image, (void *)RK_DRIVER_AT, RK_PAGE);
	return r;
}

void rk__memory_close(void)
{
	rk__track_close();
	munmap((void *)RK_CORE_AT, RK_CORE_SIZE);
	munmap((void *)RK_DRIVER_AT, RK_DRIVER_HEAP);
	if (memory.image)
		munmap(memory.image, RK_DRIVER_HEAP);
	if (memory.core_fd >= 0)
		close(memory.core_fd);
	if (memory.driver_fd >= 0)
		close(memory.driver_fd);
	memory.image = NULL;
	memory.core_fd = memory.driver_fd = -1;
	for (unsigned i = 0; i < memory.n_segments; i++)
		rk__region_copy((void *)memory.segment[i].addr, memory.fresh[i],
				memory.segment[i].length);
	rk__notes_clear();
}

static void *heap_page(uint64_t page)
{
	return (uint8_t *)RK_DRIVER_AT + page * RK_PAGE;
}

/* Heap pages that differ from the image, by looking. */
static unsigned compare(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n = 0;

	rk__region_ranges(range);
	for (uint64_t p = 0; p < range[0].length / RK_PAGE; p++)
		if (memcmp(heap_page(p), memory.image + p * RK_PAGE, RK_PAGE)) {
			assert(n < RK_TRACK_MAX);
			memory.page[n++] = p;
		}
	return n;
}

void rk__memory_commit(void)
{
	unsigned n = 0;

	if (rk__driver_changed())
		n = rk__track_method() == RK_TRACK_WRITE_PROTECT ?
			rk__track_collect(memory.page, RK_TRACK_MAX) :
			compare();
	for (unsigned i = 0; i < n; i++)
		memcpy(memory.image + memory.page[i] * RK_PAGE,
		       heap_page(memory.page[i]), RK_PAGE);
	rk__notes_clear();
	rk__blocks_commit();
}

void rk__rollback(void)
{
	unsigned n = 0;

	if (rk__driver_changed() &&
	    rk__track_method() == RK_TRACK_WRITE_PROTECT)
		rk__track_discard(memory.page, RK_TRACK_MAX);
	else if (rk__driver_changed())
		n = compare();
	for (unsigned i = 0; i < n; i++)
		memcpy(heap_page(memory.page[i]),
		       memory.image + memory.page[i] * RK_PAGE, RK_PAGE);
	rk__notes_undo();
	rk__notes_clear();
	rk__blocks_rollback();
}
