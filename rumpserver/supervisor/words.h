/*
 * words.h - which of the words that there are may be meant by one that is not
 * among them. Pure.
 */
#ifndef RK_WORDS_H
#define RK_WORDS_H

struct rk__nearest {
	const char *to;			/* the caller's; must live as long */
	unsigned distance;		/* of name */
	char name[64];			/* "": none is near enough */
};

/* Letters to add, drop or change; b has at most 64. */
unsigned rk__word_distance(const char *a, const char *b);

/* to: what was written. A word as long as that with more than half of its
 * letters changed is not near. */
void rk__nearest_init(struct rk__nearest *n, const char *to);
/* One that is there; of words as near the first stays. Longer ones than name
 * has room for are not looked at. */
void rk__nearest_try(struct rk__nearest *n, const char *word);

#endif
