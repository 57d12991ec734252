/*
 * track.c - finds the pages of driver memory that were written since the last
 * commit.
 *
 * Theory of operation. With userfaultfd's asynchronous write protection the
 * kernel marks a page as written at its first write (0.9 us), and
 * PAGEMAP_SCAN lists the marked pages and protects them again in one call
 * (1.4 us and 0.3 us per MiB). A page that was never protected counts as
 * written once it is present, so pages that are new need no care. Where the
 * kernel has no such scan (before 6.7) or a sandbox forbids userfaultfd,
 * pages are read-only and the fault handler makes one writable at its first
 * write (4 us) and lists it.
 *
 * The drivers' data is always found by faults: drivers keep their state on the
 * heap, so it is written once in a while and looked after at every commit.
 *
 * Both are opened after the fork: they belong to one address space. soft-dirty
 * bits are no third way: many kernels accept clear_refs and never set them.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "recovery/region.h"

struct page_region_6_7 {
	uint64_t start, end, categories;
};

#define SCAN_WP_MATCHING	1u
#define SCAN_WRITTEN		2u
#define FEATURE_WP_SHMEM	(1u << 12)
#define FEATURE_WP_ASYNC	(1u << 15)
#define USER_MODE_ONLY		1

static struct {
	enum rk__track_method method;
	int uffd, pagemap;
	/* Found by faults so far; RK_TRACK_SIGNAL: and how much of the heap is
	 * protected. */
	uint64_t page[RK_TRACK_MAX];
	unsigned n_pages;
	size_t heap_protected;
} track = { .uffd = -1, .pagemap = -1 };

enum rk__track_method rk__track_method(void)
{
	return track.method;
}

