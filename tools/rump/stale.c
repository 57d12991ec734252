/*
 * stale.c - mounts that outlived their servers. When supervisor and holder are
 * both killed, the kernel lists the mount until somebody takes it away, and
 * every look at it ends with "transport endpoint is not connected".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon.h"
#include "supervisor/spec.h"

enum { STALE_MAX = 16 };

struct stale {
	const char *dir, *source;	/* either may be NULL */
	struct rk__mounted found;
};

/* A family that dies just now answers first that it was cut off; what the
 * kernel remembers of the directory is no answer. */
static bool is_dead(const char *dir)
{
	struct statx st;

	for (int i = 0; i < 2; i++)
		if (statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC, STATX_TYPE,
			  &st) == 0 ||
		    (errno != ENOTCONN && errno != ECONNABORTED))
			return false;
	return true;
}

/* fstab may name the driver as an option. */
static bool same_source(const char *listed, const char *source)
{
	const char *colon = strchr(listed, ':');

	return strcmp(listed, source) == 0 ||
	       (colon && strcmp(colon + 1, source) == 0);
}

static int look(void *arg, const struct rk__mounted *m)
{
	struct stale *s = arg;

	if (!(s->dir && strcmp(m->path, s->dir) == 0) &&
	    !(s->source && same_source(m->source, s->source)))
		return 0;
	if (!is_dead(m->path))
		return 0;
	s->found = *m;
	return 1;
}

static void clear(struct stale *s)
{
	char error[RK_SERVER_ERROR_LEN];

	for (int i = 0; i < STALE_MAX && rk__mount_each(look, s); i++) {
		if (rk__fuse_unmount(s->found.path, true, error) < 0)
			return;
		fprintf(stderr, "rump: the server of %s had been killed; its "
			"dead mount is removed\n", s->found.path);
	}
}

void stale_clear_dir(const char *dir)
{
	struct rk__mount_spec m;
	char absolute[PATH_MAX], error[RK_SERVER_ERROR_LEN];
	struct stale s = { .dir = m.path };

	if (make_absolute(dir, absolute, sizeof absolute) == 0 &&
	    rk__spec_path(absolute, &m, error) == 0)
		clear(&s);
}

void stale_clear_source(const char *source)
{
	struct stale s = { .source = source };

	clear(&s);
}
