/*
 * peer.c - talking to the supervisors that run, over their sockets.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include "rump.h"
#include "runtime.h"

enum { STATUS_WAIT_S = 5 };		/* a stopped one must not stop us */

int ask_peer(const char *socket_path, enum rk_hello_kind kind,
	     unsigned timeout_s, struct rk_status *ret)
{
	struct timeval limit = { .tv_sec = timeout_s };
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC, .version = RK_PROTOCOL_VERSION,
		.kind = kind,
	};
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, e = 0;
	ssize_t n;

	if (strlen(socket_path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* 0: none */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    send(fd, &hello, sizeof hello, MSG_NOSIGNAL) < 0) {
		e = -errno;
		goto out;
	}
	do
		n = recv(fd, ret, sizeof *ret, 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof *ret)
		e = n < 0 ? -errno : -EPROTO;
	ret->name[sizeof ret->name - 1] = 0;
	ret->mounts[sizeof ret->mounts - 1] = 0;
	ret->message[sizeof ret->message - 1] = 0;
out:
	close(fd);
	return e;
}

int for_each_peer(int (*fn)(void *arg, const char *socket_path,
			    const struct rk_status *status), void *arg)
{
	char dir[4096], path[4096 + 256];
	struct rk_status status;
	struct dirent *d;
	int r = 0;
	DIR *dp;

	if (rk_runtime_dir(dir, sizeof dir) < 0)
		return 0;
	dp = opendir(dir);
	while (dp && !r && (d = readdir(dp))) {
		size_t len = strlen(d->d_name);

		if (len <= 5 || strcmp(d->d_name + len - 5, ".sock") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		if (ask_peer(path, RK_HELLO_STATUS, STATUS_WAIT_S,
			     &status) == 0)
			r = fn(arg, path, &status);
	}
	if (dp)
		closedir(dp);
	return r;
}
