/*
 * hostile.c - a client that does what it must not, beside one that behaves.
 *
 * Children scribble over their channels, send random and cut-off messages, open
 * what they were given anew and pass it on; the honest one counts its answers
 * meanwhile. Exit status 0 if every one of its calls did what it should.
 * Argument: seconds, 5 if there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"
#include "rump/client.h"

static char path[108];

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int attach(int sock, uint32_t transport, int fd[2])
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = RK_HELLO_ATTACH,
		.transport = transport,
	};
	struct rk_welcome w = { .error = -EPROTO };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { &w, sizeof w };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	struct cmsghdr *c;

	fd[0] = fd[1] = -1;
	if (send(sock, &hello, sizeof hello, MSG_NOSIGNAL) < 0 ||
	    recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != sizeof w)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_len == CMSG_LEN(2 * sizeof(int)))
		memcpy(fd, CMSG_DATA(c), 2 * sizeof(int));
	return w.error;
}

static uint64_t any(void)
{
	return (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^
	       (uint64_t)random();
}

static void ring(int event_fd)
{
	const uint64_t one = 1;

	(void)!write(event_fd, &one, sizeof one);
}

/* Random words anywhere, but often where they matter. */
static void scribble(uint8_t *p, int event_fd)
{
	for (unsigned n = 0; n < 200000; n++) {
		uint32_t at = RK_CHANNEL_SLOTS_AT +
			(uint32_t)any() % (RK_SLOTS * sizeof(struct rk_slot));
		uint64_t word = any() >> any() % 64;

		if (n % 8 == 0)
			at = (uint32_t)any() % RK_CHANNEL_SIZE;
		else if (n % 8 == 1)
			at = offsetof(struct rk_channel, doorbell);
		else if (n % 8 == 2)
			at = RK_CHANNEL_SLOTS_AT +
				(uint32_t)any() % RK_SLOTS * 256 + 128;
		memcpy(p + (at & ~7u), &word, sizeof word);
		if (n % 16 == 0)
			ring(event_fd);
	}
}

/* A request whose strings, lengths and op change while they are read. */
static void change_while_read(uint8_t *p, int event_fd)
{
	struct rk_slot *slot = (struct rk_slot *)(p + RK_CHANNEL_SLOTS_AT);
	struct op_openat a = { .dirfd = RK_AT_FDCWD, .path = "/hostile" };
	uint64_t seq = atomic_load(&slot->answered) | 1ull << 40;

	for (unsigned n = 0; n < 20000; n++) {
		volatile uint8_t *string = p + RK_CHANNEL_PAYLOAD_AT;

		rk_encode_openat(&slot->request, p + RK_CHANNEL_PAYLOAD_AT,
				 4096, &a);
		atomic_store(&slot->asked, ++seq);
		ring(event_fd);
		for (unsigned i = 0; i < 50; i++) {
			string[i % 9] = (uint8_t)any();
			slot->request.arg[i % 8] ^= any() >> any() % 64;
			slot->request.in_len ^= (uint32_t)any() % 16;
			slot->request.op = (uint16_t)(any() % RK_OP_END);
		}
	}
}

/* None of it may make the memory smaller, or reach anything else. */
static int reopen(int memfd)
{
	char name[64];
	int fd, r = 0;

	snprintf(name, sizeof name, "/proc/self/fd/%d", memfd);
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (ftruncate(memfd, 0) == 0 || (fd >= 0 && ftruncate(fd, 0) == 0)) {
		puts("the channel could be cut off");
		r = 1;
	}
	if (fd >= 0) {
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  RK_CHANNEL_SIZE);
		close(fd);
	}
	return r;
}

/* Somebody else uses the same channel at the same time. */
static void pass_on(uint8_t *p, int event_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		srandom((unsigned)getpid());
		scribble(p, event_fd);
		_exit(0);
	}
	scribble(p, event_fd);
	waitpid(pid, NULL, 0);
}

