/*
 * words.c - see words.h.
 */
#include <string.h>
#include "supervisor/words.h"

unsigned rk__word_distance(const char *a, const char *b)
{
	unsigned row[65], left, corner;
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (; *a; a++) {
		corner = row[0]++;
		for (size_t j = 1; j <= n; j++) {
			left = row[j];
			row[j] = corner + (*a != b[j - 1]);
			if (row[j] > left + 1)
				row[j] = left + 1;
			if (row[j] > row[j - 1] + 1)
				row[j] = row[j - 1] + 1;
			corner = left;
		}
	}
	return row[n];
}

void rk__nearest_init(struct rk__nearest *n, const char *to)
{
	n->to = to;
	n->distance = 1 + strlen(to) / 2;
	n->name[0] = 0;
}

void rk__nearest_try(struct rk__nearest *n, const char *word)
{
	unsigned d;

	if (strlen(word) >= sizeof n->name)
		return;
	d = rk__word_distance(n->to, word);
	if (d >= n->distance)
		return;
	n->distance = d;
	strcpy(n->name, word);
}
