/*
 * ops.h - every forwarded call, declared once.
 *
 * A row names a call, its number on the wire (never reused, never reordered),
 * what routes it, and how it may be treated; ARGS_<call> lists its arguments.
 * views.h turns the rows into numbers, structs, encoders, decoders, traces,
 * client stubs and dispatchers: a new call is two lines here.
 *
 * Argument kinds, one argument word each:
 *   FD(n)        descriptor of this server
 *   DIR(n)       descriptor of a directory, or RK_AT_FDCWD
 *   I32 U32 I64 U64 (n)
 *   PATH(n)      string in the payload, at most RK_PATH_LEN_MAX with its NUL
 *   NAME(n)      string in the payload, at most RK_NAME_LEN_MAX + 1 with its NUL
 *   IN(p, len)   bytes in the payload, at most RK_IO_MAX
 *   OUT(p, len)  room in the payload for bytes that come back; one per call
 *   OUTS(type, p) the same for exactly one struct
 *
 * Routing:  BY_NONE, BY_FD, BY_PATH
 * Flags:    MUTATES  may change state, so its answer waits for a commit
 *           BLOCKS   may park
 *           STAGES   long work is committed in stages
 * What it changes, if it MUTATES (docs/recovery.md is made of these):
 *           FILES    files, which are on the device from the next flush point on
 *           PROCESS  descriptors, offsets and the like of the caller
 *           LOCKS    locks
 *           DURABLE  nothing: what was changed before is on the device then
 */
#ifndef RK_OPS_H
#define RK_OPS_H

