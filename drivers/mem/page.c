/*
 * page.c - the pages that files are made of. They come from large pieces of
 * the heap. Spare ones are on a stack whose blocks are spare pages themselves,
 * so that what is put back or taken touches that one page and no other.
 */
#include "mem.h"

enum { PIECE = 8 << 20, STACK_ROOM = PAGE / sizeof(void *) - 2 };

struct stack {
	struct stack *below;
	size_t n;
	void *page[STACK_ROOM];
};
_Static_assert(sizeof(struct stack) == PAGE, "a stack's block is one page");

struct piece {
	struct piece *next;
};

static char *align(char *p)
{
	return (char *)(((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

static void *take_fresh(struct pool *p)
{
	struct piece *piece;
	void *page;

	if (p->fresh == p->end) {
		piece = malloc(PIECE);
		if (!piece)
			return NULL;
		piece->next = p->pieces;
		p->pieces = piece;
		p->fresh = align((char *)(piece + 1));
		p->end = align((char *)piece + PIECE - PAGE + 1);
	}
	page = p->fresh;
	p->fresh += PAGE;
	return page;
}

void *rk__mem_page_get(struct pool *p)
{
	struct stack *s = p->spare;

	if (!s)
		return take_fresh(p);
	if (s->n)
		return s->page[--s->n];
	p->spare = s->below;
	return s;
}

void rk__mem_pool_free(struct pool *p)
{
	struct piece *piece, *next;

	for (piece = p->pieces; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
	*p = (struct pool){ 0 };
}

void rk__mem_page_put(struct pool *p, void *page)
{
	struct stack *s = p->spare;

	if (s && s->n < STACK_ROOM) {
		s->page[s->n++] = page;
		return;
	}
	s = page;
	s->below = p->spare;
	s->n = 0;
	p->spare = s;
}
