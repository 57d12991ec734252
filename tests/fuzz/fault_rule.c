/*
 * fault_rule.c - fuzzes what reads the rules of the fault driver: whatever is
 * taken is within bounds, and what is refused is refused with a sentence.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fault/fault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), sentence[SENTENCE] = "";
	struct rule r;
	int e;

	memcpy(text, data, size);
	text[size] = 0;
	e = rk__fault_rule(text, &r, sentence);
	if (e < 0) {
		assert(e == -EINVAL && sentence[0]);
		assert(memchr(sentence, 0, sizeof sentence));
	} else {
		assert(r.ops && !(r.ops >> OPS));
		assert(memchr(r.name, 0, sizeof r.name));
		assert(r.when == ALWAYS || r.n > 0);
		assert(r.what != ERROR || r.error < 0);
		assert(r.what != SLOW || r.ns <= 1000000ull * 1000000000);
		assert(!r.late || r.what < SHORT);
	}
	free(text);
	return 0;
}