static int register_range(uintptr_t at, size_t length)
{
	struct uffdio_register reg = {
		.range = { at, length },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(track.uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

/* Scans [at, at + length); wp: protects what it finds. */
static int scan(uintptr_t at, size_t length, bool wp,
		struct page_region_6_7 *vec, unsigned n, uint64_t *ret_end)
{
	struct rk__scan_arg arg = {
		.size = sizeof arg,
		.flags = wp ? SCAN_WP_MATCHING : 0,
		.start = at,
		.end = at + length,
		.vec = (uintptr_t)vec,
		.vec_len = n,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};
	int r = ioctl(track.pagemap, RK_TRACK_SCAN, &arg);

	if (r < 0)
		return -errno;
	*ret_end = arg.walk_end;
	return r;
}

static int open_write_protect(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = FEATURE_WP_ASYNC | FEATURE_WP_SHMEM |
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct page_region_6_7 one;
	uint64_t end;
	int r;

	track.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
	if (track.uffd < 0 || ioctl(track.uffd, UFFDIO_API, &api) < 0)
		goto fail;
	track.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (track.pagemap < 0)
		goto fail;
	if (register_range(RK_DRIVER_AT, RK_DRIVER_HEAP) < 0)
		goto fail;
	if (scan(RK_DRIVER_AT, RK_PAGE, false, &one, 1, &end) < 0)
		goto fail;
	return 0;
fail:
	r = -errno;
	if (track.pagemap >= 0)
		close(track.pagemap);
	if (track.uffd >= 0)
		close(track.uffd);
	track.uffd = track.pagemap = -1;
	return r < 0 ? r : -ENOSYS;
}

int rk__track_open(void)
{
	const char *forced = getenv("RUMP_TRACK");

	track.method = RK_TRACK_WRITE_PROTECT;
	if ((forced && !strcmp(forced, "signal")) || open_write_protect() < 0)
		track.method = RK_TRACK_SIGNAL;
	return 0;
}

void rk__track_close(void)
{
	if (track.pagemap >= 0)
		close(track.pagemap);
	if (track.uffd >= 0)
		close(track.uffd);
	track.uffd = track.pagemap = -1;
	track.n_pages = 0;
}

void rk__track_mark_data(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n = rk__region_ranges(range);

	for (unsigned i = 1; i < n; i++)
		for (size_t at = 0; at < range[i].length; at += RK_PAGE) {
			assert(track.n_pages < RK_TRACK_MAX);
			track.page[track.n_pages++] =
				(range[i].image + at) / RK_PAGE;
		}
}

static void protect(uintptr_t at, size_t length)
{
	int r = mprotect((void *)at, length, PROT_READ);

	assert(r == 0);
}

static int protect_heap(const struct rk__range *heap)
{
	struct uffdio_writeprotect wp = {
		.range = { heap->at, heap->length },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (track.method == RK_TRACK_WRITE_PROTECT)
		return ioctl(track.uffd, RK_TRACK_PROTECT, &wp) < 0 ?
			-errno : 0;
	protect(heap->at, heap->length);
	track.heap_protected = heap->length;
	return 0;
}

int rk__track_arm(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n = rk__region_ranges(range);

	for (unsigned i = 1; i < n; i++)
		protect(range[i].at, range[i].length);
	track.n_pages = 0;
	return protect_heap(&range[0]);
}

static unsigned scan_heap(uint64_t *pages, unsigned max, bool wp)
{
	static struct page_region_6_7 vec[1024];
	struct rk__range range[RK_RANGES_MAX];
	uint64_t at = RK_DRIVER_AT, end;
	unsigned n = 0;

	rk__region_ranges(range);
	end = at + range[0].length;
	while (at < end) {
		int got = scan(at, end - at, wp, vec, 1024, &at);

		assert(got >= 0);
		for (int k = 0; k < got; k++)
			for (uint64_t p = vec[k].start; p < vec[k].end;
			     p += RK_PAGE) {
				assert(n < max);
				pages[n++] = (p - RK_DRIVER_AT) / RK_PAGE;
			}
	}
	return n;
}

bool rk__track_fault(void *address)
{
	struct rk__range range[RK_RANGES_MAX];
	uintptr_t at = (uintptr_t)address & ~(uintptr_t)(RK_PAGE - 1);
	unsigned n;

	n = rk__region_ranges(range);
	range[0].length = RK_DRIVER_HEAP;
	for (unsigned i = track.method == RK_TRACK_SIGNAL ? 0 : 1; i < n; i++) {
		const struct rk__range *r = &range[i];

		if (at - r->at >= r->length)
			continue;
		if (track.n_pages == RK_TRACK_MAX)
			return false;
		if (mprotect((void *)at, RK_PAGE, PROT_READ | PROT_WRITE) < 0)
			return false;
		track.page[track.n_pages++] = (at - r->at + r->image) / RK_PAGE;
		return true;
	}
	return false;
}

/* Heap that the arena grew into since: never protected, so all of it counts. */
static unsigned add_grown_heap(uint64_t *pages, unsigned n, unsigned max)
{
	struct rk__range range[RK_RANGES_MAX];

	rk__region_ranges(range);
	for (size_t at = track.heap_protected; at < range[0].length;
	     at += RK_PAGE) {
		assert(n < max);
		pages[n++] = at / RK_PAGE;
	}
	if (track.heap_protected < range[0].length)
		track.heap_protected = range[0].length;
	return n;
}

/* What faults have found, protected again. */
static unsigned take_faulted(uint64_t *pages, unsigned n, unsigned max)
{
	unsigned first = n;

	assert(track.n_pages <= max - n);
	memcpy(pages + n, track.page, track.n_pages * sizeof *pages);
	n += track.n_pages;
	track.n_pages = 0;
	if (track.method == RK_TRACK_SIGNAL)
		n = add_grown_heap(pages, n, max);
	for (unsigned i = first; i < n; i++)
		protect((uintptr_t)rk__region_page(pages[i]), RK_PAGE);
	return n;
}

unsigned rk__track_collect(uint64_t *pages, unsigned max)
{
	unsigned n = track.method == RK_TRACK_SIGNAL ? 0 :
		scan_heap(pages, max, true);

	return take_faulted(pages, n, max);
}

unsigned rk__track_discard(uint64_t *pages, unsigned max)
{
	unsigned n = track.method == RK_TRACK_SIGNAL ? 0 :
		scan_heap(pages, max, false);

	n = take_faulted(pages, n, max);
	for (unsigned i = 0; i < n; i++) {
		int r = madvise(rk__region_page(pages[i]), RK_PAGE,
				MADV_DONTNEED);
		assert(r == 0);
	}
	return n;
}
