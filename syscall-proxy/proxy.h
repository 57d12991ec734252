/*
 * proxy.h - what the processes of one `rump run --proxy` agree on: which servers
 * there are, where the program sees their mounts, and how the proxies in its
 * processes talk to the broker, the process beside the program.
 *
 * The broker listens on a SOCK_SEQPACKET socket, whose path is in $RUMP_PROXY. A
 * conversation is one request and one answer, on a connection of its own. The
 * broker keeps what must outlive a process's image: descriptors on their way
 * through exec or a socket, and working directories. It believes nothing that
 * it is told; a ticket is only good for who got it from the server.
 *
 * A descriptor on its way is *published*: its placeholder, a memfd that nothing
 * else is, goes to the broker with a ticket for the open file. Who finds such a
 * placeholder among its descriptors *claims* it by sending it, and gets a ticket.
 * The broker has the open file closed when the placeholder is no more, which
 * the kernel tells (inotify: IN_DELETE_SELF of a memfd is its last close).
 */
#ifndef RK_PROXY_H
#define RK_PROXY_H

#include <stddef.h>
#include <stdint.h>
#include "types.h"

#define RK__PROXY_MAGIC 0x70686b72u
#define RK__PROXY_ENV "RUMP_PROXY"
#define RK__PLACEHOLDER "rump-descriptor"	/* name of its memfd */

enum {
	RK__PROXY_VERSION = 2,
	RK__PROXY_SERVERS = 16,
	RK__PROXY_MOUNTS = 32,
	RK__PROXY_PATH = 1024,
};

/* What the host has where a mount is. The more, the closer its own paths have to
 * be looked at: one may lead there by a symbolic link. */
enum rk__hides {
	RK__HIDES_NOTHING,		/* it does not exist */
	RK__HIDES_EMPTY,		/* an empty directory */
	RK__HIDES_FILES,
};

struct rk__proxy_config {
	uint32_t n_servers, n_mounts;
	uint32_t over_mount;		/* there is a mount underneath */
	uint32_t net;			/* what was not patched is seen by the notifier */
	uint32_t report;		/* calls are counted */
	uint32_t patch;			/* system calls are patched, not symbols alone */
	char server[RK__PROXY_SERVERS][108];	/* sockets */
	struct {
		char path[RK__PROXY_PATH];	/* absolute, no "/" at its end; "" is / */
		uint32_t server;
		uint32_t hides;		/* enum rk__hides */
	} mount[RK__PROXY_MOUNTS];
};

enum rk__proxy_ask {
	RK__ASK_HELLO,		/* answer: struct rk__proxy_welcome, descriptors */
	RK__ASK_PUBLISH,	/* with the placeholder; server, ticket */
	RK__ASK_CLAIM,		/* with the placeholder; answer: server, ticket */
	RK__ASK_CWD,		/* server, ticket of a directory; no ticket: none.
				 * Of this process, for its next image */
};

struct rk__proxy_request {
	uint32_t magic, version;
	uint32_t ask;			/* enum rk__proxy_ask */
	uint32_t server;
	struct rk_ticket ticket;	/* zero: none */
};

struct rk__proxy_answer {
	int32_t error;			/* 0 or a negative errno */
	uint32_t server;
	struct rk_ticket ticket;	/* HELLO: of the working directory, or zero */
};

/* Answer to HELLO. With it: a directory that leads nowhere, where the kernel has
 * a process whose working directory is in a server; a memfd with the table of patch sites (preload/
 * sites.h) unless !config.patch, and one with struct rk__proxy_counts if
 * config.report. */
struct rk__proxy_welcome {
	struct rk__proxy_answer answer;
	uint32_t published;		/* placeholders that can be claimed now */
	uint32_t reserved;
	struct rk__proxy_config config;	/* without mounts that there are not */
};

/* Each program that starts is sent one: so no more than there is. */
static inline size_t rk__proxy_config_size(const struct rk__proxy_config *c)
{
	uint32_t n = c->n_mounts < RK__PROXY_MOUNTS ? c->n_mounts :
						      RK__PROXY_MOUNTS;

	return offsetof(struct rk__proxy_config, mount) +
	       n * sizeof c->mount[0];
}

/* Which way calls went; counted by everybody, shared. */
struct rk__proxy_counts {
	_Atomic uint64_t served;	/* in the process */
	_Atomic uint64_t passed;	/* looked at in the process, none of ours */
	_Atomic uint64_t by_symbol;	/* of these, through an interposed symbol */
	_Atomic uint64_t notified;	/* served by the notifier */
	_Atomic uint64_t continued;	/* seen by the notifier, none of ours */
	_Atomic uint64_t refused;	/* could not be served: what was said */
	_Atomic uint64_t sites, sites_left;	/* patched, and left alone */
	_Atomic uint64_t processes;
	_Atomic uint64_t by_nr[512];	/* seen by the notifier */
};

#endif
