/*
 * mount.c - making and removing FUSE mounts, by mount(2) or by fusermount3.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "recovery/family.h"
#include "mount.h"

extern char **environ;

enum { OPTIONS_MAX = 8192 };

__attribute__((format(printf, 3, 4)))
static int fail(char *error, int r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, RK_SERVER_ERROR_LEN, format, ap);
	va_end(ap);
	return r;
}

static int check_mount_point(const char *dir, char *error)
{
	struct stat st;

	if (stat(dir, &st) < 0) {
		if (errno == ENOENT)
			return fail(error, -ENOENT,
				    "mount point %s does not exist", dir);
		if (errno == ENOTCONN)
			return fail(error, -ENOTCONN, "%s is a mount whose "
				    "server is gone: unmount it first", dir);
		return fail(error, -errno, "mount point %s: %s", dir,
			    strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return fail(error, -ENOTDIR, "mount point %s is not a "
			    "directory", dir);
	return 0;
}

static int open_device(char *error)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return fail(error, -errno, "this system has no FUSE: /dev/fuse "
			    "is missing (modprobe fuse)");
	return fail(error, -errno, "/dev/fuse: %s", strerror(errno));
}

static int mount_directly(int fd, const char *dir,
			  const struct rk__mount_how *how)
{
	char options[256];

	snprintf(options, sizeof options,
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,"
		 "default_permissions%s", fd, (unsigned)geteuid(),
		 (unsigned)getegid(), how->allow_other ? ",allow_other" : "");
	return mount(how->source, dir, "fuse.rump", how->flags, options) < 0 ?
	       -errno : 0;
}

/* --- words for flags ---------------------------------------------------------- */

static const struct {
	const char *word, *opposite;
	unsigned long flag;
} flag_word[] = {
	{ "ro", "rw", MS_RDONLY }, { "nosuid", "suid", MS_NOSUID },
	{ "nodev", "dev", MS_NODEV }, { "noexec", "exec", MS_NOEXEC },
	{ "sync", "async", MS_SYNCHRONOUS }, { "dirsync", "", MS_DIRSYNC },
	{ "noatime", "atime", MS_NOATIME },
	{ "nodiratime", "diratime", MS_NODIRATIME },
	{ "relatime", "norelatime", MS_RELATIME },
	{ "strictatime", "nostrictatime", MS_STRICTATIME },
	{ "lazytime", "nolazytime", MS_LAZYTIME },
};

enum { FLAG_WORDS = sizeof flag_word / sizeof *flag_word };

static bool same_word(const char *word, size_t len, const char *to)
{
	return len && strlen(to) == len && memcmp(word, to, len) == 0;
}

bool rk__mount_flag(const char *word, size_t len, unsigned long *flags)
{
	for (size_t i = 0; i < FLAG_WORDS; i++) {
		if (same_word(word, len, flag_word[i].word))
			*flags |= flag_word[i].flag;
		else if (same_word(word, len, flag_word[i].opposite))
			*flags &= ~flag_word[i].flag;
		else
			continue;
		return true;
	}
	return false;
}

/* --- fusermount3 -------------------------------------------------------------- */

/* Runs fusermount3; commfd >= 0 becomes its descriptor 3. What it says goes to
 * `said`, in one line. 0, its exit status, or a negative errno. */
