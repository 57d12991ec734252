/*
 * names.c - the names of a directory: a trie over their hashes, of 16 branches.
 * Each slot holds an entry, or a node where several share the way. Nothing is
 * ever moved on a large scale, as a table that grows would have to be.
 */
#include "mem.h"

enum { BITS = 4, FAN = 1 << BITS, DEPTH_MAX = 64 / BITS };

struct node {
	unsigned used;
	void *slot[FAN];
};

static struct node *as_node(void *slot)
{
	uintptr_t word = (uintptr_t)slot;

	return word & 1 ? (struct node *)(word - 1) : NULL;
}

static unsigned branch(uint64_t hash, unsigned depth)
{
	return hash >> (depth * BITS) & (FAN - 1);
}

struct entry *rk__mem_names_find(void *root, uint64_t hash, const char *name,
				 size_t len)
{
	struct entry *e;
	struct node *n;

	for (unsigned depth = 0; (n = as_node(root)); depth++)
		root = n->slot[branch(hash, depth)];
	for (e = root; e; e = e->same)
		if (e->hash == hash && e->len == len &&
		    memcmp(e->name, name, len) == 0)
			return e;
	return NULL;
}

/* The entry at *slot moves one level down. */
static struct node *split(void **slot, unsigned depth)
{
	struct entry *there = *slot;
	struct node *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->slot[branch(there->hash, depth)] = there;
	n->used = 1;
	*slot = (void *)((uintptr_t)n | 1);
	return n;
}

int rk__mem_names_add(void **slot, struct entry *e)
{
	for (unsigned depth = 0; *slot; depth++) {
		struct node *n = as_node(*slot);
		struct entry *there = *slot;

		if (!n && there->hash == e->hash) {
			e->same = there;
			*slot = e;
			return 0;
		}
		if (!n)
			n = split(slot, depth);
		if (!n)
			return -ENOSPC;
		slot = &n->slot[branch(e->hash, depth)];
		n->used += !*slot;
	}
	e->same = NULL;
	*slot = e;
	return 0;
}

void rk__mem_names_remove(void **root, struct entry *e)
{
	void **way[DEPTH_MAX + 1], **slot = root;
	struct entry **at;
	unsigned depth = 0;
	struct node *n;

	while ((n = as_node(*slot))) {
		way[depth] = slot;
		slot = &n->slot[branch(e->hash, depth++)];
	}
	for (at = (struct entry **)slot; *at != e; at = &(*at)->same)
		;
	*at = e->same;
	while (!*slot && depth--) {
		n = as_node(*way[depth]);
		if (--n->used)
			return;
		free(n);
		slot = way[depth];
		*slot = NULL;
	}
}
