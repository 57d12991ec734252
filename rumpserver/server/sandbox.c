/*
 * sandbox.c - what a server may still do once it has all it needs.
 *
 * A driver parses images that may be hostile. What it can reach is its own
 * memory and the descriptors it was given: nothing that opens a path, a
 * socket, a process or a program is allowed. Each system call is named with
 * who needs it.
 *
 * Theory of operation. The zygote prepares what is the same for all servers
 * and costs time: namespaces without a network, an empty directory, the
 * program of the filter. A server then only enters: its root becomes that
 * directory, which does not even exist any more; it drops all capabilities,
 * and confines itself by Landlock, and by two filters. The second is small and
 * its own, because it has its process number in it. Where the kernel refuses
 * namespaces or has no Landlock, the filters alone must do, and do.
 *
 * A family that has a directory of the host is allowed what works on names, by
 * descriptor. No filter sees what a path says: so if there is one directory, it
 * is the root, and Landlock grants what lies below it and nothing else. The
 * driver itself asks for no path that leads out (openat2). Such a server keeps
 * those capabilities, of what its user has, that are about files.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "driver.h"
#include "recovery/region.h"
#include "server/loop.h"

static const int allowed[] = {
	/* gates: fuse, sockets of clients, doorbells; control messages */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv),
	SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto), SCMP_SYS(close), SCMP_SYS(fstat),
	/* loop */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(sched_yield), SCMP_SYS(getcpu),
	/* which CPU a caller is bound to (gate/place.c): it only tells */
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* block store */
	SCMP_SYS(pread64),
	/* pages of files that clients read without asking */
	SCMP_SYS(memfd_create), SCMP_SYS(pwrite64), SCMP_SYS(ftruncate),
	/* recoverable memory, channels, the C library's heap */
	SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(brk),
	SCMP_SYS(mincore),
	/* the lock, the end, crash points; kill and tgkill: see own_filter() */
	SCMP_SYS(set_robust_list), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	/* qsort() of the C library, for how much it may take */
	SCMP_SYS(sysinfo),
	/* libext2fs asks for them when it makes a superblock */
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrandom),
};

/* Allowed with this argument alone. */
static const struct {
	int call;
	struct scmp_arg_cmp arg;
} allowed_if[] = {
	/* memory, but no code */
	{ SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	/* channels and /dev/fuse as they are handed over */
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_GETFL, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_SETFL, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_GET_SEALS, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_ADD_SEALS, 0 } },
	/* the page tracker */
	{ SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, RK_TRACK_SCAN, 0 } },
	{ SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, RK_TRACK_PROTECT, 0 } },
	/* fstat() of the C library */
	{ SCMP_SYS(newfstatat), { 3, SCMP_CMP_EQ, AT_EMPTY_PATH, 0 } },
	/* its own CPUs and limits */
	{ SCMP_SYS(sched_setaffinity), { 0, SCMP_CMP_EQ, 0, 0 } },
	{ SCMP_SYS(prlimit64), { 0, SCMP_CMP_EQ, 0, 0 } },
};

/* With a directory of the host only: the host driver. */
static const int allowed_with_directory[] = {
	SCMP_SYS(openat2), SCMP_SYS(statx), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(fstatfs),
	SCMP_SYS(mkdirat), SCMP_SYS(mknodat), SCMP_SYS(symlinkat),
	SCMP_SYS(linkat), SCMP_SYS(unlinkat), SCMP_SYS(renameat2),
	SCMP_SYS(fchmod), 452 /* fchmodat2 */, SCMP_SYS(fchownat),
	SCMP_SYS(utimensat), SCMP_SYS(fallocate), SCMP_SYS(fsync),
	SCMP_SYS(syncfs), SCMP_SYS(fgetxattr), SCMP_SYS(fsetxattr),
	SCMP_SYS(flistxattr), SCMP_SYS(fremovexattr),
};

static struct {
	struct sock_fprog filter;
	int root;			/* an empty directory, -1: none */
	/* Of the host; -1 behind the last. */
	int directory[RK_MOUNTS_MAX + 1];
} made = { .root = -1, .directory[0] = -1 };

/* --- in the zygote ----------------------------------------------------------- */

static int read_filter(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	struct sock_filter *code = size > 0 ? malloc((size_t)size) : NULL;

	if (!code || pread(fd, code, (size_t)size, 0) != size) {
		free(code);
		return -ENOMEM;
	}
	made.filter.filter = code;
	made.filter.len = (unsigned short)((size_t)size / sizeof *code);
	return 0;
}

static int make_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int r = 0, fd = memfd_create("rump-filter", MFD_CLOEXEC);

	if (!ctx || fd < 0)
		r = -ENOMEM;
	for (unsigned i = 0; i < sizeof allowed / sizeof *allowed && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (unsigned i = 0; i < sizeof allowed_if / sizeof *allowed_if && !r;
	     i++)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
					   allowed_if[i].call, 1,
					   &allowed_if[i].arg);
	for (unsigned i = 0; i < sizeof allowed_with_directory /
	     sizeof *allowed_with_directory && !r && made.directory[0] >= 0;
	     i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
				     allowed_with_directory[i], 0);
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = seccomp_export_bpf(ctx, fd);
	if (!r)
		r = read_filter(fd);
	if (fd >= 0)
		close(fd);
	seccomp_release(ctx);
	return r;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

