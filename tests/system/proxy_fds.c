/*
 * proxy_fds.c - descriptors as a program has them: what it prints in a directory
 * of a server, through a proxy, is what it prints in one of the host.
 *
 * proxy_fds DIRECTORY; it runs itself again as "proxy_fds DIRECTORY child WHAT".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *self, *dir;

static void say(const char *what, long value)
{
	printf("%s: %ld\n", what, value < 0 ? -(long)errno : value);
	fflush(stdout);
}

static int must(const char *what, long r)
{
	if (r >= 0)
		return (int)r;
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void content(const char *name)
{
	char buf[4096];
	int fd = must(name, open(name, O_RDONLY));
	ssize_t n = read(fd, buf, sizeof buf - 1);

	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	printf("%s (%zd): %s\n", name, n, buf);
	fflush(stdout);
}

static int finish(pid_t pid)
{
	int status = -1;

	must("waitpid", waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void duplicates(void)
{
	int a = must("open", open("dup", O_RDWR | O_CREAT | O_TRUNC, 0644));
	int b = dup(a), c = fcntl(a, F_DUPFD, 40), d = dup2(a, 70), e, f;
	struct stat st;
	char buf[8] = "";

	/* A proxy may keep numbers free for itself. */
	printf("numbers: %d %d %d %d\n", b - a, c >= 40, d, dup2(a, a) - a);
	say("write", write(a, "one", 3));
	say("write a duplicate", write(b, "two", 3));
	say("offset", lseek(c, 0, SEEK_CUR));
	say("close", close(a));
	say("again", close(a));
	say("write after", write(d, "3", 1));
	/* A number whose data a proxy may not see: all else is right. */
	must("dup2", dup2(b, 50));
	printf("offset %ld, size %ld, lock %d\n", (long)lseek(50, 0, SEEK_CUR),
	       fstat(50, &st) == 0 ? (long)st.st_size : -1, flock(50, LOCK_EX));
	e = must("open", open("dup", O_RDONLY));
	say("another's", flock(e, LOCK_SH | LOCK_NB));
	close(e);
	say("copied back", dup2(50, d));
	close(50);
	e = must("open", open("other", O_RDWR | O_CREAT | O_TRUNC, 0644));
	say("the lowest", e - a);
	say("dup3", dup3(b, e, O_CLOEXEC));
	say("its flag", fcntl(e, F_GETFD));
	say("set", fcntl(e, F_SETFD, 0));
	say("its flag", fcntl(e, F_GETFD));
	say("dup3 of the same", dup3(b, b, 0));
	f = fcntl(b, F_DUPFD_CLOEXEC, 0);
	say("its flag", fcntl(f, F_GETFD));
	say("pread", pread(e, buf, 7, 0));
	printf("%s\n", buf);
	say("bad", dup2(b, 1 << 20));
	say("bad", dup(55));
	say("append", fcntl(f, F_SETFL, O_APPEND));
	say("of all", fcntl(b, F_GETFL) & (O_APPEND | O_ACCMODE));
	close(b), close(c), close(d), close(e), close(f);
	content("dup");
	content("other");
}

static void ranges(void)
{
	int first = must("open", open("dup", O_RDONLY));

	for (int i = 1; i < 7; i++)
		must("dup", dup(first));
	say("close_range", close_range((unsigned)first + 2,
				       (unsigned)first + 4, 0));
	for (int i = 0; i < 7; i++)
		printf("%d", fcntl(first + i, F_GETFD) >= 0);
	say("; for exec", close_range((unsigned)first + 5, ~0u,
				      CLOSE_RANGE_CLOEXEC));
	for (int i = 0; i < 7; i++)
		printf("%d", fcntl(first + i, F_GETFD));
	say("; all", close_range((unsigned)first, ~0u, 0));
	for (int i = 0; i < 7; i++)
		printf("%d", fcntl(first + i, F_GETFD) >= 0);
	say("; and then", open("dup", O_RDONLY) - first);
	close(first);
}

/* Our numbers where a proxy might keep its own. */
static void high(void)
{
	int fd = must("open", open("high", O_RDWR | O_CREAT, 0644));

	for (int i = 760; i < 790; i++) {
		must("dup2", dup2(fd, i));
		must("write", write(i, "x", 1));
	}
	for (int i = 760; i < 790; i++)
		must("close", close(i));
	say("size", lseek(fd, 0, SEEK_END));
	close(fd);
}

