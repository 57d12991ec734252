/*
 * files_calls.h - the calls on descriptors: X(name, class), one a row. Each has a
 * handler rk__call_<name>, in files_*.c.
 */
#ifndef RK_FILES_CALLS_H
#define RK_FILES_CALLS_H

#define RK__FILE_CALLS(X)

#endif
