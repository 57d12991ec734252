/*
 * calls.h - the handlers of all calls, and what they share. Between the files of
 * this folder.
 */
#ifndef RK_CALLS_H
#define RK_CALLS_H

#include <sys/syscall.h>
#include "files_calls.h"
#include "names_calls.h"
#include "route.h"

/* Younger than the headers may be. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define RK__DECLARE_CALL(name, class) rk__handler rk__call_##name;
RK__NAME_CALLS(RK__DECLARE_CALL)
RK__FILE_CALLS(RK__DECLARE_CALL)
#undef RK__DECLARE_CALL

/* *ret is the result of the call. */
static inline enum rk__routed rk__done(int64_t *ret, int64_t result)
{
	*ret = result;
	return RK__DONE;
}

/* What name_to_handle_at gives: the bytes are a struct rk_file_handle. */
enum { RK__HANDLE_TYPE = 0x72 };

/* A descriptor of the server for what p is, opened anew: names_open.c */
int64_t rk__reopen(const struct rk__place *p, uint32_t flags);
/* The same to be started as a program, which is a regular file that the caller
 * may read and run. -EXDEV: it leads out. */
int64_t rk__open_program(const struct rk__place *p, bool follow);

/* abi.c: structs as the kernel gives them, to the caller's memory. 0, or
 * -EFAULT. */
int rk__put_stat(struct rk__task *t, uint64_t at, uint32_t server,
		 const struct rk_stat *st);
int rk__put_stat_on(struct rk__task *t, uint64_t at, uint64_t dev,
		    const struct rk_stat *st);
int rk__put_statx(struct rk__task *t, uint64_t at, uint64_t dev,
		  const struct rk_stat *st);
int rk__put_statfs(struct rk__task *t, uint64_t at,
		   const struct rk_statfs *st);
/* What st_dev is: each server counts its mounts from 1. */
uint64_t rk__dev(uint32_t server, uint64_t dev);

#endif
