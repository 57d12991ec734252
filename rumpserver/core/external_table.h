/*
 * external_table.h - THE table of the external form: every record with its
 * fields. Writer, reader and docs/state.md come from it.
 *
 *	R(number, version, name, what it is, what follows the fields, or NULL)
 *	F(type, name, what it says)
 *
 * A field that is added makes the record's version higher; numbers are never
 * used again. Objects name each other by number, 0 means none, except procs,
 * whose numbers begin with 0.
 */
#ifndef RK_EXTERNAL_TABLE_H
#define RK_EXTERNAL_TABLE_H

#define RK_EXT_RECORDS(R)						\
	R(1, 1, server, "the server, first in every stream",		\
	  "its name")							\
	R(2, 1, mount, "a mount, as it was asked for",			\
	  "path, driver, source, options, each with a NUL")		\
	R(3, 1, root, "what a mount turned out to be", NULL)		\
	R(4, 1, vnode, "a file that somebody holds", NULL)		\
	R(5, 1, pipe, "what flows through a fifo", "its bytes")		\
	R(6, 1, ofd, "an open file description", NULL)			\
	R(7, 1, proc, "a client process",				\
	  "its supplementary groups, u32 each")				\
	R(8, 1, fd, "a descriptor of a proc", NULL)			\
	R(9, 1, channel, "which proc a channel is of", NULL)		\
	R(10, 1, lock, "a lock on a range of a file", NULL)		\
	R(11, 1, pin, "a mapped file", NULL)				\
	R(12, 1, offer, "an open file on its way to another proc", NULL) \
	R(13, 1, slot, "the last request of a slot that was committed", NULL) \
	R(14, 1, written, "a write that waits for its bytes to be durable", \
	  NULL)								\
	R(15, 1, attributes, "proof: what a file's attributes are", NULL) \
	R(16, 1, statfs, "proof: what a mount says of itself", NULL)	\
	R(17, 1, name, "proof: what a name in a directory leads to",	\
	  "the name")							\
	R(18, 1, image, "the device of a mount, whose blocks follow", NULL)\
	R(19, 1, block, "a block of such a device that is not zero",	\
	  "its bytes")							\
	R(255, 1, end, "the last", NULL)

#define RK_EXT_server(F)						\
	F(u32, n_mounts, "mounts that follow")				\
	F(u32, protocol, "version of requests and channels")		\
	F(u64, inbox, "bytes of a FUSE inbox")				\
	F(u64, cells, "bytes of the cells")				\
	F(u32, fuse_slots, "slots of an inbox")				\
	F(u32, channel_slots, "slots of a channel")			\
	F(u32, audience, "who sees its mounts: 0 a program, 1 the host, "	\
	  "2 programs that ask")					\
	F(u32, fuse, "1: they are mounts of the kernel's")		\
	F(u32, deadline_ms, "an op that runs longer is a hang")		\
	F(u32, flush_ms, "time between flush points")			\
	F(u32, patience, "deaths without progress before it waits")	\
	F(u32, limit, "and before it is given up")			\
	F(u32, kill_every_us, "mean time between kills; 0: none")

#define RK_EXT_mount(F)							\
	F(u32, index, "its number, from 0")				\
	F(u32, flags, "1 read-only, 2 rw by name, 4 writeback, 8 stay, "	\
	  "16 execution=process")					\
	F(u64, size, "bytes of its device")

#define RK_EXT_root(F)							\
	F(u32, mount, "which")						\
	F(u32, vnode, "its root")					\
	F(u64, root, "inode number of it")				\
	F(u32, stands_on, "mount + 1 that it covers a directory of")	\
	F(u32, reserved, "0")						\
	F(u64, covers, "inode number of that directory")

#define RK_EXT_vnode(F)							\
	F(u32, index, "its number")					\
	F(u32, mount, "which")						\
	F(u64, ino, "inode number")					\
	F(u64, lookups, "references that the kernel has (FUSE)")	\
	F(u32, flags, "1 early, 2 orphan, 4 link() may give it a name")	\
	F(u32, opens, "open files, working directories, pins, roots")

#define RK_EXT_pipe(F)							\
	F(u32, index, "its number")					\
	F(u32, vnode, "of the fifo")					\
	F(u32, reader_count, "how often it was opened to read")		\
	F(u32, writer_count, "how often to write")

