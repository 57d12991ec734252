/*
 * region.h - how the two regions are mapped and how written pages are found.
 * Inside recovery/ only; servers use recovery.h.
 */
#ifndef RK_REGION_H
#define RK_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include "recovery/recovery.h"

/* The driver region's image holds the heap first and, from here on, the
 * writable data of the drivers' code, which lives at its own addresses. */
#define RK_DRIVER_HEAP		(RK_DRIVER_SIZE - (256ull << 20))

/* A range of driver memory and where its image is. */
struct rk__range {
	uintptr_t at;
	size_t length;
	uint64_t image;			/* offset in the image */
};

enum { RK_RANGES_MAX = 32 };

/* Writable data of driver code, as the loader found it. The zygote sets them
 * before any server exists. */
int rk__region_add_data(uintptr_t at, size_t length);

/* Maps core and driver regions from their images. */
int rk__region_map(int core_fd, int driver_fd);
/* All ranges of driver memory; the first is the heap up to its end. */
unsigned rk__region_ranges(struct rk__range *ret);
/* Driver memory of a page of the image; NULL if no range has it. */
void *rk__region_page(uint64_t page);
/* Copies driver memory, a page or more: sanitizers let it pass over what lies
 * between a driver's variables. */
void rk__region_copy(void *to, const void *from, size_t length);
/* Is this driver memory? */
bool rk__region_has(const void *p);
/* Writes the present content of the drivers' data into their new mappings. */
int rk__region_map_data(int driver_fd, bool keep_content);
/* Reads all of driver memory in, so that a take-over takes no faults. */
void rk__region_populate(void);

void rk__arena_format(void);
uint64_t rk__arena_brk(void);

/* --- the page tracker --------------------------------------------------- */

/* linux/fs.h of 6.7, newer than Debian 12's. */
struct rk__scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

/* All that it asks for with ioctl(2) once it is open. */
#define RK_TRACK_SCAN		_IOWR('f', 16, struct rk__scan_arg)
#define RK_TRACK_PROTECT	UFFDIO_WRITEPROTECT

enum rk__track_method {
	RK_TRACK_WRITE_PROTECT,		/* userfaultfd + PAGEMAP_SCAN, Linux 6.7 */
	RK_TRACK_SIGNAL,		/* mprotect + SIGSEGV, everywhere */
};

/* Chooses a method (RUMP_TRACK=signal forces the second) and makes ready.
 * Before privileges are dropped. */
int rk__track_open(void);
enum rk__track_method rk__track_method(void);
void rk__track_close(void);
/* The first server: the drivers' data as it was loaded counts as written. */
void rk__track_mark_data(void);
/* From here on written pages are found; all pages count as clean. */
int rk__track_arm(void);
/*
 * The pages written since the last arm or collect, as numbers of image pages;
 * they count as clean again. Returns how many, at most max (the caller's max is
 * RK_TRACK_MAX, more is a broken invariant).
 */
unsigned rk__track_collect(uint64_t *pages, unsigned max);
/* Gives written pages back what their image holds; returns their numbers. */
unsigned rk__track_discard(uint64_t *pages, unsigned max);
/* For the fault handler of the server: true if it was a tracked write. */
bool rk__track_fault(void *address);

enum { RK_TRACK_MAX = 1 << 18 };

#endif
