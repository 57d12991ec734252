/*
 * io.c - libext2fs's way to the device.
 *
 * An io_manager over rk_host. It keeps nothing: the server's block store is
 * the cache, and what is written belongs to the op being executed.
 */
#include <stdlib.h>
#include "ext4.h"

/* ext2fs_open() passes only a name; the device waits here meanwhile. */
static struct rk_host bound;

void rk__ext4_io_bind(const struct rk_host *host)
{
	bound = *host;
}

/* libext2fs prints what it finds odd; a driver has nowhere to print. */
static void quiet(const char *who, errcode_t code, const char *format,
		  va_list args)
{
}

static void __attribute__((constructor)) hush(void)
{
	set_com_err_hook(quiet);
}

int rk__ext4_errno(errcode_t err)
{
	if (err == 0)
		return 0;
	/* A count of blocks that cannot be: what it counts is damaged. */
	if (err == EOVERFLOW)
		return -EUCLEAN;
	if (err > 0 && err < 256)
		return -(int)err;
	switch (err) {
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_EXTENT_NO_SPACE:
	case EXT2_ET_INLINE_DATA_NO_SPACE:
	case EXT2_ET_EA_NO_SPACE:
		return -ENOSPC;
	case EXT2_ET_EA_KEY_NOT_FOUND:
		return -ENODATA;
	case EXT2_ET_RO_FILSYS:
		return -EROFS;
	case EXT2_ET_FILE_TOO_BIG:
		return -EFBIG;
	case EXT2_ET_SHORT_READ:
	case EXT2_ET_SHORT_WRITE:
		return -EIO;
	}
	return -EUCLEAN;
}

int rk__ext4_read_at(struct ext4 *e, void *buf, size_t len, uint64_t off)
{
	return e->host.read(e->host.ctx, buf, len, off);
}

int rk__ext4_write_at(struct ext4 *e, const void *buf, size_t len,
		      uint64_t off)
{
	return e->host.write(e->host.ctx, buf, len, off);
}

int rk__ext4_write_new_at(struct ext4 *e, const void *buf, size_t len,
			  uint64_t off)
{
	return e->host.write_new(e->host.ctx, buf, len, off);
}

int rk__ext4_zero_at(struct ext4 *e, uint64_t off, uint64_t len)
{
	static const char zeros[65536];

	while (len) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);
		int err = rk__ext4_write_at(e, zeros, n, off);

		if (err)
			return err;
		off += n;
		len -= n;
	}
	return 0;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	io_channel c = calloc(1, sizeof(*c));
	struct rk_host *host = malloc(sizeof(*host));

	if (!c || !host) {
		free(c);
		free(host);
		return EXT2_ET_NO_MEMORY;
	}
	*host = bound;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &rk__ext4_io;
	c->block_size = 1024;
	c->refcount = 1;
	c->private_data = host;
	c->name = calloc(1, 1);
	*ret = c;
	return 0;
}

static errcode_t io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->private_data);
	free(c->name);
	free(c);
	return 0;
}

static errcode_t io_set_blksize(io_channel c, int size)
{
	c->block_size = size;
	return 0;
}

/* A negative count is one of bytes. */
static size_t bytes_of(io_channel c, int count)
{
	return count < 0 ? (size_t)-(int64_t)count
			 : (size_t)count * c->block_size;
}

static errcode_t io_read64(io_channel c, unsigned long long block, int count,
			   void *data)
{
	struct rk_host *host = c->private_data;

	if (block > UINT64_MAX / c->block_size)
		return EXT2_ET_SHORT_READ;
	return -host->read(host->ctx, data, bytes_of(c, count),
			   block * c->block_size);
}

static errcode_t io_write64(io_channel c, unsigned long long block, int count,
			    const void *data)
{
	struct rk_host *host = c->private_data;

	if (block > UINT64_MAX / c->block_size)
		return EXT2_ET_SHORT_WRITE;
	return -host->write(host->ctx, data, bytes_of(c, count),
			    block * c->block_size);
}

static errcode_t io_read(io_channel c, unsigned long block, int count,
			 void *data)
{
	return io_read64(c, block, count, data);
}

static errcode_t io_write(io_channel c, unsigned long block, int count,
			  const void *data)
{
	return io_write64(c, block, count, data);
}

static errcode_t io_write_byte(io_channel c, unsigned long off, int count,
			       const void *data)
{
	struct rk_host *host = c->private_data;

	return -host->write(host->ctx, data, count, off);
}

static errcode_t io_flush(io_channel c)
{
	return 0;
}

static errcode_t io_discard(io_channel c, unsigned long long block,
			    unsigned long long count)
{
	struct rk_host *host = c->private_data;

	return -host->discard(host->ctx, block * c->block_size,
			      count * c->block_size);
}

struct struct_io_manager rk__ext4_io = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "rump block store",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.write_byte = io_write_byte,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
	.discard = io_discard,
};
