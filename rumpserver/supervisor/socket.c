/*
 * socket.c - the place of the control socket: makes the run-time directory,
 * clears it of sockets whose supervisors are dead, and takes a name in it.
 *
 * A socket is bound and listening under a hidden name before it gets its own
 * by link(2): so whoever finds a name that refuses connections knows that its
 * owner is dead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "runtime.h"
#include "supervisor/internal.h"

enum { BACKLOG = 1024 };

#define say(error, ...) \
	((void)snprintf((error), RK_SERVER_ERROR_LEN, __VA_ARGS__))

static int make_dir(const char *dir, char *error)
{
	struct stat st;
	int e;

	if (mkdir(dir, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST) {
		e = -errno;
		say(error, "cannot make the directory %.150s: %s", dir,
		    strerror(-e));
		return e;
	}
	/* in /tmp anybody may have been there first */
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 022)) {
		say(error, "%.150s is not a directory that only you can write",
		    dir);
		return -EPERM;
	}
	return 0;
}

static int set_address(struct sockaddr_un *a, const char *path)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof a->sun_path)
		return -ENAMETOOLONG;
	strcpy(a->sun_path, path);
	return 0;
}

static bool is_stale(const char *path)
{
	struct sockaddr_un a;
	bool stale = false;
	struct stat st;
	int fd;

	/* one that is asleep would be woken */
	if (set_address(&a, path) < 0 || stat(path, &st) < 0 ||
	    (st.st_mode & 07777) == RK_SOCKET_ASLEEP)
		return false;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		stale = errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static void remove_stale(const char *dir)
{
	char path[4096];
	struct dirent *d;
	DIR *dp = opendir(dir);

	while (dp && (d = readdir(dp))) {
		size_t len = strlen(d->d_name);

		if (d->d_name[0] == '.' || len <= 5 ||
		    strcmp(d->d_name + len - 5, ".sock") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		if (!is_stale(path))
			continue;
		unlink(path);
		strcpy(path + strlen(path) - 5, ".bus");
		unlink(path);
	}
	if (dp)
		closedir(dp);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a;
	int fd, e = set_address(&a, path);

	if (e < 0)
		return e;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    chmod(path, RK_SOCKET_AWAKE) < 0 || listen(fd, BACKLOG) < 0) {
		e = -errno;
		close(fd);
		unlink(path);
		return e;
	}
	return fd;
}

static int open_named(struct rk__supervisor *s, const char *dir,
		      const char *name, char *error)
{
	char hidden[108], path[sizeof s->control.path];
	int fd, e = rk_runtime_socket(name, path, sizeof path);

	if (e < 0) {
		say(error, "'%.64s' is no name for a server", name);
		return e;
	}
	if ((size_t)snprintf(hidden, sizeof hidden, "%s/.%d", dir,
			     (int)getpid()) >= sizeof hidden)
		return -ENAMETOOLONG;
	fd = listen_at(hidden);
	if (fd < 0) {
		say(error, "cannot make the socket %.100s: %s", path,
		    strerror(-fd));
		return fd;
	}
	if (link(hidden, path) < 0) {
		e = -errno;
		say(error, e == -EEXIST ? "there is a server named '%.64s' "
		    "already" : "cannot make the socket of '%.64s'", name);
		close(fd);
	} else {
		s->control.fd = fd;
		strcpy(s->control.path, path);
	}
	unlink(hidden);
	return e;
}

/* One that systemd made: where its name is ours, and it is what we listen on. */
static int open_given(struct rk__supervisor *s, char *error)
{
	int fd = s->config.listen_fd, type = 0, listens = 0;
	struct sockaddr_un a = { .sun_family = AF_UNSPEC };
	socklen_t size = sizeof a - 1, len = sizeof type;
	char base[80];
	const char *slash;

	snprintf(base, sizeof base, "/%s.sock", s->config.name);
	if (getsockname(fd, (struct sockaddr *)&a, &size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
	    a.sun_family != AF_UNIX || a.sun_path[0] != '/' ||
	    type != SOCK_SEQPACKET || !listens) {
		say(error, "the socket that was passed is none to listen on; "
		    "its unit must say ListenSequentialPacket=PATH");
		return -EINVAL;
	}
	slash = strrchr(a.sun_path, '/');
	if (strcmp(slash, base) != 0) {
		say(error, "the socket that was passed is called %.64s, and "
		    "not %.64s.sock as the server", slash + 1, s->config.name);
		return -EINVAL;
	}
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    chmod(a.sun_path, RK_SOCKET_AWAKE) < 0) {
		say(error, "cannot use the socket %.100s: %s", a.sun_path,
		    strerror(errno));
		return -EIO;
	}
	s->control.fd = fd;
	strcpy(s->control.path, a.sun_path);
	return 0;
}

int rk__control_open(struct rk__supervisor *s, char *error)
{
	char dir[4096], name[64];
	int e = rk_runtime_dir(dir, sizeof dir);

	if (s->config.listen_fd)
		return open_given(s, error);
	if (e < 0) {
		say(error, "the name of the run-time directory is too long");
		return e;
	}
	e = make_dir(dir, error);
	if (e < 0)
		return e;
	remove_stale(dir);
	snprintf(name, sizeof name, "%s", s->config.name);
	if (!name[0])
		snprintf(name, sizeof name, "%d", (int)getpid());
	return open_named(s, dir, name, error);
}
