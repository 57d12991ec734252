/*
 * sites.h - finds the system calls of object files that can be patched safely
 * (preload/sites.h says what safely is).
 */
#ifndef RK_BROKER_SITES_H
#define RK_BROKER_SITES_H

#include "preload/sites.h"

struct rk__sites_report {
	uint32_t objects;	/* in the table */
	uint32_t sites;		/* in the table */
	uint32_t left;		/* of our concern, and not known to be safe */
	uint32_t foreign;	/* known to be none of our concern */
};

/*
 * Makes a table of what these files have. Files that are no x86-64 objects, have
 * no build-id, or cannot be read are passed over. paths NULL: the objects
 * that this process has mapped (what it shares with the programs it runs: libc
 * and the loader), and the other libc's that programs come with. The memfd
 * is sealed. 0 or a negative errno.
 */
int rk__sites_make(const char *const paths[], size_t n,
		   struct rk__sites_report *ret, int *ret_memfd);

/* --- between the files of this -------------------------------------------------- */

/* sites_elf.c: an object file in memory. */
struct rk__elf {
	uint8_t *data;
	size_t size;
	uint8_t build_id[RK__BUILD_ID];
	uint32_t build_id_size;
	uint64_t text;			/* address of code */
	const uint8_t *code;		/* its bytes */
	size_t code_size;
	const uint8_t *table;		/* of .eh_frame_hdr: pairs of int32 */
	uint64_t table_base;
	uint32_t n_functions;
};

int rk__elf_open(const char *path, struct rk__elf *ret);
void rk__elf_close(struct rk__elf *e);
/* The function that has this address: [*start, *end), or false. */
bool rk__elf_function(const struct rk__elf *e, uint64_t at, uint64_t *start,
		      uint64_t *end);

/* sites_find.c: what an object has, in order; *ret is malloc'd. */
int rk__sites_find(const struct rk__elf *e, struct rk__site **ret,
		   struct rk__sites_report *report);

#endif
