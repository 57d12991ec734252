/*
 * model_library.c - the model checker's calls through librumpclient, to the
 * server that $RUMP_SOCKET names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rump/client.h>
#include "model.h"

static struct rk_client *client;

static int l_attach(void)
{
	char path[4096];
	int e = rk_socket_path(NULL, path, sizeof(path));

	if (client)
		return 0;
	return e < 0 ? e : rk_attach(path, getenv("PAGES") ?
				  RK_ATTACH_PAGES : 0, &client);
}

static int l_open(const char *path, int flags, unsigned mode)
{
	return (int)rk_openat(client, RK_AT_FDCWD, path, (uint32_t)flags, mode);
}

static int l_close(int fd)
{
	return (int)rk_close(client, fd);
}

static int64_t l_write(int fd, const void *buf, size_t len)
{
	return rk_write(client, fd, buf, len);
}

static int64_t l_pwrite(int fd, const void *buf, size_t len, int64_t off)
{
	return rk_pwrite(client, fd, buf, len, off);
}

static int64_t l_pread(int fd, void *buf, size_t len, int64_t off)
{
	return rk_pread(client, fd, buf, len, off);
}

static int l_ftruncate(int fd, int64_t size)
{
	return (int)rk_ftruncate(client, fd, size);
}

static int l_fsync(int fd)
{
	return (int)rk_fsync(client, fd);
}

static void convert(const struct rk_stat *st, struct sys_stat *ret)
{
	ret->size = st->size;
	ret->mode = st->mode;
	ret->nlink = st->nlink;
}

static int l_fstat(int fd, struct sys_stat *ret)
{
	struct rk_stat st;
	int e = (int)rk_fstat(client, fd, &st);

	if (e >= 0)
		convert(&st, ret);
	return e;
}

static int l_lstat(const char *path, struct sys_stat *ret)
{
	struct rk_stat st;
	int e = (int)rk_fstatat(client, RK_AT_FDCWD, path, &st,
				AT_SYMLINK_NOFOLLOW);

	if (e >= 0)
		convert(&st, ret);
	return e;
}

static int l_mkdir(const char *path, unsigned mode)
{
	return (int)rk_mkdirat(client, RK_AT_FDCWD, path, mode);
}

static int l_rmdir(const char *path)
{
	return (int)rk_unlinkat(client, RK_AT_FDCWD, path, AT_REMOVEDIR);
}

static int l_unlink(const char *path)
{
	return (int)rk_unlinkat(client, RK_AT_FDCWD, path, 0);
}

static int l_link(const char *from, const char *to)
{
	return (int)rk_linkat(client, RK_AT_FDCWD, from, RK_AT_FDCWD, to, 0);
}

static int l_rename(const char *from, const char *to)
{
	return (int)rk_renameat2(client, RK_AT_FDCWD, from, RK_AT_FDCWD, to, 0);
}

static int l_list(const char *dir, sys_entry_fn *fn, void *arg)
{
	static _Alignas(8) uint8_t buf[16 << 10];
	int fd = l_open(dir, O_RDONLY | O_DIRECTORY, 0);
	int64_t n;

	if (fd < 0)
		return fd;
	while ((n = rk_getdents(client, fd, buf, sizeof(buf))) > 0) {
		for (int64_t at = 0; at < n;) {
			struct rk_dirent *e = (void *)(buf + at);

			if (strcmp(e->name, ".") && strcmp(e->name, ".."))
				fn(arg, e->name);
			at += e->reclen;
		}
	}
	l_close(fd);
	return (int)n;
}

static int l_lock(int fd, int type)
{
	return (int)rk_setlkw(client, fd, (uint32_t)type, 0, 0, SEEK_SET, 0);
}

static int l_flock(int fd, int operation)
{
	return (int)rk_flock(client, fd, (uint32_t)operation);
}

const struct sys sys_library = {
	.name = "client library",
	.attach = l_attach,
	.open = l_open,
	.close = l_close,
	.write = l_write,
	.pwrite = l_pwrite,
	.pread = l_pread,
	.ftruncate = l_ftruncate,
	.fsync = l_fsync,
	.fstat = l_fstat,
	.lstat = l_lstat,
	.mkdir = l_mkdir,
	.rmdir = l_rmdir,
	.unlink = l_unlink,
	.link = l_link,
	.rename = l_rename,
	.list = l_list,
	.lock = l_lock,
	.flock = l_flock,
};
