/*
 * socket.c - the same requests as messages on the client's own connection, for
 * clients that cannot be given a memfd.
 *
 * Theory of operation. A request stays unread in the socket until its answer
 * was sent: it is looked at with MSG_PEEK, run from a private copy, and taken
 * out when it is answered. So a successor finds it. It may find one that was
 * committed: then the record's reply is sent again, and a client ignores an
 * answer whose number it does not wait for. One request per socket is in work;
 * what a client sends beyond it waits in the socket.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "channel.h"
#include "gate/socket.h"
#include "views.h"

enum { REQUESTS_A_POLL = 16 };

struct sock {
	struct rk__handle handle;	/* first: exec and post get this */
	struct rk__source source;
	uint32_t number;
	uint64_t last;			/* number of the last request taken */
	bool busy, gone;
	bool listed;			/* on gate.ready */
	struct sock *next_ready;
	uint8_t *bytes;			/* payload, then room for output */
	struct rk_request req;
};

static struct {
	struct sock *sock[RK_CHANNELS_MAX];
	struct sock *ready;
	int refuse;
} gate;

static void list(struct sock *s)
{
	if (s->listed || s->gone)
		return;
	s->listed = true;
	s->next_ready = gate.ready;
	gate.ready = s;
}

static void unlist(struct sock *s)
{
	struct sock **at = &gate.ready;

	if (!s->listed)
		return;
	while (*at != s)
		at = &(*at)->next_ready;
	*at = s->next_ready;
	s->listed = false;
}

