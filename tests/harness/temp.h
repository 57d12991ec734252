/*
 * temp.h - where a unit test keeps its files. One that crashes leaves them, so
 * they are below TMPDIR, which whoever runs the tests makes and removes.
 */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

#include <stdio.h>
#include <stdlib.h>

enum { TEMP_MAX = 64 };			/* short enough for a socket in it */

/* Makes a directory and gives its path; NULL: it cannot be made. */
static inline char *temp_dir(char ret[TEMP_MAX], const char *name)
{
	const char *top = getenv("TMPDIR");

	if (!top || snprintf(ret, TEMP_MAX, "%s/rk-%s-XXXXXX", top, name) >=
	    TEMP_MAX)
		snprintf(ret, TEMP_MAX, "/tmp/rk-%s-XXXXXX", name);
	return mkdtemp(ret);
}

#endif
