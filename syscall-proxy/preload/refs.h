/*
 * refs.h - descriptors of the servers: how many of the process's they are, and
 * the placeholder by which others know them.
 */
#ifndef RK_REFS_H
#define RK_REFS_H

#include "preload.h"

/* One more; false: there is none any more. */
bool rk__ref(uint32_t server, int32_t rk);
/* The first of a descriptor that was just made. 0, or -EMFILE. */
int rk__ref_first(uint32_t server, int32_t rk, uint64_t ino);
/* One less; with the last it is closed, and this is what that says. */
int64_t rk__unref(uint32_t server, int32_t rk);
void rk__refs_forget(void);
/* Inode of its published placeholder; 0: none. */
uint64_t rk__ref_ino(uint32_t server, int32_t rk);
void rk__ref_set_ino(uint32_t server, int32_t rk, uint64_t ino);
/* Which descriptor of which server has this placeholder. */
bool rk__ref_by_ino(uint64_t ino, uint32_t *ret_server, int32_t *ret_rk);

void rk__decimal(char *ret, unsigned n);
/* "/proc/self/fd/" and a number. */
void rk__proc_path(char ret[32], int fd);
/* A new placeholder, one of our own descriptors, or a negative errno. */
int rk__placeholder(uint64_t *ret_ino);
/* Whether a descriptor is one; its inode. */
bool rk__is_placeholder(int fd, uint64_t *ret_ino);
/* Returns when the broker has seen to all placeholders that are gone. */
void rk__settle(int any_placeholder);
/* Tells the broker. */
int rk__publish(uint32_t server, int32_t rk, int placeholder);

#endif
