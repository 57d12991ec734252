/*
 * keeper.h - the process that owns what a driver set must not touch: it
 * applies published records to the region images and overlays, writes the
 * journals and the devices. It reads records that a hostile server may have
 * written, so it believes nothing but bounds and checksums, and it shares with
 * the server only the log.
 */
#ifndef RK_KEEPER_H
#define RK_KEEPER_H

#include "../recovery/family.h"

/*
 * Before anything is served: replays the journal of each device, so that the
 * image holds the last flush point. undo_fd: for its checkpoints (undo.h), or -1. 0, or a negative errno with a sentence in
 * error (RK_SERVER_ERROR_LEN). Blocks on device I/O. *ret_replayed: number of
 * transactions replayed. -EMEDIUMTYPE: the journal is of another image, or the
 * image was changed since; -EUCLEAN: the journal is damaged. Nothing was
 * written then. May be killed and called again.
 */
int rk__journal_replay(int image_fd, int journal_fd, int undo_fd,
		       unsigned *ret_replayed, char *error);

enum rk__keeper_start {
	RK_KEEPER_GO_ON,		/* where `applied` and the journals stand */
	RK_KEEPER_REPLAY,		/* the first: replays the journals */
	/*
	 * No server runs, and none will that starts warm: applies all that is
	 * published, puts the devices back to the last flush point and throws
	 * the drivers' memory away. Refuses, with all as it was, if that flush
	 * point or the calls since are not to be had.
	 */
	RK_KEEPER_GO_BACK,
	/* The same as far as it can: what follows a record that cannot be
	 * applied is lost. */
	RK_KEEPER_SALVAGE,
};

/* The keeper's life: never returns. ready_fd: one byte is written to it when
 * it has done what `how` says and records can be applied; on failure, the
 * sentence. It exits with 1 at a record that cannot be
 * believed; a device that fails is only told in `error`. flushed_seq of a
 * record with RK_RECORD_CHECKPOINT means that the journals are empty. */
_Noreturn void rk__keeper_run(const struct rk__family *f,
			      enum rk__keeper_start how, int ready_fd);

#endif