static void limit(void)
{
	struct rlimit was, small = { 128, 0 };
	int n = 0, fd[128];

	getrlimit(RLIMIT_NOFILE, &was);
	small.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_NOFILE, &small);
	while (n < 128 && (fd[n] = open("dup", O_RDONLY)) >= 0)
		n++;
	/* A proxy keeps a few for itself. */
	printf("many: %d, then %s\n", n > 40, strerror(errno));
	while (n)
		close(fd[--n]);
	setrlimit(RLIMIT_NOFILE, &was);
}

static void locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 10 };
	int a = must("open", open("lock", O_RDWR | O_CREAT, 0644));
	int b = must("open", open("lock", O_RDWR));
	int c = dup(a);

	for (int round = 0; round < 3; round++) {
		if (round == 0)
			say("lock", fcntl(a, F_SETLK, &l));
		if (round == 1)
			close(c);
		if (round == 2) {
			say("lock", fcntl(a, F_SETLK, &l));
			close(b);
		}
		if (fork() == 0) {
			struct flock other = { .l_type = F_RDLCK };

			say("another's", fcntl(a, F_GETLK, &other));
			printf("type %d\n", other.l_type);
			fflush(stdout);
			_exit(0);
		}
		wait(NULL);
	}
	close(a);
}

static void send_fd(int sock, int fd)
{
	char room[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = sizeof room,
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	must("sendmsg", sendmsg(sock, &msg, 0));
}

static int receive_fd(int sock)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = room, .msg_controllen = sizeof room,
	};
	int fd = -1;

	must("recvmsg", recvmsg(sock, &msg, 0));
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
	return fd;
}

static void child_of_socket(int sock)
{
	int fd = receive_fd(sock);
	char buf[8] = "";

	say("received reads", read(fd, buf, 4));
	printf("%s, offset %ld\n", buf, (long)lseek(fd, 0, SEEK_CUR));
	say("received writes", write(fd, "+child", 6));
	fflush(stdout);
	fd = must("open", open("from-child", O_RDWR | O_CREAT | O_TRUNC, 0644));
	must("write", write(fd, "hello", 5));
	send_fd(sock, fd);
	close(fd);
}

