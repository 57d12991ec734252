/* run.h - between the files of patch-run; see run.c. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include "probe.h"

void check_at(const char *file, int line, bool right, const char *what);
#define check(x) check_at(__FILE_NAME__, __LINE__, x, #x)

/* All that is mapped; stub: the calls go by the stub page. */
void patch_all(bool stub);
/* From here on, who makes a call that was to be patched from anywhere else than
 * the stub page, is killed. */
void others_are_killed(void);

/* run_libc.c, run_child.c */
void libc_works_and_nothing_else_calls(void);
void children(void);
void cancel_unwinds(void);
void cancel_unwinds_out_of_the_stub_page(void);
void backtrace_passes(void);

#endif
