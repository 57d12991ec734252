/*
 * file_host.h - for the tests of drivers that read a file: the driver as a
 * server would load it, a file in memory that can be damaged, and a walk over
 * everything that is in it.
 */
#ifndef FILE_HOST_H
#define FILE_HOST_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "driver.h"
#include "../harness/temp.h"

struct medium {
	char dir[TEMP_MAX];
	uint8_t *bytes;
	uint64_t size;
	uint64_t bytes_read;
	char said[256];
	struct rk_host host;
	const struct rk_driver *d;
	void *fs;
	uint64_t root;
};

static inline int medium_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct medium *m = ctx;

	if (off > m->size || len > m->size - off)
		return -EIO;
	m->bytes_read += len;
	memcpy(buf, m->bytes + off, len);
	return 0;
}

static inline uint64_t medium_size(void *ctx)
{
	return ((struct medium *)ctx)->size;
}

static inline void medium_complain(void *ctx, const char *text)
{
	struct medium *m = ctx;

	cr_assert(*text && !strchr(text, '\n'), "not one sentence: '%s'", text);
	snprintf(m->said, sizeof m->said, "%s", text);
}

/* A directory to work in, and the driver. */
static inline void medium_create(struct medium *m, const char *driver)
{
	char so[256];
	void *lib;

	memset(m, 0, sizeof *m);
	cr_assert(temp_dir(m->dir, "medium"));
	m->host = (struct rk_host){ .ctx = m, .read = medium_read,
		.size = medium_size, .complain = medium_complain, .dirfd = -1 };
	snprintf(so, sizeof so, RK_DRIVER_DIR "/rump-driver-%s.so", driver);
	lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
	cr_assert(lib, "%s", dlerror());
	m->d = dlsym(lib, "rk_driver");
	cr_assert(m->d && m->d->abi == RK_DRIVER_ABI);
	cr_assert(m->d->flags & RK_DRIVER_REOPEN);
	cr_assert(m->d->flags & RK_DRIVER_READ_ONLY);
	cr_assert_eq(m->d->source, RK_SOURCE_FILE);
}

/* Runs it in that directory. */
static inline void medium_shell(struct medium *m, const char *command)
{
	char *all;
	int rc;

	cr_assert(asprintf(&all, "set -e; exec 2>/dev/null; cd '%s'; %s", m->dir, command) > 0);
	rc = system(all);
	cr_assert(WIFEXITED(rc) && WEXITSTATUS(rc) == 0, "fails: %s", command);
	free(all);
}

static inline void medium_load(struct medium *m, const char *name)
{
	char path[320];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/%s", m->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && !fstat(fd, &st), "%s", path);
	free(m->bytes);
	m->size = (uint64_t)st.st_size;
	m->bytes = malloc(m->size + 1);
	cr_assert_eq(read(fd, m->bytes, m->size), st.st_size);
	close(fd);
}

static inline int medium_mount(struct medium *m)
{
	struct rk_mount_options opt = { .read_only = true };
	bool recovery = false;

	m->said[0] = 0;
	return m->d->mount(&m->host, &opt, &m->fs, &m->root, &recovery);
}

static inline void medium_unmount(struct medium *m)
{
	cr_assert_eq(m->d->unmount(m->fs), 0);
	m->fs = NULL;
}

static inline void medium_destroy(struct medium *m)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", m->dir);
	cr_assert_eq(system(command), 0);
	free(m->bytes);
}

static inline int find(struct medium *m, uint64_t dir, const char *name,
		       struct rk_stat *ret)
{
	return m->d->lookup(m->fs, dir, name, strlen(name), ret);
}

/* By a path of names. */
static inline int find_path(struct medium *m, const char *path,
			    struct rk_stat *ret)
{
	char copy[1024], *at, *save;
	int r = m->d->getattr(m->fs, m->root, ret);

	snprintf(copy, sizeof copy, "%s", path);
	for (at = strtok_r(copy, "/", &save); at && r == 0;
	     at = strtok_r(NULL, "/", &save))
		r = find(m, ret->ino, at, ret);
	return r;
}

/* --- everything that is in it ---------------------------------------------- */

struct listing {
	struct name {
		char name[256];
		uint64_t ino, cookie;
		uint8_t type;
	} *name;
	size_t n, room, stop_at;
};

