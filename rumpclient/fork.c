/*
 * fork.c - children.
 *
 * The parent waits until the child has attached, because what the child inherits
 * are the descriptors of that moment. The lock is held across the fork, so that
 * nothing changes in the child's copy.
 *
 * A handler may fork in the middle of a call, and the child go on with it: the
 * answer is in memory that both have, and both take it, as both would come back
 * from the system call. Until then the child keeps that link. If the parent has
 * asked for something else by then, the child's call ends as interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "client_int.h"
#include "links.h"

enum { FORK_WAIT_MS = 10000 };

static struct {
	uint64_t mask;
	bool keep;
	int pipe[2];
} fork_state = { .pipe = { -1, -1 } };

void rk__fork_before(bool keep)
{
	uint64_t mask;

	/* Offsets are everybody's from now on. */
	for (struct rk_client *c = rk__clients; c && keep; c = c->next)
		rk__hot_share(c);
	mask = rk__lock();
	fork_state.mask = mask;
	fork_state.keep = keep;
	if (!keep || !rk__clients || pipe2(fork_state.pipe, O_CLOEXEC) < 0)
		fork_state.pipe[0] = fork_state.pipe[1] = -1;
}

static void close_pipe_end(int i)
{
	if (fork_state.pipe[i] >= 0)
		close(fork_state.pipe[i]);
	fork_state.pipe[i] = -1;
}

void rk__fork_parent(void)
{
	struct pollfd p = { .fd = fork_state.pipe[0], .events = POLLIN };

	close_pipe_end(1);
	/* The end of the pipe: the child has attached, or is no more. */
	while (p.fd >= 0 && poll(&p, 1, FORK_WAIT_MS) < 0 && errno == EINTR)
		;
	close_pipe_end(0);
	for (struct rk_client *c = rk__clients; c && fork_state.keep;
	     c = c->next)
		rk__hot_shared(c);
	rk__unlock(fork_state.mask);
}

/* In the child, of a link whose call goes on there. */
void rk__link_orphan(struct rk__link *l)
{
	struct rk_slot *slot = l->channel ? rk__slot(l, 0) : NULL;

	l->orphan = true;
	l->client = NULL;
	/* The parent may have gone on by now. */
	if (slot && l->seq != l->taken_seq &&
	    (int64_t)(atomic_load(&slot->asked) - l->seq) >= 0)
		return;
	/* It was not asked yet, or is to be answered by a message: that is the
	 * parent's alone. */
	if (slot)
		(void)mmap(l->channel, RK_CHANNEL_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			   MAP_FIXED, -1, 0);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static void attach_child(struct rk_client *c, uintptr_t frame)
{
	struct rk__link *old = c->links;

	/* It may need one of its parent's connections to come to its own, which
	 * is then the first on the list. */
	if (c->error == 0)
		c->error = rk__link_first(c, RK_HELLO_FORK);
	if (c->error == 0) {
		c->links->next_of_client = NULL;
	} else {
		c->links = c->idle = NULL;
		c->n_idle = 0;
	}
	rk__links_leave(old, frame);
}

/*
 * The copy of the parent's state is there for good: a request of ours that changes
 * something was committed. Before that, a successor would copy it again, from the
 * parent as it is then. What is changed is the umask, and back.
 */
static void have_it_kept(struct rk_client *c)
{
	int64_t mask = c->error || c->door ? -1 : rk_umask(c, 0);

	if (mask >= 0)
		(void)rk_umask(c, (uint32_t)mask);
}

void rk__fork_child(void)
{
	struct rk_client **at = &rk__clients, *c;
	char here;

	close_pipe_end(0);
	while ((c = *at)) {
		if (fork_state.keep || c->door) {
			attach_child(c, (uintptr_t)&here);
			if (fork_state.keep)
				rk__hot_shared(c);
			have_it_kept(c);
			at = &c->next;
			continue;
		}
		*at = c->next;
		rk__links_leave(c->links, (uintptr_t)&here);
		rk__hot_end(c);
		free(c);
	}
	close_pipe_end(1);
	rk__unlock(fork_state.mask);
}
