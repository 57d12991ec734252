/*
 * spec.h - what people write for mounts and times, read and checked before
 * anything is touched. Pure: looks at no file.
 */
#ifndef RK_SPEC_H
#define RK_SPEC_H

#include "supervisor.h"

/*
 * "DRIVER[+DRIVER...]:SOURCE[,option...]", the topmost driver first. Of the
 * options, ro, rw, writeback and stay are ours; NAME.option goes to the driver
 * NAME, others to the lowest. SOURCE may be empty here. -EINVAL with a sentence
 * in error (RK_SERVER_ERROR_LEN).
 */
int rk__spec_source(const char *text, struct rk__mount_spec *ret, char *error);
/* The part of it before the ':', and what stands behind the source, each into
 * *m; the drivers first. */
int rk__spec_drivers(const char *text, struct rk__mount_spec *m, char *error);
int rk__spec_options(const char *text, struct rk__mount_spec *m, char *error);
/* An absolute path, normalised: no empty, "." or ".." parts. */
int rk__spec_path(const char *text, struct rk__mount_spec *ret, char *error);
/* "PATH=DRIVER:SOURCE[,option...]" as one more mount of c. */
int rk__spec_add(struct rk__config *c, const char *text, char *error);
/* One more mount of c, of which only the path is known yet. */
int rk__spec_begin(struct rk__config *c, const char *path, char *error);
/* What a server may be called. */
int rk__spec_name(const char *name, char *error);
/* Does no mount lie inside of another? The kernel cannot mount what is served by
 * the server that waits for it; who uses paths without it need not care. */
int rk__spec_apart(const struct rk__config *c, char *error);

/* "50ms", "10s", "200us", "2m"; a bare number is seconds. what: the option's
 * name, for the sentence. */
int rk__spec_time(const char *what, const char *text, uint64_t *ret_us,
		  char *error);

#endif
