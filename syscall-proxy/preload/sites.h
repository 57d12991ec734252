/*
 * sites.h - the table of system-call sites: made outside of the program with a
 * disassembler (broker/sites.c), handed over as a memfd, used by patch.c.
 *
 * A site is a run of instructions with one system call among them: `pre` bytes,
 * the instruction, `post` bytes. Its first five bytes may become a jump to a copy
 * of it elsewhere: all others of the run do not depend on where they are, no
 * branch leads behind its first byte into these five, and all lies in one
 * function. Who patches compares all bytes of all sites of an object first, and
 * lets the object be if one differs.
 *
 * Flat: header, objects, sites; no pointers. An object's sites stand together, by
 * address, and do not overlap.
 */
#ifndef RK_SITES_H
#define RK_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "route/route.h"

enum {
	RK__SITES_MAGIC = 0x73736b72,
	RK__SITES_VERSION = 1,
	RK__SITES_OBJECTS = 64,
	RK__SITES_MAX = 8192,
	RK__SITE_BYTES = 32,		/* of one site */
	RK__SITE_JUMP = 5,
	RK__SYSCALL = 2,		/* bytes of the instruction */
	RK__BUILD_ID = 32,
};

struct rk__sites_head {
	uint32_t magic, version;
	uint32_t size;			/* of all */
	uint32_t n_objects, n_sites;
	uint32_t pad;
};

struct rk__sites_object {
	uint8_t build_id[RK__BUILD_ID];	/* every object has one */
	uint32_t build_id_size;
	uint32_t first, n;		/* sites */
	uint32_t left;			/* of our concern, and not understood */
	uint64_t text, text_size;	/* address in the object, of its code */
};

struct rk__site {
	uint64_t at;			/* address in the object */
	int32_t nr;			/* or -1: not known */
	uint8_t pre, post;		/* bytes around the instruction */
	uint8_t pad[2];
	uint8_t bytes[RK__SITE_BYTES];	/* pre + RK__SYSCALL + post */
};

static inline const struct rk__sites_object *
rk__sites_objects(const struct rk__sites_head *h)
{
	return (const struct rk__sites_object *)(h + 1);
}

static inline const struct rk__site *
rk__sites_sites(const struct rk__sites_head *h)
{
	return (const struct rk__site *)(rk__sites_objects(h) + h->n_objects);
}

/* sites_check.c: whether it is a table, in all it says. 0 or -EINVAL. */
int rk__sites_check(const void *table, size_t size);

/* enum rk__class of a call inside of a process: as rk__class has it, and those that
 * change what the process is or has, whatever their words are. */
uint8_t rk__site_class(long nr);
/* Not RK__CLASS_NONE. */
bool rk__site_wanted(long nr);

#endif
