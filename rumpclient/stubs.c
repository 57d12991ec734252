/*
 * stubs.c - the functions of client.h, one of each kind for every op.
 */
#include "hot.h"

/* These take any length: the table makes the call for one piece. */
#define rk_read		read_piece
#define rk_write	write_piece
#define rk_pread	pread_piece
#define rk_pwrite	pwrite_piece
/* These need not ask. */
#define rk_lseek	lseek_call
#define rk_fstat	fstat_call
#define rk_fstatat	fstatat_call

#define DECLARE(name)							\
	static int64_t name##_piece(struct rk_client *client		\
				    ARGS_##name(RK_SIG));
DECLARE(read)
DECLARE(write)
DECLARE(pread)
DECLARE(pwrite)

#undef DECLARE
#define DECLARE(name)							\
	static int64_t name##_call(struct rk_client *client		\
				   ARGS_##name(RK_SIG));
DECLARE(lseek)
DECLARE(fstat)
DECLARE(fstatat)

#define CALL(name, ...)							\
int64_t rk_##name(struct rk_client *client ARGS_##name(RK_SIG))		\
{									\
	struct op_##name a_ = { ARGS_##name(RK_SET) };			\
	void *back_ = ARGS_##name(RK_BACK) NULL;			\
	struct rk__call call_;						\
	uint32_t got_;							\
	int r_ = rk__call_begin(client, &call_);			\
									\
	if (r_ == 0)							\
		r_ = rk_encode_##name(&call_.req, call_.payload,	\
				      call_.room, &a_);			\
	else								\
		return r_;						\
	if (r_ == 0)							\
		return rk__call_end(&call_, back_, &got_);		\
	rk__link_put(call_.link);					\
	return r_;							\
}
RK_OPS(CALL)

#undef rk_read
#undef rk_write
#undef rk_pread
#undef rk_pwrite
#undef rk_lseek
#undef rk_fstat
#undef rk_fstatat

#define SUBMIT(name, ...)						\
int rk_submit_##name(struct rk_client *client, uint64_t tag		\
		     ARGS_##name(RK_SIG))				\
{									\
	struct op_##name a_ = { ARGS_##name(RK_SET) };			\
	void *back_ = ARGS_##name(RK_BACK) NULL;			\
	struct rk__call call_;						\
	int r_ = rk__submit_begin(client, &call_);			\
									\
	if (r_ == 0)							\
		r_ = rk_encode_##name(&call_.req, call_.payload,	\
				      call_.room, &a_);			\
	else								\
		return r_;						\
	if (r_ == 0)							\
		r_ = rk__submit_end(&call_, tag, back_);		\
	rk__link_put(call_.link);					\
	return r_;							\
}
RK_OPS(SUBMIT)

uint64_t rk__piece_of(const struct rk_client *c, uint64_t count)
{
	uint64_t max = c->flags & RK_ATTACH_SOCKET ? RK_MESSAGE_MAX / 2 :
		       RK_IO_MAX;

	return count < max ? count : max;
}

/* Goes on while pieces come back whole. */
#define PIECES(call, count) do {					\
	uint64_t done_ = 0;						\
									\
	for (;;) {							\
		uint64_t piece = rk__piece_of(client, (count) - done_);	\
		int64_t r_ = call;					\
									\
		if (r_ < 0)						\
			return done_ ? (int64_t)done_ : r_;		\
		done_ += (uint64_t)r_;					\
		if ((uint64_t)r_ < piece || done_ >= (count))		\
			return (int64_t)done_;				\
	}								\
} while (0)

int64_t rk_read(struct rk_client *client, int32_t fd, void *buf, uint64_t count)
{
	int64_t r = rk__hot_read(client, fd, buf, count);

	if (r != RK_HOT_COLD)
		return r;
	PIECES(read_piece(client, fd, (char *)buf + done_, piece), count);
}

int64_t rk_write(struct rk_client *client, int32_t fd, const void *buf,
		 uint64_t count)
{
	PIECES(write_piece(client, fd, (const char *)buf + done_, piece),
	       count);
}

int64_t rk_pread(struct rk_client *client, int32_t fd, void *buf,
		 uint64_t count, int64_t offset)
{
	int64_t r = rk__hot_pread(client, fd, buf, count, offset);

	if (r != RK_HOT_COLD)
		return r;
	PIECES(pread_piece(client, fd, (char *)buf + done_, piece,
			   offset + (int64_t)done_), count);
}

int64_t rk_pwrite(struct rk_client *client, int32_t fd, const void *buf,
		  uint64_t count, int64_t offset)
{
	PIECES(pwrite_piece(client, fd, (const char *)buf + done_, piece,
			    offset + (int64_t)done_), count);
}

int64_t rk_lseek(struct rk_client *client, int32_t fd, int64_t offset,
		 uint32_t whence)
{
	int64_t r = rk__hot_lseek(client, fd, offset, whence);

	return r != RK_HOT_COLD ? r : lseek_call(client, fd, offset, whence);
}

int64_t rk_fstat(struct rk_client *client, int32_t fd, struct rk_stat *st)
{
	int64_t r = rk__hot_fstat(client, fd, st);

	return r != RK_HOT_COLD ? r : fstat_call(client, fd, st);
}

int64_t rk_fstatat(struct rk_client *client, int32_t dirfd, const char *path,
		   struct rk_stat *st, uint32_t flags)
{
	int64_t r = rk__hot_fstatat(client, dirfd, path, st, flags);

	return r != RK_HOT_COLD ? r :
	       fstatat_call(client, dirfd, path, st, flags);
}
