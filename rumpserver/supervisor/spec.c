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
#define AS_IN "write DRIVER:SOURCE, as in ext4:disk.img"

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

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

/* Options that are ours, not the driver's. */
static bool take_option(struct rk__mount_spec *m, const char *name, size_t len)
{
	bool ro = is(name, len, "ro"), rw = is(name, len, "rw");

	if (ro || rw) {
		m->read_only = ro;
		m->rw = rw;
	} else if (is(name, len, "writeback")) {
		m->writeback = true;
	} else if (is(name, len, "stay")) {
		m->stay = true;
	} else if (is(name, len, "execution=process")) {
		m->process = true;
	} else if (is(name, len, "execution=interrupt")) {
		m->process = false;
	} else {
		return false;
	}
	return true;
}

/* One with a driver's name before it must name one of the stack. */
static int check_owner(const struct rk__mount_spec *m, const char *name,
		       size_t len, char *error)
{
	size_t owner = strcspn(name, ".=,");

	if (owner >= len || name[owner] != '.')
		return 0;
	for (uint32_t i = 0; i < m->n_layers; i++)
		if (is(name, owner, m->layer[i]))
			return 0;
	return refuse(error, "the option '%.*s' is for a driver '%.*s', which "
		      "is not in %s", len < 60 ? (int)len : 60, name,
		      owner < 32 ? (int)owner : 32, name, m->driver);
}

static int add_option(struct rk__mount_spec *m, const char *name, size_t len,
		      char *error)
{
	size_t used = strlen(m->options);

	if (take_option(m, name, len))
		return 0;
	if (len > 10 && !memcmp(name, "execution=", 10))
		return refuse(error, "there is no execution model '%.*s'; "
			      "write execution=interrupt or execution=process",
			      len < 40 ? (int)len - 10 : 30, name + 10);
	if (check_owner(m, name, len, error) < 0)
		return -EINVAL;
	if (used + len + 2 > sizeof m->options)
		return refuse(error, "the options of %.100s are too long",
			      m->source);
	if (used)
		m->options[used++] = ',';
	memcpy(m->options + used, name, len);
	m->options[used + len] = 0;
	return 0;
}

int rk__spec_options(const char *text, struct rk__mount_spec *m, char *error)
{
	int e;

	for (;;) {
		size_t len = strcspn(text, ",");

		if (!len)
			return refuse(error, "an option of %.100s is empty: "
				      "two commas, or one at the end",
				      m->source);
		e = add_option(m, text, len, error);
		if (e < 0 || !text[len])
			return e;
		text += len + 1;
	}
}

int rk__spec_drivers(const char *text, struct rk__mount_spec *m, char *error)
{
	size_t len = strcspn(text, ":");
	uint32_t n = 1;

	m->n_layers = 0;
	if (copy(m->driver, sizeof m->driver, text, len) < 0)
		return refuse(error, "'%.32s...' is no name of a driver", text);
	for (size_t i = 0; i < len; i++)
		n += text[i] == '+';
	if (n > RK_STACK_MAX)
		return refuse(error, "%s: at most %d drivers stand on each "
			      "other", m->driver, RK_STACK_MAX);
	m->n_layers = n;
	for (const char *p = m->driver; n--; p += strcspn(p, "+") + 1) {
		size_t part = strcspn(p, "+");

		if (!part)
			return refuse(error, "'%s' lacks a name beside a '+'; "
				      "write it as in fault+ext4", m->driver);
		if (copy(m->layer[n], sizeof m->layer[n], p, part) < 0)
			return refuse(error, "'%.32s...' is no name of a "
				      "driver", p);
		for (uint32_t i = n + 1; i < m->n_layers; i++)
			if (strcmp(m->layer[i], m->layer[n]) == 0)
				return refuse(error, "driver %s is twice in "
					      "%s", m->layer[n], m->driver);
	}
	return 0;
}

int rk__spec_source(const char *text, struct rk__mount_spec *ret, char *error)
{
	const char *colon = strchr(text, ':'), *source;
	size_t len;
	int e;

	if (!colon)
		return refuse(error, "'%.100s' has no ':'; " AS_IN, text);
	if (colon == text)
		return refuse(error, "'%.100s' names no driver; " AS_IN, text);
	ret->options[0] = 0;
	ret->read_only = ret->rw = ret->writeback = false;
	ret->stay = ret->process = false;
	e = rk__spec_drivers(text, ret, error);
	if (e < 0)
		return e;
	source = colon + 1;
	len = strcspn(source, ",");
	/* some drivers need none: rk__drivers_load() knows */
	e = copy(ret->source, sizeof ret->source, source, len);
	if (e < 0)
		return refuse(error, "the path of the source is too long");
	return source[len] ? rk__spec_options(source + len + 1, ret, error) : 0;
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
	}
	return 0;
}

int rk__spec_apart(const struct rk__config *c, char *error)
{
	for (uint32_t i = 0; i < c->n_mounts; i++)
		for (uint32_t k = 0; k < c->n_mounts; k++)
			if (inside(c->mount[i].path, c->mount[k].path))
				return refuse(error, "mount points %.100s and "
					      "%.100s lie one inside the other",
					      c->mount[i].path,
					      c->mount[k].path);
	return 0;
}

int rk__spec_begin(struct rk__config *c, const char *path, char *error)
{
	struct rk__mount_spec *m = &c->mount[c->n_mounts];
	int e = 0;

	if (c->n_mounts == RK_MOUNTS_MAX)
		return refuse(error, "there are more than %d mounts",
			      RK_MOUNTS_MAX);
	memset(m, 0, sizeof *m);
	/* only whoever sees nothing else can have it as the root */
	if (strcmp(path, "/") == 0)
		strcpy(m->path, path);
	else
		e = rk__spec_path(path, m, error);
	if (!e)
		e = check_others(c, m, error);
	if (!e)
		c->n_mounts++;
	return e;
}

int rk__spec_add(struct rk__config *c, const char *text, char *error)
{
	const char *equals = strchr(text, '=');
	char path[sizeof c->mount[0].path];
	int e;

	if (!equals)
		return refuse(error, "'%.100s' has no '='; write " FORM
			      ", as in /vol=ext4:disk.img", text);
	if (copy(path, sizeof path, text, equals - text) < 0)
		return refuse(error, "the mount point's path is too long");
	e = rk__spec_begin(c, path, error);
	if (e < 0)
		return e;
	e = rk__spec_source(equals + 1, &c->mount[c->n_mounts - 1], error);
	if (e < 0)
		c->n_mounts--;
	return e;
}

int rk__spec_name(const char *name, char *error)
{
	const char *good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			   "0123456789._-";

	if (*name && *name != '.' && *name != '-' && strlen(name) < 64 &&
	    strspn(name, good) == strlen(name))
		return 0;
	return refuse(error, "'%.64s' is no name for a server; use up to 63 "
		      "letters, digits, '.', '_' and '-'", name);
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
