/*
 * hand.c - the baton, and messages between an old and a new supervisor.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "supervisor/upgrade.h"

_Static_assert((int)RK_HAND_FDS <= (int)RK_MESSAGE_FDS, "descriptors of a message");

struct rk__baton *rk__baton_map(int fd)
{
	void *p = mmap(NULL, RK_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);

	return p == MAP_FAILED ? NULL : p;
}

struct rk__baton *rk__baton_make(int *ret_fd)
{
	int fd = memfd_create("rump-baton", MFD_CLOEXEC);
	struct rk__baton *b = NULL;

	if (fd >= 0 && ftruncate(fd, RK_PAGE) == 0)
		b = rk__baton_map(fd);
	if (!b && fd >= 0)
		close(fd);
	*ret_fd = b ? fd : -1;
	return b;
}

void rk__baton_unmap(struct rk__baton *b)
{
	if (b)
		munmap(b, RK_PAGE);
}

bool rk__baton_take(struct rk__baton *b, enum rk__baton_owner who)
{
	uint32_t owner = RK_BATON_FREE;

	return atomic_compare_exchange_strong(&b->owner, &owner, who) ||
	       owner == (uint32_t)who;
}

int rk__hand_send(int socket, struct rk__hand *h, const int *fds)
{
	int there[RK_HAND_FDS];
	unsigned n = 0;

	h->version = RK_HAND_VERSION;
	h->present = 0;
	for (unsigned i = 0; fds && i < RK_HAND_FDS; i++) {
		if (fds[i] < 0)
			continue;
		h->present |= 1u << i;
		there[n++] = fds[i];
	}
	return rk__message_send(socket, h, sizeof *h, there, n);
}

void rk__hand_close(int *fds)
{
	for (unsigned i = 0; i < RK_HAND_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int rk__hand_receive(int socket, struct rk__hand *ret, int *fds)
{
	int got[RK_HAND_FDS];
	unsigned n_got = 0;
	ssize_t n;

	/* told once, before what the peer said last, if it left some unread */
	do
		n = rk__message_receive(socket, ret, sizeof *ret, got,
					RK_HAND_FDS);
	while (n == -EINTR || n == -ECONNRESET);
	for (unsigned i = 0; i < RK_HAND_FDS; i++)
		fds[i] = -1;
	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	if (n != sizeof *ret || ret->version != RK_HAND_VERSION) {
		rk__hand_close(got);
		return -EPROTO;
	}
	for (unsigned i = 0; i < RK_HAND_FDS; i++)
		if (ret->present & 1u << i)
			fds[i] = got[n_got++];
	ret->text[sizeof ret->text - 1] = 0;
	return 0;
}
