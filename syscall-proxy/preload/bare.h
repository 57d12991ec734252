/*
 * bare.h - what stands in for libc in librump-preload.so: included before every
 * source of it.
 *
 * The functions of bare_*.c have the names that they have everywhere, but are
 * hidden: code that is shared with ordinary programs is compiled again as it
 * is, and reaches the kernel by rk__raw() only. What differs from libc:
 *  - nothing takes a lock of the program, and everything may be called in a
 *    signal handler; a mutex keeps signals out as long as it is held;
 *  - descriptors are made where the program does not see them (fdmap.c);
 *  - errno is our own.
 */
#ifndef RK_BARE_H
#define RK_BARE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

/* Freestanding says nothing of these; the compiler knows small ones by heart. */
#define memcpy(to, from, n) __builtin_memcpy(to, from, n)
#define memset(to, c, n) __builtin_memset(to, c, n)
#define strlen(s) __builtin_strlen(s)

/* preload.h */
long rk__raw(long nr, ...);

#define RK__R0(nr) rk__raw((long)(nr))
#define RK__R1(nr, a) rk__raw((long)(nr), (long)(a))
#define RK__R2(nr, a, b) rk__raw((long)(nr), (long)(a), (long)(b))
#define RK__R3(nr, a, b, c) rk__raw((long)(nr), (long)(a), (long)(b), (long)(c))
#define RK__R4(nr, a, b, c, d) rk__raw((long)(nr), (long)(a), (long)(b),	\
				       (long)(c), (long)(d))
#define RK__R5(nr, a, b, c, d, e) rk__raw((long)(nr), (long)(a), (long)(b),	\
					  (long)(c), (long)(d), (long)(e))
#define RK__R6(nr, a, b, c, d, e, f) rk__raw((long)(nr), (long)(a), (long)(b), \
				(long)(c), (long)(d), (long)(e), (long)(f))

/* -1 and errno, as libc has it. */
long rk__result(long r);

/* All signals, but those that the kernel never blocks. */
uint64_t rk__signals_off(void);
void rk__signals_back(uint64_t mask);

/* Called with what the kernel gave the process at its start. */
void rk__bare_init(char **envp);
/* What pthread_key_create was given; for a thread that ends. */
void rk__thread_ends(void);

/*
 * fdmap.c: takes a descriptor out of the program's sight, to a high number,
 * close-on-exec. The new number, or fd itself if it cannot be moved; negative
 * ones are given back.
 */
int rk__own(int fd);
/* Closes one. */
int rk__own_close(int fd);

#endif
