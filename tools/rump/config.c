/*
 * config.c - see config.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "config.h"
#include "driver.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"
#include "supervisor/words.h"

#define SUFFIX ".conf"

enum { FILE_LEN_MAX = 1 << 20, PLACES = 2 };

/* --- finding ------------------------------------------------------------------- */

static bool has_suffix(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) &&
	       strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

bool config_is_path(const char *what)
{
	return strchr(what, '/') || has_suffix(what);
}

/* The user's own come first. */
static bool place(int i, char *ret, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (i == 1)
		n = snprintf(ret, size, "/etc/rump");
	else if (xdg && *xdg == '/')
		n = snprintf(ret, size, "%s/rump", xdg);
	else if (home && *home == '/')
		n = snprintf(ret, size, "%s/.config/rump", home);
	else
		return false;
	return n > 0 && (size_t)n < size;
}

int config_find(const char *name, char *ret, size_t size)
{
	char dir[PATH_MAX], ignored[RK_SERVER_ERROR_LEN];

	if (rk__spec_name(name, ignored) < 0)
		return -ENOENT;
	for (int i = 0; i < PLACES; i++) {
		int n;

		if (!place(i, dir, sizeof dir))
			continue;
		n = snprintf(ret, size, "%s/%s" SUFFIX, dir, name);
		if (n > 0 && (size_t)n < size && access(ret, F_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static void try_names(const char *dir, struct rk__nearest *near)
{
	DIR *dp = opendir(dir);
	struct dirent *d;

	while (dp && (d = readdir(dp))) {
		if (!has_suffix(d->d_name))
			continue;
		d->d_name[strlen(d->d_name) - strlen(SUFFIX)] = 0;
		rk__nearest_try(near, d->d_name);
	}
	if (dp)
		closedir(dp);
}

static int refuse_name(const char *name, char *error)
{
	struct rk__nearest near;
	char dir[PATH_MAX];
	size_t used;

	rk__nearest_init(&near, name);
	used = snprintf(error, RK_SERVER_ERROR_LEN, "there is no config "
			"%.64s" SUFFIX " in", name);
	for (int i = 0; i < PLACES; i++) {
		if (!place(i, dir, sizeof dir))
			continue;
		try_names(dir, &near);
		used += snprintf(error + used, RK_SERVER_ERROR_LEN - used,
				 "%s %.40s", i ? " or" : "", dir);
	}
	if (near.name[0])
		snprintf(error + used, RK_SERVER_ERROR_LEN - used,
			 "; is '%s' meant?", near.name);
	return -ENOENT;
}

/* --- reading ------------------------------------------------------------------- */

/* malloc's. */
static char *read_file(const char *path, size_t *ret_len, char *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd >= 0 ? malloc(FILE_LEN_MAX) : NULL;
	ssize_t n = -1;

	*ret_len = 0;
	while (text && *ret_len < FILE_LEN_MAX &&
	       (n = read(fd, text + *ret_len, FILE_LEN_MAX - *ret_len)) > 0)
		*ret_len += n;
	if (n != 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot read the config "
			 "%.150s: %s", path, n > 0 ? "it is too long" :
			 strerror(errno));
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

struct mount_place {
	struct rk__conf *conf;
	unsigned mount;
};

static void refuse_option(void *arg, size_t at, const char *sentence)
{
	struct mount_place *p = arg;

	rk__conf_refuse(p->conf, rk__conf_option_line(p->conf, p->mount, at),
			"%s", sentence);
}

/* Whoever starts it may be anywhere. */
static bool is_relative(const struct rk__mount_spec *m)
{
	return m->kind != RK_SOURCE_NONE && m->source[0] != '/';
}

static void check_drivers(struct rk__conf *c)
{
	char error[RK_SERVER_ERROR_LEN];

	for (unsigned i = 0; i < c->config.n_mounts; i++) {
		struct rk__mount_spec *m = &c->config.mount[i];
		struct mount_place p = { .conf = c, .mount = i };

		if (!m->n_layers)
			continue;
		if (rk__drivers_check(c->config.driver_dir, m, error) < 0) {
			rk__conf_refuse(c, c->place[i].driver, "%s", error);
			continue;
		}
		if (is_relative(m))
			rk__conf_refuse(c, c->place[i].section, "the source "
					"'%.100s' is no absolute path; it must "
					"start with '/'", m->source);
		rk__drivers_check_options(c->config.driver_dir, m,
					  refuse_option, &p);
	}
}

static void take_name(struct config *c)
{
	const char *slash = strrchr(c->path, '/');
	const char *base = slash ? slash + 1 : c->path;
	size_t len = strlen(base);
	char error[RK_SERVER_ERROR_LEN];

	if (has_suffix(base))
		len -= strlen(SUFFIX);
	snprintf(c->name, sizeof c->name, "%.*s", (int)len, base);
	if (len >= sizeof c->name || rk__spec_name(c->name, error) < 0)
		rk__conf_refuse(&c->conf, 0, "'%.64s' is no name for a server, "
				"which has it from its config; use up to 63 "
				"letters, digits, '.', '_' and '-'", c->name);
	else
		strcpy(c->conf.config.name, c->name);
}

int config_read(const char *what, struct config *ret, char *error)
{
	size_t len;
	char *text;
	int e = 0;

	if (!config_is_path(what))
		e = config_find(what, ret->path, sizeof ret->path);
	else if (make_absolute(what, ret->path, sizeof ret->path) < 0)
		e = -ENAMETOOLONG;
	if (e == -ENOENT)
		return refuse_name(what, error);
	text = e < 0 ? NULL : read_file(ret->path, &len, error);
	if (e < 0)
		snprintf(error, RK_SERVER_ERROR_LEN, "the config's path is "
			 "too long");
	if (!text)
		return e < 0 ? e : -EIO;
	default_config(&ret->conf.config);
	ret->conf.config.audience = RK_AUDIENCE_SHARED;
	rk__conf_read(text, len, &ret->conf);
	free(text);
	check_drivers(&ret->conf);
	take_name(ret);
	return 0;
}

unsigned config_say(const struct config *c, FILE *to)
{
	for (unsigned i = 0; i < c->conf.n_errors; i++) {
		const struct rk__conf_error *e = &c->conf.error[i];

		fputs(c->path, to);
		if (e->line)
			fprintf(to, ":%u", e->line);
		fprintf(to, ": %s\n", e->text);
	}
	return c->conf.n_errors;
}

/* --- two of them ---------------------------------------------------------------- */

/* A disk that is not there yet can be told by its name alone. */
static bool same_source(const struct rk__mount_spec *a,
			const struct rk__mount_spec *b)
{
	struct stat x, y;

	if (!a->source[0] || a->kind != RK_SOURCE_IMAGE ||
	    b->kind != RK_SOURCE_IMAGE ||
	    (a->read_only && b->read_only))
		return false;
	if (stat(a->source, &x) < 0 || stat(b->source, &y) < 0)
		return strcmp(a->source, b->source) == 0;
	return S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode) ?
	       x.st_rdev == y.st_rdev :
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void compare_mounts(const struct config *a, unsigned i,
			   struct config *b, unsigned k)
{
	const struct rk__config *x = &a->conf.config, *y = &b->conf.config;
	unsigned line = b->conf.place[k].section;

	if (same_source(&x->mount[i], &y->mount[k]))
		rk__conf_refuse(&b->conf, line, "%.80s is wanted by %.80s:%u "
				"too; it can serve one of them",
				y->mount[k].source, a->path,
				a->conf.place[i].section);
	if (a != b && x->audience == RK_AUDIENCE_HOST &&
	    y->audience == RK_AUDIENCE_HOST &&
	    strcmp(x->mount[i].path, y->mount[k].path) == 0)
		rk__conf_refuse(&b->conf, line, "%.80s is where %.80s:%u "
				"mounts too", y->mount[k].path, a->path,
				a->conf.place[i].section);
}

void config_compare(const struct config *a, struct config *b)
{
	if (a != b && strcmp(a->name, b->name) == 0)
		rk__conf_refuse(&b->conf, 0, "the name '%s' is wanted by "
				"%.150s too", b->name, a->path);
	for (unsigned i = 0; i < a->conf.config.n_mounts; i++)
		for (unsigned k = a == b ? i + 1 : 0;
		     k < b->conf.config.n_mounts; k++)
			compare_mounts(a, i, b, k);
}

/* --- to start it ----------------------------------------------------------------- */

int config_request(const char *what, struct mount_request *q, char *error)
{
	static struct config c;
	int e = config_read(what, &c, error);

	if (e < 0) {
		complain("%s", error);
		return RUMP_BAD_CONFIG;
	}
	config_compare(&c, &c);
	if (config_say(&c, stderr))
		return RUMP_BAD_CONFIG;
	q->config = c.conf.config;
	return 0;
}
