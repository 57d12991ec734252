/*
 * unix_files.c - what programs may expect of files beyond reading and writing:
 * mappings that agree with each other and with read and write, programs in
 * use, credentials that change, limits, data that crosses the border.
 */
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include "unix.h"

enum { PAGE = 4096, PAGES = 16, ROUNDS = 200 };

/* --- mappings ----------------------------------------------------------------- */

static unsigned char *map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* What one process stores, the other sees, loads and reads. */
static void mappings_agree(void)
{
	int fd = open("file", O_CREAT | O_RDWR, 0644), pipe_to[2], pipe_from[2];
	volatile unsigned char *p;
	unsigned char c;
	pid_t pid;

	CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
	CHECK(pipe(pipe_to) == 0 && pipe(pipe_from) == 0);
	pid = fork();
	p = map(fd, PAGES * PAGE);
	if (pid == 0) {
		int other = open("file", O_RDWR);

		for (int i = 0; i < ROUNDS; i++) {
			off_t at = i % PAGES * PAGE + i % 64;

			CHECK(read(pipe_to[0], &c, 1) == 1);
			CHECK(p[at] == (i & 0xff));
			CHECK(pread(other, &c, 1, at) == 1 && c == (i & 0xff));
			c = (unsigned char)~i;
			CHECK(pwrite(other, &c, 1, at) == 1);
			CHECK(write(pipe_from[1], "", 1) == 1);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		off_t at = i % PAGES * PAGE + i % 64;

		p[at] = (unsigned char)i;
		CHECK(write(pipe_to[1], "", 1) == 1);
		CHECK(read(pipe_from[0], &c, 1) == 1);
		CHECK(p[at] == (unsigned char)~i);
	}
	joined(pid);
	CHECK(msync((void *)(uintptr_t)p, PAGES * PAGE, MS_SYNC) == 0);
	CHECK(fsync(fd) == 0);
}

/* A private mapping does not write to the file. */
static void mapping_private(void)
{
	int fd;
	char *p;

	put("file", "original");
	fd = open("file", O_RDONLY);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	memcpy(p, "changed!", 8);
	CHECK(munmap(p, PAGE) == 0 && has("file", "original"));
	/* one opened for reading cannot be mapped to write */
	p = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p == MAP_FAILED && errno == EACCES);
}

static volatile sig_atomic_t bus;
static unsigned char *bad_page;

/* Puts memory there, so that the load goes on. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
	bus++;
	mmap(bad_page, PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void truncated_under_mapping(void)
{
	struct sigaction sa = { .sa_sigaction = on_bus,
				.sa_flags = SA_SIGINFO };
	int fd = open("file", O_CREAT | O_RDWR, 0644);
	volatile unsigned char *p;

	CHECK(sigaction(SIGBUS, &sa, NULL) == 0);
	CHECK(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
	p = map(fd, 4 * PAGE);
	memset((void *)(uintptr_t)p, 'x', 4 * PAGE);
	CHECK(truncate("file", PAGE + 100) == 0);
	/* of the last page, what is behind the end is zero */
	CHECK(p[PAGE + 99] == 'x' && p[PAGE + 100] == 0 && bus == 0);
	bad_page = (unsigned char *)(uintptr_t)p + 2 * PAGE;
	(void)p[2 * PAGE];
	CHECK(bus == 1);
	/* what comes back is zero */
	CHECK(ftruncate(fd, 4 * PAGE) == 0);
	CHECK(p[3 * PAGE] == 0 && p[PAGE + 100] == 0 && bus == 1);
	p[3 * PAGE + 7] = 'y';
	CHECK(munmap((void *)(uintptr_t)p, 4 * PAGE) == 0);
	CHECK(pread(fd, (void *)&(char){ 0 }, 1, 3 * PAGE + 7) == 1);
}

/* It goes on after its name and its descriptor are gone. */
static void mapping_of_deleted(void)
{
	int fd = open("file", O_CREAT | O_RDWR, 0644);
	unsigned char *p;

	CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
	p = map(fd, PAGES * PAGE);
	CHECK(unlink("file") == 0 && close(fd) == 0);
	for (int i = 0; i < PAGES; i++)
		p[i * PAGE] = (unsigned char)(i + 1);
	CHECK(msync(p, PAGES * PAGE, MS_SYNC) == 0);
	CHECK(madvise(p, PAGES * PAGE, MADV_DONTNEED) == 0);
	for (int i = 0; i < PAGES; i++)
		CHECK(p[i * PAGE] == i + 1);
	REFUSED(access("file", F_OK), ENOENT);
}

/* --- programs ------------------------------------------------------------------ */

