/*
 * client.h - librumpclient: use the files of a rump server without a mount.
 *
 * Every call of the op table (ops.h) is a function rk_<op>() here, with the
 * arguments of the system call it is named after, descriptors of the server in
 * place of the kernel's. Each returns what the system call would, >= 0, or a
 * negative errno; errno itself is not used. A call happens exactly once or not
 * at all, also when the server is killed and restarted meanwhile: the caller
 * notices nothing but the time. -ESHUTDOWN: the server was stopped; it is the
 * answer to this and every later call. -EPROTO: the server answered nonsense.
 *
 * Threads. Any thread may use a client; each gets a channel of its own at its
 * first call, freed when the thread ends. Descriptors, working directory, umask
 * and locks belong to the process.
 *
 * Handlers. A signal handler may make calls, also one that interrupted a call of
 * the same thread: it gets another channel. One that is left by siglongjmp leaves
 * the call done, or interrupted as the handler's signal would. What is not
 * async-signal-safe is memory: a call that needs a channel, rk_poll, gathers and
 * the calls across the border use malloc, and so must not be made by a handler
 * that may have interrupted malloc: a thread whose handlers call has to have made
 * one nested call before. In a build with memory of its own (the preload's) all
 * are async-signal-safe, but rk_detach and rk_refresh.
 *
 * fork(). A child inherits descriptors as from the kernel, shared offsets and
 * all, and has channels of its own when fork() returns. Children made without
 * the C library's fork (raw clone, vfork) must not use a client of the parent.
 *
 * Limits. RLIMIT_NOFILE and RLIMIT_FSIZE count from the attach or rk_refresh on;
 * a write beyond the latter raises SIGXFSZ and returns -EFBIG (a submitted one
 * raises nothing).
 *
 * Signals. A handler that runs while flock or setlkw waits, an fsync, or a fifo,
 * ends the call with -EINTR, or lets it go on if it was installed with
 * SA_RESTART (Linux 5.16; before that it always ends). No other call is
 * interrupted, and none at all of a client that uses the socket
 * (RK_ATTACH_SOCKET) or that stands in a ring. A write to a fifo that nobody
 * reads raises SIGPIPE.
 */
#ifndef RK_CLIENT_H
#define RK_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "event.h"
#include "views.h"

struct rk_client;

enum {
	RK_ATTACH_SOCKET = 1 << 0,	/* requests over the socket, no memfd */
	RK_ATTACH_PAGES = 1 << 1,	/* what is read often is read without a
					 * request, see "File pages" below */
	RK_ATTACH_POOL = 1 << 2,	/* for who calls for many others: any
					 * thread's call takes an idle channel.
					 * No rings, no handlers, no signals
					 * raised, no limits told */
};

/*
 * The socket of a server: of the one called `name`, or with NULL the one that
 * $RUMP_SOCKET names. 0, -EINVAL (no such name can be, or the variable is not
 * set), -ENAMETOOLONG. Looks at nothing: the socket need not exist.
 */
int rk_socket_path(const char *name, char *ret, size_t size);

/*
 * Attaches this process to the server behind a socket. *ret is the caller's,
 * until rk_detach. Blocks until the supervisor has answered. Errors are those
 * of connect(2), what the supervisor says (-EUSERS: too many clients), or
 * -EPROTO.
 */
int rk_attach(const char *socket_path, unsigned flags, struct rk_client **ret);
/* The same for another process: F_GETLK tells `pid` of its locks, if that is a
 * process of this user. The client ends with this process all the same. */
int rk_attach_for(const char *socket_path, unsigned flags, uint32_t pid,
		  struct rk_client **ret);

/*
 * For who serves others with few threads: `before` is called in a thread that
 * is about to sleep for an answer of a synchronous call. It must not use the
 * client. Once, before the client is used; NULL is what it is without.
 */
void rk_before_sleep(struct rk_client *client, void (*before)(void));

/*
 * A new client of the same server and flags, in this process, with the
 * descriptors, working directory, umask and limits that the parent's has now, as
 * from fork(). pid as above. Errors as of rk_attach; -EOPNOTSUPP: the parent is not a server's.
 */
int rk_attach_child(const struct rk_client *parent, uint32_t pid,
		    struct rk_client **ret);

/*
 * Closes all descriptors of the client and frees it. No other thread may be in
 * a call or make one afterwards. NULL is allowed.
 */
void rk_detach(struct rk_client *client);