static int abuse_channel(void)
{
	int fd[2], sock = dial(), r = 0;
	uint8_t *p;

	if (sock < 0 || attach(sock, RK_TRANSPORT_CHANNEL, fd) < 0) {
		if (sock >= 0)
			close(sock);
		return 0;	/* refused, which is its right */
	}
	p = mmap(NULL, RK_CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd[0], 0);
	if (p != MAP_FAILED) {
		change_while_read(p, fd[1]);
		scribble(p, fd[1]);
		pass_on(p, fd[1]);
		r = reopen(fd[0]);
		munmap(p, RK_CHANNEL_SIZE);
	}
	close(fd[0]);
	close(fd[1]);
	close(sock);
	return r;
}

static void random_messages(int sock)
{
	static uint8_t bytes[4096];
	struct rk_request req = { 0 };

	for (unsigned n = 0; n < 500; n++) {
		size_t len = any() % sizeof bytes;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)any();
		if (n % 2) {
			req.seq = n;
			req.op = (uint16_t)(any() % (RK_OP_END + 2));
			req.in_len = (uint32_t)any() % 4096;
			req.out_len = (uint32_t)(any() >> any() % 64);
			memcpy(bytes, &req, sizeof req);
		}
		if (send(sock, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return;
		/* Mostly it does not read its answers. */
		if (n % 7 == 0)
			(void)!recv(sock, bytes, sizeof bytes, MSG_DONTWAIT);
	}
}

static void abuse_socket(void)
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.token = any(),
	};
	int fd[2], sock = dial();

	if (sock < 0)
		return;
	/* Cut-off and wrong hellos; never STATUS or STOP, which are allowed. */
	hello.kind = any() % 2 ? RK_HELLO_THREAD : 77;
	if (any() % 2)
		hello.magic = (uint32_t)any();
	send(sock, &hello, any() % (sizeof hello + 1), MSG_NOSIGNAL);
	close(sock);
	sock = dial();
	if (sock < 0)
		return;
	if (attach(sock, RK_TRANSPORT_SOCKET, fd) == 0)
		random_messages(sock);
	close(sock);
}

static int honest_round(struct rk_client *c, const char *name, unsigned n)
{
	char text[64], back[64] = "";
	int64_t fd, r;

	snprintf(text, sizeof text, "round %u", n);
	fd = rk_openat(c, RK_AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0) {
		printf("open: %s\n", strerror((int)-fd));
		return 1;
	}
	r = rk_write(c, (int32_t)fd, text, strlen(text));
	if (r == (int64_t)strlen(text))
		r = rk_pread(c, (int32_t)fd, back, sizeof back - 1, 0);
	if (r != (int64_t)strlen(text) || strcmp(text, back)) {
		printf("wrote \"%s\", read \"%s\" (%lld)\n", text, back,
		       (long long)r);
		return 1;
	}
	return rk_close(c, (int32_t)fd) != 0;
}

static int honest(time_t end)
{
	struct rk_client *c;
	char name[64];
	unsigned n = 0;
	int r = rk_attach(path, 0, &c);

	if (r < 0) {
		printf("cannot attach: %s\n", strerror(-r));
		return 1;
	}
	snprintf(name, sizeof name, "honest-%d", (int)getpid());
	while (r == 0 && time(NULL) < end)
		r = honest_round(c, name, n++);
	if (r == 0 && rk_unlinkat(c, RK_AT_FDCWD, name, 0) < 0)
		r = 1;
	rk_detach(c);
	printf("%u honest rounds\n", n);
	return r;
}

static int hostile(time_t end)
{
	int r = 0;

	srandom((unsigned)getpid());
	while (r == 0 && time(NULL) < end) {
		r = abuse_channel();
		abuse_socket();
	}
	return r;
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	pid_t bad, good;
	int r;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (rk_socket_path(NULL, path, sizeof path) < 0) {
		puts("RUMP_SOCKET is not set");
		return 1;
	}
	bad = fork();
	if (bad == 0)
		_exit(hostile(end));
	good = fork();
	if (good == 0)
		_exit(honest(end));
	r = wait_for(good);
	r |= wait_for(bad);
	return r;
}
