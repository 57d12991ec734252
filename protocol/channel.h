/*
 * channel.h - the shared memory between one client thread and one server.
 *
 * One sealed memfd (F_SEAL_SHRINK | F_SEAL_GROW), made by the supervisor, which
 * hands it to both sides and keeps it: it outlives both. Layout:
 *
 *	page 0		struct rk_channel
 *	then		RK_RING_SLOTS + 1 slots; slot 0 is the synchronous one
 *	then		payload areas: slot 0 has RK_SYNC_PAYLOAD bytes, every
 *			ring slot has RK_RING_PAYLOAD
 *
 * A slot's life, by who may write it:
 *	free	 request.seq == answer.seq	the client writes all of it
 *	asked	 request.seq != answer.seq	the server writes answer and the
 *						bytes from rk_out_offset() on
 * The client publishes a request by storing request.seq last (release), the
 * server an answer by storing answer.seq last. Neither believes what the
 * other wrote: the server reads each request word once, into memory of its
 * own.
 *
 * Waiting. The client spins, then sets `waiting` and sleeps in futex_wait on
 * the low half of answer.seq; the server wakes it only if `waiting` is set.
 * The server, before it sleeps in its event loop, sets `sleeping` and looks at
 * the doorbell once more; the client that finds `sleeping` set writes to the
 * channel's eventfd. The server polls slot 0 by itself; `doorbell` counts
 * submissions to the ring, so that it sees with one load whether there is
 * anything new: submission n stands in ring slot 1 + n % RK_RING_SLOTS, and
 * whoever finds that slot taken leaves the number out. A doorbell that moved by
 * RK_RING_SLOTS or more says: look at all slots, RK_REQ_CANCELLED included.
 * Ring completions have one futex for all slots, `ring_answered`, and one
 * `ring_waiting`.
 */
#ifndef RK_CHANNEL_H
#define RK_CHANNEL_H

#include <stdatomic.h>
#include <stdint.h>
#include "event.h"
#include "request.h"

#define RK_CHANNEL_MAGIC 0x6e686b72u		/* "rkhn" */

enum {
	RK_RING_SLOTS = 64,
	RK_SLOTS = RK_RING_SLOTS + 1,
	RK_SYNC_PAYLOAD = 2 * RK_IO_MAX,	/* in and out, untouched pages cost nothing */
	RK_RING_PAYLOAD = 16 << 10,
};

struct rk_slot {
	/* written by the client */
	struct rk_request request;
	_Atomic uint64_t asked;			/* request.seq, stored last */
	_Atomic uint32_t waiting;
	uint32_t reserved[13];
	/* written by the server, on lines of its own */
	struct rk_answer answer;
	_Atomic uint64_t answered;		/* answer.seq, stored last; futex on its low half */
	uint64_t reserved2[3];
};
_Static_assert(sizeof(struct rk_slot) == 256, "a slot is four cache lines");

struct rk_channel {
	uint32_t magic;
	uint32_t version;
	uint32_t id;				/* the server's number for it */
	uint32_t reserved[13];
	_Alignas(64) _Atomic uint32_t doorbell;	/* client */
	_Atomic uint32_t ring_waiting;		/* client: sleeps on ring_answered */
	_Alignas(64) _Atomic uint32_t sleeping;	/* server */
	_Alignas(64) _Atomic uint32_t ring_answered; /* server: moves with ring answers */
	_Alignas(64) uint64_t stat[8];		/* server: counters for whoever looks */
};

#define RK_CHANNEL_SLOTS_AT	4096u
#define RK_CHANNEL_PAYLOAD_AT	(RK_CHANNEL_SLOTS_AT + \
	(((RK_SLOTS * sizeof(struct rk_slot)) + 4095u) & ~4095u))
#define RK_CHANNEL_SIZE		(RK_CHANNEL_PAYLOAD_AT + RK_SYNC_PAYLOAD + \
	RK_RING_SLOTS * RK_RING_PAYLOAD)

static inline uint32_t rk_slot_payload_at(uint32_t slot)
{
	return slot == 0 ? RK_CHANNEL_PAYLOAD_AT :
		RK_CHANNEL_PAYLOAD_AT + RK_SYNC_PAYLOAD +
		(slot - 1) * RK_RING_PAYLOAD;
}

static inline uint32_t rk_slot_payload_size(uint32_t slot)
{
	return slot == 0 ? RK_SYNC_PAYLOAD : RK_RING_PAYLOAD;
}

