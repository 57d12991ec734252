/*
 * probe.c - whether seccomp notification can be used here: one call of a child
 * is served as the notifier would.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "notify/filter.h"

enum { PROBE_MS = 20000 };

static const char word[] = "rump";

/* Shows getppid alone. */
static int listen_to_getppid(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof f / sizeof *f, f };
	long fd;

	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER |
		     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	if (fd < 0 && errno == EACCES &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER |
			     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	return fd < 0 ? -errno : (int)fd;
}

static _Noreturn void child(int pipe_end)
{
	int fd = listen_to_getppid();

	if (write(pipe_end, &fd, sizeof fd) != sizeof fd || fd < 0)
		_exit(1);
	_exit(syscall(SYS_getppid, word) == 77 ? 0 : 1);
}

static int say(char *why, int e, const char *what)
{
	snprintf(why, RK__FILTER_WHY, "%s", what);
	return e;
}

static int serve(int listener, char *why)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct seccomp_notif n = { 0 };
	struct seccomp_notif_addfd add = { .srcfd = (uint32_t)listener };
	struct seccomp_notif_resp answer = { .val = 77 };
	char buf[sizeof word];
	struct iovec to = { buf, sizeof buf }, from = { NULL, sizeof buf };

	if (poll(&p, 1, PROBE_MS) != 1 ||
	    ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return say(why, -EIO, "the kernel shows no system calls");
	from.iov_base = (void *)n.data.args[0];
	if (process_vm_readv((pid_t)n.pid, &to, 1, &from, 1, 0) !=
	    sizeof buf || memcmp(buf, word, sizeof word) != 0)
		return say(why, -EPERM, "the memory of other processes may "
			   "not be read");
	add.id = answer.id = n.id;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
		return say(why, -errno, "no descriptor can be put into "
			   "another process");
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
		return say(why, -errno, "system calls cannot be answered");
	return 0;
}

static int probe(pid_t pid, int pipe_end, char *why)
{
	int fd = -EIO, pidfd, e;

	if (read(pipe_end, &fd, sizeof fd) != sizeof fd || fd < 0) {
		if (fd == -EINVAL)
			return say(why, -ENOSYS, "the kernel is older than "
				   "5.19");
		snprintf(why, RK__FILTER_WHY, "a filter cannot be installed: "
			 "%s", strerror(-fd));
		return fd;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return say(why, -errno, "processes cannot be watched");
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	e = -errno;
	close(pidfd);
	if (fd < 0)
		return say(why, e, "descriptors of other processes may not be "
			   "looked at");
	e = serve(fd, why);
	close(fd);
	return e;
}

int rk__filter_probe(char why[RK__FILTER_WHY])
{
	int end[2], e, status;
	pid_t pid;

	if (pipe(end) < 0)
		return say(why, -errno, "there is no pipe to be had");
	pid = fork();
	if (pid == 0) {
		close(end[0]);
		child(end[1]);
	}
	close(end[1]);
	e = pid < 0 ? say(why, -errno, "there is no process to be had") :
		      probe(pid, end[0], why);
	close(end[0]);
	if (pid < 0)
		return e;
	kill(pid, e < 0 ? SIGKILL : 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (e == 0 && status != 0)
		e = say(why, -EIO, "a call was not answered as it should");
	return e;
}
