/*
 * shared.c - see shared.h.
 *
 * Theory of operation. The mounts are made once, in a mount namespace in which
 * there is nothing else and no process: descriptors keep it. Who may not make
 * one has a user namespace around it. A program of the same user gets its own
 * copies: a process that does nothing else enters both, clones the mounts, and
 * passes the descriptors of the copies out; such a copy can be attached in any
 * mount namespace. The last copy that goes takes the file system along, not
 * before our own has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "supervisor/graft.h"
#include "supervisor/message.h"
#include "supervisor/mount.h"
#include "supervisor/namespace.h"
#include "supervisor/shared.h"

/* Where the mounts hang until the rest is let go. Every system has it. */
#define HANG_AT "/proc"

struct word {
	int32_t error;
	char sentence[RK_SERVER_ERROR_LEN];
};

/* What the process that enters or makes the namespace works on. */
struct work {
	const struct rk__config *config;	/* to make */
	int user_ns, mount_ns;			/* to clone */
	unsigned n;
};

static void say(int fd, int error, const char *sentence, const int *fds,
		unsigned n_fds)
{
	struct word w = { .error = error };

	snprintf(w.sentence, sizeof w.sentence, "%s", sentence);
	rk__message_send(fd, &w, sizeof w, fds, n_fds);
}

static int hear(int fd, int *ret_fds, unsigned n_fds, char *error)
{
	struct word w = { .sentence = "the process that makes the mounts ended",
			  .error = -ECHILD };
	ssize_t n;

	do
		n = rk__message_receive(fd, &w, sizeof w, ret_fds, n_fds);
	while (n == -EINTR);
	if (n == sizeof w && w.error == 0)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "%.*s", RK_SERVER_ERROR_LEN - 1,
		 w.sentence);
	return w.error < 0 ? w.error : -ECHILD;
}

/* Forks a process that does `fn` and ends. *ret_fd: what it says. */
static pid_t start(void (*fn)(int fd, const struct work *w),
		   const struct work *w, int *ret_fd, char *error)
{
	int pair[2], e;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		goto fail;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		fn(pair[1], w);
		_exit(0);
	}
	e = errno;
	close(pair[1]);
	*ret_fd = pair[0];
	if (pid > 0)
		return pid;
	close(pair[0]);
	errno = e;
fail:
	e = -errno;
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot fork: %s", strerror(-e));
	return e;
}

static void finish(pid_t pid, int fd)
{
	close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* --- making ------------------------------------------------------------------- */

static void name_of(unsigned i, const char *below, char ret[32])
{
	snprintf(ret, 32, "%s/%u", below, i);
}

static int mount_one(const struct rk__mount_spec *m, unsigned i, int *ret_fd,
		     char *error)
{
	struct rk__mount_how how = {
		.source = m->source[0] ? m->source : m->driver,
		.flags = RK_MOUNT_FLAGS | (m->read_only ? MS_RDONLY : 0),
		.allow_other = geteuid() == 0,
	};
	char at[32];

	name_of(i, HANG_AT, at);
	if (mkdir(at, 0755) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot make a mount point: %s", strerror(errno));
		return -errno;
	}
	return rk__fuse_mount(at, &how, ret_fd, error);
}

static int make_all(int fd, const struct rk__config *c, int *ret_ns,
		    char *error)
{
	int e = rk__namespace_unshare(error), fuse;

	if (e < 0)
		return e;
	ret_ns[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	ret_ns[1] = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ret_ns[0] < 0 || ret_ns[1] < 0 ||
	    mount("rump", HANG_AT, "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=755") < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot make a place for the mounts: %s",
			 strerror(errno));
		return -errno;
	}
	for (uint32_t i = 0; i < c->n_mounts && !e; i++) {
		e = mount_one(&c->mount[i], i, &fuse, error);
		if (!e)
			say(fd, 0, "", &fuse, 1);
	}
	return e ? e : rk__namespace_pivot(HANG_AT, error);
}

