/*
 * super.c - opening an image, and the one way in which the library reads it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "squashfs.h"

/* What the library calls a descriptor is a place in this table. */
static struct squash *open_fs[64];

/* In place of the library's own, which makes a system call. */
__attribute__((visibility("default")))
ssize_t sqfs_pread(sqfs_fd_t fd, void *buf, size_t count, sqfs_off_t off);

ssize_t sqfs_pread(sqfs_fd_t fd, void *buf, size_t count, sqfs_off_t off)
{
	const struct rk_host *h = &open_fs[fd]->host;
	uint64_t size = h->size(h->ctx);

	if (off < 0 || (uint64_t)off > size || count > size - (uint64_t)off)
		return -1;
	if (count && h->read(h->ctx, buf, count, (uint64_t)off) < 0)
		return -1;
	return (ssize_t)count;
}

static int take_number(struct squash *s)
{
	for (int i = 0; i < (int)(sizeof open_fs / sizeof *open_fs); i++) {
		if (open_fs[i])
			continue;
		open_fs[i] = s;
		return i;
	}
	return -ENFILE;
}

static int refuse(const struct rk_host *h, int error, const char *sentence)
{
	h->complain(h->ctx, sentence);
	return error;
}

static int refuse_library(const struct squash *s, sqfs_err e)
{
	const struct rk_host *h = &s->host;
	char text[160];

	switch (e) {
	case SQFS_BADVERSION:
		return refuse(h, -EINVAL, "the image is squashfs of another "
			      "version than 4.0");
	case SQFS_BADCOMP:
		snprintf(text, sizeof text, "the image is compressed by method "
			 "%u, which this build of libsquashfuse does not have",
			 s->lib.sb.compression);
		return refuse(h, -EINVAL, text);
	case SQFS_BADFORMAT:
		return refuse(h, -EINVAL, "the image is not a squashfs");
	default:
		return refuse(h, -EUCLEAN, "the image is cut short or damaged: "
			      "its tables cannot be read");
	}
}

/* What all reading relies on. */
static int check(const struct squash *s)
{
	const struct squashfs_super_block *sb = &s->lib.sb;

	if (sb->block_log < 12 || sb->block_log > SQUASHFS_FILE_MAX_LOG ||
	    sb->block_size != 1u << sb->block_log || sb->no_ids == 0 ||
	    sb->bytes_used > s->host.size(s->host.ctx))
		return refuse(&s->host, -EUCLEAN, "the image is cut short or "
			      "damaged: its superblock makes no sense");
	return 0;
}

static void finish(struct squash *s)
{
	if (!s)
		return;
	rk__squash_forget(s);
	open_fs[s->lib.fd] = NULL;
	free(s->dir);
	free(s);
}

/* The library's sqfs_destroy() leaves this one. */
static void close_library(struct squash *s)
{
	sqfs_table_destroy(&s->lib.xattr_table);
	sqfs_destroy(&s->lib);
}

static int open_image(struct squash *s)
{
	sqfs_err e = sqfs_init(&s->lib, s->lib.fd, 0);
	int r;

	if (e != SQFS_OK)
		return refuse_library(s, e);
	r = check(s);
	if (r < 0)
		close_library(s);
	return r;
}

int rk__squash_mount(const struct rk_host *host,
		     const struct rk_mount_options *opt, void **ret_fs,
		     uint64_t *ret_root, bool *needs_recovery)
{
	struct squash *s;
	struct inode *root;
	char text[160];
	int r;

	if (opt->n_options) {
		snprintf(text, sizeof text, "squashfs has no option '%.80s'",
			 opt->option[0]);
		return refuse(host, -EINVAL, text);
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->host = *host;
	r = take_number(s);
	if (r < 0) {
		free(s);
		return r;
	}
	s->lib.fd = r;
	r = open_image(s);
	if (r < 0)
		goto fail;
	r = rk__squash_inode(s, sqfs_inode_root(&s->lib) + 1, &root);
	if (r < 0 || root->type != SQUASHFS_DIR_TYPE) {
		r = refuse(host, -EUCLEAN, "the image is damaged: its root "
			   "directory cannot be read");
		close_library(s);
		goto fail;
	}
	*ret_fs = s;
	*ret_root = root->ino;
	return 0;
fail:
	finish(s);
	return r;
}

int rk__squash_unmount(void *fs)
{
	struct squash *s = fs;

	close_library(s);
	finish(s);
	return 0;
}

int rk__squash_statfs(void *fs, struct rk_statfs *ret)
{
	const struct squashfs_super_block *sb = &((struct squash *)fs)->lib.sb;

	ret->type = SQUASHFS_MAGIC;
	ret->bsize = sb->block_size;
	ret->blocks = (sb->bytes_used + sb->block_size - 1) >> sb->block_log;
	ret->bfree = ret->bavail = 0;
	ret->files = sb->inodes;
	ret->ffree = 0;
	ret->namelen = 255;
	return 0;
}
