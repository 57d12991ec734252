/*
 * fuse_init.c - INIT, which the supervisor answers once for the life of a
 * mount: the servers behind it come and go without the kernel's knowing.
 *
 * Not asked for, and why: ATOMIC_O_TRUNC (a truncation may take stages),
 * WRITEBACK_CACHE unless the mount wants it (what write(2) was told is known to
 * the kernel only then, until it flushes: clients of the library do not see it).
 * DONT_MASK: the umask counts only where a directory has no default access
 * list, which the kernel does not know.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "fuse.h"

#define WANTED ((uint64_t)(FUSE_ASYNC_READ | FUSE_POSIX_LOCKS |	\
	FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES | FUSE_FLOCK_LOCKS |	\
	FUSE_DO_READDIRPLUS | FUSE_POSIX_ACL | FUSE_DONT_MASK |		\
	FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |	\
	FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |				\
	FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_INIT_EXT) |	\
	RK_FUSE_HAS_RESEND)

enum { OLDEST_MINOR = 31 };	/* Linux 5.4 */

struct init_request {
	struct fuse_in_header head;
	struct fuse_init_in in;
	uint8_t rest[FUSE_MIN_READ_BUFFER];
};

static int read_init(int fd, struct init_request *q)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	do {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		n = read(fd, q, sizeof *q);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof q->head + 16 || q->head.opcode != FUSE_INIT ||
	    q->in.major != FUSE_KERNEL_VERSION || q->in.minor < OLDEST_MINOR)
		return -EPROTO;
	return 0;
}

/* Telling it of a new epoch does nothing now, but shows whether it can. */
static bool knows_epochs(int fd)
{
	const struct fuse_out_header m = {
		.len = sizeof m,
		.error = RK_FUSE_NOTIFY_EPOCH,
	};

	return write(fd, &m, sizeof m) == sizeof m;
}

int rk__fuse_init(int fd, bool writeback, uint64_t *ret_flags)
{
	struct {
		struct fuse_out_header head;
		struct fuse_init_out out;
	} a;
	struct init_request q = { 0 };
	uint64_t offered, flags;
	int r = read_init(fd, &q);

	if (r < 0)
		return r;
	offered = q.in.flags;
	if (offered & FUSE_INIT_EXT)
		offered |= (uint64_t)q.in.flags2 << 32;
	flags = offered & (WANTED | (writeback ? FUSE_WRITEBACK_CACHE : 0));
	a.head = (struct fuse_out_header){
		.len = sizeof a,
		.unique = q.head.unique,
	};
	a.out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = q.in.minor < RK_FUSE_MINOR ? q.in.minor :
			RK_FUSE_MINOR,
		.max_readahead = q.in.max_readahead,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = RK_FUSE_MAX_WRITE,
		.time_gran = 1,
		.max_pages = RK_FUSE_MAX_WRITE / RK_PAGE,
	};
	if (write(fd, &a, sizeof a) != sizeof a)
		return -errno;
	*ret_flags = flags | (knows_epochs(fd) ? RK_FUSE_HAS_EPOCH : 0);
	return 0;
}
