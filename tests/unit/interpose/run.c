/*
 * run.c - librump-interpose.so is loaded before libc, and this program stands
 * in for the proxy: what it calls by libc's symbols arrives here, with the
 * words of the system call, and does what it did. A descriptor of our own shows
 * that nothing passes by.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "preload/interpose.h"
#include "../../harness/temp.h"

enum { OURS = 300, NUMBERS = 512 };

static unsigned calls[NUMBERS];
static unsigned forks, published;

int64_t rk__preload_call(long nr, const uint64_t a[6], uint64_t sp, uint64_t ip)
{
	long r;

	calls[nr]++;
	if (sp || ip)
		abort();
	if (a[0] == OURS && nr != SYS_poll)
		return nr == SYS_read ? 5 : -EXDEV;
	r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	return r < 0 ? -errno : r;
}

int rk__preload_fork(int (*real)(void))
{
	forks++;
	return real();
}

int rk__preload_publish(void)
{
	published++;
	return 0;
}

static void check_at(int line, bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "run.c:%d: %s (errno %d)\n", line, what, errno);
	exit(1);
}

#define check(x) check_at(__LINE__, x, #x)
/* That many calls, and no more. */
#define check_calls(n, call)                                                   \
	(check(calls[SYS_##call] == (n)), calls[SYS_##call] = 0)

static void on_files(void)
{
	char buf[64] = "";
	struct iovec v = {buf, 5};
	struct statfs fs;
	struct stat st;
	int fd;

	fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);
	check(fd >= 0);
	check_calls(1, openat);
	check(open("f", O_RDWR | O_CREAT | O_EXCL, 0640) == -1);
	check(errno == EEXIST);
	check(write(fd, "hello", 5) == 5);
	check(pread(fd, buf, 5, 0) == 5 && !memcmp(buf, "hello", 5));
	check(pwritev(fd, &v, 1, 5) == 5 && preadv(fd, &v, 1, 5) == 5);
	check(lseek(fd, 0, SEEK_CUR) == 5);
	check(fstat(fd, &st) == 0 && st.st_size == 10);
	check(stat("f", &st) == 0 && lstat("f", &st) == 0);
	check(fstatat(AT_FDCWD, "f", &st, 0) == 0 && st.st_size == 10);
	check(fstatfs(fd, &fs) == 0 && ftruncate(fd, 3) == 0);
	check(fsync(fd) == 0 && flock(fd, LOCK_EX) == 0);
	check(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS) == 0);
	check(faccessat(AT_FDCWD, "f", R_OK, 0) == 0);
	check(futimens(fd, NULL) == 0 && fchmodat(AT_FDCWD, "f", 0600, 0) == 0);
	check(posix_fallocate(fd, 0, 100) == 0);
	check(posix_fallocate(OURS, 0, 100) == EXDEV);
	check(fcntl(fd, F_GETFD) == 0 && fcntl(fd, F_DUPFD, 400) == 400);
	check(close(400) == 0 && close(fd) == 0);
	check(close(fd) == -1 && errno == EBADF);
	check(symlink("f", "l") == 0 && readlink("l", buf, 64) == 1);
	check(rename("f", "g") == 0 && link("g", "h") == 0);
	check(mkdir("d", 0700) == 0 &&
	      unlinkat(AT_FDCWD, "d", AT_REMOVEDIR) == 0);
	check(unlink("l") == 0 && unlink("g") == 0 && unlink("h") == 0);
	check_calls(3, unlink);
	check(read(OURS, buf, 64) == 5);
	check(write(OURS, buf, 64) == -1 && errno == EXDEV);
	check(getxattr("/", "user.none", NULL, 0) == -1);
	check_calls(1, getxattr);
}

static void on_waiting(void)
{
	struct pollfd p = {.fd = 0};
	struct timespec t = {0, 1000};
	struct timeval v = {0, 1000};
	fd_set s;

	FD_ZERO(&s);
	check(poll(&p, 1, 0) >= 0 && ppoll(&p, 1, &t, NULL) >= 0);
	check(t.tv_nsec == 1000);
	check(select(0, &s, NULL, NULL, &v) == 0);
	check(pselect(0, &s, NULL, NULL, &t, NULL) == 0 && t.tv_nsec == 1000);
	check_calls(1, ppoll);
	check_calls(1, pselect6);
}

static void on_directories(void)
{
	struct dirent **all, *e;
	char here[4096], *p;
	int n = 0, fd;
	long at = 0;
	DIR *d;

	for (int i = 0; i < 2000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file%04d", i);
		fd = creat(name, 0600);
		check(fd >= 0 && close(fd) == 0);
	}
	d = opendir(".");
	check(d);
	while ((e = readdir(d))) {
		if (n++ == 1000)
			at = telldir(d);
	}
	check(n == 2002);
	seekdir(d, at);
	for (n = 0; readdir(d); n++)
		;
	check(n == 1001);
	rewinddir(d);
	for (n = 0; readdir(d); n++)
		;
	check(n == 2002 && fchdir(dirfd(d)) == 0 && closedir(d) == 0);
	check(scandir(".", &all, NULL, alphasort) == 2002);
	check(!strcmp(all[2001]->d_name, "file1999"));
	for (n = 0; n < 2002; n++) {
		unlink(all[n]->d_name);
		free(all[n]);
	}
	free(all);
	check(!opendir("none") && errno == ENOENT);
	fd = open("/dev/null", O_RDONLY);
	check(!fdopendir(fd) && errno == ENOTDIR);
	close(fd);
	p = getcwd(NULL, 0);
	check(p && getcwd(here, sizeof(here)) && !strcmp(p, here));
	check(!getcwd(here, 2) && errno == ERANGE);
	free(p);
	check_calls(3, getcwd);
}

static int child_status(void)
{
	int status;

	check(wait(&status) > 0);
	return WEXITSTATUS(status);
}

static void on_programs(void)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit $N", NULL};
	char *env[] = {(char *)"N=7", NULL};

	setenv("N", "6", 1);
	if (!fork())
		execvp("sh", argv), _exit(1);
	check(child_status() == 6);
	if (!vfork())
		execvpe("sh", argv, env), _exit(1);
	check(child_status() == 7);
	check(forks == 2);
	check(execvp("no-such-program", argv) == -1 && errno == ENOENT);
	check(WEXITSTATUS(system("exit 3")) == 3);
	check(pclose(popen("true", "r")) == 0);
	check(published == 2);
}

int main(void)
{
	char dir[TEMP_MAX];

	/* The programs that are run do not stand in for the proxy. */
	unsetenv("LD_PRELOAD");
	check(temp_dir(dir, "interpose") && chdir(dir) == 0);
	on_files();
	on_waiting();
	on_directories();
	on_programs();
	check(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
