/*
 * drivers.h - which drivers a config asks for: loaded, checked to fit on each
 * other, and what they make of the mounts.
 */
#ifndef RK_DRIVERS_H
#define RK_DRIVERS_H

#include "supervisor.h"

/*
 * Loads the drivers of all mounts that are not loaded yet, into rk__driver and
 * rk__lower, and completes the mounts by what they say of themselves: kind,
 * read_only. All who are forked from here have them at the same addresses. 0,
 * or a negative errno with a sentence in error (RK_SERVER_ERROR_LEN).
 */
int rk__drivers_load(struct rk__config *c, char *error);

/* The same for one mount, but nothing is prepared to be used. */
int rk__drivers_check(const char *dir, struct rk__mount_spec *m, char *error);

/* fn is called for each option of m, which was checked, that its driver does
 * not list in its help; at: where it begins in m->options. */
typedef void rk__option_fn(void *arg, size_t at, const char *sentence);
void rk__drivers_check_options(const char *dir, const struct rk__mount_spec *m,
			       rk__option_fn *fn, void *arg);

#endif
