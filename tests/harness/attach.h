/*
 * attach.h - a client for a test: of the server behind $RUMP_SOCKET, or of
 * drivers in this process.
 */
#ifndef RK_TEST_ATTACH_H
#define RK_TEST_ATTACH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rump/client.h"
#include "rump/local.h"

/* mount: PATH=DRIVER:SOURCE in this process, NULL: the server. */
static inline struct rk_client *attach_any(const char *mount, unsigned flags)
{
	char path[108], error[256] = "";
	struct rk_client *c = NULL;
	int r;

	if (mount) {
		r = rk_local_attach(&mount, 1, &c, error, sizeof error);
	} else {
		r = rk_socket_path(NULL, path, sizeof path);
		if (r == 0)
			r = rk_attach(path, flags, &c);
	}
	if (r == 0)
		return c;
	printf("cannot attach: %s\n", mount ? error : strerror(-r));
	exit(1);
}

#endif
