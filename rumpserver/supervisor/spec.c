/*
 * spec.c - see spec.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "supervisor/spec.h"

#define FORM "PATH=DRIVER:SOURCE[,option...]"

__attribute__((format(printf, 2, 3)))
static int refuse(char *error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, RK_SERVER_ERROR_LEN, format, ap);
	va_end(ap);
	return -EINVAL;
}

static int copy(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, from, len);
	to[len] = 0;
	return 0;
}

/* Options that are ours, not the driver's. */
static bool take_option(struct rk__mount_spec *m, const char *name, size_t len)
{
	const struct {
		const char *name;
		bool *flag, value;
	} ours[] = {
		{ "ro", &m->read_only, true },
		{ "rw", &m->read_only, false },
		{ "writeback", &m->writeback, true },
		{ "stay", &m->stay, true },
	};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		if (strlen(ours[i].name) != len ||
		    memcmp(ours[i].name, name, len) != 0)
			continue;
		*ours[i].flag = ours[i].value;
		return true;
	}
	return false;
}

static int add_option(struct rk__mount_spec *m, const char *name, size_t len)
{
	size_t used = strlen(m->options);

	if (take_option(m, name, len))
		return 0;
	if (used + len + 2 > sizeof m->options)
		return -ENAMETOOLONG;
	if (used)
		m->options[used++] = ',';
	memcpy(m->options + used, name, len);
	m->options[used + len] = 0;
	return 0;
}

static int add_options(struct rk__mount_spec *m, const char *text, char *error)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (!len)
			return refuse(error, "an option of %.100s is empty: "
				      "two commas, or one at the end",
				      m->source);
		if (add_option(m, text, len) < 0)
			return refuse(error, "the options of %.100s are too "
				      "long", m->source);
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

int rk__spec_source(const char *text, struct rk__mount_spec *ret, char *error)
{
	const char *colon = strchr(text, ':'), *source;
	size_t len;
	int e;

	if (!colon)
		return refuse(error, "'%.100s' has no ':'; write "
			      "DRIVER:SOURCE, as in ext4:disk.img", text);
	if (colon == text)
		return refuse(error, "'%.100s' names no driver; write "
			      "DRIVER:SOURCE, as in ext4:disk.img", text);
	if (copy(ret->driver, sizeof ret->driver, text, colon - text) < 0)
		return refuse(error, "'%.32s...' is no name of a driver", text);
	source = colon + 1;
	len = strcspn(source, ",");
	if (!len)
		return refuse(error, "'%.100s' names no source; write "
			      "DRIVER:SOURCE, as in ext4:disk.img", text);
	e = copy(ret->source, sizeof ret->source, source, len);
	if (e < 0)
		return refuse(error, "the path of the source is too long");
	ret->options[0] = 0;
	ret->read_only = ret->writeback = ret->stay = false;
	return source[len] ? add_options(ret, source + len + 1, error) : 0;
}

/* Takes away the last part of the path in buf. */
static size_t cut_part(const char *buf, size_t used)
{
	while (used && buf[--used] != '/')
		;
	return used;
}

int rk__spec_path(const char *text, struct rk__mount_spec *ret, char *error)
{
	const char *p = text;
	size_t used = 0;

	if (!*text)
		return refuse(error, "the mount point is empty");
	if (*text != '/')
		return refuse(error, "mount point '%.100s' is not an absolute "
			      "path; it must start with '/'", text);
	if (strpbrk(text, "\n="))
		return refuse(error, "a mount point may have no newline and "
			      "no '=' in its name");
	while (*p) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			used = cut_part(ret->path, used);
		} else if (len && !(len == 1 && p[0] == '.')) {
			if (used + len + 2 > sizeof ret->path)
				return refuse(error, "the mount point's path "
					      "is too long");
			ret->path[used++] = '/';
			memcpy(ret->path + used, p, len);
			used += len;
		}
		p += len;
	}
	ret->path[used] = 0;
	return used ? 0 : refuse(error, "nothing can be mounted on /");
}

static bool inside(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	return strncmp(inner, outer, len) == 0 && inner[len] == '/';
}

static int check_others(const struct rk__config *c,
			const struct rk__mount_spec *m, char *error)
{
	for (uint32_t i = 0; i < c->n_mounts; i++) {
		const char *other = c->mount[i].path;

		if (strcmp(other, m->path) == 0)
			return refuse(error, "mount point %.150s is given "
				      "twice", m->path);
		if (inside(m->path, other) || inside(other, m->path))
			return refuse(error, "mount points %.100s and %.100s "
				      "lie one inside the other", other,
				      m->path);
		if (strcmp(c->mount[i].source, m->source) == 0)
			return refuse(error, "%.150s is given twice",
				      m->source);
	}
	return 0;
}

int rk__spec_add(struct rk__config *c, const char *text, char *error)
{
	const char *equals = strchr(text, '=');
	struct rk__mount_spec *m;
	char path[sizeof m->path];
	int e;

	if (!equals)
		return refuse(error, "'%.100s' has no '='; write " FORM
			      ", as in /vol=ext4:disk.img", text);
	if (c->n_mounts == RK_MOUNTS_MAX)
		return refuse(error, "there are more than %d mounts",
			      RK_MOUNTS_MAX);
	m = &c->mount[c->n_mounts];
	if (copy(path, sizeof path, text, equals - text) < 0)
		return refuse(error, "the mount point's path is too long");
	e = rk__spec_path(path, m, error);
	if (!e)
		e = rk__spec_source(equals + 1, m, error);
	if (!e)
		e = check_others(c, m, error);
	if (!e)
		c->n_mounts++;
	return e;
}

int rk__spec_time(const char *what, const char *text, uint64_t *ret_us,
		  char *error)
{
	static const struct {
		const char *name;
		uint64_t us;
	} unit[] = {
		{ "us", 1 }, { "ms", 1000 }, { "s", 1000000 },
		{ "", 1000000 }, { "m", 60000000 },
	};
	const char *p = text;
	uint64_t n = 0;

	while (isdigit((unsigned char)*p) && n < 1000000000)
		n = n * 10 + (*p++ - '0');
	for (size_t i = 0; p > text && i < sizeof unit / sizeof *unit; i++) {
		if (strcmp(p, unit[i].name) != 0 || !n ||
		    n * unit[i].us > 86400000000ull)
			continue;
		*ret_us = n * unit[i].us;
		return 0;
	}
	return refuse(error, "%s: '%.50s' is no time; write one like 50ms or "
		      "10s, up to a day", what, text);
}
