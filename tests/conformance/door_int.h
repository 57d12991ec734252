/*
 * door_int.h - between the parts of door.h.
 */
#ifndef DOOR_INT_H
#define DOOR_INT_H

#include <rump/client.h>
#include "replay.h"

enum { DOOR = 1 << 16 };		/* the first descriptor of a server */

/* As the system call has it: -1 and errno. */
long door_answer(int64_t r);
struct rk_client *door_me(void);
/* Whose descriptor it is, and what the server calls it. */
struct rk_client *door_of(int fd, int32_t *ret);
struct rk_client *door_at(int dir, int32_t *ret);

#define AT(call, dir, ...) ({						\
	int32_t d_;							\
	struct rk_client *c_ = door_at(dir, &d_);				\
	(int)door_answer(rk_##call(c_, d_, __VA_ARGS__)); })
#define FD(call, fd, ...) ({						\
	int32_t n_;							\
	struct rk_client *c_ = door_of(fd, &n_);				\
	door_answer(rk_##call(c_, n_, ##__VA_ARGS__)); })

#endif