#define RK_OPS(OP)							\
	OP(null,	1, BY_NONE, 0)					\
	OP(openat,	2, BY_PATH, MUTATES | BLOCKS | FILES | PROCESS)	\
	OP(close,	3, BY_FD,   MUTATES | PROCESS | LOCKS)		\
	OP(read,	4, BY_FD,   MUTATES | BLOCKS | PROCESS)		\
	OP(write,	5, BY_FD,   MUTATES | BLOCKS | FILES | PROCESS)	\
	OP(pread,	6, BY_FD,   0)					\
	OP(pwrite,	7, BY_FD,   MUTATES | FILES)			\
	OP(lseek,	8, BY_FD,   MUTATES | PROCESS)			\
	OP(fstat,	9, BY_FD,   0)					\
	OP(fstatat,	10, BY_PATH, 0)					\
	OP(faccessat,	11, BY_PATH, 0)					\
	OP(mkdirat,	12, BY_PATH, MUTATES | FILES)			\
	OP(mknodat,	13, BY_PATH, MUTATES | FILES)			\
	OP(unlinkat,	14, BY_PATH, MUTATES | FILES)			\
	OP(renameat2,	15, BY_PATH, MUTATES | FILES)			\
	OP(linkat,	16, BY_PATH, MUTATES | FILES)			\
	OP(symlinkat,	17, BY_PATH, MUTATES | FILES)			\
	OP(readlinkat,	18, BY_PATH, 0)					\
	OP(ftruncate,	19, BY_FD,   MUTATES | STAGES | FILES)		\
	OP(truncate,	20, BY_PATH, MUTATES | STAGES | FILES)		\
	OP(fallocate,	21, BY_FD,   MUTATES | STAGES | FILES)		\
	OP(fchmod,	22, BY_FD,   MUTATES | FILES)			\
	OP(fchmodat,	23, BY_PATH, MUTATES | FILES)			\
	OP(fchown,	24, BY_FD,   MUTATES | FILES)			\
	OP(fchownat,	25, BY_PATH, MUTATES | FILES)			\
	OP(utimensat,	26, BY_PATH, MUTATES | FILES)			\
	OP(getdents,	27, BY_FD,   MUTATES | PROCESS)			\
	OP(fsync,	28, BY_FD,   MUTATES | BLOCKS | DURABLE)	\
	OP(fdatasync,	29, BY_FD,   MUTATES | BLOCKS | DURABLE)	\
	OP(sync,	30, BY_NONE, MUTATES | BLOCKS | DURABLE)	\
	OP(statfs,	31, BY_PATH, 0)					\
	OP(fstatfs,	32, BY_FD,   0)					\
	OP(getxattr,	33, BY_PATH, 0)					\
	OP(setxattr,	34, BY_PATH, MUTATES | FILES)			\
	OP(listxattr,	35, BY_PATH, 0)					\
	OP(removexattr,	36, BY_PATH, MUTATES | FILES)			\
	OP(fgetxattr,	37, BY_FD,   0)					\
	OP(fsetxattr,	38, BY_FD,   MUTATES | FILES)			\
	OP(flistxattr,	39, BY_FD,   0)					\
	OP(fremovexattr, 40, BY_FD,   MUTATES | FILES)			\
	OP(flock,	41, BY_FD,   MUTATES | BLOCKS | LOCKS)		\
	OP(getlk,	42, BY_FD,   0)					\
	OP(setlk,	43, BY_FD,   MUTATES | LOCKS)			\
	OP(setlkw,	44, BY_FD,   MUTATES | BLOCKS | LOCKS)		\
	OP(dup,		45, BY_FD,   MUTATES | PROCESS)			\
	OP(dup3,	46, BY_FD,   MUTATES | PROCESS | LOCKS)		\
	OP(getfl,	47, BY_FD,   0)					\
	OP(setfl,	48, BY_FD,   MUTATES | PROCESS)			\
	OP(chdir,	49, BY_PATH, MUTATES | PROCESS)			\
	OP(fchdir,	50, BY_FD,   MUTATES | PROCESS)			\
	OP(getcwd,	51, BY_NONE, 0)					\
	OP(umask,	52, BY_NONE, MUTATES | PROCESS)			\
	OP(copy_file_range, 53, BY_FD,   MUTATES | FILES | PROCESS)	\
	OP(seek_data,	54, BY_FD,   0)					\
	OP(openat2,	55, BY_PATH, MUTATES | BLOCKS | FILES | PROCESS) \
	OP(pread2,	56, BY_FD,   MUTATES | BLOCKS | PROCESS)	\
	OP(pwrite2,	57, BY_FD,   MUTATES | BLOCKS | FILES | PROCESS) \
	OP(syncfs,	58, BY_FD,   MUTATES | BLOCKS | DURABLE)	\
	OP(sync_file_range, 59, BY_FD,   MUTATES | BLOCKS | DURABLE)	\
	OP(name_to_handle_at, 60, BY_PATH, 0)				\
	OP(open_by_handle_at, 61, BY_FD,   MUTATES | BLOCKS | FILES | PROCESS) \
	OP(fcntl,	62, BY_FD,   MUTATES | PROCESS)			\
	OP(ioctl,	63, BY_FD,   MUTATES | FILES | PROCESS)		\
	OP(close_range,	64, BY_NONE, MUTATES | PROCESS | LOCKS)		\
	OP(rlimit,	65, BY_NONE, MUTATES | PROCESS)			\
	OP(poll_fds,	66, BY_NONE, BLOCKS)				\
	OP(offer,	67, BY_FD,   MUTATES | PROCESS)			\
	OP(take,	68, BY_NONE, MUTATES | PROCESS)			\
	OP(resolve,	69, BY_PATH, 0)					\
	OP(reopen,	70, BY_FD,   MUTATES | BLOCKS | FILES | PROCESS) \
	OP(look,	71, BY_PATH, 0)					\
	OP(pin,		72, BY_FD,   MUTATES | PROCESS)			\
	OP(pin_sync,	73, BY_NONE, MUTATES | BLOCKS | DURABLE)	\
	OP(unpin,	74, BY_NONE, MUTATES | STAGES | FILES | PROCESS)	\
	OP(checkpoint,	75, BY_NONE, MUTATES | BLOCKS | DURABLE)	\
	OP(checkpoint_delete, 76, BY_NONE, MUTATES | BLOCKS | DURABLE)

#define ARGS_null(A)
#define ARGS_openat(A)		A(DIR, dirfd) A(PATH, path) A(U32, flags) A(U32, mode)
#define ARGS_close(A)		A(FD, fd)
#define ARGS_read(A)		A(FD, fd) A(OUT, buf, count)
#define ARGS_write(A)		A(FD, fd) A(IN, buf, count)
#define ARGS_pread(A)		A(FD, fd) A(OUT, buf, count) A(I64, offset)
#define ARGS_pwrite(A)		A(FD, fd) A(IN, buf, count) A(I64, offset)
#define ARGS_lseek(A)		A(FD, fd) A(I64, offset) A(U32, whence)
#define ARGS_fstat(A)		A(FD, fd) A(OUTS, struct rk_stat, st)
#define ARGS_fstatat(A)		A(DIR, dirfd) A(PATH, path) A(OUTS, struct rk_stat, st) A(U32, flags)
#define ARGS_faccessat(A)	A(DIR, dirfd) A(PATH, path) A(U32, mode) A(U32, flags)
#define ARGS_mkdirat(A)		A(DIR, dirfd) A(PATH, path) A(U32, mode)
#define ARGS_mknodat(A)		A(DIR, dirfd) A(PATH, path) A(U32, mode) A(U64, dev)
#define ARGS_unlinkat(A)	A(DIR, dirfd) A(PATH, path) A(U32, flags)
#define ARGS_renameat2(A)	A(DIR, olddirfd) A(PATH, oldpath) A(DIR, newdirfd) A(PATH, newpath) A(U32, flags)
/* oldpath "" with AT_EMPTY_PATH is root's; with AT_SYMLINK_FOLLOW too it is as by
 * the name of the descriptor in /proc/self/fd, which everybody may */