static int run_helper(char *const argv[], int commfd, char *said, size_t size)
{
	posix_spawn_file_actions_t actions;
	int pipefd[2], r, status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipefd[1], 2);
	if (commfd >= 0)
		posix_spawn_file_actions_adddup2(&actions, commfd, 3);
	r = -posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipefd[1]);
	while (r == 0 && len + 1 < size &&
	       (n = read(pipefd[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(pipefd[0]);
	said[len] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (r < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static int receive_fd(int socket)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

/* A comma in a name would end the option. */
static void helper_options(char *o, const struct rk__mount_how *how)
{
	const char *source = how->source;
	size_t n = (size_t)snprintf(o, OPTIONS_MAX, "default_permissions,"
				    "subtype=rump%s", how->allow_other ?
				    ",allow_other" : "");

	for (size_t i = 0; i < FLAG_WORDS; i++)
		if (how->flags & flag_word[i].flag)
			n += (size_t)snprintf(o + n, OPTIONS_MAX - n, ",%s",
					      flag_word[i].word);
	n += (size_t)snprintf(o + n, OPTIONS_MAX - n, ",fsname=");
	for (; *source && n + 3 < OPTIONS_MAX; source++) {
		if (*source == ',' || *source == '\\')
			o[n++] = '\\';
		o[n++] = *source;
	}
	o[n] = '\0';
}

static int helper_failed(int r, const char *said, const char *dir, char *error)
{
	if (r == -ENOENT)
		return fail(error, -EPERM, "no permission to mount on %s, and "
			    "fusermount3, which has it, is not installed",
			    dir);
	if (*said)
		return fail(error, -EPERM, "%s", said);
	return fail(error, r < 0 ? r : -EPERM, "fusermount3 failed on %s", dir);
}

static int mount_by_helper(const char *dir, const struct rk__mount_how *how,
			   char *error)
{
	char said[RK_SERVER_ERROR_LEN] = "", options[OPTIONS_MAX];
	char *argv[] = { "fusermount3", "-o", options, "--",
			 (char *)(uintptr_t)dir, NULL };
	int sv[2], r, fd;

	helper_options(options, how);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return fail(error, -errno, "socketpair: %s", strerror(errno));
	setenv("_FUSE_COMMFD", "3", 1);
	r = run_helper(argv, sv[0], said, sizeof said);
	unsetenv("_FUSE_COMMFD");
	fd = r == 0 ? receive_fd(sv[1]) : -1;
	close(sv[0]);
	close(sv[1]);
	if (r != 0 || fd < 0)
		return helper_failed(r ? r : fd, said, dir, error);
	return fd;
}

/* --- what the others call ------------------------------------------------------ */

int rk__fuse_mount(const char *dir, const struct rk__mount_how *how,
		   int *ret_fd, char *error)
{
	int r = check_mount_point(dir, error), fd;
	bool closed;

	if (r < 0)
		return r;
	fd = open_device(error);
	/* The helper may where we may not. */
	if (fd < 0 && fd != -EACCES)
		return fd;
	closed = fd < 0;
	r = closed ? -EPERM : mount_directly(fd, dir, how);
	if (r == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (r == -ENODEV)
		return fail(error, r, "this kernel has no FUSE");
	if (r != -EPERM)
		return fail(error, r, "cannot mount on %s: %s", dir,
			    strerror(-r));
	fd = mount_by_helper(dir, how, error);
	/* it opens the device as the user does */
	if (fd < 0 && closed)
		return fail(error, -EACCES, "no permission to open /dev/fuse; "
			    "an administrator may allow it: chmod 666 "
			    "/dev/fuse");
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int rk__fuse_unmount(const char *dir, bool lazy, char *error)
{
	char said[RK_SERVER_ERROR_LEN] = "";
	char *argv[] = { "fusermount3", lazy ? "-uz" : "-u", "--",
			 (char *)(uintptr_t)dir, NULL };
	int r;

	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EBUSY)
		return fail(error, -EBUSY, "%s is in use", dir);
	if (errno == EINVAL)
		return fail(error, -EINVAL, "%s is not a mount point", dir);
	if (errno != EPERM)
		return fail(error, -errno, "cannot unmount %s: %s", dir,
			    strerror(errno));
	r = run_helper(argv, -1, said, sizeof said);
	return r ? helper_failed(r, said, dir, error) : 0;
}

int rk__fuse_abort(const char *dir, char *error)
{
	/* the kernel ends the connection before it looks who uses the mount */
	if (umount2(dir, UMOUNT_NOFOLLOW | MNT_FORCE | MNT_DETACH) == 0)
		return 0;
	return rk__fuse_unmount(dir, true, error);
}
