/*
 * drivers.c - see drivers.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/core.h"
#include "supervisor/drivers.h"
#include "supervisor/loader.h"

__attribute__((format(printf, 2, 3)))
static int refuse(char *error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, RK_SERVER_ERROR_LEN, format, ap);
	va_end(ap);
	return -EINVAL;
}

static int check_place(const struct rk__mount_spec *m, uint32_t layer,
		       const struct rk_driver *d,
		       const struct rk_driver *below, char *error)
{
	const char *name = m->layer[layer];

	if (!below && (d->flags & RK_DRIVER_STACKS))
		return refuse(error, "driver %s stands on another one; write "
			      "%s+DRIVER:SOURCE, as in %s+ext4:disk.img", name,
			      name, name);
	if (below && !(d->flags & RK_DRIVER_STACKS))
		return refuse(error, "driver %s stands on no other one, so in "
			      "%s it can only be the last", name, m->driver);
	if (below && (below->flags & RK_DRIVER_REOPEN) &&
	    !(d->flags & RK_DRIVER_REOPEN))
		return refuse(error, "driver %s cannot stand on %s, which each "
			      "server mounts anew", name,
			      m->layer[layer - 1]);
	return 0;
}

static int complete(struct rk__mount_spec *m, const struct rk_driver *d,
		    uint32_t layer, char *error)
{
	if (layer == 0)
		m->kind = d->source;
	if (!(d->flags & RK_DRIVER_READ_ONLY))
		return 0;
	if (m->rw)
		return refuse(error, "driver %s only reads: leave out the "
			      "option rw", m->layer[layer]);
	m->read_only = true;
	return 0;
}

static int check_source(const struct rk__mount_spec *m, char *error)
{
	static const char *const what[] = {
		[RK_SOURCE_IMAGE] = "an image or a block device",
		[RK_SOURCE_FILE] = "a file",
		[RK_SOURCE_DIRECTORY] = "a directory",
	};

	if (m->source[0] || m->kind == RK_SOURCE_NONE)
		return 0;
	return refuse(error, "'%s:' names no source; driver %s needs %s, as in "
		      "%s:%s", m->driver, m->layer[0], what[m->kind],
		      m->driver, m->kind == RK_SOURCE_IMAGE ? "disk.img" :
		      m->kind == RK_SOURCE_FILE ? "some.file" : "some/dir");
}

static int load_mount(const char *dir, uint32_t mount,
		      struct rk__mount_spec *m, char *error)
{
	const struct rk_driver *d = NULL, *below = NULL;

	for (uint32_t i = 0; i < m->n_layers; i++) {
		int e = rk__loader_load(dir, m->layer[i], &d, error);

		if (!e)
			e = check_place(m, i, d, below, error);
		if (!e)
			e = complete(m, d, i, error);
		if (e < 0)
			return e;
		if (i + 1 < m->n_layers)
			rk__lower[mount][i] = d;
		below = d;
	}
	rk__driver[mount] = d;
	return check_source(m, error);
}

int rk__drivers_load(struct rk__config *c, char *error)
{
	int e = 0;

	/* again is no harm: what is there is found, and where it was */
	for (uint32_t i = 0; i < c->n_mounts && !e; i++)
		e = load_mount(c->driver_dir, i, &c->mount[i], error);
	return e;
}
