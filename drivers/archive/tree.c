/*
 * tree.c - names and objects, found by a hash of directory and name.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "archive.h"

enum { NAME_LEN_MAX = 255 };

static uint32_t hash(uint32_t dir, const char *name, size_t len)
{
	uint64_t h = dir * 0x9e3779b97f4a7c15ull;

	while (len--)
		h = (h ^ (uint8_t)*name++) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

/* Room for one more behind `n`; the new part is zeros. */
static int grow(void *array, uint32_t n, uint32_t *room, size_t each)
{
	uint32_t want = *room ? *room + *room / 2 : 64;
	void *p = *(void **)array;

	if (n < *room)
		return 0;
	if (want > OBJECTS_MAX)
		return -E2BIG;
	p = realloc(p, want * each);
	if (!p)
		return -ENOMEM;
	memset((char *)p + *room * each, 0, (want - *room) * each);
	*(void **)array = p;
	*room = want;
	return 0;
}

int rk__tree_object(struct tree *t, uint32_t *ret)
{
	int r = grow(&t->object, t->n_objects, &t->objects_room,
		     sizeof *t->object);

	if (r == 0)
		*ret = t->n_objects++;
	return r;
}

static int rehash(struct tree *t)
{
	uint32_t n = t->n_buckets ? 2 * t->n_buckets : 1024;
	uint32_t *bucket = calloc(n, sizeof *bucket);

	if (!bucket)
		return -ENOMEM;
	free(t->bucket);
	t->bucket = bucket;
	t->n_buckets = n;
	for (uint32_t i = 1; i < t->n_names; i++) {
		struct name *x = &t->name[i];
		uint32_t *head = &bucket[hash(x->dir, x->text, x->len) &
					 (n - 1)];

		x->hash_next = *head;
		*head = i;
	}
	return 0;
}

int rk__tree_init(struct tree *t)
{
	uint32_t none, root;
	int r = rk__tree_object(t, &none);

	if (r == 0)
		r = rk__tree_object(t, &root);
	if (r == 0)
		r = grow(&t->name, 0, &t->names_room, sizeof *t->name);
	t->n_names = 1;
	if (r == 0)
		r = rehash(t);
	if (r < 0)
		return r;
	t->object[ROOT].mode = S_IFDIR | 0755;
	t->object[ROOT].nlink = 2;
	t->object[ROOT].parent = ROOT;
	return 0;
}

void rk__tree_finish(struct tree *t)
{
	for (uint32_t i = 0; i < t->n_objects; i++)
		rk__object_clear(&t->object[i]);
	for (uint32_t i = 1; t->name && i < t->n_names; i++)
		free(t->name[i].text);
	free(t->object);
	free(t->name);
	free(t->bucket);
	free(t->of_member);
}

uint32_t rk__tree_find(const struct tree *t, uint32_t dir, const char *name,
		       size_t len)
{
	uint32_t i = t->bucket[hash(dir, name, len) & (t->n_buckets - 1)];

	for (; i; i = t->name[i].hash_next)
		if (t->name[i].dir == dir && t->name[i].len == len &&
		    memcmp(t->name[i].text, name, len) == 0)
			return i;
	return 0;
}

int rk__tree_clean(const char *path, char *ret)
{
	size_t used = 0;

	for (;;) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (len == 1 && path[0] == '.') {
			path++;
			continue;
		}
		if (len > NAME_LEN_MAX || used + len + 2 > PATH_LEN_MAX)
			return -EINVAL;
		if (used)
			ret[used++] = '/';
		memcpy(ret + used, path, len);
		used += len;
		path += len;
	}
	ret[used] = 0;
	return (int)used;
}

uint32_t rk__tree_path(const struct tree *t, const char *path)
{
	uint32_t at = ROOT, name;

	while (*path) {
		size_t len = strcspn(path, "/");

		name = rk__tree_find(t, at, path, len);
		if (!name)
			return 0;
		at = t->name[name].object;
		path += len + (path[len] == '/');
	}
	return at;
}

static int add_name(struct tree *t, uint32_t dir, const char *text, size_t len,
		    uint32_t *ret)
{
	struct object *d = &t->object[dir];
	uint32_t i = t->n_names, *head;
	int r = grow(&t->name, i, &t->names_room, sizeof *t->name);

	if (r == 0 && i >= t->n_buckets)
		r = rehash(t);
	if (r < 0)
		return r;
	t->name[i] = (struct name){ .dir = dir, .len = (uint16_t)len,
				    .text = strndup(text, len) };
	if (!t->name[i].text)
		return -ENOMEM;
	t->n_names++;
	head = &t->bucket[hash(dir, text, len) & (t->n_buckets - 1)];
	t->name[i].hash_next = *head;
	*head = i;
	if (d->last)
		t->name[d->last].next = i;
	else
		d->first = i;
	d->last = i;
	*ret = i;
	return 0;
}

void rk__tree_set(struct tree *t, uint32_t name, uint32_t object)
{
	struct name *n = &t->name[name];
	struct object *o = &t->object[object];

	if (n->object == object)
		return;
	if (n->object) {
		struct object *old = &t->object[n->object];

		if (S_ISDIR(old->mode))
			t->object[n->dir].nlink--;
		if (old->nlink)
			old->nlink--;
	}
	n->object = object;
	o->nlink++;
	if (S_ISDIR(o->mode)) {
		o->nlink = 2;
		o->parent = n->dir;
		t->object[n->dir].nlink++;
	}
}

/* A directory that nothing in the archive speaks of. */
static int imply_dir(struct tree *t, uint32_t name)
{
	uint32_t dir = 0;
	int r = rk__tree_object(t, &dir);

	if (r < 0)
		return r;
	t->object[dir].mode = S_IFDIR | 0755;
	rk__tree_set(t, name, dir);
	return 0;
}

int rk__tree_place(struct tree *t, const char *path, uint32_t *ret_name)
{
	uint32_t dir = ROOT, name;
	int r = 0;

	for (;;) {
		size_t len = strcspn(path, "/");

		name = rk__tree_find(t, dir, path, len);
		if (!name)
			r = add_name(t, dir, path, len, &name);
		if (r < 0)
			return r;
		path += len;
		if (!*path)
			break;
		path++;
		if (!t->name[name].object ||
		    !S_ISDIR(t->object[t->name[name].object].mode))
			r = imply_dir(t, name);
		if (r < 0)
			return r;
		dir = t->name[name].object;
	}
	*ret_name = name;
	return 0;
}
