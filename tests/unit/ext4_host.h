/*
 * ext4_host.h - for the tests of the ext4 driver: an image file, a device
 * over it, and the driver as a server would load it.
 */
#ifndef EXT4_HOST_H
#define EXT4_HOST_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "driver.h"
#include "../harness/temp.h"

struct image {
	char dir[TEMP_MAX], path[96];
	int fd;
	uint64_t size;
	bool may_write, changed;
	unsigned writes;
	char said[256];
	struct rk_host host;
	const struct rk_driver *d;
	void *fs;
	uint64_t root;
	int64_t clock;
	void *lost[8];			/* of servers that were killed */
	unsigned n_lost;
};

static inline int image_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	return pread(im->fd, buf, len, off) == (ssize_t)len ? 0 : -EIO;
}

static inline int image_write(void *ctx, const void *buf, size_t len,
			      uint64_t off)
{
	struct image *im = ctx;

	cr_assert(im->changed, "a write without change()");
	if (off > im->size || len > im->size - off)
		return -EIO;
	im->writes++;
	return pwrite(im->fd, buf, len, off) == (ssize_t)len ? 0 : -EIO;
}

static inline int image_discard(void *ctx, uint64_t off, uint64_t len)
{
	return 0;
}

static inline uint64_t image_size(void *ctx)
{
	return ((struct image *)ctx)->size;
}

static inline void image_change(void *ctx)
{
	struct image *im = ctx;

	cr_assert(im->may_write, "change() on a read-only mount");
	im->changed = true;
}

static inline struct rk_time image_now(void *ctx)
{
	struct image *im = ctx;

	im->clock++;
	return (struct rk_time){ .sec = 1700000000 + im->clock / 1000,
				 .nsec = im->clock % 1000 * 1000000 };
}

static inline void image_complain(void *ctx, const char *text)
{
	struct image *im = ctx;

	snprintf(im->said, sizeof(im->said), "%s", text);
}

static inline int run(const char *format, const char *a, const char *b)
{
	char command[512];
	int rc;

	snprintf(command, sizeof(command), format, a, b);
	rc = system(command);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static inline void image_open(struct image *im)
{
	struct stat st;

	im->fd = open(im->path, O_RDWR | O_CLOEXEC);
	cr_assert(im->fd >= 0 && !fstat(im->fd, &st));
	im->size = st.st_size;
}

static inline void image_create(struct image *im, const char *mkfs,
				uint64_t size)
{
	const char *so = RK_DRIVER_DIR "/rump-driver-ext4.so";
	void *lib;

	memset(im, 0, sizeof(*im));
	cr_assert(temp_dir(im->dir, "ext4"));
	snprintf(im->path, sizeof(im->path), "%s/image", im->dir);
	im->fd = open(im->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(im->fd >= 0 && !ftruncate(im->fd, size));
	close(im->fd);
	cr_assert_eq(run("mkfs.ext4 -q -F %s %s", mkfs, im->path), 0);
	image_open(im);
	im->host = (struct rk_host){
		.ctx = im, .read = image_read, .write = image_write,
		.write_new = image_write, .discard = image_discard,
		.size = image_size, .change = image_change, .now = image_now,
		.complain = image_complain, .dirfd = -1,
	};
	lib = dlopen(so, RTLD_NOW | RTLD_LOCAL);
	cr_assert(lib, "%s", dlerror());
	im->d = dlsym(lib, "rk_driver");
	cr_assert(im->d && im->d->abi == RK_DRIVER_ABI);
}

static inline int image_mount(struct image *im, bool read_only)
{
	struct rk_mount_options opt = { .read_only = read_only };
	bool recovery;

	im->may_write = !read_only;
	im->changed = false;
	return im->d->mount(&im->host, &opt, &im->fs, &im->root, &recovery);
}

/* e2fsck finds nothing to say about the image as it is now. */
static inline void image_check(struct image *im)
{
	int rc = run("e2fsck -fn %s >%s/log 2>&1", im->path, im->dir);

	if (rc)
		run("cat %s/log >&2", im->dir, "");
	cr_assert_eq(rc, 0, "e2fsck: %d", rc);
}

static inline void image_sync(struct image *im)
{
	cr_assert_eq(im->d->sync(im->fs), 0);
	image_check(im);
}

static inline void image_unmount(struct image *im)
{
	cr_assert_eq(im->d->unmount(im->fs), 0);
	im->fs = NULL;
}

static inline void image_destroy(struct image *im)
{
	close(im->fd);
	run("rm -rf %s", im->dir, "");
}

static inline int create(struct image *im, uint64_t dir, const char *name,
			 uint32_t mode, const char *target, uint64_t *ino)
{
	struct rk_new what = { .mode = mode, .uid = 100000, .gid = 70000,
			       .rdev = 0x12345, .target = target };
	struct rk_stat st;
	int rc = im->d->create(im->fs, dir, name, strlen(name), &what, &st);

	if (!rc && ino)
		*ino = st.ino;
	return rc;
}

/* Removes a name and what it meant. */
static inline int gone(struct image *im, uint64_t dir, const char *name,
		       bool directory)
{
	struct rk_stat st;
	int rc = im->d->unlink(im->fs, dir, name, strlen(name), directory,
			       &st);

	if (rc || st.nlink)
		return rc;
	while ((rc = im->d->reclaim(im->fs, st.ino)) == 1)
		;
	return rc;
}

#endif