/*
 * int64_t rk_<op>(client, arguments...): one synchronous call. Strings and
 * buffers are the caller's and used until the call returns. Lengths are bytes.
 * Blocks until the answer is there. Beside what the call itself can fail with:
 * -EFAULT for a NULL string, -EMSGSIZE for data longer than RK_IO_MAX (or
 * RK_MESSAGE_MAX on a socket), -ENOMEM, -ESHUTDOWN, -EPROTO.
 *
 * read, write, pread and pwrite take any length: they are done in pieces, and a
 * failure after the first piece returns the bytes done so far. Atomic is each
 * piece.
 */
#define RK_DECLARE(name, ...)						\
	int64_t rk_##name(struct rk_client *client ARGS_##name(RK_SIG));
RK_OPS(RK_DECLARE)
#undef RK_DECLARE

/*
 * Many calls at once. rk_submit_<op>(client, tag, arguments...) puts a request
 * into the calling thread's ring of RK_RING_SLOTS and returns 0 without
 * waiting; strings and input are copied, output buffers stay borrowed until the
 * completion is taken. Payload in and out is limited to RK_RING_PAYLOAD
 * (-EMSGSIZE); -EAGAIN: the ring is full, take completions first. Requests of
 * one ring may be served in any order. On a socket each is simply done at once.
 */
#define RK_DECLARE(name, ...)						\
	int rk_submit_##name(struct rk_client *client,			\
			     uint64_t tag ARGS_##name(RK_SIG));
RK_OPS(RK_DECLARE)
#undef RK_DECLARE

struct rk_completion {
	uint64_t tag;			/* as submitted */
	int64_t result;			/* as the synchronous call returns */
	uint32_t op;			/* enum rk_op */
	uint32_t out_len;		/* bytes written to the output buffer */
};

/* Tells the server of what was submitted. rk_complete does it too. 0, or a
 * negative errno. */
int rk_kick(struct rk_client *client);

/*
 * Takes up to max completions of this thread's requests, waiting until there
 * are min of them or nothing is outstanding; min 0 never blocks. Returns how
 * many, or a negative errno if there is none (-ESHUTDOWN).
 */
int rk_complete(struct rk_client *client, struct rk_completion *ret,
		unsigned max, unsigned min);

struct statx;
struct timespec;

/*
 * Gathers: readv(2) and its like as one op, and so atomic, up to RK_IO_MAX bytes
 * (RK_MESSAGE_MAX / 2 on a socket); longer ones are done in pieces, as read and
 * write are. offset -1: the descriptor's own. flags: RWF_HIPRI, RWF_DSYNC,
 * RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_NOAPPEND.
 */
int64_t rk_readv(struct rk_client *client, int32_t fd, const struct iovec *iov,
		 int n);
int64_t rk_writev(struct rk_client *client, int32_t fd,
		  const struct iovec *iov, int n);
int64_t rk_preadv2(struct rk_client *client, int32_t fd,
		   const struct iovec *iov, int n, int64_t offset,
		   uint32_t flags);
int64_t rk_pwritev2(struct rk_client *client, int32_t fd,
		    const struct iovec *iov, int n, int64_t offset,
		    uint32_t flags);

/* statx(2): all that a driver tells, stx_mnt_id the number of the mount. */
int rk_statx(struct rk_client *client, int32_t dirfd, const char *path,
	     uint32_t flags, uint32_t mask, struct statx *ret);

/*
 * sendfile(2) across the border, in either direction: `host` is a descriptor of
 * this process, fd one of the server; as with splice(2), either may be a pipe or
 * a socket on the host's side. *offset, or with NULL the descriptor's own
 * offset, is that of fd, and moves on by what is returned. What was read from a
 * host's pipe when the write fails is lost. -EINTR: a signal came before
 * anything was moved.
 */
int64_t rk_send_to_host(struct rk_client *client, int host, int32_t fd,
			int64_t *offset, uint64_t count);
int64_t rk_receive_from_host(struct rk_client *client, int32_t fd,
			     int64_t *offset, int host, uint64_t count);

/*
 * poll(2) on a mixture: descriptors of servers (`client` says which) and of the
 * host (`client` NULL). timeout_ms -1: for ever. Waits without spinning, whoever
 * becomes ready first. Returns how many are ready, 0 after the time is over,
 * -EINTR after any signal (as poll(2), whatever SA_RESTART says). Regular files
 * and directories are always ready, fifos when they are.
 */
struct rk_pollfd {
	struct rk_client *client;
	int32_t fd;
	uint16_t events, revents;
};
int rk_poll(struct rk_pollfd *fds, unsigned n, int timeout_ms);
/* The same with ppoll(2)'s timeout (NULL: for ever) and set of signals that are
 * blocked while it sleeps (the kernel's, of 64; NULL: those that are). */