static void make(int fd, const struct work *w)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	int ns[2], e = make_all(fd, w->config, ns, error);

	say(fd, e, error, ns, e ? 0 : 2);
}

void rk__shared_close_fuse(struct rk__shared *s)
{
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++) {
		if (s->fuse[i] >= 0)
			close(s->fuse[i]);
		s->fuse[i] = -1;
	}
}

int rk__shared_make(const struct rk__config *c, struct rk__shared *ret,
		    char *error)
{
	struct work w = { .config = c };
	int fd, ns[2] = { -1, -1 }, e = 0;
	pid_t pid;

	memset(ret->fuse, -1, sizeof ret->fuse);
	pid = start(make, &w, &fd, error);
	if (pid < 0)
		return pid;
	for (uint32_t i = 0; i < c->n_mounts && !e; i++)
		e = hear(fd, &ret->fuse[i], 1, error);
	if (!e)
		e = hear(fd, ns, 2, error);
	finish(pid, fd);
	ret->user_ns = ns[0];
	ret->mount_ns = ns[1];
	if (e < 0)
		rk__shared_close_fuse(ret);
	return e;
}

/* --- entering ----------------------------------------------------------------- */

static bool is_own(int ns, const char *path)
{
	struct stat a, b;

	return fstat(ns, &a) == 0 && stat(path, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Makes nothing in this process's memory: a thread's child calls it too. */
static int enter(int user_ns, int mount_ns)
{
	/* into its own nobody may */
	if (!is_own(user_ns, "/proc/self/ns/user") &&
	    setns(user_ns, CLONE_NEWUSER) < 0)
		return -errno;
	return setns(mount_ns, CLONE_NEWNS) < 0 ? -errno : 0;
}

static void clone_all(int fd, const struct work *w)
{
	char at[32], error[RK_SERVER_ERROR_LEN];
	int tree, e = enter(w->user_ns, w->mount_ns);

	for (unsigned i = 0; i < w->n && !e; i++) {
		name_of(i, "", at);
		tree = rk__graft_clone(at);
		e = tree < 0 ? tree : 0;
		if (!e) {
			say(fd, 0, "", &tree, 1);
			close(tree);
		}
	}
	snprintf(error, sizeof error, "cannot share its mounts: %s",
		 strerror(-e));
	if (e)
		say(fd, e, error, NULL, 0);
}

int rk__shared_clone(int user_ns, int mount_ns, unsigned n, int *ret_tree,
		     char *error)
{
	struct work w = { .user_ns = user_ns, .mount_ns = mount_ns, .n = n };
	int fd, e = 0;
	pid_t pid = start(clone_all, &w, &fd, error);

	if (pid < 0)
		return pid;
	for (unsigned i = 0; i < n; i++)
		ret_tree[i] = -1;
	for (unsigned i = 0; i < n && !e; i++)
		e = hear(fd, &ret_tree[i], 1, error);
	finish(pid, fd);
	return e;
}

/* --- the end ------------------------------------------------------------------ */

/* A process of its own, forked by a thread: system calls and nothing else. */
static int unmount_all(const struct rk__shared *s, unsigned n, bool abort)
{
	int fd, e = enter(s->user_ns, s->mount_ns);
	char at[] = "/0";

	for (unsigned i = 0; i < n && !e; i++) {
		at[1] = (char)('0' + i);
		fd = abort ? -1 : open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			syncfs(fd);
			close(fd);
		}
		if (umount2(at, UMOUNT_NOFOLLOW | MNT_DETACH |
			    (abort ? MNT_FORCE : 0)) < 0 && errno != EINVAL)
			e = -errno;
	}
	return -e;
}

_Static_assert(RK_MOUNTS_MAX <= 10, "a mount's name is one digit");

int rk__shared_unmount(const struct rk__shared *s, unsigned n, bool abort)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* the next supervisor must not find it at work */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(unmount_all(s, n, abort));
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}
