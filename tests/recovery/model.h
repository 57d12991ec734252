/*
 * model.h - the system calls that the model checker makes, so that it can make
 * them on a mount (or any directory) or through the client library. Each
 * returns >= 0 or a negative errno.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sys_stat {
	uint64_t size;
	uint32_t mode;
	uint32_t nlink;
};

typedef void sys_entry_fn(void *arg, const char *name);

struct sys {
	const char *name;
	/* In each process, before its first call. */
	int (*attach)(void);
	int (*open)(const char *path, int flags, unsigned mode);
	int (*close)(int fd);
	int64_t (*write)(int fd, const void *buf, size_t len);
	int64_t (*pwrite)(int fd, const void *buf, size_t len, int64_t off);
	int64_t (*pread)(int fd, void *buf, size_t len, int64_t off);
	int (*ftruncate)(int fd, int64_t size);
	int (*fsync)(int fd);
	int (*fstat)(int fd, struct sys_stat *ret);
	int (*lstat)(const char *path, struct sys_stat *ret);
	int (*mkdir)(const char *path, unsigned mode);
	int (*rmdir)(const char *path);
	int (*unlink)(const char *path);
	int (*link)(const char *from, const char *to);
	int (*rename)(const char *from, const char *to);
	int (*list)(const char *dir, sys_entry_fn *fn, void *arg);
	/* A POSIX lock on the whole file: F_WRLCK (waits) or F_UNLCK. */
	int (*lock)(int fd, int type);
	int (*flock)(int fd, int operation);
};

extern const struct sys sys_native;
extern const struct sys sys_library;

#endif