#define ARGS_linkat(A)		A(DIR, olddirfd) A(PATH, oldpath) A(DIR, newdirfd) A(PATH, newpath) A(U32, flags)
#define ARGS_symlinkat(A)	A(PATH, target) A(DIR, dirfd) A(PATH, path)
#define ARGS_readlinkat(A)	A(DIR, dirfd) A(PATH, path) A(OUT, buf, size)
#define ARGS_ftruncate(A)	A(FD, fd) A(I64, length)
#define ARGS_truncate(A)	A(PATH, path) A(I64, length)
#define ARGS_fallocate(A)	A(FD, fd) A(U32, mode) A(I64, offset) A(I64, length)
#define ARGS_fchmod(A)		A(FD, fd) A(U32, mode)
#define ARGS_fchmodat(A)	A(DIR, dirfd) A(PATH, path) A(U32, mode) A(U32, flags)
#define ARGS_fchown(A)		A(FD, fd) A(U32, uid) A(U32, gid)
#define ARGS_fchownat(A)	A(DIR, dirfd) A(PATH, path) A(U32, uid) A(U32, gid) A(U32, flags)
/* path "" with RK_AT_EMPTY_PATH names dirfd itself */
#define ARGS_utimensat(A)	A(DIR, dirfd) A(PATH, path) A(I64, atime_sec) A(U32, atime_nsec) A(I64, mtime_sec) A(U32, mtime_nsec) A(U32, flags)
#define ARGS_getdents(A)	A(FD, fd) A(OUT, buf, size)
#define ARGS_fsync(A)		A(FD, fd)
#define ARGS_fdatasync(A)	A(FD, fd)
#define ARGS_sync(A)
#define ARGS_statfs(A)		A(PATH, path) A(OUTS, struct rk_statfs, st)
#define ARGS_fstatfs(A)		A(FD, fd) A(OUTS, struct rk_statfs, st)
#define ARGS_getxattr(A)	A(PATH, path) A(NAME, name) A(OUT, value, size) A(U32, flags)
#define ARGS_setxattr(A)	A(PATH, path) A(NAME, name) A(IN, value, size) A(U32, xflags) A(U32, flags)
#define ARGS_listxattr(A)	A(PATH, path) A(OUT, list, size) A(U32, flags)
#define ARGS_removexattr(A)	A(PATH, path) A(NAME, name) A(U32, flags)
#define ARGS_fgetxattr(A)	A(FD, fd) A(NAME, name) A(OUT, value, size)
#define ARGS_fsetxattr(A)	A(FD, fd) A(NAME, name) A(IN, value, size) A(U32, xflags)
#define ARGS_flistxattr(A)	A(FD, fd) A(OUT, list, size)
#define ARGS_fremovexattr(A)	A(FD, fd) A(NAME, name)
#define ARGS_flock(A)		A(FD, fd) A(U32, operation)
#define ARGS_getlk(A)		A(FD, fd) A(OUTS, struct rk_flock, lock) A(U32, type) A(I64, start) A(I64, length) A(U32, whence) A(U32, ofd)
#define ARGS_setlk(A)		A(FD, fd) A(U32, type) A(I64, start) A(I64, length) A(U32, whence) A(U32, ofd)
#define ARGS_setlkw(A)		A(FD, fd) A(U32, type) A(I64, start) A(I64, length) A(U32, whence) A(U32, ofd)
#define ARGS_dup(A)		A(FD, fd) A(I32, minimum)
#define ARGS_dup3(A)		A(FD, oldfd) A(I32, newfd) A(U32, flags)
#define ARGS_getfl(A)		A(FD, fd)
#define ARGS_setfl(A)		A(FD, fd) A(U32, flags)
#define ARGS_chdir(A)		A(PATH, path)
#define ARGS_fchdir(A)		A(FD, fd)
#define ARGS_getcwd(A)		A(OUT, buf, size)
#define ARGS_umask(A)		A(U32, mask)
#define ARGS_copy_file_range(A)	A(FD, fd_in) A(I64, off_in) A(FD, fd_out) A(I64, off_out) A(U64, count) A(U32, flags)
#define ARGS_seek_data(A)	A(FD, fd) A(I64, offset) A(U32, whence)
/* flags, mode and resolve as in struct open_how */
#define ARGS_openat2(A)		A(DIR, dirfd) A(PATH, path) A(U64, flags) A(U64, mode) A(U64, resolve)
/* one piece of preadv2 and pwritev2: offset -1 is the descriptor's own */
#define ARGS_pread2(A)		A(FD, fd) A(OUT, buf, count) A(I64, offset) A(U32, flags)
#define ARGS_pwrite2(A)		A(FD, fd) A(IN, buf, count) A(I64, offset) A(U32, flags)
#define ARGS_syncfs(A)		A(FD, fd)
#define ARGS_sync_file_range(A)	A(FD, fd) A(I64, offset) A(I64, count) A(U32, flags)
#define ARGS_name_to_handle_at(A) A(DIR, dirfd) A(PATH, path) A(OUTS, struct rk_file_handle, handle) A(U32, flags)
/* the words of a struct rk_file_handle; mountfd: any file of its mount */
#define ARGS_open_by_handle_at(A) A(DIR, mountfd) A(U64, ino) A(U32, generation) A(U32, flags)
#define ARGS_fcntl(A)		A(FD, fd) A(U32, cmd) A(U64, value)
/* in and out: what the command reads and writes at its third argument */
#define ARGS_ioctl(A)		A(FD, fd) A(U32, cmd) A(IN, in, in_size) A(OUT, out, out_size)
#define ARGS_close_range(A)	A(U32, first) A(U32, last) A(U32, flags)
/* arrays of struct rk_poll_fd; wait 0: at once. Gives how many are ready. */
#define ARGS_poll_fds(A)	A(IN, fds, in_size) A(OUT, ready, out_size) A(U32, wait)
/* RLIMIT_FSIZE and RLIMIT_NOFILE of the process; gives what it was */
#define ARGS_rlimit(A)		A(U32, resource) A(U64, limit)
/*
 * An open file on its way to another process: offer gives a ticket, and whoever
 * has its words takes the file, once, as a descriptor of its own (flags:
 * O_CLOEXEC). The ticket holds the file until then, or until its process is
 * gone, or has offered RK_TICKETS_OF_PROC more.
 */
