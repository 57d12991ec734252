/*
 * sites.c - fuzz target: a table of system-call sites that may be anything. What
 * the check lets through can be used without another look: every site lies in
 * its object, holds a system call, and does not overlap the one before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "preload/sites.h"

const uint8_t rk__class[RK__CALLS];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void object_use(const struct rk__sites_head *h,
		       const struct rk__sites_object *o)
{
	const struct rk__site *s = rk__sites_sites(h) + o->first;
	uint64_t end = o->text;

	for (uint32_t i = 0; i < o->n; i++) {
		uint32_t n = (uint32_t)s[i].pre + RK__SYSCALL + s[i].post;

		if (s[i].at < end || n < RK__SITE_JUMP ||
		    n > RK__SITE_BYTES ||
		    s[i].at + n > o->text + o->text_size ||
		    memcmp(s[i].bytes + s[i].pre, "\x0f\x05", RK__SYSCALL))
			abort();
		end = s[i].at + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk__sites_head *h = malloc(size);
	size_t objects, sites;

	if (!h || !size)
		goto out;
	memcpy(h, data, size);
	/* Hard to guess, and what everything else waits for: a head that fits, if
	 * the last byte says so. */
	if (size >= sizeof(*h) && data[size - 1] & 1) {
		objects = data[size - 1] >> 1 & 3;
		if (objects * sizeof(struct rk__sites_object) >
		    size - sizeof(*h))
			goto out;
		sites = (size - sizeof(*h) -
			 objects * sizeof(struct rk__sites_object)) /
			sizeof(struct rk__site);
		size = sizeof(*h) + objects * sizeof(struct rk__sites_object) +
		       sites * sizeof(struct rk__site);
		h->magic = RK__SITES_MAGIC;
		h->version = RK__SITES_VERSION;
		h->n_objects = (uint32_t)objects;
		h->n_sites = (uint32_t)sites;
		h->size = (uint32_t)size;
	}
	if (!rk__sites_check(h, size))
		for (uint32_t i = 0; i < h->n_objects; i++)
			object_use(h, &rk__sites_objects(h)[i]);
out:
	free(h);
	return 0;
}