#define RK_EXT_ofd(F)							\
	F(u32, index, "its number")					\
	F(u32, vnode, "of the file")					\
	F(u32, flags, "of open(2), as Linux has them on x86-64")	\
	F(u32, refs, "descriptors and offers")				\
	F(i64, offset, "of a directory: the cookie")			\
	F(u32, pipe, "of a fifo")					\
	F(u32, partner, "of a fifo: opens of the other end before")

#define RK_EXT_proc(F)							\
	F(u32, index, "its number, from 0")				\
	F(u32, pid, "of who attached first")				\
	F(u64, token, "what its threads and children name it by")	\
	F(u32, uid, "user")						\
	F(u32, gid, "group")						\
	F(u32, umask, "mode bits that new files don't get")		\
	F(u32, cwd, "vnode; 0: the root of mount 0")			\
	F(u32, nofile, "RLIMIT_NOFILE")					\
	F(u32, n_groups, "supplementary groups")			\
	F(u64, fsize, "RLIMIT_FSIZE")

#define RK_EXT_fd(F)							\
	F(u32, proc, "which")						\
	F(u32, fd, "the number")					\
	F(u32, ofd, "what it is of")					\
	F(u32, flags, "FD_CLOEXEC")

#define RK_EXT_channel(F)						\
	F(u32, channel, "its number, from 0")				\
	F(u32, proc, "whose")

#define RK_EXT_lock(F)							\
	F(u32, vnode, "of the file")					\
	F(u32, kind, "1 POSIX, 2 OFD, 3 flock")				\
	F(u32, exclusive, "1: for writing")				\
	F(u32, pid, "what F_GETLK tells")				\
	F(u64, owner, "proc's token, ofd or the kernel's owner")	\
	F(u64, file, "the kernel's open file; 0: an ofd's")		\
	F(u64, start, "first byte")					\
	F(u64, end, "last byte; 2^64 - 1: to the end")

#define RK_EXT_pin(F)							\
	F(u32, index, "its number, from 0")				\
	F(u32, vnode, "of the file")					\
	F(u32, proc, "whose")						\
	F(u32, handle, "what the proc calls it")			\
	F(u32, write, "1: shared and writable")

#define RK_EXT_offer(F)							\
	F(u32, index, "its number, from 0")				\
	F(u32, ofd, "what is offered")					\
	F(u32, proc, "by whom")						\
	F(u32, reserved, "0")						\
	F(u64, hi, "first word of the ticket")				\
	F(u64, lo, "second")						\
	F(u64, order, "higher: later")

#define RK_EXT_slot(F)							\
	F(u32, slot, "global number")					\
	F(u32, reserved, "0")						\
	F(u64, id, "of the request")

#define RK_EXT_written(F)						\
	F(u32, slot, "global number")					\
	F(u32, reserved, "0")						\
	F(u64, id, "of the request")					\
	F(u64, token, "of its proc")					\
	F(i64, result, "what it will be told")

#define RK_EXT_attributes(F)						\
	F(u32, mount, "which")						\
	F(u32, mode, "type and permissions")				\
	F(u64, ino, "inode number")					\
	F(u64, size, "bytes")						\
	F(u32, nlink, "names")						\
	F(u32, uid, "owner")						\
	F(u32, gid, "group")						\
	F(u32, generation, "of the inode number")			\
	F(u64, rdev, "of a device file")				\
	F(i64, mtime_sec, "last change of its bytes")			\
	F(u32, mtime_nsec, "and nanoseconds")				\
	F(u32, ctime_nsec, "nanoseconds of")				\
	F(i64, ctime_sec, "last change of all")

#define RK_EXT_statfs(F)						\
	F(u32, mount, "which")						\
	F(u32, bsize, "bytes of a block")				\
	F(u64, type, "magic number")					\
	F(u64, blocks, "blocks")					\
	F(u64, files, "inodes")						\
	F(u64, fsid, "which file system")

#define RK_EXT_name(F)							\
	F(u32, mount, "which")						\
	F(u32, reserved, "0")						\
	F(u64, dir, "inode number of the directory")			\
	F(u64, ino, "of what the name leads to")

#define RK_EXT_image(F)							\
	F(u32, mount, "which")						\
	F(u32, reserved, "0")						\
	F(u64, size, "bytes")

#define RK_EXT_block(F)							\
	F(u32, mount, "which")						\
	F(u32, reserved, "0")						\
	F(u64, block, "number of 4096 bytes")

#define RK_EXT_end(F)							\
	F(u64, records, "before this one")				\
	F(u64, check, "of all of them")

#endif
