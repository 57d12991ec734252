/*
 * faulty.c - ext4 with planted faults: looking up or creating "crash-me" is a
 * wild write, "hang-me" an endless loop, "no-memory" an abort. For the tests
 * of quarantine and deadline.
 */
#include <stdlib.h>
#include <string.h>
#include "driver.h"

extern const struct rk_driver rk_ext4_driver;

/* Filled before anybody asks for it, so not const here. */
struct rk_driver rk_driver;

static void fault(const char *name, size_t len)
{
	static volatile int forever = 1;
	static int *volatile nowhere = (int *)16;

	if (len == 8 && !memcmp(name, "crash-me", len))
		*nowhere = 1;
	if (len == 7 && !memcmp(name, "hang-me", len))
		while (forever)
			;
	if (len == 9 && !memcmp(name, "no-memory", len))
		abort();
}

static int lookup(void *fs, uint64_t dir, const char *name, size_t len,
		  struct rk_stat *ret)
{
	fault(name, len);
	return rk_ext4_driver.lookup(fs, dir, name, len, ret);
}

static int create(void *fs, uint64_t dir, const char *name, size_t len,
		  const struct rk_new *what, struct rk_stat *ret)
{
	fault(name, len);
	return rk_ext4_driver.create(fs, dir, name, len, what, ret);
}

__attribute__((constructor)) static void fill(void)
{
	rk_driver = rk_ext4_driver;
	rk_driver.name = "faulty";
	rk_driver.lookup = lookup;
	rk_driver.create = create;
}
