/*
 * board.h - the board of a family, through the memory of a process that has it
 * mapped: to see what happened, and to arm crash points.
 */
#ifndef RK_TEST_BOARD_H
#define RK_TEST_BOARD_H

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "recovery/family.h"

struct board {
	int mem;
	off_t at;		/* of the board, in the process */
};

/* 0, or -1: the process is not there, or has none. */
static inline int board_find(const char *pid, struct board *ret)
{
	char path[64], line[512];
	FILE *maps;

	ret->at = 0;
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:rump-board"))
			ret->at = (off_t)strtoull(line, NULL, 16);
	fclose(maps);
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	ret->mem = ret->at ? open(path, O_RDWR | O_CLOEXEC) : -1;
	return ret->mem < 0 ? -1 : 0;
}

static inline bool board_load(const struct board *t, size_t offset, void *to,
			      size_t n)
{
	return pread(t->mem, to, n, t->at + (off_t)offset) == (ssize_t)n;
}

static inline bool board_store(const struct board *t, size_t offset,
			       uint32_t value)
{
	return pwrite(t->mem, &value, sizeof value, t->at + (off_t)offset) ==
	       sizeof value;
}

/* Nobody counts down a point that is not armed. */
static inline bool board_arm(const struct board *t, uint32_t point,
			     uint32_t skip)
{
	return board_store(t, offsetof(struct rk__board, crash_skip), skip) &&
	       board_store(t, offsetof(struct rk__board, crash_at), point);
}

/* Takes it back. true: it was hit before. */
static inline bool board_disarm(const struct board *t)
{
	uint32_t now = 0;

	board_load(t, offsetof(struct rk__board, crash_at), &now, sizeof now);
	if (now != RK_CRASH_NONE)
		board_arm(t, RK_CRASH_NONE, 0);
	return now == RK_CRASH_NONE;
}

#endif
