/*
 * model.h - the model checker from inside: the system calls that it makes, so
 * that it can make them on a mount (or any directory) or through the client
 * library, each returning >= 0 or a negative errno; and the model of a process.
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

/* --- the model of one process (model_ops.c) ------------------------------- */

enum {
	DIRS = 4,		/* directory 0 is the process's own */
	NAMES = 12,		/* in each directory */
	FILES_MAX = DIRS * NAMES + 2,
	SIZE_MAX_ = 256 << 10,
	WRITE_MAX = 24 << 10,
	RECORD = 64,
	VERIFY_EVERY = 400,
	PROCESSES_MAX = 16,
};

struct file {
	bool used;
	unsigned nlink;
	size_t size;
	uint8_t *bytes;
};

/* What one process believes. */
struct model {
	unsigned process;
	uint64_t random;
	unsigned op;		/* number of the op that runs */
	const char *doing;
	bool dir[DIRS];
	int name[DIRS][NAMES];	/* file, or -1 */
	struct file file[FILES_MAX];
	int held;		/* a file kept open, or -1 */
	int held_fd;
	unsigned records, raised;
	/* NULL: only the model moves */
	const struct sys *sys;
	int log_fd, count_fd;
	char base[3072];
};

extern unsigned long model_seed;

/* Says what differs, and how to get there again; ends the process. */
_Noreturn void model_wrong(const struct model *m, const char *what,
			   const char *path, long long got, long long want);
void model_expect(const struct model *m, const char *what, const char *path,
		  long long got, long long want);
/* name < 0: the directory itself. */
void model_path(const struct model *m, unsigned dir, int name, char *ret);
/* One random op, on the model and with m->sys. */
void model_step(struct model *m);
/* Keeps a file open, or closes the one that was kept. */
void model_hold(struct model *m, unsigned dir, int name);
/* Compares everything that the process has. */
void model_check(const struct model *m);

#endif