static void copy_program(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0755);
	char buf[65536];
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof buf)) > 0)
		CHECK(write(out, buf, n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* Returns when it runs, or has failed to. */
static pid_t run(const char *program, const char *argument)
{
	int runs[2];
	pid_t pid;
	char c;

	CHECK(pipe2(runs, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		execl(program, program, argument, (char *)NULL);
		_exit(errno == ETXTBSY ? 26 : 1);
	}
	close(runs[1]);
	CHECK(read(runs[0], &c, 1) == 0 && close(runs[0]) == 0);
	return pid;
}

static void text_busy(void)
{
	int fd, status;
	pid_t pid;

	copy_program("/bin/sleep", "program");
	fd = open("program", O_WRONLY);
	CHECK(fd >= 0);
	pid = run("./program", "0");
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 26);
	close(fd);
	joined(run("./program", "0"));
	pid = run("./program", "30");
	REFUSED(open("program", O_WRONLY), ETXTBSY);
	/* replaced and deleted it may be, and goes on */
	put("next", "#!/bin/sh\nexit 5\n");
	CHECK(chmod("next", 0755) == 0 && rename("next", "program") == 0);
	CHECK(kill(pid, 0) == 0 && kill(pid, SIGTERM) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
	pid = run("./program", "");
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	CHECK(chmod("program", 0644) == 0);
	REFUSED(execl("./program", "program", (char *)NULL), EACCES);
}

/* --- who and how much ------------------------------------------------------------ */

static void umask_counts(void)
{
	struct stat st;

	umask(027);
	CHECK(close(open("file", O_CREAT | O_WRONLY, 0666)) == 0);
	CHECK(stat("file", &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(mkdir("dir", 0777) == 0 && stat("dir", &st) == 0);
	CHECK((st.st_mode & 0777) == 0750);
	CHECK(mkfifo("fifo", 0666) == 0 && stat("fifo", &st) == 0);
	CHECK((st.st_mode & 07777) == 0640);
	umask(0);
	CHECK(close(open("all", O_CREAT | O_WRONLY, 0666)) == 0);
	CHECK(stat("all", &st) == 0 && (st.st_mode & 07777) == 0666);
}

/* Credentials count as they are at the call. */
static void credentials_change(void)
{
	const gid_t groups[] = { 4711 };
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return;
	put("secret", "x");
	put("group", "y");
	CHECK(chmod(".", 0777) == 0 && chmod("secret", 0600) == 0);
	CHECK(chown("group", 0, 4711) == 0 && chmod("group", 0640) == 0);
	fd = open("secret", O_RDWR);
	CHECK(fd >= 0 && setegid(100) == 0 && seteuid(65534) == 0);
	REFUSED(open("secret", O_RDONLY), EACCES);
	/* what is open stays open */
	CHECK(pread(fd, (char[1]){ 0 }, 1, 0) == 1 && pwrite(fd, "z", 1, 0) == 1);
	put("mine", "m");
	CHECK(stat("mine", &st) == 0 && st.st_uid == 65534 && st.st_gid == 100);
	REFUSED(open("group", O_RDONLY), EACCES);
	REFUSED(chown("mine", 0, 0), EPERM);
	CHECK(seteuid(0) == 0 && setgroups(1, groups) == 0);
	CHECK(seteuid(65534) == 0 && has("group", "y"));
	REFUSED(open("group", O_WRONLY), EACCES);
	CHECK(seteuid(0) == 0);
	setfsuid(65534);
	REFUSED(open("secret", O_RDONLY), EACCES);
	setfsuid(0);
	CHECK(has("secret", "z"));
}

static volatile sig_atomic_t too_big;

static void on_too_big(int sig)
{
	too_big++;
}

static void size_limit(void)
{
	const struct rlimit limit = { 10000, RLIM_INFINITY };
	char buf[8192] = { 0 };
	int fd = open("file", O_CREAT | O_RDWR, 0644);

	signal(SIGXFSZ, on_too_big);
	CHECK(fd >= 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(write(fd, buf, sizeof buf) == sizeof buf);
	CHECK(write(fd, buf, sizeof buf) == 10000 - sizeof buf && !too_big);
	REFUSED(write(fd, buf, 1), EFBIG);
	CHECK(too_big == 1);
	REFUSED(ftruncate(fd, 10001), EFBIG);
	REFUSED(pwrite(fd, buf, 1, 20000), EFBIG);
	REFUSED(fallocate(fd, 0, 0, 20000), EFBIG);
	CHECK(lseek(fd, 0, SEEK_END) == 10000);
	CHECK(too_big == 4 && ftruncate(fd, 5) == 0);
}

/* A root in the file system: its paths end there. */
static void changed_root(void)
{
	char cwd[4096];

	if (geteuid() != 0)
		return;
	CHECK(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0);
	put("root/file", "inside");
	put("file", "outside");
	CHECK(symlink("/file", "root/dir/link") == 0);
	CHECK(chroot("root") == 0 && chdir("/dir") == 0);
	CHECK(has("/file", "inside") && has("link", "inside"));
	CHECK(has("../../../file", "inside"));
	CHECK(getcwd(cwd, sizeof cwd) && strcmp(cwd, "/dir") == 0);
}

/* --- across the border --------------------------------------------------------- */

enum { BIG = 300000 };

static int filled(const char *name)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
	char buf[BIG];

	for (size_t i = 0; i < sizeof buf; i++)
		buf[i] = (char)(i * 7 + i / 251);
	CHECK(fd >= 0 && pwrite(fd, buf, sizeof buf, 0) == sizeof buf);
	return fd;
}

static void same(int a, int b)
{
	char x[BIG], y[BIG];

	CHECK(pread(a, x, BIG, 0) == BIG && pread(b, y, BIG, 0) == BIG);
	CHECK(memcmp(x, y, BIG) == 0);
}

static int host_file(void)
{
	int fd = memfd_create("host", 0);

	CHECK(fd >= 0);
	return fd;
}

static void send_all(int out, int in)
{
	off_t at = 0;

	while (at < BIG)
		CHECK(sendfile(out, in, &at, BIG - at) > 0);
}

static void splice_all(int out, int in)
{
	loff_t from = 0, to = 0;
	ssize_t n, m;
	int p[2];

	CHECK(pipe(p) == 0);
	while (from < BIG) {
		n = splice(in, &from, p[1], NULL, 65536, SPLICE_F_MOVE);
		CHECK(n > 0);
		for (; n > 0; n -= m) {
			m = splice(p[0], NULL, out, &to, n, 0);
			CHECK(m > 0);
		}
	}
	close(p[0]);
	close(p[1]);
}

static void copy_all(int out, int in)
{
	loff_t from = 0, to = 0;

	while (from < BIG)
		CHECK(copy_file_range(in, &from, out, &to, BIG - from, 0) > 0);
}

static void across(void)
{
	static void (*const move[])(int out, int in) = {
		send_all, splice_all,
	};
	int in = filled("in"), out, host;

	for (int i = 0; i < 2; i++) {
		out = open("out", O_CREAT | O_TRUNC | O_RDWR, 0644);
		host = host_file();
		move[i](host, in);
		same(host, in);
		move[i](out, host);
		same(out, in);
		CHECK(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
		move[i](out, in);
		same(out, in);
		close(out);
		close(host);
	}
}

static void copies(void)
{
	int in = filled("in"), out = open("out", O_CREAT | O_RDWR, 0644);
	int host = host_file(), appends;
	loff_t at = 0;

	copy_all(out, in);
	same(out, in);
	/* what the kernel says of two file systems, it says here */
	REFUSED(copy_file_range(in, &at, host, NULL, BIG, 0), EXDEV);
	appends = open("out", O_WRONLY | O_APPEND);
	REFUSED(copy_file_range(in, &at, appends, NULL, 1, 0), EBADF);
	REFUSED(copy_file_range(in, &at, in, &(loff_t){ 1 }, 100, 0), EINVAL);
	CHECK(sync_file_range(out, 0, BIG, SYNC_FILE_RANGE_WAIT_BEFORE |
			      SYNC_FILE_RANGE_WRITE |
			      SYNC_FILE_RANGE_WAIT_AFTER) == 0);
	REFUSED(sync_file_range(out, -1, 1, 0), EINVAL);
	CHECK(syncfs(out) == 0 && fdatasync(out) == 0);
}

/* --- handles -------------------------------------------------------------------- */

static int take_handle(const char *name, struct file_handle *ret)
{
	int mount;

	ret->handle_bytes = 64;
	return name_to_handle_at(AT_FDCWD, name, ret, &mount, 0);
}

static void handles(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 64];
	} a, b;
	int dir = open(".", O_RDONLY | O_DIRECTORY), fd;

	put("file", "by handle");
	if (take_handle("file", &a.handle) < 0 && on_host &&
	    errno == EOPNOTSUPP)
		return;			/* overlayfs, for one */
	CHECK(take_handle("file", &a.handle) == 0);
	CHECK(link("file", "other") == 0 && take_handle("other", &b.handle) == 0);
	CHECK(a.handle.handle_bytes == b.handle.handle_bytes &&
	      memcmp(a.handle.f_handle, b.handle.f_handle,
		     a.handle.handle_bytes) == 0);
	if (geteuid() != 0)
		return;
	CHECK(rename("file", "moved") == 0);
	fd = open_by_handle_at(dir, &a.handle, O_RDONLY);
	CHECK(fd >= 0 && pread(fd, &(char[9]){ 0 }, 9, 0) == 9);
	close(fd);
	CHECK(unlink("moved") == 0 && unlink("other") == 0);
	REFUSED(open_by_handle_at(dir, &a.handle, O_RDONLY), ESTALE);
}

int main(int argc, char **argv)
{
	static const struct test table[] = {
		{ "mappings_agree", mappings_agree },
		{ "mapping_private", mapping_private },
		{ "truncated_under_mapping", truncated_under_mapping },
		{ "mapping_of_deleted", mapping_of_deleted },
		{ "text_busy", text_busy }, { "umask_counts", umask_counts },
		{ "credentials_change", credentials_change },
		{ "size_limit", size_limit }, { "changed_root", changed_root },
		{ "across", across }, { "copies", copies },
		{ "handles", handles },
	};

	return RUN(argc, argv, table);
}
