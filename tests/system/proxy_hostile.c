/*
 * proxy_hostile.c - a program that attacks its own proxy, by system calls alone.
 *
 * It forges what goes to the broker, changes paths while they are read, closes
 * and copies descriptors wildly, and dies in the middle. It must gain nothing:
 * no file that its ids do not give it, nobody else's open files, and whoever
 * behaves is served all the while. Exit status 0 if so.
 * Arguments: a directory in a mount, which has `secret` of root's, mode 0600.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "proxy.h"

enum { ROUNDS = 3000, CHILDREN = 40, STUCK = 200, NOBODY = 65534 };

static int failures;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "proxy_hostile: %s (%s)\n", what, strerror(errno));
	failures++;
}

/* Who behaves: a file that is written is read again. */
static void honest(const char *when)
{
	char text[8] = "";
	int fd = open("honest", O_CREAT | O_RDWR | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, "honest", 6) == 6 &&
	      pread(fd, text, 6, 0) == 6 && !strcmp(text, "honest"), when);
	check(close(fd) == 0 && unlink("honest") == 0, when);
}

/* --- the broker ---------------------------------------------------------------- */

static int dial(void)
{
	const char *path = getenv(RK__PROXY_ENV);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof a.sun_path)
		return -1;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What the broker says to this, with up to 8 times a descriptor; 1: nothing. */
static int say(const void *p, size_t size, int fd, unsigned times)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(times * sizeof fd),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec iov = { (void *)p, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct rk__proxy_welcome answer;
	int sock = dial(), r = 1;

	if (sock < 0)
		return 1;
	for (unsigned i = 0; i < times; i++)
		memcpy(CMSG_DATA(&control.head) + i * sizeof fd, &fd,
		       sizeof fd);
	if (times) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(times * sizeof fd);
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0 &&
	    recv(sock, &answer, sizeof answer, 0) >=
	    (ssize_t)sizeof answer.answer)
		r = answer.answer.error;
	close(sock);
	return r;
}

static void forge(void)
{
	struct rk__proxy_request q = {
		.magic = RK__PROXY_MAGIC, .version = RK__PROXY_VERSION,
		.ask = RK__ASK_CLAIM,
	};
	int fake = memfd_create(RK__PLACEHOLDER, MFD_CLOEXEC);
	int host = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char noise[2 * sizeof q];

	check(say(&q, sizeof q, fake, 1) == -ENOENT, "a made-up placeholder");
	check(say(&q, sizeof q, host, 1) == -ENOENT, "a file of the host");
	check(say(&q, sizeof q, -1, 0) == -ENOENT, "no placeholder at all");
	check(say(&q, sizeof q, fake, 8) == -ENOENT, "many placeholders");
	q.ask = RK__ASK_PUBLISH;
	q.ticket.word[0] = 0x1234;
	check(say(&q, sizeof q, fake, 1) < 0, "a forged ticket");
	q.server = UINT32_MAX;
	check(say(&q, sizeof q, fake, 1) < 0, "a server that is none");
	q.ask = RK__ASK_CWD;
	check(say(&q, sizeof q, -1, 0) < 0, "a directory of nowhere");
	q.ask = 77;
	check(say(&q, sizeof q, -1, 0) < 0, "a question that is none");
	for (size_t n = 1; n < sizeof noise; n += 7) {
		memset(noise, (int)n, sizeof noise);
		check(say(noise, n, n % 2 ? fake : -1, n % 2) == 1, "noise");
	}
	close(fake);
	close(host);
}

/* Who says nothing holds up nobody. */
static void stick(void)
{
	struct rk__proxy_request q = {
		.magic = RK__PROXY_MAGIC, .version = RK__PROXY_VERSION,
		.ask = RK__ASK_HELLO,
	};
	int fd[STUCK];

	for (int i = 0; i < STUCK; i++)
		fd[i] = dial();
	check(say(&q, sizeof q, -1, 0) == 0, "hello beside who says nothing");
	for (int i = 0; i < STUCK; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* --- memory that changes ------------------------------------------------------- */

static char path[64];
static atomic_bool over;

static void *flip(void *unused)
{
	static const char name[2][8] = { "secret", "open" };

	for (unsigned i = 0; !over; i++)
		memcpy(path, name[i % 2], sizeof name[0]);
	return unused;
}

/* As nobody: whichever path is taken, it is checked. */
static int race(void)
{
	char text[16];
	pthread_t t;

	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 1;
	strcpy(path, "open");
	if (pthread_create(&t, NULL, flip, NULL) != 0)
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
		ssize_t n = fd < 0 ? 0 : syscall(SYS_read, fd, text,
						 sizeof text);

		if (n > 0 && memmem(text, (size_t)n, "secret", 6))
			return 3;
		if (fd >= 0)
			syscall(SYS_close, fd);
	}
	over = true;
	pthread_join(t, NULL);
	return 0;
}

/* --- descriptors --------------------------------------------------------------- */

static int wild(void)
{
	int fd = open("open", O_RDWR), n = 0, last = -1;
	char c;

	for (int i = 0; i < 700; i += 13) {
		syscall(SYS_dup2, fd, i);
		syscall(SYS_read, i, &c, 1);
		syscall(SYS_ioctl, i, 0x12345678, &c);
		syscall(SYS_fcntl, i, F_DUPFD, -5);
		syscall(SYS_lseek, i, -1, 77);
		syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, i, 0);
	}
	for (int i = -3; i < 3; i++) {
		syscall(SYS_read, i, (void *)8, (size_t)-1);
		syscall(SYS_openat, i, (void *)(uintptr_t)-4096, -1, -1);
		syscall(SYS_writev, i, (void *)16, -1);
	}
	syscall(SYS_close_range, 3, ~0u, 0);
	/* until there are no more, and all of them again */
	while ((fd = open("open", O_RDONLY)) >= 0 && n < 5000) {
		last = fd;
		n++;
	}
	if (n < 100 || (errno != EMFILE && errno != ENFILE))
		return 1;
	syscall(SYS_close_range, 3, (unsigned)last, 0);
	fd = open("open", O_RDONLY);
	return fd >= 0 && read(fd, &c, 1) == 1 ? 0 : 2;
}

/* Dies in the middle of something. */
static void die_at_work(void)
{
	pid_t pid[CHILDREN];
	struct timespec t = { 0 };

	for (int i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		for (int n = 0; pid[i] == 0; n++) {
			int fd = open("open", O_RDWR | (n % 2 ? O_APPEND : 0));

			syscall(SYS_flock, fd, n % 3 ? 1 : 2);
			syscall(SYS_read, fd, path, sizeof path);
			syscall(SYS_close, fd);
		}
		t.tv_nsec = 1000000 * (i % 5);
		nanosleep(&t, NULL);
		kill(pid[i / 2], SIGKILL);
	}
	for (int i = 0; i < CHILDREN; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

static int in_child(int (*f)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(f());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	fd = open("open", O_CREAT | O_RDWR | O_TRUNC, 0666);
	check(fd >= 0 && fchmod(fd, 0666) == 0 && write(fd, "open", 4) == 4,
	      "a file");
	close(fd);
	honest("before");
	forge();
	honest("after forging");
	stick();
	honest("after sticking");
	check(getuid() != 0 || in_child(race) == 0, "a path that changes");
	honest("after racing");
	check(in_child(wild) == 0, "wild descriptors");
	honest("after wild descriptors");
	die_at_work();
	honest("after deaths");
	return failures != 0;
}
