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

enum { SLOW_MS = 60000 };	/* more is a server that was held up */

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

static struct rk_slot *slot_at(uint8_t *p, unsigned i)
{
	return (struct rk_slot *)(p + RK_CHANNEL_SLOTS_AT) + i;
}

/* Whatever number is greater than those that were used. */
static void ask(uint8_t *p, unsigned i)
{
	struct rk_slot *s = slot_at(p, i);
	uint64_t asked = atomic_load(&s->asked), done = atomic_load(&s->answered);

	atomic_store(&s->asked, (asked > done ? asked : done) + 1);
	atomic_fetch_add(&((struct rk_channel *)p)->doorbell, 1);
}

/* A descriptor that may read: what is written could fill the device. */
static void open_something(uint8_t *p, int event_fd)
{
	struct op_openat a = {
		.dirfd = RK_AT_FDCWD, .path = "/vol/hostile",
		.flags = O_RDONLY | O_CREAT, .mode = 0600,
	};

	rk_encode_openat(&slot_at(p, 0)->request, p + rk_slot_payload_at(0),
			 4096, &a);
	ask(p, 0);
	ring(event_fd);
	usleep(1000);
}

static void random_request(struct rk_request *r, uint8_t *payload, unsigned op)
{
	r->op = (uint16_t)op;
	r->flags = any() % 8 == 0;
	r->in_len = (uint32_t)any() % 8192;
	r->out_len = any() % 4 ? (uint32_t)any() % 8192 : (uint32_t)any();
	for (unsigned i = 0; i < RK_ARGS_MAX; i++) {
		uint64_t at = any() % 300, len = 1 + any() % 300;
		uint64_t word[] = {
			any() % 4, any() % 8192, any() >> any() % 64,
			/* Pieces of the payload that overlap. */
			at << 32 | len,
		};

		r->arg[i] = word[any() % 4];
		payload[(at + len - 1) % 8192] = 0;
	}
}

/* Every op with words of all kinds, in all slots at once; the payload and the
 * room for output change while they are used. */
static void random_ops(uint8_t *p, int event_fd)
{
	open_something(p, event_fd);
	for (unsigned n = 0; n < 40 * RK_OP_END; n++) {
		unsigned i = (unsigned)any() % RK_SLOTS;
		uint8_t *payload = p + rk_slot_payload_at(i);

		for (unsigned k = 0; k < 300; k++)
			payload[k] = (uint8_t)('a' + any() % 26);
		random_request(&slot_at(p, i)->request, payload,
			       n % (RK_OP_END + 2));
		ask(p, i);
		ring(event_fd);
		for (unsigned k = 0; k < 100; k++)
			payload[any() % 16000] = (uint8_t)any();
	}
}

/* A slot is asked again while its request waits, and the doorbell leaps. */
static void ask_twice(uint8_t *p, int event_fd)
{
	struct op_setlkw a = { .fd = 0, .type = F_RDLCK };

	open_something(p, event_fd);
	for (unsigned n = 0; n < 1000; n++) {
		unsigned i = 1 + n % RK_RING_SLOTS;

		rk_encode_setlkw(&slot_at(p, i)->request,
				 p + rk_slot_payload_at(i), 4096, &a);
		ask(p, i);
		ask(p, i);
		atomic_fetch_sub(&((struct rk_channel *)p)->doorbell,
				 (uint32_t)any() % 130);
		ring(event_fd);
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

/* The connection ends while requests are in work; a process that nobody sees
 * any more has the memory and goes on. */
static void leave_in_the_middle(uint8_t *p, int event_fd, int sock)
{
	int end[2];
	char byte;

	if (pipe2(end, O_CLOEXEC) < 0)
		return;
	for (unsigned i = 0; i < RK_SLOTS; i++) {
		random_request(&slot_at(p, i)->request,
			       p + rk_slot_payload_at(i), any() % RK_OP_END);
		ask(p, i);
	}
	ring(event_fd);
	if (fork() == 0) {
		if (fork() == 0) {
			close(sock);
			usleep(10000);
			scribble(p, event_fd);
		}
		_exit(0);
	}
	close(end[1]);
	close(sock);
	wait(NULL);
	/* Its end is ours to wait for, although it is not our child. */
	(void)!read(end[0], &byte, 1);
	close(end[0]);
}

static void come_and_go(void)
{
	for (unsigned n = 0; n < 500; n++) {
		int fd[2], sock = dial();

		if (sock < 0)
			continue;
		attach(sock, n % 5 ? RK_TRANSPORT_CHANNEL : RK_TRANSPORT_SOCKET,
		       fd);
		close(sock);
		for (unsigned i = 0; i < 2; i++)
			if (fd[i] >= 0)
				close(fd[i]);
	}
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
		random_ops(p, fd[1]);
		ask_twice(p, fd[1]);
		change_while_read(p, fd[1]);
		scribble(p, fd[1]);
		pass_on(p, fd[1]);
		r = reopen(fd[0]);
		leave_in_the_middle(p, fd[1], sock);
		sock = -1;
		munmap(p, RK_CHANNEL_SIZE);
	}
	close(fd[0]);
	close(fd[1]);
	if (sock >= 0)
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

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int honest(time_t end)
{
	uint64_t start, slowest = 0;
	struct rk_client *c;
	char name[64];
	unsigned n = 0;
	int r = rk_attach(path, 0, &c);

	if (r < 0) {
		printf("cannot attach: %s\n", strerror(-r));
		return 1;
	}
	snprintf(name, sizeof name, "honest-%d", (int)getpid());
	while (r == 0 && time(NULL) < end) {
		start = now_ms();
		r = honest_round(c, name, n++);
		if (now_ms() - start > slowest)
			slowest = now_ms() - start;
	}
	if (r == 0 && rk_unlinkat(c, RK_AT_FDCWD, name, 0) < 0)
		r = 1;
	rk_detach(c);
	printf("%u honest rounds, the slowest took %u ms\n", n,
	       (unsigned)slowest);
	return r || slowest > SLOW_MS;
}

static int hostile(time_t end)
{
	int r = 0;

	srandom((unsigned)getpid());
	while (r == 0 && time(NULL) < end) {
		r = abuse_channel();
		abuse_socket();
		come_and_go();
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

static uint32_t count_restarts(char message[256])
{
	struct rk_hello h = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = RK_HELLO_STATUS,
	};
	struct rk_status status = { .restarts = UINT32_MAX };
	int sock = dial();

	if (sock >= 0) {
		send(sock, &h, sizeof h, MSG_NOSIGNAL);
		(void)!recv(sock, &status, sizeof status, 0);
		close(sock);
	}
	memcpy(message, status.message, 256);
	return status.restarts;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	uint32_t restarts;
	char message[256];
	pid_t bad, good;
	int r;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (rk_socket_path(NULL, path, sizeof path) < 0) {
		puts("RUMP_SOCKET is not set");
		return 1;
	}
	restarts = count_restarts(message);
	bad = fork();
	if (bad == 0)
		_exit(hostile(end));
	good = fork();
	if (good == 0)
		_exit(honest(end));
	r = wait_for(good);
	r |= wait_for(bad);
	if (count_restarts(message) != restarts) {
		printf("the server was brought down: %.255s\n", message);
		r = 1;
	}
	return r;
}
