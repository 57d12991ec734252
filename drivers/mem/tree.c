/*
 * tree.c - a radix tree of 64 branches, as high as its largest key needs. Nodes
 * that become empty go at once.
 */
#include "mem.h"

enum { BITS = 6, FAN = 1 << BITS };

struct node {
	uint64_t mask;			/* slots in use */
	void *slot[FAN];
};

/* The part of the key above `level` levels; 0: it fits. */
static uint64_t above(uint64_t key, unsigned level)
{
	return level * BITS < 64 ? key >> (level * BITS) : 0;
}

static unsigned branch(uint64_t key, unsigned level)
{
	return above(key, level - 1) & (FAN - 1);
}

void *rk__mem_tree_get(const struct tree *t, uint64_t key)
{
	void *at = t->root;

	if (above(key, t->height))
		return NULL;
	for (unsigned level = t->height; level && at; level--)
		at = ((struct node *)at)->slot[branch(key, level)];
	return at;
}

static int grow(struct tree *t, uint64_t key)
{
	while (above(key, t->height)) {
		struct node *n = NULL;

		if (t->root) {
			n = calloc(1, sizeof *n);
			if (!n)
				return -ENOSPC;
			n->slot[0] = t->root;
			n->mask = 1;
			t->root = n;
		}
		t->height++;
	}
	return 0;
}

/* One level alone, for keys that begin at 0, is as good as none. */
static void shrink(struct tree *t)
{
	while (t->height && t->root && ((struct node *)t->root)->mask == 1) {
		struct node *n = t->root;

		t->root = n->slot[0];
		t->height--;
		free(n);
	}
	if (!t->root)
		t->height = 0;
}

static int set(void **slot, unsigned level, uint64_t key, void *value)
{
	struct node *n = *slot;
	unsigned i;
	int r;

	if (!level) {
		*slot = value;
		return 0;
	}
	if (!n && !value)
		return 0;
	if (!n)
		*slot = n = calloc(1, sizeof *n);
	if (!n)
		return -ENOSPC;
	i = branch(key, level);
	r = set(&n->slot[i], level - 1, key, value);
	if (n->slot[i])
		n->mask |= 1ull << i;
	else
		n->mask &= ~(1ull << i);
	if (!n->mask) {
		free(n);
		*slot = NULL;
	}
	return r;
}

int rk__mem_tree_set(struct tree *t, uint64_t key, void *value)
{
	int r;

	if (!value) {
		if (!above(key, t->height))
			set(&t->root, t->height, key, NULL);
		shrink(t);
		return 0;
	}
	r = grow(t, key);
	if (!r)
		r = set(&t->root, t->height, key, value);
	if (r < 0)
		shrink(t);
	return r;
}

/* The first key below branch i of a node at this level. */
static uint64_t start_of(uint64_t key, unsigned level, unsigned i)
{
	return (above(key, level) << BITS | i) << (level - 1) * BITS;
}

static void *next(void *at, unsigned level, uint64_t *key)
{
	const struct node *n = at;
	const uint64_t from = *key;
	unsigned i;

	if (!level)
		return at;
	for (i = branch(from, level); i < FAN && n->mask >> i; i++) {
		unsigned skip = (unsigned)__builtin_ctzll(n->mask >> i);
		void *found;

		i += skip;
		if (i != branch(from, level))
			*key = start_of(from, level, i);
		found = next(n->slot[i], level - 1, key);
		if (found)
			return found;
	}
	return NULL;
}

void *rk__mem_tree_next(const struct tree *t, uint64_t *key)
{
	if (!t->root || above(*key, t->height))
		return NULL;
	return next(t->root, t->height, key);
}