#define ARGS_offer(A)		A(FD, fd) A(OUTS, struct rk_ticket, ticket)
#define ARGS_take(A)		A(U64, hi) A(U64, lo) A(U32, flags)
/*
 * Where a path leads that leaves the server's mounts (other ops: -EXDEV): an
 * absolute path of the host, without a NUL; what was walked within the mounts is
 * resolved, the rest stands as it was. Gives its length, 0: it does not leave.
 * flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, RK_RESOLVE_*.
 */
#define ARGS_resolve(A)		A(DIR, dirfd) A(PATH, path) A(OUT, buf, size) A(U32, flags)
/* What a descriptor shows, opened anew, as by its name in /proc/self/fd: it may
 * be O_PATH's, and the file without a name. */
#define ARGS_reopen(A)		A(FD, fd) A(U32, flags)
/* fstatat, and where it can be had without asking; want: RK_HOT_*. Of an open
 * file (AT_EMPTY_PATH), also bytes of it. */
#define ARGS_look(A)		A(DIR, dirfd) A(PATH, path) A(U32, flags) A(I64, offset) A(U64, length) A(U32, want) A(OUTS, struct rk_hot, hot)
/* The pages of a file for mmap(2): they stay until unpin. Gives a handle, or 0:
 * they are not to be had. */
#define ARGS_pin(A)		A(FD, fd) A(U32, prot) A(U32, flags) A(OUTS, struct rk_hot, hot)
#define ARGS_pin_sync(A)	A(U32, pin) A(I64, offset) A(U64, length) A(U32, wait)
#define ARGS_unpin(A)		A(U32, pin)
/*
 * A named checkpoint of all images that the server writes: what they hold of all
 * that was answered before. label: letters, digits, '.', '_' and '-', up to 63,
 * the first a letter or a digit. For root and the server's owner. delete removes
 * one, wherever it is.
 */
#define ARGS_checkpoint(A)	A(NAME, label)
#define ARGS_checkpoint_delete(A) A(NAME, label)

#endif
