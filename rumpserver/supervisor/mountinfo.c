/*
 * mountinfo.c - what is mounted where, from the kernel's list: no path is
 * looked at, so nobody's server is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "mount.h"

/* The kernel writes blanks and backslashes as three octal digits. */
static void decode(const char *from, char *to, size_t size)
{
	size_t n = 0;

	while (*from && n + 1 < size) {
		unsigned c;

		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1) {
			to[n++] = (char)c;
			from += strspn(from + 1, "01234567") + 1;
		} else {
			to[n++] = *from++;
		}
	}
	to[n] = '\0';
}

/* "id parent major:minor root path options [field...] - type source options" */
static bool parse(char *line, struct rk__mounted *ret)
{
	char *rest = strstr(line, " - "), *path, *type, *source, *at;

	if (!rest || sscanf(line, "%*d %*d %u:%u", &ret->major,
			    &ret->minor) != 2)
		return false;
	*rest = '\0';
	path = strtok_r(line, " ", &at);
	for (int i = 0; path && i < 4; i++)
		path = strtok_r(NULL, " ", &at);
	type = strtok_r(rest + 3, " ", &at);
	source = strtok_r(NULL, " ", &at);
	if (!path || !type || !source)
		return false;
	decode(path, ret->path, sizeof ret->path);
	decode(type, ret->type, sizeof ret->type);
	decode(source, ret->source, sizeof ret->source);
	return true;
}

static int each(int (*fn)(void *arg, const struct rk__mounted *m), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct rk__mounted *m = malloc(sizeof *m);
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (f && m && !r && getline(&line, &size, f) > 0)
		if (parse(line, m))
			r = fn(arg, m);
	if (f)
		fclose(f);
	free(line);
	free(m);
	return r;
}

struct find {
	const char *dir;
	struct rk__mounted *ret;
	bool found;
};

/* A later one covers an earlier one. */
static int match(void *arg, const struct rk__mounted *m)
{
	struct find *f = arg;

	if (strcmp(m->path, f->dir) == 0) {
		*f->ret = *m;
		f->found = true;
	}
	return 0;
}

int rk__mount_find(const char *dir, struct rk__mounted *ret)
{
	struct find f = { .dir = dir, .ret = ret };

	each(match, &f);
	return f.found ? 0 : -ENOENT;
}

struct filter {
	int (*fn)(void *arg, const struct rk__mounted *m);
	void *arg;
};

static int if_ours(void *arg, const struct rk__mounted *m)
{
	struct filter *f = arg;

	return strcmp(m->type, "fuse.rump") == 0 ? f->fn(f->arg, m) : 0;
}

int rk__mount_each(int (*fn)(void *arg, const struct rk__mounted *m), void *arg)
{
	struct filter f = { fn, arg };

	return each(if_ours, &f);
}

/* Of "/", as systemd leaves it in a unit with a view of its own. */
static bool root_is_slave(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, path[8];
	bool slave = false;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char *end = strstr(line, " - ");

		if (end)
			*end = '\0';
		if (sscanf(line, "%*d %*d %*s %*s %7s", path) == 1 &&
		    strcmp(path, "/") == 0)
			slave = strstr(line, " master:") != NULL;
	}
	if (f)
		fclose(f);
	free(line);
	return slave;
}

bool rk__mounts_are_own(void)
{
	struct stat ours, of_init;

	if (stat("/proc/self/ns/mnt", &ours) == 0 &&
	    stat("/proc/1/ns/mnt", &of_init) == 0)
		return ours.st_ino != of_init.st_ino;
	return root_is_slave();
}
