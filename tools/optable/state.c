/*
 * state.c - the list of docs/state.md, made from the table of the external
 * form: every record with its fields.
 */
#include <stdio.h>
#include <string.h>
#include "core/external_table.h"
#include "tables.h"

struct field {
	const char *type, *name, *what;
};

struct record {
	unsigned number, version;
	const char *name, *what, *tail;
	const struct field *field;
	unsigned n;
};

#define FIELD(type, name, what) { #type, #name, what },
#define FIELDS(number, version, name, what, tail)			\
	static const struct field field_##name[] = { RK_EXT_##name(FIELD) };
RK_EXT_RECORDS(FIELDS)

#define RECORD(number, version, name, what, tail) {			\
	number, version, #name, what, tail, field_##name,		\
	sizeof field_##name / sizeof field_##name[0],			\
},
static const struct record record[] = { RK_EXT_RECORDS(RECORD) };

void make_state(char *text, size_t max)
{
	size_t n = 0;

#define ADD(...) (n += (size_t)snprintf(text + n, max - n, __VA_ARGS__))
	ADD(BEGIN);
	for (unsigned i = 0; i < sizeof record / sizeof record[0]; i++) {
		const struct record *r = &record[i];

		ADD("\n### %u `%s`, version %u\n\n%c%s.\n\n"
		    "| type | field | |\n|---|---|---|\n", r->number, r->name,
		    r->version, r->what[0] - 'a' + 'A', r->what + 1);
		for (unsigned k = 0; k < r->n; k++)
			ADD("| %s | `%s` | %s |\n", r->field[k].type,
			    r->field[k].name, r->field[k].what);
		if (r->tail)
			ADD("| bytes | | %s |\n", r->tail);
	}
	ADD("\n" END);
#undef ADD
}
