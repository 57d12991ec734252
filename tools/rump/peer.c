/*
 * peer.c - talking to the supervisors that run, over their sockets.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include "rump.h"
#include "runtime.h"
#include "supervisor/message.h"
#include "supervisor/words.h"

enum {
	WAKE_WAIT_S = 300,		/* it may have much to recover */
	STATUS_WAIT_S = 5,		/* a stopped one must not stop us */
	END_WAIT_MS = 60000,
};

/* A connection on which it was greeted, or a negative errno. */
static int greet(const char *socket_path, enum rk_hello_kind kind,
		 unsigned timeout_s)
{
	struct timeval limit = { .tv_sec = timeout_s };
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC, .version = RK_PROTOCOL_VERSION,
		.kind = kind,
	};
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, e;

	if (strlen(socket_path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* 0: none */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	    send(fd, &hello, sizeof hello, MSG_NOSIGNAL) >= 0)
		return fd;
	e = -errno;
	close(fd);
	return e;
}

static int hear(int conn, struct rk_status *ret, int *fds, unsigned n_fds)
{
	ssize_t n;

	do
		n = rk__message_receive(conn, ret, sizeof *ret, fds, n_fds);
	while (n == -EINTR);
	if (n != sizeof *ret)
		return n < 0 ? (int)n : -EPROTO;
	ret->name[sizeof ret->name - 1] = 0;
	ret->mounts[sizeof ret->mounts - 1] = 0;
	ret->message[sizeof ret->message - 1] = 0;
	return 0;
}

int ask_peer(const char *socket_path, enum rk_hello_kind kind,
	     unsigned timeout_s, struct rk_status *ret)
{
	int fd = greet(socket_path, kind, timeout_s), e;

	if (fd < 0)
		return fd;
	e = hear(fd, ret, NULL, 0);
	close(fd);
	return e;
}

int order_peer(const char *socket_path, enum rk_order_kind kind,
	       const char *program, int file, struct rk_status *ret)
{
	struct rk_order o = { .kind = kind };
	int fd = greet(socket_path, RK_HELLO_ORDER, 0), e;

	if (fd < 0)
		return fd;
	snprintf(o.path, sizeof o.path, "%s", program);
	e = rk__message_send(fd, &o, sizeof o, &file, file >= 0);
	/* it may have been refused already */
	if (e == 0 || e == -EPIPE)
		e = hear(fd, ret, NULL, 0);
	close(fd);
	return e;
}

static void wait_for_process(pid_t pid)
{
	struct pollfd p = { .events = POLLIN };

	p.fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (p.fd < 0)
		return;
	poll(&p, 1, END_WAIT_MS);
	close(p.fd);
}

void wait_for_end(const struct rk_status *status)
{
	/* its own end is the last of what the holder waits for */
	wait_for_process(status->supervisor);
	wait_for_process(status->holder);
}

bool is_asleep(const char *socket_path)
{
	struct stat st;

	return stat(socket_path, &st) == 0 &&
	       (st.st_mode & 07777) == RK_SOCKET_ASLEEP;
}

int use_peer(const char *name, struct rk_status *ret, int ret_ns[2])
{
	char path[4096];
	int fd, e = rk_runtime_socket(name, path, sizeof path);

	ret_ns[0] = ret_ns[1] = -1;
	fd = e < 0 ? e : greet(path, RK_HELLO_USE, is_asleep(path) ?
			       WAKE_WAIT_S : STATUS_WAIT_S);
	if (fd < 0)
		return fd;
	e = hear(fd, ret, ret_ns, 2);
	if (e == 0)
		e = ret->error;
	if (e == 0)
		return fd;
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
		if (!is_asleep(path) &&
		    ask_peer(path, RK_HELLO_STATUS, STATUS_WAIT_S,
			     &status) == 0)
			r = fn(arg, path, &status);
	}
	if (dp)
		closedir(dp);
	return r;
}

/* --- the nearest name ---------------------------------------------------------- */

static int compare(void *arg, const char *path, const struct rk_status *s)
{
	rk__nearest_try(arg, s->name);
	return 0;
}

int complain_unknown(const char *name)
{
	struct rk__nearest n;

	rk__nearest_init(&n, name);
	for_each_peer(compare, &n);
	if (n.name[0])
		return complain("there is no server '%.64s'; is '%s' meant?",
				name, n.name);
	return complain("there is no server '%.64s'; rump ls lists what there "
			"is", name);
}
