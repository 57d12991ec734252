/*
 * upgrade.h - how one build of a server takes the place of another while
 * clients and mounts stay.
 *
 * Theory of operation. The old supervisor starts the new program and gives it,
 * over a socket, what a supervisor owns: images with their locks, journals,
 * overlays, /dev/fuse, the inboxes, the listening socket. The new one makes a
 * family of its own around these (holder, supervisor, zygote, a server with
 * the drivers loaded) while the old serves. Then the old server pauses: it
 * has the drivers write what they hold to the overlay, and writes core's state
 * in its external form. The old keeper is ended. The new server reads the
 * state, mounts the drivers on the overlay, and proves itself: what it is
 * asked is answered as the old one answered.
 *
 * Up to here the new one has changed nothing that the old one needs. Who owns
 * it all is one word in memory that both share, the baton: the new one takes
 * it by a compare-and-swap, or the old one does, when anything went wrong or
 * takes too long. Whoever loses ends, without touching anything. So whoever
 * is killed, and when, one of the two serves.
 */
#ifndef RK_UPGRADE_H
#define RK_UPGRADE_H

#include <stdatomic.h>
#include "supervisor/make.h"
#include "supervisor/message.h"

enum rk__baton_owner {
	RK_BATON_FREE,			/* the old one serves, or would */
	RK_BATON_NEW,
	RK_BATON_OLD,			/* and nobody takes it any more */
};

struct rk__baton {
	_Atomic uint32_t owner;		/* enum rk__baton_owner */
};

/* Makes one in a memfd, or maps it; NULL: no memory. */
struct rk__baton *rk__baton_make(int *ret_fd);
struct rk__baton *rk__baton_map(int fd);
void rk__baton_unmap(struct rk__baton *b);
/* Does it belong to `who`? It does if it was free. */
bool rk__baton_take(struct rk__baton *b, enum rk__baton_owner who);

/* --- what goes over the socket --------------------------------------------- */

enum { RK_HAND_VERSION = 1 };

enum rk__hand_type {
	/* down, in this order; descriptors in brackets */
	RK_HAND_PLAN = 1,	/* [config in external form, baton, cells] */
	RK_HAND_DEVICE,		/* mount `number` [rw, ro, journal] */
	RK_HAND_OVERLAY,	/* [overlay rw, ro, bitmap rw, ro] */
	RK_HAND_INBOX,		/* [inbox, /dev/fuse]; a: its flags */
	RK_HAND_SOCKET,		/* [listening, user and mount namespace]; text:
				 * its path; a: 1 if it is systemd's */
	RK_HAND_BEGIN,		/* that was all that can be had beforehand */
	RK_HAND_CLIENT,		/* [connection, pidfd, channel, eventfd] */
	RK_HAND_PAGES,		/* cell `number`, generation a [pages] */
	RK_HAND_STATE,		/* [core in external form] */
	/* up */
	RK_HAND_READY,		/* it waits for clients and state */
	RK_HAND_FAILED,		/* text: why */
	RK_HAND_DONE,		/* it has the baton, and serves */
};

enum { RK_HAND_FDS = 4 };

struct rk__hand {
	uint32_t version, type, number;
	uint32_t present;		/* bit i: descriptor i comes with it */
	uint64_t a;
	struct rk__message attach;	/* RK_HAND_CLIENT */
	uint32_t kind, pid, greeted, attached, pages, reserved;
	char text[RK_SERVER_ERROR_LEN];
};

/* fds: RK_HAND_FDS, -1 for none. They stay the caller's. */
int rk__hand_send(int socket, struct rk__hand *h, const int *fds);
/* Waits for one. -EPROTO: not of our version; 0 bytes are -EPIPE. */
int rk__hand_receive(int socket, struct rk__hand *ret, int *fds);
void rk__hand_close(int *fds);

/* --- the new one's holder ---------------------------------------------------- */

/* What was handed over before there was an estate. */
struct rk__handed {
	struct rk__image image[RK_MOUNTS_MAX];
	int overlay[RK_MOUNTS_MAX][4];	/* overlay rw, ro, bitmap rw, ro */
	int inbox[RK_MOUNTS_MAX], fuse[RK_MOUNTS_MAX];
	uint64_t fuse_flags[RK_MOUNTS_MAX];
	int socket;			/* of the hand-over itself */
	int listener, user_ns, mount_ns;
	int cells;			/* of the old family */
	char path[108];			/* of the listener */
	bool listener_given;		/* and it is not ours to remove */
	struct rk__baton *baton;
};

/* Takes the plan and all up to RK_HAND_BEGIN, and loads the drivers. A
 * negative errno, with a sentence in error (RK_SERVER_ERROR_LEN). Blocks. */
int rk__handed_receive(int socket, struct rk__handed *ret,
		       struct rk__config *c, char *error);
/* Tells the old one that it won't do. */
void rk__handed_fail(int socket, const char *sentence);
/* An estate of it. It keeps `handed`. */
int rk__estate_adopt(const struct rk__config *config,
		     struct rk__handed *handed, struct rk__estate **ret,
		     char *error);

/* --- the config, from its records --------------------------------------------- */

struct rk__ext_in;
/* All of a stream that has nothing else. size: RK_MOUNTS_MAX. -EPROTO with a
 * sentence. */
int rk__plan_read(struct rk__ext_in *in, struct rk__config *c,
		  uint64_t *size);

#endif
