/*
 * tables.h - the tables that stand in documents, each made from its source.
 */
#ifndef RUMP_OPTABLE_TABLES_H
#define RUMP_OPTABLE_TABLES_H

#include <stddef.h>

#define BEGIN	"<!-- made by rump-optable: begin -->\n"
#define END	"<!-- made by rump-optable: end -->\n"

/* With the two marks; at most max bytes. */
void make_recovery(char *text, size_t max);
void make_state(char *text, size_t max);

#endif
