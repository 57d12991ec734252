/*
 * model_native.c - the model checker's calls as plain system calls, on
 * whatever is mounted there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model.h"

#define OR_ERRNO(call) ({ __auto_type r_ = (call); r_ < 0 ? -errno : r_; })

static int n_attach(void)
{
	return 0;
}

static int n_open(const char *path, int flags, unsigned mode)
{
	return OR_ERRNO(open(path, flags | O_CLOEXEC, mode));
}

static int n_close(int fd)
{
	return OR_ERRNO(close(fd));
}

static int64_t n_write(int fd, const void *buf, size_t len)
{
	return OR_ERRNO(write(fd, buf, len));
}

static int64_t n_pwrite(int fd, const void *buf, size_t len, int64_t off)
{
	return OR_ERRNO(pwrite(fd, buf, len, off));
}

static int64_t n_pread(int fd, void *buf, size_t len, int64_t off)
{
	return OR_ERRNO(pread(fd, buf, len, off));
}

static int n_ftruncate(int fd, int64_t size)
{
	return OR_ERRNO(ftruncate(fd, size));
}

static int n_fsync(int fd)
{
	return OR_ERRNO(fsync(fd));
}

static void convert(const struct stat *st, struct sys_stat *ret)
{
	ret->size = (uint64_t)st->st_size;
	ret->mode = st->st_mode;
	ret->nlink = (uint32_t)st->st_nlink;
}

static int n_fstat(int fd, struct sys_stat *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	convert(&st, ret);
	return 0;
}

static int n_lstat(const char *path, struct sys_stat *ret)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	convert(&st, ret);
	return 0;
}

static int n_mkdir(const char *path, unsigned mode)
{
	return OR_ERRNO(mkdir(path, mode));
}

static int n_rmdir(const char *path)
{
	return OR_ERRNO(rmdir(path));
}

static int n_unlink(const char *path)
{
	return OR_ERRNO(unlink(path));
}

static int n_link(const char *from, const char *to)
{
	return OR_ERRNO(link(from, to));
}

static int n_rename(const char *from, const char *to)
{
	return OR_ERRNO(rename(from, to));
}

static int n_list(const char *dir, sys_entry_fn *fn, void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int error;

	if (!d)
		return -errno;
	while (errno = 0, (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(arg, e->d_name);
	error = -errno;
	closedir(d);
	return error;
}

static int n_lock(int fd, int type)
{
	struct flock lock = {
		.l_type = (short)type,
		.l_whence = SEEK_SET,
	};

	return OR_ERRNO(fcntl(fd, F_SETLKW, &lock));
}

static int n_flock(int fd, int operation)
{
	return OR_ERRNO(flock(fd, operation));
}

const struct sys sys_native = {
	.name = "system calls",
	.attach = n_attach,
	.open = n_open,
	.close = n_close,
	.write = n_write,
	.pwrite = n_pwrite,
	.pread = n_pread,
	.ftruncate = n_ftruncate,
	.fsync = n_fsync,
	.fstat = n_fstat,
	.lstat = n_lstat,
	.mkdir = n_mkdir,
	.rmdir = n_rmdir,
	.unlink = n_unlink,
	.link = n_link,
	.rename = n_rename,
	.list = n_list,
	.lock = n_lock,
	.flock = n_flock,
};