static void drop_message(struct sock *s)
{
	(void)!recv(s->source.fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
}

/* A client that does not read its one answer gets none. */
static void send_answer(struct sock *s, uint64_t id, int64_t result,
			const void *out, uint32_t out_len)
{
	struct rk_answer answer = {
		.seq = id,
		.result = result,
		.out_len = out_len,
	};
	struct iovec iov[2] = {
		{ &answer, sizeof answer },
		{ (void *)out, out_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	(void)!sendmsg(s->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void sock_free(struct sock *s)
{
	close(s->source.fd);
	free(s->bytes);
	free(s);
}

static enum rk__outcome exec(struct rk__handle *h)
{
	struct sock *s = (struct sock *)h;
	enum rk__outcome outcome;
	uint8_t *out = s->bytes + rk_out_offset(s->req.in_len);

	if (s->gone)
		return RK_NO_REPLY;
	h->out = out;
	h->out_len = 0;
	outcome = rk__syscall(h, s->number, &s->req, s->bytes, out);
	assert(outcome != RK_DONE || h->out_len <= s->req.out_len);
	return outcome;
}

static void post(struct rk__handle *h)
{
	struct sock *s = (struct sock *)h;

	s->busy = false;
	if (s->gone) {
		sock_free(s);
		return;
	}
	send_answer(s, h->id, h->result, h->out, h->out_len);
	drop_message(s);
	free(s->bytes);
	s->bytes = NULL;
	list(s);
}

static const struct rk__gate_ops socket_gate = {
	.name = "socket",
	.exec = exec,
	.post = post,
};

/* The header of the request that waits. Bytes of the whole message; 0: none,
 * or the end of the connection. */
static size_t peek_header(struct sock *s, struct rk_request *ret)
{
	ssize_t n = recv(s->source.fd, ret, sizeof *ret,
			 MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);

	return n > 0 ? (size_t)n : 0;
}

static bool fits(const struct rk_request *req, size_t n)
{
	return n >= sizeof *req && n <= RK_MESSAGE_MAX &&
	       req->in_len == n - sizeof *req &&
	       req->out_len <= RK_MESSAGE_MAX - sizeof(struct rk_answer);
}

static int read_payload(struct sock *s)
{
	struct rk_request again;
	struct iovec iov[2] = {
		{ &again, sizeof again },
		{ NULL, s->req.in_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	s->bytes = malloc(rk_out_offset(s->req.in_len) + s->req.out_len + 1);
	if (!s->bytes)
		return -ENOMEM;
	iov[1].iov_base = s->bytes;
	if (recvmsg(s->source.fd, &msg, MSG_PEEK | MSG_DONTWAIT) !=
	    (ssize_t)(sizeof again + s->req.in_len))
		return -EBADMSG;
	return 0;
}

static void refuse(struct sock *s, int error)
{
	s->busy = true;
	s->handle.result = error;
	s->handle.out_len = 0;
	post(&s->handle);
}

static void take(struct sock *s, size_t n)
{
	int r = gate.refuse ? gate.refuse : fits(&s->req, n) ? 0 : -EMSGSIZE;

	s->last = s->req.seq;
	s->busy = true;
	s->handle = (struct rk__handle){
		.gate = &socket_gate,
		.slot = RK_SLOT_CHANNEL(s->number, 0),
		.id = s->req.seq,
		.op = s->req.op,
	};
	if (r == 0)
		r = read_payload(s);
	if (r < 0)
		refuse(s, r);
	else
		rk__serve(&s->handle);
}

/* What waits in the socket, as far as fairness allows. */
static bool look(struct sock *s)
{
	bool any = false;

	for (unsigned i = 0; i < REQUESTS_A_POLL && !s->busy; i++) {
		size_t n = peek_header(s, &s->req);

		if (n == 0)
			return any;
		any = true;
		if (n < sizeof s->req || s->req.seq <= s->last ||
		    rk__was_committed(RK_SLOT_CHANNEL(s->number, 0),
				      s->req.seq))
			drop_message(s);
		else
			take(s, n);
	}
	if (!s->busy)
		list(s);
	return any;
}

bool rk__socket_poll(void)
{
	struct sock *s = gate.ready, *next;
	bool any = false;

	if (!s)
		return false;
	gate.ready = NULL;
	for (; s; s = next) {
		next = s->next_ready;
		s->listed = false;
		if (!s->busy)
			any |= look(s);
	}
	return any;
}

bool rk__socket_pending(void)
{
	return gate.ready != NULL;
}

static void ready(struct rk__source *source, uint32_t events)
{
	struct sock *s = (struct sock *)((uint8_t *)source -
					 offsetof(struct sock, source));

	(void)events;
	list(s);
}

int rk__socket_attach(uint32_t channel, int fd)
{
	struct sock *s = NULL;
	int r = channel < RK_CHANNELS_MAX ? 0 : -EINVAL;

	if (r < 0 || gate.sock[channel])
		goto out;
	s = calloc(1, sizeof *s);
	if (!s) {
		r = -ENOMEM;
		goto out;
	}
	s->number = channel;
	s->source.fd = fd;
	s->source.ready = ready;
	/* Edge-triggered: a request stays in the socket while it is in work. */
	r = rk__loop_add(&s->source, EPOLLIN | EPOLLET);
	if (r < 0)
		goto out;
	gate.sock[channel] = s;
	list(s);
	s = NULL;
	fd = -1;
out:
	free(s);
	if (fd >= 0)
		close(fd);
	return r;
}

void rk__socket_detach(uint32_t channel)
{
	struct sock *s = gate.sock[channel];

	if (!s)
		return;
	gate.sock[channel] = NULL;
	rk__loop_remove(&s->source);
	/* What waits forgets what it waits for. */
	s->req.flags |= RK_REQ_CANCELLED;
	if (s->busy && rk__unpark(&s->handle))
		rk__serve(&s->handle);
	unlist(s);
	s->gone = true;
	/* Else it is queued or woken, and ends with its post. */
	if (!s->busy)
		sock_free(s);
}

void rk__socket_repost(uint32_t channel, const struct rk__reply_head *r,
		       const uint8_t *bytes)
{
	struct rk_request req;
	struct sock *s = gate.sock[channel];

	if (!s || peek_header(s, &req) < sizeof req || req.seq != r->id)
		return;
	send_answer(s, r->id, r->result, bytes, r->length);
	drop_message(s);
	s->last = r->id;
}

void rk__socket_refuse_all(int error)
{
	gate.refuse = error;
	for (unsigned n = 0; n < RK_CHANNELS_MAX; n++) {
		struct sock *s = gate.sock[n];

		if (!s)
			continue;
		if (s->busy) {
			rk__unpark(&s->handle);
			refuse(s, error);
		}
		look(s);
	}
}
