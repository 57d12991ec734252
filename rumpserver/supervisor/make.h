/*
 * make.h - making what the processes of a driver set share.
 *
 * There are two views of one family: the keeper's, whose descriptors write the
 * images, overlays and regions, and the server's, whose descriptors of the
 * same things only read. What both write (board, log, inboxes) is the same
 * descriptor in both.
 */
#ifndef RK_MAKE_H
#define RK_MAKE_H

#include "supervisor.h"

struct rk__views {
	struct rk__family keeper;
	struct rk__family server;
};

/* What one source was opened as. */
struct rk__image {
	int rw_fd;			/* -1: read-only */
	int ro_fd;			/* the only one of what is no image */
	int journal_fd;			/* -1: read-only */
	uint64_t size;
	int undo_fd;			/* of its checkpoints; -1: read-only */
	bool journal_new, undo_new;	/* it was not there before */
	char journal[4096 + 64];	/* its path; "" : none */
	char undo[4096 + 64];		/* the same */
};

/*
 * Opens the source of a mount, as m->kind has it, and locks it, unless it is a
 * directory: alone, or together with other readers if it is only read. The lock
 * lives as long as any process holds the descriptors. Creates the journal. 0, or a negative errno with a sentence in
 * error (RK_SERVER_ERROR_LEN).
 */
int rk__image_open(const struct rk__mount_spec *m, struct rk__image *ret,
		   char *error);
void rk__image_close(struct rk__image *image);
/* Nothing was done with it: removes what opening it has made. */
void rk__image_unmake(const struct rk__image *image);
/* The image holds all that there is: removes the journal, and the file of its
 * checkpoints if there are none. May be called again. */
void rk__image_settled(struct rk__image *image);
/* Another program has it: the two above do nothing. */
void rk__image_forget(struct rk__image *image);

/* Makes all of it. On failure nothing is left, and error says why. The images
 * are in image[] (RK_MOUNTS_MAX, all zero before), of which the views hold the
 * descriptors. */
int rk__views_init(const struct rk__config *config, struct rk__views *ret,
		   struct rk__image *image, char *error);
/* The same around what another supervisor handed over (upgrade.h). */
struct rk__handed;
int rk__views_adopt(const struct rk__config *config, struct rk__views *ret,
		    const struct rk__handed *handed, char *error);
void rk__views_finish(struct rk__views *v);
/* Lets go of the images' locks, whoever still has their descriptors. */
void rk__views_unlock(struct rk__views *v);

/* In the zygote: closes everything else but fd and the standard streams, be it
 * the supervisor's or of whoever started it. */
void rk__views_only(const struct rk__views *v, int fd);
/* In a fresh child: closes what only the other view holds. */
const struct rk__family *rk__views_keep(struct rk__views *v, bool keeper);


/* See supervisor.h. */
struct rk__estate {
	struct rk__config config;
	struct rk__views views;
	struct rk__image image[RK_MOUNTS_MAX];
	int fuse_fd[RK_MOUNTS_MAX];	/* -1: not mounted */
	uint64_t fuse_flags[RK_MOUNTS_MAX];
	uint64_t started_s;
	struct rk__estate_status status;
	int holder;			/* in a supervisor: its socket; -1 none */
	/* What it was made of, for its first supervisor; NULL: nothing. */
	struct rk__handed *handed;
	/* An upgrade that is under way or was the last; NULL: none. The other
	 * program's holder, if it is ours that is old. */
	struct rk__baton *baton;
	pid_t successor;
};

int rk__estate_init(const struct rk__config *config, struct rk__estate *ret,
		    char *error);
void rk__estate_finish(struct rk__estate *e);
/* RUMP_CRASH=name[:skip]. */
int rk__estate_plant(struct rk__estate *e, char *error);

/* What a supervisor tells its holder, with the descriptor of RK_HOLD_FUSE. */
enum rk__hold_type {
	RK_HOLD_FUSE = 1,		/* keep /dev/fuse of this mount */
	RK_HOLD_NOTHING,		/* it is given up: close them all */
	RK_HOLD_BATON,			/* an upgrade; flags: the new holder */
	RK_HOLD_STATUS,			/* it serves, and its loop turns */
};

struct rk__hold {
	uint32_t type, mount;
	uint64_t flags;
	uint64_t restarts;
	uint32_t users, reserved;
};

#endif