int rk_ppoll(struct rk_pollfd *fds, unsigned n, const struct timespec *timeout,
	     const uint64_t *mask);

/*
 * File pages. With RK_ATTACH_PAGES, what pread, fstat, fstatat and statx ask for
 * again and again comes from memory that the server keeps right: no request is
 * made, and it is there while the server is dead. It is never older than the
 * answer of any call that has returned. Who may not write a file, or is neither
 * root nor the user that the server belongs to, asks the server as ever.
 *
 * rk_map: [offset, offset + length) of fd for mmap(2), with the same prot and
 * flags. offset: of whole pages. All of it that the file has is there when this
 * returns. *ret_memfd is the caller's, to be mapped at *ret_offset, and may be
 * closed at once; its size is the file's (or, of a copy, what was asked for), so
 * that what lies beyond the end is as in a mapping of the file (SIGBUS).
 * Returns a handle >= 1 of this process, for as long as the mapping exists, or 0:
 * the memfd is a copy for this caller alone, and there is nothing to be undone.
 * Such a copy is made for MAP_PRIVATE and for PROT_READ alone where the pages
 * of the file are not to be had. Errors are mmap's: -EBADF, -EACCES (prot is
 * more than fd may), -EINVAL, -ENODEV (no regular file, or one that cannot be
 * mapped shared and writable here), -ENOMEM, -EOVERFLOW.
 *
 * With a handle, mapping and file are one: others' writes and truncations are seen
 * in it after they returned; what is stored in a shared mapping is seen by everybody
 * who reads the file. It is in the file itself, and durable, when
 * rk_map_sync (msync), or fsync, fdatasync, sync, syncfs of anybody returns; in
 * the file, when rk_unmap returns. The end of a process is an rk_unmap of all.
 * A child of fork has its parent's mappings and handles, of its own.
 *
 * rk_map_sync: bytes of the file, not of the mapping; length 0: to its end. wait:
 * MS_SYNC, durable; else MS_ASYNC, seen to later. May be called with handle 0,
 * and does nothing then. -EINVAL: no such handle. -EIO, -ENOSPC: as msync(2).
 *
 * rk_unmap: when nothing of the mapping is left, after munmap(2). 0 is allowed.
 */
int64_t rk_map(struct rk_client *client, int32_t fd, int64_t offset,
	       uint64_t length, int prot, int flags, int *ret_memfd,
	       uint64_t *ret_offset);
int rk_map_sync(struct rk_client *client, uint32_t map, int64_t offset,
		uint64_t length, int wait);
int rk_unmap(struct rk_client *client, uint32_t map);

/*
 * After setuid(2), setgroups(2) or setrlimit(2): tells the server what the
 * kernel says of this process now. Holds for all its threads. -EBUSY: the
 * calling thread has requests in its ring.
 */
int rk_refresh(struct rk_client *client);

/*
 * Being told what happens to a server (event.h has the record). Nobody needs it
 * to go on after a restart: it is for programs that want to know, or that must
 * do something about what was not kept (rk_event.lost). After Otherworld's crash
 * procedures (Depoutovitch and Stumm, EuroSys 2010).
 *
 * rk_watch: a descriptor of the caller's, to be closed by close(2), which is
 * readable (poll(2)) when there is an event; the last ones come first, then one of
 * kind RK_HAPPENED_NOTHING. Only the
 * user that the server belongs to and root are told: -ESHUTDOWN at the first
 * rk_watch_next otherwise. Errors are those of connect(2). rk_watch_next takes
 * one, waiting for it unless the descriptor is non-blocking (-EAGAIN).
 * -ESHUTDOWN: the supervisor is gone, and there will be no more.
 *
 * rk_on_restart: fn is called, on a thread of the library, after each restart of
 * the client's server and whenever something was not kept; a last time, with
 * RK_HAPPENED_ENDED, when the supervisor is gone, which takes the descriptors of
 * this client along. fn may make calls. It is not called in children of fork,
 * and may still be running when rk_detach returns: ctx must outlive it. -ENOMEM,
 * -EAGAIN: no thread; -EOPNOTSUPP: the client is not a server's.
 */
int rk_watch(const char *socket_path);
int rk_watch_next(int watch, struct rk_event *ret);
typedef void rk_restart_fn(void *ctx, const struct rk_event *e);
int rk_on_restart(struct rk_client *client, rk_restart_fn *fn, void *ctx);

#endif
