/*
 * interpose.h - librump-interpose.so: libc's symbols for files, where its system
 * calls cannot be patched. Each ends in rk__preload_call(), of librump-preload.so.
 *
 * What libc calls inside of itself does not pass by symbols: stdio's reads and
 * writes, getcwd in realpath, the file actions of posix_spawn, glob, nftw. It
 * gets EBADF for a descriptor of a server, and does not see paths in mounts: less
 * than patching does, and said so by `rump run`. opendir() and its family are
 * here as a whole, because a DIR's descriptor is read by readdir().
 */
#ifndef RK_INTERPOSE_H
#define RK_INTERPOSE_H

#include <stdint.h>

int64_t rk__preload_call(long nr, const uint64_t arg[6], uint64_t sp,
			 uint64_t ip);
int rk__preload_fork(int (*real)(void));
int rk__preload_publish(void);

/* The call, its result as libc gives it: -1 and errno. */
long rk__interposed(long nr, long a, long b, long c, long d, long e, long f);
/* As the kernel gives it. */
long rk__interposed_raw(long nr, long a, long b, long c, long d, long e,
			long f);

#endif
