/*
 * runtime.h - where the sockets of servers are: one rule for both sides.
 *
 * root: /run/rump. Others, and the root of a user namespace, who may not write
 * there: $XDG_RUNTIME_DIR/rump, or /tmp/rump-UID where that is not set. A
 * server's socket is NAME.sock in it.
 */
#ifndef RK_RUNTIME_H
#define RK_RUNTIME_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The mode of a server's socket. Nobody is behind one that is asleep: systemd
 * made it, and starts the server when somebody connects. */
enum { RK_SOCKET_ASLEEP = 0600, RK_SOCKET_AWAKE = 01600 };

/* 0, or -ENAMETOOLONG. Makes nothing. */
static inline int rk_runtime_dir(char *ret, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (geteuid() == 0 && access("/run", W_OK) == 0)
		n = snprintf(ret, size, "/run/rump");
	else if (xdg && xdg[0] == '/')
		n = snprintf(ret, size, "%s/rump", xdg);
	else
		n = snprintf(ret, size, "/tmp/rump-%u", (unsigned)geteuid());
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The socket of a server by name. -EINVAL: a name is one path component. */
static inline int rk_runtime_socket(const char *name, char *ret, size_t size)
{
	size_t len;
	int n, r;

	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return -EINVAL;
	r = rk_runtime_dir(ret, size);
	if (r < 0)
		return r;
	len = strlen(ret);
	n = snprintf(ret + len, size - len, "/%s.sock", name);
	return n < 0 || (size_t)n >= size - len ? -ENAMETOOLONG : 0;
}

#endif
