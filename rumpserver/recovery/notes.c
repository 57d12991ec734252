/*
 * notes.c - the changes of the core region since the last commit.
 *
 * A note names bytes that are about to change and keeps what they were. The
 * commit carries what they are by then; a rollback puts back what they were,
 * latest note first.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "recovery/commit.h"

struct note {
	uint32_t offset, length;
	size_t undo;			/* where in the undo bytes */
};

static struct {
	struct note *note;
	uint32_t n, max;
	uint8_t *undo;
	size_t undo_len, undo_max;
	size_t section;			/* bytes that the notes take in a record */
	uint64_t changes;
	bool driver_changed;
	uint64_t bytes;			/* that drivers keep in memory */
} notes;

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		abort();
	return p;
}

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

void rk__note(void *p, size_t n)
{
	uintptr_t offset = (uintptr_t)p - RK_CORE_AT;
	struct note *note;

	assert(n > 0 && offset < RK_CORE_SIZE && n <= RK_CORE_SIZE - offset);
	notes.changes++;
	/* An op notes the same counters again and again. */
	for (uint32_t i = notes.n; i > 0 && i + 8 > notes.n; i--) {
		note = &notes.note[i - 1];
		if (note->offset == offset && note->length == n)
			return;
	}
	if (notes.n == notes.max) {
		notes.max = notes.max ? notes.max * 2 : 256;
		notes.note = grow(notes.note, notes.max * sizeof *note);
	}
	while (notes.undo_len + n > notes.undo_max) {
		notes.undo_max = notes.undo_max ? notes.undo_max * 2 : 65536;
		notes.undo = grow(notes.undo, notes.undo_max);
	}
	note = &notes.note[notes.n++];
	note->offset = (uint32_t)offset;
	note->length = (uint32_t)n;
	note->undo = notes.undo_len;
	memcpy(notes.undo + notes.undo_len, p, n);
	notes.undo_len += n;
	notes.section += sizeof(struct rk__note_head) + padded(n);
}

void rk__change_driver(void)
{
	notes.changes++;
	notes.driver_changed = true;
}

void rk__change_bytes(uint64_t n)
{
	notes.bytes += n;
}

uint64_t rk__changed_bytes(void)
{
	return notes.bytes;
}

bool rk__driver_changed(void)
{
	return notes.driver_changed;
}

bool rk__changed(void)
{
	return notes.n > 0 || notes.driver_changed;
}

uint64_t rk__change_count(void)
{
	return notes.changes;
}

uint32_t rk__notes_count(void)
{
	return notes.n;
}

size_t rk__notes_length(void)
{
	return notes.section;
}

void rk__notes_write(uint8_t *to)
{
	for (uint32_t i = 0; i < notes.n; i++) {
		const struct note *note = &notes.note[i];
		struct rk__note_head head = { note->offset, note->length };

		memcpy(to, &head, sizeof head);
		to += sizeof head;
		memcpy(to, (void *)(RK_CORE_AT + note->offset), note->length);
		memset(to + note->length, 0,
		       padded(note->length) - note->length);
		to += padded(note->length);
	}
}

void rk__notes_undo(void)
{
	for (uint32_t i = notes.n; i > 0; i--) {
		const struct note *note = &notes.note[i - 1];

		memcpy((void *)(RK_CORE_AT + note->offset),
		       notes.undo + note->undo, note->length);
	}
}

void rk__notes_clear(void)
{
	notes.n = 0;
	notes.undo_len = 0;
	notes.section = 0;
	notes.driver_changed = false;
	notes.bytes = 0;
}

#ifdef RK_CHECK_NOTES

/* A second copy of the tables: after a commit, both must be equal once the
 * notes were brought over. Only pages that exist are compared. */
static uint8_t *shadow;

static void check_page(size_t at)
{
	const uint8_t *core = (const uint8_t *)RK_CORE_AT + at;

	if (!memcmp(shadow + at, core, RK_PAGE))
		return;
	for (size_t i = 0; i < RK_PAGE; i++)
		if (shadow[at + i] != core[i]) {
			fprintf(stderr, "core region changed at offset %zu "
				"without a note\n", at + i);
			abort();
		}
}

void rk__notes_verify_start(void)
{
	shadow = mmap(NULL, RK_TABLES_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(shadow != MAP_FAILED);
	for (size_t at = 0; at < RK_TABLES_SIZE; at += 256 * RK_PAGE) {
		unsigned char there[256];

		mincore((void *)(RK_CORE_AT + at), 256 * RK_PAGE, there);
		for (unsigned i = 0; i < 256; i++)
			if (there[i] & 1)
				memcpy(shadow + at + i * RK_PAGE,
				       (void *)(RK_CORE_AT + at + i * RK_PAGE),
				       RK_PAGE);
	}
}

void rk__notes_verify(void)
{
	for (uint32_t i = 0; i < notes.n; i++)
		if (notes.note[i].offset < RK_TABLES_SIZE)
			memcpy(shadow + notes.note[i].offset,
			       (void *)(RK_CORE_AT + notes.note[i].offset),
			       notes.note[i].length);
	for (size_t at = 0; at < RK_TABLES_SIZE; at += 256 * RK_PAGE) {
		unsigned char there[256];

		mincore((void *)(RK_CORE_AT + at), 256 * RK_PAGE, there);
		for (unsigned i = 0; i < 256; i++)
			if (there[i] & 1)
				check_page(at + i * RK_PAGE);
	}
}

#else

void rk__notes_verify_start(void)
{
}

void rk__notes_verify(void)
{
}

#endif
