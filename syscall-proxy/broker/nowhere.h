/*
 * nowhere.h - the kernel's working directory of who is in a server's.
 */
#ifndef RK_NOWHERE_H
#define RK_NOWHERE_H

/* A removed directory all of whose parents, as far as it matters, are removed
 * too. A descriptor (O_PATH, close-on-exec), or a negative errno. */
int rk__nowhere_open(void);

#endif
