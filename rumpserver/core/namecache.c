/*
 * namecache.c - which inode a name in a directory stands for, or that it
 * stands for none. Volatile: a successor begins with an empty one.
 *
 * A table of sets of four entries, replaced in turn. Entries are not found by
 * directory, yet a removed directory's must all go, because its inode number
 * will name another: so every entry carries the epoch of its directory's
 * bucket, and raising the epoch makes all entries of that bucket stale at
 * once. Some innocent ones go with them.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "vfs_int.h"

bool rk__mount_outside[RK_MOUNTS_MAX];

enum {
	SETS = 1 << 15,
	WAYS = 4,
	EPOCHS = 1 << 12,
	SHORT = 36,		/* longer names are allocated */
};

struct entry {
	uint64_t dir, ino;
	uint32_t epoch;		/* 0: empty */
	uint8_t mount, len, reserved[2];
	union {
		char here[SHORT];
		char *there;
	} name;
};

static struct entry table[SETS][WAYS];
static uint8_t next_victim[SETS];
static uint32_t epochs[EPOCHS];
static uint32_t last_epoch;	/* an epoch is never given twice */

static uint32_t *epoch_of(struct rk__node dir)
{
	uint64_t key[2] = {dir.mount, dir.ino};

	return &epochs[XXH3_64bits(key, sizeof key) % EPOCHS];
}

static struct entry *set_of(struct rk__node dir, const char *name, size_t len)
{
	uint64_t seed = dir.ino * 0x9e3779b97f4a7c15ull + dir.mount;

	return table[XXH3_64bits_withSeed(name, len, seed) % SETS];
}

static const char *name_of(const struct entry *e)
{
	return e->len > SHORT ? e->name.there : e->name.here;
}

static bool current(const struct entry *e, struct rk__node dir)
{
	return e->epoch == *epoch_of(dir) && e->epoch != 0;
}

static struct entry *find(struct rk__node dir, const char *name, size_t len)
{
	struct entry *set = set_of(dir, name, len);
	int i;

	for (i = 0; i < WAYS; i++)
		if (set[i].dir == dir.ino && set[i].len == len &&
		    set[i].mount == dir.mount && current(&set[i], dir) &&
		    !memcmp(name_of(&set[i]), name, len))
			return &set[i];
	return NULL;
}

enum rk__name_found rk__name_find(struct rk__node dir, const char *name,
				  size_t len, uint64_t *ret_ino)
{
	const struct entry *e = find(dir, name, len);

	if (!e || rk__mount_outside[dir.mount])
		return RK_NAME_UNKNOWN;
	*ret_ino = e->ino;
	return e->ino ? RK_NAME_POSITIVE : RK_NAME_NEGATIVE;
}

static void empty(struct entry *e)
{
	if (e->len > SHORT)
		free(e->name.there);
	e->len = 0;
	e->epoch = 0;
}

static struct entry *make_room(struct rk__node dir, const char *name,
			       size_t len)
{
	struct entry *set = set_of(dir, name, len), *e;
	size_t n = (size_t)(set - table[0]) / WAYS;
	int i;

	for (i = 0; i < WAYS; i++)
		if (set[i].epoch == 0 ||
		    !current(&set[i], rk__node(set[i].mount, set[i].dir)))
			break;
	if (i == WAYS)
		i = next_victim[n]++ % WAYS;
	e = &set[i];
	empty(e);
	return e;
}

void rk__name_enter(struct rk__node dir, const char *name, size_t len,
		    uint64_t ino)
{
	uint32_t *epoch = epoch_of(dir);
	struct entry *e = find(dir, name, len);

	if (e) {
		e->ino = ino;
		return;
	}
	if (len == 0 || len > RK_NAME_LEN_MAX || rk__is_dots(name, len))
		return;
	e = make_room(dir, name, len);
	if (len > SHORT) {
		e->name.there = malloc(len);
		if (!e->name.there)
			return;
		memcpy(e->name.there, name, len);
	} else {
		memcpy(e->name.here, name, len);
	}
	if (*epoch == 0)
		*epoch = ++last_epoch;
	e->len = (uint8_t)len;
	e->mount = (uint8_t)dir.mount;
	e->dir = dir.ino;
	e->ino = ino;
	e->epoch = *epoch;
}

void rk__name_purge_dir(struct rk__node dir)
{
	*epoch_of(dir) = ++last_epoch;
	if (last_epoch >= UINT32_MAX - EPOCHS)
		rk__name_purge_all();
}

void rk__name_purge_all(void)
{
	int set, way;

	if (last_epoch >= UINT32_MAX - 2 * EPOCHS) {
		/* Numbers run out: begin anew with nothing that carries one. */
		for (set = 0; set < SETS; set++)
			for (way = 0; way < WAYS; way++)
				empty(&table[set][way]);
		last_epoch = 0;
	}
	memset(epochs, 0, sizeof epochs);
}
