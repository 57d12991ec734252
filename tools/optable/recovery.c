/*
 * recovery.c - the table of docs/recovery.md, made from the op table: what
 * becomes of each call, and of what it made, when something dies.
 *
 *	rump-optable check FILE		says whether FILE has its table, as it is
 *	rump-optable write FILE		puts it there, between the two marks
 *
 * A file called state.md has the table of the external form (state.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tables.h"
#include "views.h"

enum { TEXT_MAX = 1 << 18 };

static const char *makes(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "durability";
	switch (flags & (RK_OP_FILES | RK_OP_PROCESS | RK_OP_LOCKS)) {
	case RK_OP_FILES:
		return "files";
	case RK_OP_PROCESS:
		return "process";
	case RK_OP_LOCKS:
		return "locks";
	case RK_OP_FILES | RK_OP_PROCESS:
		return "files, process";
	case RK_OP_PROCESS | RK_OP_LOCKS:
		return "process, locks";
	default:
		return "nothing";
	}
}

static const char *during(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "asked again: flush point of the successor";
	if (flags & RK_OP_STAGES)
		return "stages done stand, the successor goes on";
	if (flags & RK_OP_BLOCKS)
		return "undone, run again; one that waits waits on";
	return flags & RK_OP_MUTATES ? "undone, run again" : "run again";
}

static const char *after(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "asked again, done at once";
	return flags & RK_OP_MUTATES ? "stands; answer from the record" :
				       "run again, if it was not answered";
}

static const char *client(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "the flush point is made";
	if (flags & RK_OP_LOCKS)
		return flags & RK_OP_BLOCKS ? "wait withdrawn, locks go" :
					      "its descriptors and locks go";
	if ((flags & RK_OP_PROCESS) && (flags & RK_OP_FILES))
		return "whole or not at all; its descriptors go";
	if (flags & RK_OP_PROCESS)
		return "goes with it";
	return flags & RK_OP_FILES ? "whole or not at all; stays" : "-";
}

static const char *supervisor(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "asked again";
	if (flags & RK_OP_FILES)
		return "files stay";
	return flags & RK_OP_MUTATES ? "a mount's stays, a library's goes" :
				       "-";
}

static const char *machine(unsigned flags)
{
	if (flags & RK_OP_DURABLE)
		return "returned: all before it is on the device";
	if (flags & RK_OP_FILES)
		return "there if a flush point came after it";
	return flags & RK_OP_MUTATES ? "gone" : "-";
}

void make_recovery(char *text, size_t max)
{
	size_t n = 0;

#define ADD(...) (n += (size_t)snprintf(text + n, max - n, __VA_ARGS__))
	ADD(BEGIN "\n| op | changes | server dies before it | during it | "
	    "after it | client dies | supervisor dies | machine dies |\n"
	    "|---|---|---|---|---|---|---|---|\n");
	for (unsigned op = 1; op < RK_OP_END; op++) {
		const struct rk_op_info *i = rk_op_info(op);
		unsigned f = i->flags;

		ADD("| `%s` | %s | run | %s | %s | %s | %s | %s |\n", i->name,
		    makes(f), during(f), after(f), client(f), supervisor(f),
		    machine(f));
	}
	ADD("\n" END);
#undef ADD
}

static char *read_file(const char *path)
{
	char *text = calloc(1, TEXT_MAX);
	FILE *f = fopen(path, "r");

	if (!f || !text || fread(text, 1, TEXT_MAX - 1, f) == 0) {
		fprintf(stderr, "rump-optable: cannot read %s\n", path);
		exit(1);
	}
	fclose(f);
	return text;
}

static int check(const char *path, const char *table)
{
	if (strstr(read_file(path), table))
		return 0;
	fprintf(stderr, "rump-optable: %s does not say what its table does: "
		"run rump-optable write %s\n", path, path);
	return 1;
}

static int write_table(const char *path, const char *table)
{
	char *text = read_file(path), *from = strstr(text, BEGIN);
	char *to = from ? strstr(from, END) : NULL;
	FILE *f;

	if (!to) {
		fprintf(stderr, "rump-optable: no marks in %s\n", path);
		return 1;
	}
	to += strlen(END);
	f = fopen(path, "w");
	if (!f)
		return 1;
	fwrite(text, 1, (size_t)(from - text), f);
	fputs(table, f);
	fputs(to, f);
	return fclose(f) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static char table[TEXT_MAX];
	const char *name;

	if (argc != 3) {
		fprintf(stderr, "usage: rump-optable check|write FILE\n");
		return 2;
	}
	name = strrchr(argv[2], '/');
	name = name ? name + 1 : argv[2];
	if (strcmp(name, "state.md") == 0)
		make_state(table, sizeof table);
	else
		make_recovery(table, sizeof table);
	return strcmp(argv[1], "write") == 0 ? write_table(argv[2], table) :
					       check(argv[2], table);
}
