/*
 * The private namespace of `rump run`: mount points that the host lacks, below
 * an existing directory and below the root, as root and as an ordinary user.
 * Needs root, because it takes both parts.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gate/gate.h"
#include "supervisor/mount.h"
#include "supervisor/namespace.h"
#include "../harness/temp.h"

enum { NOBODY = 65534, SKIPPED = 77 };

static char dir[TEMP_MAX];

static void setup(void)
{
	cr_assert(temp_dir(dir, "namespace"));
	chmod(dir, 0755);
}

static void put(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) > 0);
	close(fd);
}

static void fill_host(void)
{
	char path[256];

	put("file", "host");
	snprintf(path, sizeof path, "%s/sub", dir);
	cr_assert(mkdir(path, 0777) == 0);
	chmod(path, 0777);
	snprintf(path, sizeof path, "%s/link", dir);
	cr_assert(symlink("file", path) == 0);
}

static void teardown(void)
{
	static const char *const names[] = { "file", "sub/made", "link" };
	char path[256];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/sub", dir);
	rmdir(path);
	cr_assert(rmdir(dir) == 0, "the host's directory has something new");
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* In the child: 0, or the line that was not so. */
#define WANT(x) do { if (!(x)) { perror(#x); return __LINE__ % 251 + 1; } } while (0)

static int become(uid_t uid)
{
	if (uid == 0)
		return 0;
	WANT(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	     setresuid(uid, uid, uid) == 0);
	/* As after the exec that an ordinary user's program comes from. */
	WANT(prctl(PR_SET_DUMPABLE, 1) == 0);
	return 0;
}

static int enter(const char *a, const char *b)
{
	const struct rk__points points = {
		.path = { a, b }, .n = b ? 2 : 1,
	};
	char error[RK_SERVER_ERROR_LEN] = "";

	if (rk__namespace_enter(&points, error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error);
	return strstr(error, "does not let") ? SKIPPED : 1;
}

static int check_below_dir(uid_t uid)
{
	char a[128], b[128], path[256], text[8] = "";
	char cwd[256];
	int fd, r;

	snprintf(a, sizeof a, "%s/new/deep", dir);
	snprintf(b, sizeof b, "%s/other", dir);
	WANT(chdir(dir) == 0);
	WANT(become(uid) == 0);
	r = enter(a, b);
	if (r)
		return r;
	WANT(is_dir(a) && is_dir(b));
	WANT(geteuid() == uid);
	WANT(getcwd(cwd, sizeof cwd) && !strcmp(cwd, dir));
	WANT(is_dir("new/deep"));
	fd = open("link", O_RDONLY);
	WANT(fd >= 0 && read(fd, text, sizeof text) == 4);
	WANT(!strcmp(text, "host"));
	snprintf(path, sizeof path, "%s/sub/made", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	WANT(fd >= 0);
	return 0;
}

static int check_below_root(uid_t uid)
{
	WANT(chdir(dir) == 0);
	WANT(become(uid) == 0);
	int r = enter("/rump-no-such-dir/vol", "/rump-no-such-dir-2");

	if (r)
		return r;
	WANT(is_dir("/rump-no-such-dir/vol") && is_dir("/rump-no-such-dir-2"));
	WANT(is_dir("/usr/bin") && is_dir("/proc/self") && is_dir(dir));
	WANT(access("/.rump-old-root", F_OK) < 0);
	WANT(access("file", R_OK) == 0);
	WANT(access("/dev/null", W_OK) == 0);
	return 0;
}

/* Most systems let everybody open /dev/fuse; here they all do. */
static int open_device_to_all(void)
{
	char node[128];

	snprintf(node, sizeof node, "%s/sub/made", dir);
	if (access("/dev/fuse", F_OK) < 0)
		return SKIPPED;
	WANT(unshare(CLONE_NEWNS) == 0);
	WANT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	WANT(mknod(node, S_IFCHR | 0666, makedev(10, 229)) == 0);
	WANT(chmod(node, 0666) == 0);
	WANT(mount(node, "/dev/fuse", NULL, MS_BIND, NULL) == 0);
	return 0;
}

static const struct rk__mount_how how = {
	.source = "image,with\\odd", .flags = RK_MOUNT_FLAGS,
	.allow_other = true,
};

/* A mount in the namespace: INIT is there, and is answered. */
static int check_mount(uid_t uid)
{
	char a[128], error[RK_SERVER_ERROR_LEN] = "";
	uint64_t flags = 0;
	int fd, r;

	snprintf(a, sizeof a, "%s/vol", dir);
	r = open_device_to_all();
	if (r)
		return r;
	WANT(become(uid) == 0);
	r = enter(a, NULL);
	if (r)
		return r;
	r = rk__fuse_mount(a, &how, &fd, error);
	if (r < 0)
		fprintf(stderr, "%s\n", error);
	if (r == -ENOENT || r == -ENODEV || r == -EACCES || r == -ENXIO)
		return SKIPPED;
	WANT(r == 0);
	WANT(rk__fuse_init(fd, false, &flags) == 0);
	WANT(flags & FUSE_POSIX_LOCKS);
	WANT(rk__fuse_unmount(a, true, error) == 0);
	return 0;
}

static int check_errors(uid_t uid)
{
	char a[128], error[RK_SERVER_ERROR_LEN] = "";
	int fd;

	snprintf(a, sizeof a, "%s/file", dir);
	WANT(become(uid) == 0);
	WANT(rk__fuse_mount(a, &how, &fd, error) == -ENOTDIR);
	WANT(strstr(error, "is not a directory"));
	WANT(rk__fuse_mount("/rump/none", &how, &fd, error) ==
	     -ENOENT);
	WANT(strstr(error, "does not exist"));
	WANT(rk__fuse_unmount(dir, false, error) == -EINVAL);
	WANT(enter(a, NULL) == 1);
	WANT(enter("/rump-a", "/rump-a/b") == 1);
	return 0;
}

static void run(int (*check)(uid_t uid), uid_t uid)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("needs root to be both root and nobody");
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0)
		_exit(check(uid));
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		cr_skip_test("this system does not allow it");
	cr_assert_eq(WEXITSTATUS(status), 0);
	cr_assert_not(is_dir("/rump-no-such-dir"));
}

static void setup_all(void)
{
	setup();
	fill_host();
}

TestSuite(namespace, .init = setup_all, .fini = teardown);

Test(namespace, below_a_directory_as_root) { run(check_below_dir, 0); }
Test(namespace, below_a_directory_as_nobody) { run(check_below_dir, NOBODY); }
Test(namespace, below_the_root_as_root) { run(check_below_root, 0); }
Test(namespace, below_the_root_as_nobody) { run(check_below_root, NOBODY); }
Test(namespace, mount_as_root) { run(check_mount, 0); }
Test(namespace, mount_as_nobody) { run(check_mount, NOBODY); }
Test(namespace, errors_are_sentences) { run(check_errors, 0); }
