/*
 * region.c - maps the two regions of recoverable memory.
 *
 * Both are private mappings of the images: a page that this process has not
 * written shows the image, a page it has written is its own. The writable data
 * of the drivers' code is part of the driver region although it stays where
 * the loader put it: its image is at the end of the driver region's.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "recovery/region.h"

static struct {
	struct rk__range data[RK_RANGES_MAX - 1];
	unsigned n_data;
	uint64_t image_end;
} region = { .image_end = RK_DRIVER_HEAP };

int rk__region_add_data(uintptr_t at, size_t length)
{
	struct rk__range *r;

	assert(at % RK_PAGE == 0 && length % RK_PAGE == 0);
	if (region.n_data == RK_RANGES_MAX - 1 ||
	    region.image_end + length > RK_DRIVER_SIZE)
		return -ENOSPC;
	r = &region.data[region.n_data++];
	r->at = at;
	r->length = length;
	r->image = region.image_end;
	region.image_end += length;
	return 0;
}

static int map_at(uint64_t at, uint64_t size, int fd)
{
	void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	assert(p == (void *)at);
	/* A commit copies 4 KiB pages: a huge one would be 512 of them. */
	madvise(p, size, MADV_NOHUGEPAGE);
	return 0;
}

int rk__region_map(int core_fd, int driver_fd)
{
	int r = map_at(RK_CORE_AT, RK_CORE_SIZE, core_fd);

	return r < 0 ? r : map_at(RK_DRIVER_AT, RK_DRIVER_HEAP, driver_fd);
}

#if RK_SANITIZED
__attribute__((no_sanitize("address"), noinline))
void rk__region_copy(void *to, const void *from, size_t length)
{
	volatile uint64_t *t = to;
	const volatile uint64_t *f = from;

	for (size_t i = 0; i < length / sizeof *t; i++)
		t[i] = f[i];
}
#else
void rk__region_copy(void *to, const void *from, size_t length)
{
	memcpy(to, from, length);
}
#endif

static int map_one(const struct rk__range *r, int driver_fd, bool keep_content)
{
	void *copy = MAP_FAILED, *p;
	int err = 0;

	if (keep_content) {
		copy = mmap(NULL, r->length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (copy == MAP_FAILED)
			return -errno;
		rk__region_copy(copy, (void *)r->at, r->length);
	}
	p = mmap((void *)r->at, r->length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, driver_fd, (off_t)r->image);
	if (p == MAP_FAILED)
		err = -errno;
	if (copy != MAP_FAILED) {
		if (!err)
			rk__region_copy((void *)r->at, copy, r->length);
		munmap(copy, r->length);
	}
	return err;
}

int rk__region_map_data(int driver_fd, bool keep_content)
{
	for (unsigned i = 0; i < region.n_data; i++) {
		int r = map_one(&region.data[i], driver_fd, keep_content);

		if (r < 0)
			return r;
	}
	return 0;
}

unsigned rk__region_ranges(struct rk__range *ret)
{
	uint64_t brk = (rk__arena_brk() + RK_PAGE - 1) & ~(RK_PAGE - 1ull);

	/* The first page is there before the arena says so. */
	ret[0] = (struct rk__range){
		.at = RK_DRIVER_AT, .length = brk ? brk : RK_PAGE, .image = 0 };
	memcpy(ret + 1, region.data, region.n_data * sizeof *ret);
	return region.n_data + 1;
}

void *rk__region_page(uint64_t page)
{
	uint64_t image = page * RK_PAGE;

	if (page < RK_DRIVER_HEAP / RK_PAGE)
		return (void *)(RK_DRIVER_AT + image);
	for (unsigned i = 0; i < region.n_data; i++) {
		const struct rk__range *r = &region.data[i];

		if (image - r->image < r->length)
			return (void *)(r->at + (image - r->image));
	}
	return NULL;
}

bool rk__region_has(const void *p)
{
	if ((uintptr_t)p - RK_DRIVER_AT < RK_DRIVER_HEAP)
		return true;
	for (unsigned i = 0; i < region.n_data; i++)
		if ((uintptr_t)p - region.data[i].at < region.data[i].length)
			return true;
	return false;
}

void rk__region_populate(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n = rk__region_ranges(range);

	/* Saves faults, promises nothing: an old kernel may refuse. */
	for (unsigned i = 0; i < n; i++)
		madvise((void *)range[i].at, range[i].length,
			MADV_POPULATE_READ);
}