static void sockets(bool exec)
{
	int pair[2], fd, back;
	char number[12], buf[8] = "";
	pid_t pid;

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fd = must("open", open("scm", O_RDWR | O_CREAT | O_TRUNC, 0644));
	must("write", write(fd, "0123456789", 10));
	lseek(fd, 2, SEEK_SET);
	snprintf(number, sizeof number, "%d", pair[1]);
	pid = fork();
	if (pid == 0) {
		close(fd);
		close(pair[0]);
		if (exec)
			execl(self, self, dir, "socket", number, NULL);
		child_of_socket(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	send_fd(pair[0], fd);
	back = receive_fd(pair[0]);
	say("child", finish(pid));
	say("offset moved", lseek(fd, 0, SEEK_CUR));
	close(fd);
	say("its file", lseek(back, 0, SEEK_CUR));
	say("read", pread(back, buf, 7, 0));
	printf("%s\n", buf);
	close(back);
	close(pair[0]);
	content("scm");
}

static void inherited(void)
{
	int a = must("open", open("inherit", O_RDWR | O_CREAT | O_TRUNC, 0644));
	int b = must("open", open("inherit", O_RDONLY | O_CLOEXEC));
	int c = dup(a);
	char *argv[] = { (char *)self, (char *)dir, "inherit", NULL, NULL, NULL,
			 NULL };
	char n[3][12];
	char *empty[] = { NULL };
	pid_t pid;

	for (int i = 0; i < 3; i++)
		argv[3 + i] = n[i];
	snprintf(n[0], 12, "%d", a);
	snprintf(n[1], 12, "%d", b);
	snprintf(n[2], 12, "%d", c);
	must("write", write(a, "parent ", 7));
	for (int how = 0; how < 4; how++) {
		posix_spawn_file_actions_t actions;

		posix_spawn_file_actions_init(&actions);
		if (how == 3)
			posix_spawn_file_actions_adddup2(&actions, b, b);
		pid = -1;
		if (how == 0)
			pid = fork();
		else if (how == 1)
			pid = vfork();
		else
			errno = posix_spawn(&pid, self, &actions, NULL, argv,
					    how == 2 ? empty : environ);
		if (pid == 0) {
			execve(self, argv, environ);
			_exit(127);
		}
		say("inherited", finish(pid));
		posix_spawn_file_actions_destroy(&actions);
	}
	say("offset", lseek(c, 0, SEEK_CUR));
	close(a), close(b), close(c);
	content("inherit");
}

static int child_inherits(char **argv)
{
	int a = atoi(argv[0]), b = atoi(argv[1]), c = atoi(argv[2]);

	printf("flags %d %d %d\n", fcntl(a, F_GETFD), fcntl(b, F_GETFD),
	       fcntl(c, F_GETFD));
	say("write", write(a, "child ", 6));
	say("close", close(a));
	say("write", write(c, "again ", 6));
	return 7;
}

static void vforked(void)
{
	static int out, more;
	struct stat st;
	int fd = must("open", open("vfork", O_RDWR | O_CREAT | O_TRUNC, 0644));
	pid_t pid;

	mkdir("sub", 0755);
	pid = vfork();
	if (pid == 0) {
		out = dup2(fd, 60);
		close(fd);
		more = open("vfork2", O_RDWR | O_CREAT, 0644);
		dup2(out, 1);
		chdir("sub");
		execl("/bin/pwd", "pwd", NULL);
		_exit(127);
	}
	say("child", finish(pid));
	printf("60 is mine: %d; more: %d\n", fcntl(60, F_GETFD) >= 0,
	       fcntl(more, F_GETFD) >= 0);
	say("mine is open", write(fd, "parent\n", 7) == 7);
	say("where I am", stat("vfork", &st));
	pid = vfork();
	if (pid == 0) {
		chdir("sub");
		_exit(close(fd));
	}
	say("child", finish(pid));
	say("mine is open", write(fd, "more\n", 5) == 5);
	close(fd);
	say("size", stat("vfork", &st) == 0 && st.st_size > 12);
}

/* --- threads and signals ------------------------------------------------------------ */

static _Atomic bool stop;
static _Atomic long wrote;

static void *writer(void *arg)
{
	char name[20], buf[64], got[64];
	long k = (long)arg, i;
	int fd;

	snprintf(name, sizeof name, "thread%ld", k);
	fd = must("open", open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
	for (i = 0; !stop || i < 100; i++) {
		memset(buf, 'a' + (int)(i % 26), sizeof buf);
		if (pwrite(fd, buf, sizeof buf, (i % 50) * 64) != 64 ||
		    pread(fd, got, sizeof got, (i % 50) * 64) != 64 ||
		    memcmp(buf, got, 64) != 0) {
			printf("thread %ld: wrong at %ld\n", k, i);
			break;
		}
		if (i % 10 == 0) {
			int other = dup(fd);

			close(fd);
			fd = other;
		}
	}
	close(fd);
	return NULL;
}

static void threads_and_forks(void)
{
	pthread_t t[4];
	static int bad, fd;

	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, writer, (void *)i);
	fd = must("open", open("forks", O_RDWR | O_CREAT | O_TRUNC | O_APPEND,
			       0644));
	for (int i = 0; i < 60; i++) {
		pid_t pid = i % 3 == 2 ? vfork() : fork();

		if (pid == 0) {
			if (write(fd, "f", 1) != 1)
				_exit(2);
			if (i % 3 == 1)
				execl("/bin/true", "true", NULL);
			_exit(0);
		}
		bad += finish(pid) != 0;
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("children that failed", bad);
	say("what they wrote", lseek(fd, 0, SEEK_END));
	close(fd);
}

static int log_fd;
static sigjmp_buf back;
static _Atomic bool jump;

static void handler(int sig)
{
	int before = errno;

	if (write(log_fd, "s", 1) == 1)
		wrote++;
	errno = before;
	if (jump && wrote % 5 == 0)
		siglongjmp(back, 1);
}

static void signals(bool with_jumps, bool on_stack)
{
	/* As small as it may be. */
	static char room[32 << 10];
	struct itimerval every = { { 0, 700 }, { 0, 700 } }, none = { 0 };
	struct sigaction a = {
		.sa_handler = handler,
		.sa_flags = SA_RESTART | (on_stack ? SA_ONSTACK : 0),
	};
	stack_t alternate = { .ss_sp = room, .ss_size = sizeof room };
	int fd = must("open", open("interrupted", O_RDWR | O_CREAT | O_TRUNC,
				   0644));
	long i = 0;
	char buf[100];

	memset(buf, 'y', sizeof buf);
	log_fd = must("open", open("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND,
				   0644));
	wrote = 0;
	if (on_stack)
		sigaltstack(&alternate, NULL);
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	jump = with_jumps;
	sigsetjmp(back, 1);
	while (wrote < 200 || i < 2000) {
		if (pwrite(fd, buf, sizeof buf, (i % 7) * 100) != 100)
			printf("short\n");
		i++;
	}
	setitimer(ITIMER_REAL, &none, NULL);
	jump = false;
	say("all are there", lseek(log_fd, 0, SEEK_END) == wrote);
	say("size", lseek(fd, 0, SEEK_END));
	close(fd);
	close(log_fd);
	signal(SIGALRM, SIG_DFL);
}

/* --- mappings, and /proc -------------------------------------------------------------- */

static void maps(void)
{
	int fd = must("open", open("map", O_RDWR | O_CREAT | O_TRUNC, 0644));
	char buf[8] = "", *p, *q;

	must("ftruncate", ftruncate(fd, 20000));
	must("pwrite", pwrite(fd, "before", 6, 8192));
	p = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		say("mmap", -1);
		return;
	}
	q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 8192);
	printf("%.6s %.6s\n", p + 8192, q);
	memcpy(p + 4096, "shared", 6);
	memcpy(q, "mine", 4);
	say("pread", pread(fd, buf, 6, 4096));
	printf("%s\n", buf);
	say("msync", msync(p, 20000, MS_SYNC));
	say("munmap a part", munmap(p, 4096));
	close(fd);
	if (fork() == 0) {
		memcpy(p + 12288, "child", 5);
		_exit(0);
	}
	wait(NULL);
	printf("%.5s\n", p + 12288);
	munmap(p + 4096, 20000 - 4096);
	munmap(q, 4096);
	fd = must("open", open("map", O_RDONLY));
	pread(fd, buf, 5, 12288);
	printf("%.5s\n", buf);
	close(fd);
}

/* More than a proxy looks through at once. */
static void many_maps(void)
{
	char name[16], buf[8], *p;
	int right = 0, fd;

	for (int i = 0; i < 80; i++) {
		snprintf(name, sizeof name, "many%d", i);
		fd = must("open", open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
		must("ftruncate", ftruncate(fd, 100));
		p = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			continue;
		memcpy(p + 50, name, 6);
		munmap(p, i % 2 ? 100 : 0);
		right += pread(fd, buf, 6, 50) == 6 && !memcmp(buf, name, 6);
		close(fd);
		must("unlink", unlink(name));
	}
	say("right", right);
}

static void proc(void)
{
	char path[40], buf[8] = "";
	int fd = must("open", open("proc", O_RDWR | O_CREAT | O_TRUNC, 0644));
	int again;

	must("write", write(fd, "abcdef", 6));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	say("opened again", again >= 0);
	say("read", read(again, buf, 3));
	printf("%s, offset of the other %ld\n", buf,
	       (long)lseek(fd, 0, SEEK_CUR));
	close(again);
	close(fd);
}

int main(int argc, char **argv)
{
	self = "/proc/self/exe";
	dir = argv[1];
	must("chdir", chdir(dir));
	if (argc > 3 && !strcmp(argv[2], "socket")) {
		child_of_socket(atoi(argv[3]));
		return 0;
	}
	if (argc > 5 && !strcmp(argv[2], "inherit"))
		return child_inherits(argv + 3);
	umask(022);
	struct {
		const char *name;
		void (*run)(void);
	} parts[] = {
		{ "duplicates", duplicates }, { "ranges", ranges },
		{ "high", high }, { "limit", limit }, { "locks", locks },
		{ "inherited", inherited }, { "vforked", vforked },
		{ "maps", maps },
		{ "many_maps", many_maps }, { "proc", proc },
		{ "threads_and_forks", threads_and_forks },
	};
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (argc > 2 && strcmp(argv[2], parts[i].name))
			continue;
		printf("- %s\n", parts[i].name);
		fflush(stdout);
		parts[i].run();
	}
	for (int i = 0; i < 2; i++) {
		if (argc > 2 && strcmp(argv[2], "sockets"))
			continue;
		printf("- sockets %d\n", i);
		fflush(stdout);
		sockets(i);
	}
	for (int i = 0; i < 3; i++) {
		if (argc > 2 && strcmp(argv[2], "signals"))
			continue;
		printf("- signals %d\n", i);
		fflush(stdout);
		signals(i == 1, i == 2);
	}
	return 0;
}