/*
 * The attach conversation on the supervisor's SOCK_SEQPACKET socket. The
 * client sends rk_hello; the supervisor answers rk_welcome with two
 * descriptors (channel memfd, doorbell eventfd), or with none for transport
 * RK_TRANSPORT_SOCKET, after which requests (header + payload) and answers
 * (rk_answer + bytes) go over this same socket. The connection stays open for
 * as long as the channel is used: its end frees everything the client had.
 */
enum rk_transport {
	RK_TRANSPORT_CHANNEL,
	RK_TRANSPORT_SOCKET,
	RK_TRANSPORT_PAGES,	/* a channel, and with it the cells (cells.h), if the
				 * client may have them: a third descriptor */
};
enum rk_hello_kind {
	RK_HELLO_ATTACH,	/* a new client process */
	RK_HELLO_THREAD,	/* one more channel of process `token` */
	RK_HELLO_FORK,		/* a child that inherits the descriptors of `token` */
	RK_HELLO_STATUS,	/* tools: one rk_status back, then close */
	RK_HELLO_STOP,		/* tools: flush, stop, answer, close */
	RK_HELLO_STOP_UNUSED,	/* the same, unless programs use it */
	RK_HELLO_USE,		/* tools: rk_status, and with it the namespaces
				 * (user, mount) that its mounts are in, if it
				 * shares them; a program uses them until this
				 * connection ends */
	RK_HELLO_CONNECT,	/* over the connection of a channel, with one end of
				 * a socketpair that is to be a connection as if it
				 * had been accepted: for who may not reach the
				 * socket any more, and for who changed its ids */
	RK_HELLO_WATCH,		/* what happens to the server: event.h */
	RK_HELLO_ORDER,		/* tools: rk_order follows; rk_status when it is done,
				 * or cannot be */
};

#define RK_HELLO_MAGIC 0x6c686b72u

struct rk_hello {
	uint32_t magic, version;
	uint32_t kind, transport;
	uint64_t token;		/* names a process to this server; from rk_welcome */
	uint32_t pid;		/* for whom it is, if it is another process of the
				 * same user; else 0. What F_GETLK tells */
	uint32_t reserved;
};

/* Behind RK_HELLO_ORDER. */
enum rk_order_kind {
	RK_ORDER_UPGRADE = 1,	/* the program at `path` is to take over */
	RK_ORDER_EXPORT,	/* the state into the descriptor that comes with it */
	RK_ORDER_EXPORT_IMAGES,	/* with the images */
};

struct rk_order {
	uint32_t kind;
	char path[4092];
};

struct rk_welcome {
	int32_t error;		/* 0 or a negative errno */
	uint32_t channel;	/* its number */
	uint64_t token;
};

/* Who sees the mounts of a server. */
enum rk_audience {
	RK_AUDIENCE_PROGRAM,		/* the program that it was started for */
	RK_AUDIENCE_HOST,
	RK_AUDIENCE_SHARED,		/* programs that ask for it */
};

enum rk_state {
	RK_STATE_STARTING,
	RK_STATE_SERVING,
	RK_STATE_RESTARTING,		/* no server just now, the next is made */
	RK_STATE_STOPPING,
};

/* Answer to tools. Fixed size, NUL-terminated. */
struct rk_status {
	int32_t error;			/* 0, or why it was not done */
	uint32_t supervisor, server, standby, zygote, keeper;	/* pids */
	uint32_t holder;		/* 0: none */
	uint32_t restarts, clients;	/* processes that use the library */
	uint32_t programs;		/* RK_HELLO_USE */
	uint32_t audience, n_mounts;
	uint64_t started_s;		/* CLOCK_REALTIME */
	/* random kills that were asked for, and what came of them */
	uint64_t kills, recovered, quarantined, p50_ns, p99_ns, max_ns;
	char name[64];
	char mounts[8192];		/* "PATH=DRIVER:SOURCE\n" each */
	char message[256];
	uint32_t state;			/* enum rk_state */
	uint32_t managed;		/* systemd runs it */
	/* of servers, since the supervisor began; by enum rk_death */
	uint64_t deaths[RK_DEATH_KINDS];
	uint64_t last_death_s;		/* CLOCK_REALTIME; 0: none */
	uint64_t last_outage_us;	/* until the next served */
	uint32_t last_death;		/* enum rk_death */
	uint32_t last_signal;		/* 0: not known */
	char last_op[32];		/* "": between two */
	uint32_t idle_deaths, limit;	/* without progress; it gives up after */
	uint64_t ops, commits;
	uint64_t unflushed;		/* commits that are not in the images yet */
};

#endif
