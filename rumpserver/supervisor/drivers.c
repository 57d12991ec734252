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
#include "supervisor/words.h"

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
			      "option rw, and read-only = no of a config", m->layer[layer]);
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

int rk__drivers_check(const char *dir, struct rk__mount_spec *m, char *error)
{
	const struct rk_driver *d = NULL, *below = NULL;

	for (uint32_t i = 0; i < m->n_layers; i++, below = d) {
		int e = rk__loader_look(dir, m->layer[i], &d, error);

		if (!e)
			e = check_place(m, i, d, below, error);
		if (!e)
			e = complete(m, d, i, error);
		if (e < 0)
			return e;
	}
	return check_source(m, error);
}

/* --- options, as the help of a driver lists them ---------------------------- */

/* "name=" at the beginning of a line, or after another one and a comma. */
static bool is_listed(const char *help, const char *name, size_t len,
		      struct rk__nearest *near)
{
	for (const char *line = strchr(help, '\n'); line && line[1];
	     line = strchr(line + 1, '\n')) {
		for (const char *p = line + 1; p; p = strstr(p, ", ")) {
			char word[64];
			size_t n;

			p += *p == ',' ? 2 : 0;
			n = strcspn(p, "= ,\n");
			if (!n || p[n] != '=' || n >= sizeof word)
				break;
			memcpy(word, p, n);
			word[n] = 0;
			if (n == len && memcmp(word, name, n) == 0)
				return true;
			rk__nearest_try(near, word);
		}
	}
	return false;
}

static int check_option(const char *dir, const struct rk__mount_spec *m,
			const char *option, size_t len, char *error)
{
	size_t owner = 0, dot = strcspn(option, ".=,"), name_len;
	const struct rk_driver *d;
	struct rk__nearest near;
	char name[64];
	int e;

	if (dot < len && option[dot] == '.') {
		while (owner + 1 < m->n_layers &&
		       (strlen(m->layer[owner]) != dot ||
			memcmp(m->layer[owner], option, dot) != 0))
			owner++;
		option += dot + 1;
	}
	e = rk__loader_look(dir, m->layer[owner], &d, error);
	name_len = strcspn(option, "=,");
	if (e < 0 || !d->help)
		return e;
	snprintf(name, sizeof name, "%.*s", (int)name_len, option);
	rk__nearest_init(&near, name);
	if (is_listed(d->help, option, name_len, &near))
		return 0;
	if (near.name[0])
		return refuse(error, "driver %s has no option '%s'; is '%s' "
			      "meant?", m->layer[owner], name, near.name);
	return refuse(error, "driver %s has no option '%s'; rump drivers %s "
		      "tells which it has", m->layer[owner], name,
		      m->layer[owner]);
}

void rk__drivers_check_options(const char *dir, const struct rk__mount_spec *m,
			       rk__option_fn *fn, void *arg)
{
	char error[RK_SERVER_ERROR_LEN];
	const char *p = m->options;

	while (*p) {
		size_t len = strcspn(p, ",");

		if (check_option(dir, m, p, len, error) < 0)
			fn(arg, p - m->options, error);
		p += len + (p[len] == ',');
	}
}

/* --- loading --------------------------------------------------------------- */

static int load_mount(const char *dir, uint32_t mount,
		      struct rk__mount_spec *m, char *error)
{
	const struct rk_driver *d = NULL;
	int e = rk__drivers_check(dir, m, error);

	for (uint32_t i = 0; i < m->n_layers && !e; i++) {
		e = rk__loader_load(dir, m->layer[i], &d, error);
		if (!e && i + 1 < m->n_layers)
			rk__lower[mount][i] = d;
	}
	rk__driver[mount] = d;
	return e;
}

int rk__drivers_load(struct rk__config *c, char *error)
{
	int e = 0;

	/* again is no harm: what is there is found, and where it was */
	for (uint32_t i = 0; i < c->n_mounts && !e; i++)
		e = load_mount(c->driver_dir, i, &c->mount[i], error);
	return e;
}
