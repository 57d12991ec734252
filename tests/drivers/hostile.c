/*
 * hostile.c - ext4 by somebody who wants out: looking up "try-NAME" makes the
 * attempt of that name. What it should never see is a success: it says so with
 * ENOTUNIQ, which no file system has. A refusal it reports with EACCES.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "driver.h"

extern const struct rk_driver rk_ext4_driver;

/* Filled before anybody asks for it, so not const here. */
struct rk_driver rk_driver;

static long try_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long try_create(void)
{
	return syscall(SYS_open, "/tmp/rump-hostile", O_CREAT | O_WRONLY, 0600);
}

static long try_stat(void)
{
	char room[256];

	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", room,
		       AT_EMPTY_PATH);
}

static long try_socket(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static long try_connect(void)
{
	struct sockaddr_un a = { AF_UNIX, "/run/dbus/system_bus_socket" };
	long r = -1;

	for (int fd = 0; fd < 64 && r < 0; fd++)
		r = syscall(SYS_connect, fd, &a, sizeof a);
	return r;
}

static long try_kill_parent(void)
{
	return syscall(SYS_kill, syscall(SYS_getppid), 0);
}

static long try_kill_all(void)
{
	return syscall(SYS_kill, -1, 0);
}

static long try_tgkill(void)
{
	return syscall(SYS_tgkill, 1, 1, 0);
}

static long try_pidfd(void)
{
	return syscall(SYS_pidfd_open, 1, 0);
}

static long try_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_ATTACH, syscall(SYS_getppid), 0, 0);
}

static long try_vm_write(void)
{
	return syscall(SYS_process_vm_writev, 1, NULL, 0, NULL, 0, 0);
}

static long try_mount(void)
{
	return syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static long try_unshare(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long try_execve(void)
{
	char *const none[] = { "/bin/true", NULL };

	return syscall(SYS_execve, "/bin/true", none, none);
}

static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long try_code(void)
{
	return (long)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long try_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(SYS_mprotect, p, 4096, PROT_READ | PROT_EXEC);
}

static long try_ioctl(void)
{
	return syscall(SYS_ioctl, 0, 0x5401 /* TCGETS */, NULL);
}

static long try_dup(void)
{
	return syscall(SYS_fcntl, 0, F_DUPFD, 100);
}

static long try_affinity(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof set);
	return syscall(SYS_sched_setaffinity, syscall(SYS_getppid) | 1,
		       sizeof set, &set);
}

static long try_limits(void)
{
	struct rlimit64 none = { 0, 0 };

	return syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &none, NULL);
}

static long try_setuid(void)
{
	return syscall(SYS_setuid, 0);
}

static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long try_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

/* Into everything that it was given; nothing of that is somebody else's. */
static long try_write_all(void)
{
	static const char noise[4096] = "noise";

	for (int fd = 0; fd < 1024; fd++)
		(void)!write(fd, noise, sizeof noise);
	return -1;
}

static const struct {
	const char *name;
	long (*attempt)(void);
} attempt[] = {
	{ "open", try_open }, { "create", try_create }, { "stat", try_stat },
	{ "socket", try_socket }, { "connect", try_connect },
	{ "kill-parent", try_kill_parent }, { "kill-all", try_kill_all },
	{ "tgkill", try_tgkill }, { "pidfd", try_pidfd },
	{ "ptrace", try_ptrace }, { "vm-write", try_vm_write },
	{ "mount", try_mount }, { "unshare", try_unshare },
	{ "execve", try_execve }, { "fork", try_fork },
	{ "code", try_code }, { "make-code", try_make_code },
	{ "ioctl", try_ioctl }, { "dup", try_dup },
	{ "affinity", try_affinity }, { "limits", try_limits },
	{ "setuid", try_setuid }, { "keyctl", try_keyctl },
	{ "io-uring", try_io_uring }, { "write-all", try_write_all },
};

static int try_it(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof attempt / sizeof *attempt; i++)
		if (strlen(attempt[i].name) == len &&
		    memcmp(attempt[i].name, name, len) == 0)
			return attempt[i].attempt() < 0 ? -EACCES : -ENOTUNIQ;
	return -ENOENT;
}

static int lookup(void *fs, uint64_t dir, const char *name, size_t len,
		  struct rk_stat *ret)
{
	if (len > 4 && memcmp(name, "try-", 4) == 0)
		return try_it(name + 4, len - 4);
	/* the same, but who asks to be stopped catches it */
	if (len > 6 && memcmp(name, "catch-", 6) == 0) {
		signal(SIGSYS, SIG_IGN);
		return try_it(name + 6, len - 6);
	}
	return rk_ext4_driver.lookup(fs, dir, name, len, ret);
}

__attribute__((constructor)) static void fill(void)
{
	rk_driver = rk_ext4_driver;
	rk_driver.name = "hostile";
	rk_driver.help = "for tests: ext4 that tries to get out of its server";
	rk_driver.lookup = lookup;
}
