/*
 * node.c - where objects are: number, directory, name.
 */
#include <stdio.h>
#include <stdlib.h>
#include "host.h"

enum { SWEEP_STEP = 64 };

static struct node **head_of(struct fs *fs, uint64_t ino)
{
	return &fs->bucket[(ino * 0x9e3779b97f4a7c15ull) >> 50];
}
_Static_assert(BUCKETS == 1 << 14, "the hash above");

struct node *rk__node_find(struct fs *fs, uint64_t ino)
{
	struct node *n = *head_of(fs, ino);

	while (n && n->ino != ino)
		n = n->hash_next;
	return n;
}

void rk__hidden_name(uint64_t ino, char *ret)
{
	sprintf(ret, HIDDEN "%016llx", (unsigned long long)ino);
}

static void count_child(struct fs *fs, uint64_t parent, int by)
{
	struct node *p = parent ? rk__node_find(fs, parent) : NULL;

	if (p)
		p->children += (uint32_t)by;
}

static void take_out(struct fs *fs, struct node *n)
{
	struct node **at = head_of(fs, n->ino);

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	count_child(fs, n->parent, -1);
	fs->n_nodes--;
	free(n);
}

void rk__node_drop(struct fs *fs, uint64_t ino)
{
	struct node *n = rk__node_find(fs, ino);

	rk__fd_drop(fs, ino);
	if (!n || n->children || ino == fs->root)
		return;
	change(fs);
	take_out(fs, n);
}

/* Some of those that nobody holds, so that a walk over all that the host has
 * does not fill the memory. */
static void sweep(struct fs *fs)
{
	for (unsigned i = 0; i < SWEEP_STEP; i++) {
		struct node *n, *next;

		for (n = fs->bucket[fs->sweep]; n; n = next) {
			next = n->hash_next;
			if (n->ino == fs->root || n->children || n->kept ||
			    held(fs, n->ino))
				continue;
			rk__fd_drop(fs, n->ino);
			take_out(fs, n);
		}
		fs->sweep = (fs->sweep + 1) % BUCKETS;
	}
}

static int make(struct fs *fs, uint64_t ino, uint64_t parent, const char *name,
		size_t len, bool directory, const struct node *was)
{
	struct node **head = head_of(fs, ino);
	struct node *n = malloc(sizeof *n + len + 1);

	if (!n)
		return -ENOMEM;
	*n = (struct node){ .ino = ino, .parent = parent, .len = (uint8_t)len,
			    .directory = directory };
	if (was) {
		n->children = was->children;
		n->kept = was->kept;
	}
	memcpy(n->name, name, len);
	n->name[len] = 0;
	n->kept |= is_hidden_name(fs, parent, name, len);
	n->hash_next = *head;
	*head = n;
	fs->n_nodes++;
	count_child(fs, parent, 1);
	return 0;
}

int rk__node_put(struct fs *fs, uint64_t ino, uint64_t parent, const char *name,
		 size_t len, bool directory)
{
	struct node *n = rk__node_find(fs, ino), was;

	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	if (n && n->parent == parent && n->len == len &&
	    memcmp(n->name, name, len) == 0)
		return 0;
	if (ino == fs->root && n)
		return 0;
	change(fs);
	if (n) {
		was = *n;
		take_out(fs, n);
	} else if (fs->n_nodes >= NODES_MAX) {
		sweep(fs);
	}
	return make(fs, ino, parent, name, len, directory, n ? &was : NULL);
}
