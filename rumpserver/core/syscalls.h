/*
 * syscalls.h - the ops of ops.h for clients with descriptors: the library, and
 * later the proxies. The gates decode nothing: they hand over header and
 * payload.
 */
#ifndef RK_SYSCALLS_H
#define RK_SYSCALLS_H

#include "request.h"
#include "serve.h"

/* What the supervisor tells of a client, from the kernel. */
struct rk__attach {
	uint32_t channel;		/* number */
	uint64_t token;			/* of the process */
	uint64_t parent;		/* token it was forked from, 0 */
	uint32_t uid, gid, pid, n_groups;
	uint32_t group[64];
};

/* Makes, joins or copies (fork) the proc of a channel. Idempotent: a channel
 * that core knows already is left as it is. Notes its changes; the caller
 * commits. */
int rk__proc_attach(const struct rk__attach *a);
/* Releases the channel; with the last of its proc its descriptors and locks. */
void rk__proc_detach(uint32_t channel);
/* The channels core knows, so that the loop can release those whose client
 * died while there was no server. Ends with 0; start with *at = 0. */
bool rk__proc_channel_next(uint32_t *at, uint32_t *ret_channel);

/*
 * Runs one op. req is a private copy of the header; in is its payload
 * (req->in_len bytes, which a hostile client may change at any time: read each
 * byte once where it matters); out has room for req->out_len bytes. The answer
 * is h->result and h->out_len.
 */
enum rk__outcome rk__syscall(struct rk__handle *h, uint32_t channel,
			     const struct rk_request *req, const uint8_t *in,
			     uint8_t *out);

/* Procs that nobody has a channel of, as an import leaves them: are there any?
 * all: no more, they are released. */
bool rk__proc_release(bool all);

#endif
