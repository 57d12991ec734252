/*
 * commit.h - what the parts of recovery/ share about the commit under way.
 * Servers use recovery.h.
 */
#ifndef RK_COMMIT_H
#define RK_COMMIT_H

#include "recovery/recovery.h"

/* The log of this family, mapped by rk__recovery_prepare. */
extern struct rk__log rk__log;
extern const struct rk__family *rk__family;

/* --- notes: changes of the core region --------------------------------- */

uint32_t rk__notes_count(void);
size_t rk__notes_length(void);		/* bytes of the section */
void rk__notes_write(uint8_t *to);	/* with what the memory holds now */
void rk__notes_undo(void);		/* the memory back, latest first */
void rk__notes_clear(void);
bool rk__driver_changed(void);
uint64_t rk__changed_bytes(void);
/* RK_CHECK_NOTES: aborts if core memory changed without a note. */
void rk__notes_verify(void);
void rk__notes_verify_start(void);

/* --- staged blocks: they stand in the log behind the record to come ---- */

uint32_t rk__staged_count(void);
void rk__staged_write_ids(uint8_t *to);
void rk__staged_committed(void);
void rk__staged_drop(void);
/* A successor: the blocks of a record at pos that is not applied yet. */
void rk__staged_learn(const struct rk__record_view *v, uint64_t pos);
/* Where block data of a record starts. */
#define RK_STAGED_AT(pos, i) \
	((pos) + sizeof(struct rk__record) + (uint64_t)(i) * RK_PAGE)

/*
 * Makes room: returns when the log can hold bytes from `published` on. Waits
 * for the keeper if it must; -EFBIG if no record may be so long.
 */
int rk__log_reserve(uint64_t bytes);
/* Calls the keeper. */
void rk__log_wake_keeper(void);

#endif