static inline int listing_add(void *arg, const char *name, size_t len,
			      uint64_t ino, uint8_t type, uint64_t cookie)
{
	struct listing *l = arg;

	if (l->n == l->stop_at)
		return 1;
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->name = realloc(l->name, l->room * sizeof *l->name);
	}
	cr_assert(len > 0 && len < sizeof l->name->name);
	memcpy(l->name[l->n].name, name, len);
	l->name[l->n].name[len] = 0;
	l->name[l->n].ino = ino;
	l->name[l->n].type = type;
	l->name[l->n++].cookie = cookie;
	return 0;
}

static inline int list(struct medium *m, uint64_t dir, struct listing *l)
{
	memset(l, 0, sizeof *l);
	l->stop_at = 100000;
	return m->d->readdir(m->fs, dir, 0, listing_add, l);
}

struct tally {
	size_t objects, errors, bytes;
	uint64_t hash;			/* of all that was seen */
};

static inline void tally_bytes(struct tally *t, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		t->hash = (t->hash ^ ((const uint8_t *)p)[i]) *
			  0x100000001b3ull;
}

static inline void visit_data(struct medium *m, const struct rk_stat *st,
			      struct tally *t)
{
	static uint8_t buf[200000];
	uint64_t off = 0;
	int64_t n;

	/* a damaged size may say anything: its beginning will do */
	while (off < st->size && off < 4 << 20) {
		n = m->d->read(m->fs, st->ino, buf, sizeof buf, off);
		if (n <= 0) {
			t->errors++;
			return;
		}
		tally_bytes(t, buf, (size_t)n);
		t->bytes += (size_t)n;
		off += (uint64_t)n;
	}
}

static inline void visit_xattrs(struct medium *m, uint64_t ino,
				struct tally *t)
{
	static char names[65536], value[65536];
	int n = m->d->listxattr ? m->d->listxattr(m->fs, ino, names,
						  sizeof names) : 0, v;

	if (n < 0)
		t->errors++;
	for (int i = 0; i < n; i += (int)strlen(names + i) + 1) {
		v = m->d->getxattr(m->fs, ino, names + i, value, sizeof value);
		if (v < 0) {
			t->errors++;
			continue;
		}
		tally_bytes(t, names + i, strlen(names + i));
		tally_bytes(t, value, (size_t)v);
	}
}

static inline void visit_object(struct medium *m, const struct rk_stat *st,
				struct tally *t)
{
	char target[4096];
	int n;

	t->objects++;
	tally_bytes(t, st, sizeof *st);
	visit_xattrs(m, st->ino, t);
	if (S_ISREG(st->mode))
		visit_data(m, st, t);
	if (S_ISLNK(st->mode)) {
		n = m->d->readlink(m->fs, st->ino, target, sizeof target);
		if (n > 0)
			tally_bytes(t, target, (size_t)n);
		else
			t->errors++;
	}
}

/* Calls everything on everything, no deeper and no more than that. */
static inline void visit(struct medium *m, uint64_t dir, unsigned depth,
			 struct tally *t)
{
	struct rk_stat st;
	struct listing l;

	if (list(m, dir, &l) < 0)
		t->errors++;
	for (size_t i = 0; i < l.n && t->objects < 3000; i++) {
		tally_bytes(t, l.name[i].name, strlen(l.name[i].name));
		if (find(m, dir, l.name[i].name, &st) < 0) {
			t->errors++;
			continue;
		}
		if (i < 2)		/* "." and ".." */
			continue;
		visit_object(m, &st, t);
		if (S_ISDIR(st.mode) && depth)
			visit(m, st.ino, depth - 1, t);
	}
	free(l.name);
}

/* --- damage ----------------------------------------------------------------- */

static inline uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* Some bytes are others: single bits, single bytes, runs; or it ends early. */
static inline void damage(struct medium *m, uint64_t *seed, uint64_t from,
			  uint64_t to)
{
	unsigned n = 1 + next_random(seed) % 8;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = from + next_random(seed) % (to - from);
		unsigned run = next_random(seed) % 16 ? 1 : 40;

		for (unsigned k = 0; k < run && at + k < m->size; k++)
			m->bytes[at + k] = next_random(seed) % 3 ?
				(uint8_t)next_random(seed) :
				m->bytes[at + k] ^
				(uint8_t)(1 << next_random(seed) % 8);
	}
	if (next_random(seed) % 32 == 0)
		m->size = next_random(seed) % m->size;
}

#endif