/* Everybody keeps the one id that he has. */
static void map_ids(unsigned uid, unsigned gid)
{
	char map[64];

	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", map);
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", map);
}

static void enter_namespaces(void)
{
	const int flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(flags) == 0 || errno != EPERM)
		return;
	if (unshare(CLONE_NEWUSER | flags) == 0)
		map_ids(uid, gid);
}

/* What was removed has no parent, no entries, and can get none. */
static int open_nowhere(void)
{
	static const char *const where[] = { "/tmp", "/dev/shm", "/var/tmp" };
	char path[64];
	int fd = -1;

	for (size_t i = 0; i < sizeof where / sizeof *where && fd < 0; i++) {
		snprintf(path, sizeof path, "%s/rump-root.XXXXXX", where[i]);
		if (!mkdtemp(path))
			continue;
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		rmdir(path);
	}
	return fd;
}

static void find_directories(const struct rk__family *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n_mounts; i++)
		if (f->mount[i].kind == RK_SOURCE_DIRECTORY)
			made.directory[n++] = f->device[i].fd;
	made.directory[n] = -1;
}

int rk__sandbox_make(const struct rk__family *f)
{
	find_directories(f);
	/* sanitizers' run-times open files as they like */
	if (RK_SANITIZED)
		return 0;
	made.root = open_nowhere();
	enter_namespaces();
	return make_filter();
}

/* --- in a server ------------------------------------------------------------- */

static void enter_nowhere(void)
{
	int root = made.root;

	if (made.directory[0] >= 0 && made.directory[1] < 0)
		root = made.directory[0];
	if (root >= 0 && fchdir(root) == 0)
		(void)!chroot(".");
	if (made.root >= 0)
		close(made.root);
}

/* What is about owners and modes of files, as far as it has it. */
static void keep_for_files(struct __user_cap_header_struct *head,
			   struct __user_cap_data_struct *keep)
{
	const uint32_t files = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE |
		1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER |
		1u << CAP_FSETID | 1u << CAP_MKNOD;
	struct __user_cap_data_struct have[2] = { 0 };

	if (syscall(SYS_capget, head, have) < 0)
		return;
	keep[0].effective = keep[0].permitted = have[0].permitted & files;
}

static int drop_privileges(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };

	if (made.directory[0] >= 0)
		keep_for_files(&head, none);
	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Credentials changed nothing, but what the zygote set may be gone. */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

/* As linux/landlock.h of a kernel that is newer than our headers. */
enum {
	SYS_LANDLOCK_CREATE = 444, SYS_LANDLOCK_ADD = 445,
	SYS_LANDLOCK_RESTRICT = 446, LANDLOCK_PATH_BENEATH = 1,
	/* before it nothing can be moved to another directory */
	LANDLOCK_ABI_REFER = 2,
	LANDLOCK_VERSION = 1, LANDLOCK_ABI_MAX = 6,
};

struct landlock_rules {
	uint64_t fs, net, scoped;
};

#define LANDLOCK_EXECUTE	(1ull << 0)
#define LANDLOCK_IOCTL_DEV	(1ull << 15)

struct landlock_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static void grant_directories(int ruleset, uint64_t rights)
{
	struct landlock_beneath rule = {
		.allowed = rights & ~(LANDLOCK_EXECUTE | LANDLOCK_IOCTL_DEV),
	};

	for (const int *d = made.directory; *d >= 0; d++) {
		rule.fd = *d;
		syscall(SYS_LANDLOCK_ADD, ruleset, LANDLOCK_PATH_BENEATH, &rule,
			0);
	}
}

/* Handled and nowhere granted: denied. */
static void confine(void)
{
	/* bits that each version of the interface knows */
	static const uint8_t fs_bits[] = { 13, 14, 15, 15, 16, 16 };
	struct landlock_rules rules = { 0 };
	size_t size = sizeof rules.fs;
	long abi = syscall(SYS_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);
	long fd;

	if (abi < 1 || (abi < LANDLOCK_ABI_REFER && made.directory[0] >= 0))
		return;
	abi = abi < LANDLOCK_ABI_MAX ? abi : LANDLOCK_ABI_MAX;
	rules.fs = (1ull << fs_bits[abi - 1]) - 1;
	if (abi >= 4) {
		rules.net = 3;		/* bind, connect */
		size = offsetof(struct landlock_rules, scoped);
	}
	if (abi >= 6) {
		rules.scoped = 3;	/* abstract sockets, signals */
		size = sizeof rules;
	}
	fd = syscall(SYS_LANDLOCK_CREATE, &rules, size, 0);
	if (fd < 0)
		return;
	grant_directories((int)fd, rules.fs);
	syscall(SYS_LANDLOCK_RESTRICT, fd, 0);
	close((int)fd);
}

/* kill and tgkill reach nobody else; everything else is the other filter's. */
static int own_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ?
	       -errno : 0;
}

int rk__server_sandbox(const struct rk__family *f)
{
	int r;

	find_directories(f);
	if (!RK_SANITIZED)
		enter_nowhere();
	r = drop_privileges();
	if (r < 0 || RK_SANITIZED)
		return r;
	confine();
	r = own_filter();
	if (r < 0)
		return r;
	/* last: it allows no other */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &made.filter) < 0 ?
	       -errno : 0;
}
