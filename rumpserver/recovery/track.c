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

/* linux/fs.h of 6.7, newer than Debian 12's. */
struct pm_scan_arg_6_7 {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

struct page_region_6_7 {
	uint64_t start, end, categories;
};

#define SCAN_IOCTL	_IOWR('f', 16, struct pm_scan_arg_6_7)
#define SCAN_WP_MATCHING	1u
#define SCAN_WRITTEN		2u
#define FEATURE_WP_SHMEM	(1u << 12)
#define FEATURE_WP_ASYNC	(1u << 15)
#define USER_MODE_ONLY		1

static struct {
	enum rk__track_method method;
	int uffd, pagemap;
	/* RK_TRACK_SIGNAL: written so far, and how much of the heap is
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
	struct pm_scan_arg_6_7 arg = {
		.size = sizeof arg,
		.flags = wp ? SCAN_WP_MATCHING : 0,
		.start = at,
		.end = at + length,
		.vec = (uintptr_t)vec,
		.vec_len = n,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};
	int r = ioctl(track.pagemap, SCAN_IOCTL, &arg);

	if (r < 0)
		return -errno;
	*ret_end = arg.walk_end;
	return r;
}

static int open_write_protect(void)
{
	struct rk__range range[RK_RANGES_MAX];
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = FEATURE_WP_ASYNC | FEATURE_WP_SHMEM |
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct page_region_6_7 one;
	uint64_t end;
	unsigned n;
	int r;

	track.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY);
	if (track.uffd < 0 || ioctl(track.uffd, UFFDIO_API, &api) < 0)
		goto fail;
	track.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (track.pagemap < 0)
		goto fail;
	n = rk__region_ranges(range);
	range[0].length = RK_DRIVER_HEAP;
	for (unsigned i = 0; i < n; i++)
		if (register_range(range[i].at, range[i].length) < 0)
			goto fail;
	if (scan(range[0].at, RK_PAGE, false, &one, 1, &end) < 0)
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

void rk__track_mark_data(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n;

	/* With write protection, what was never protected counts by itself. */
	if (track.method != RK_TRACK_SIGNAL)
		return;
	n = rk__region_ranges(range);
	for (unsigned i = 1; i < n; i++)
		for (size_t at = 0; at < range[i].length; at += RK_PAGE) {
			assert(track.n_pages < RK_TRACK_MAX);
			track.page[track.n_pages++] =
				(range[i].image + at) / RK_PAGE;
		}
}

static void protect_all(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n = rk__region_ranges(range);

	for (unsigned i = 0; i < n; i++) {
		int r = mprotect((void *)range[i].at, range[i].length,
				 PROT_READ);
		assert(r == 0);
	}
	track.heap_protected = range[0].length;
	track.n_pages = 0;
}

int rk__track_arm(void)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n;

	if (track.method == RK_TRACK_SIGNAL) {
		protect_all();
		return 0;
	}
	n = rk__region_ranges(range);
	for (unsigned i = 0; i < n; i++) {
		struct uffdio_writeprotect wp = {
			.range = { range[i].at, range[i].length },
			.mode = UFFDIO_WRITEPROTECT_MODE_WP,
		};

		if (ioctl(track.uffd, UFFDIO_WRITEPROTECT, &wp) < 0)
			return -errno;
	}
	return 0;
}

/* Adds the pages of a region found, of whichever range it is in. */
static unsigned add_pages(const struct rk__range *range, unsigned n_ranges,
			  const struct page_region_6_7 *found, uint64_t *pages,
			  unsigned n, unsigned max)
{
	const struct rk__range *r = range;

	while (r < range + n_ranges && found->start - r->at >= r->length)
		r++;
	if (r == range + n_ranges)
		return n;
	for (uint64_t p = found->start; p < found->end; p += RK_PAGE) {
		assert(n < max);
		pages[n++] = (p - r->at + r->image) / RK_PAGE;
	}
	return n;
}

static unsigned collect_span(const struct rk__range *range, unsigned n_ranges,
			     bool wp, uint64_t *pages, unsigned n, unsigned max)
{
	static struct page_region_6_7 vec[1024];
	uint64_t at = UINT64_MAX, end = 0;

	for (unsigned i = 0; i < n_ranges; i++) {
		if (range[i].at < at)
			at = range[i].at;
		if (range[i].at + range[i].length > end)
			end = range[i].at + range[i].length;
	}
	while (at < end) {
		int got = scan(at, end - at, wp, vec, 1024, &at);

		assert(got >= 0);
		for (int k = 0; k < got; k++)
			n = add_pages(range, n_ranges, &vec[k], pages, n, max);
	}
	return n;
}

/* The heap, and then from the first to the last of the drivers' data in one
 * call: what lies between is not registered, and the kernel passes it over
 * faster than a call of its own takes. */
static unsigned collect_scan(uint64_t *pages, unsigned max, bool wp)
{
	struct rk__range range[RK_RANGES_MAX];
	unsigned n_ranges = rk__region_ranges(range), n;

	n = collect_span(range, 1, wp, pages, 0, max);
	return collect_span(range + 1, n_ranges - 1, wp, pages, n, max);
}

bool rk__track_fault(void *address)
{
	struct rk__range range[RK_RANGES_MAX];
	uintptr_t at = (uintptr_t)address & ~(uintptr_t)(RK_PAGE - 1);
	unsigned n;

	if (track.method != RK_TRACK_SIGNAL)
		return false;
	n = rk__region_ranges(range);
	range[0].length = RK_DRIVER_HEAP;
	for (unsigned i = 0; i < n; i++) {
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
	return n;
}

static unsigned collect_signal(uint64_t *pages, unsigned max, bool protect)
{
	unsigned n = track.n_pages;

	assert(n <= max);
	memcpy(pages, track.page, n * sizeof *pages);
	n = add_grown_heap(pages, n, max);
	if (!protect)
		return n;
	for (unsigned i = 0; i < n; i++) {
		int r = mprotect(rk__region_page(pages[i]), RK_PAGE,
				 PROT_READ);
		assert(r == 0);
	}
	if (n && track.heap_protected < RK_PAGE)
		track.heap_protected = RK_PAGE;
	{
		struct rk__range range[RK_RANGES_MAX];

		rk__region_ranges(range);
		if (range[0].length > track.heap_protected)
			track.heap_protected = range[0].length;
	}
	track.n_pages = 0;
	return n;
}

unsigned rk__track_collect(uint64_t *pages, unsigned max)
{
	if (track.method == RK_TRACK_SIGNAL)
		return collect_signal(pages, max, true);
	return collect_scan(pages, max, true);
}

unsigned rk__track_discard(uint64_t *pages, unsigned max)
{
	unsigned n;

	if (track.method == RK_TRACK_SIGNAL)
		n = collect_signal(pages, max, true);
	else
		n = collect_scan(pages, max, false);
	for (unsigned i = 0; i < n; i++) {
		int r = madvise(rk__region_page(pages[i]), RK_PAGE,
				MADV_DONTNEED);
		assert(r == 0);
	}
	return n;
}
