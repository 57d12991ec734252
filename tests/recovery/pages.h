/*
 * pages.h - what pages.c and pages_offset.c share.
 */
#ifndef RK_TEST_PAGES_H
#define RK_TEST_PAGES_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "rump/client.h"

#define CHECK(what, ...) do {						\
	if (!(what)) {							\
		printf("line %d: %s: ", __LINE__, #what);		\
		printf(__VA_ARGS__);					\
		printf("\n");						\
		fflush(stdout);						\
		exit(1);						\
	}								\
} while (0)

static inline struct rk_client *attach(void)
{
	struct rk_client *c;
	char path[108];
	int r = rk_socket_path(NULL, path, sizeof path);

	if (r == 0)
		r = rk_attach(path, RK_ATTACH_PAGES, &c);
	CHECK(r == 0, "%s", strerror(-r));
	return c;
}

static unsigned long seed = 1;

static inline unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* N steps at random of several open files, and several threads on one. */
int places(unsigned n);
/* One that gets shorter while others read it. */
int cuts(double seconds);

#endif
