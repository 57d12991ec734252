/*
 * loader.h - loads drivers before the zygote and prepares their code to live in
 * recoverable memory: what they and their libraries allocate comes from the
 * arena, and where their writable data lies is known.
 */
#ifndef RK_LOADER_H
#define RK_LOADER_H

#include <stddef.h>
#include <stdint.h>
#include "driver.h"

enum { RK_SEGMENTS_MAX = 128 };

struct rk__segment {
	uintptr_t addr;			/* both page-aligned */
	size_t length;
};

/* Is there such a driver? If not, -ENOENT with a sentence that lists those
 * there are. Loads nothing. error: RK_SERVER_ERROR_LEN bytes. */
int rk__loader_find(const char *dir, const char *name, char *error);

/* Tells of all drivers in dir that can be loaded, in the order of their names.
 * For a process that mounts nothing: they are not prepared for it. */
typedef void rk__loader_fn(void *arg, const char *name,
			   const struct rk_driver *driver);
void rk__loader_each(const char *dir, rk__loader_fn *fn, void *arg);

/* What it says of itself. It is loaded, and not prepared to be used. */
int rk__loader_look(const char *dir, const char *name,
		    const struct rk_driver **ret, char *error);

/*
 * Loads dir/rump-driver-NAME.so and all it needs; everything but the C library
 * (and sanitizer run-times) is redirected to the arena, once. 0, or a negative
 * errno with a sentence.
 */
int rk__loader_load(const char *dir, const char *name,
		    const struct rk_driver **ret, char *error);

/* The writable data of everything loaded so far. Returns how many there are;
 * fills at most max. */
unsigned rk__loader_segments(struct rk__segment *ret, unsigned max);

#endif
