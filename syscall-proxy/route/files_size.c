/*
 * files_size.c - how long a file is, which of it is there, and when it is on the
 * device.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "files_int.h"

RK__FILE_CALL(ftruncate)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, (int64_t)arg[1] < 0 ? -EINVAL :
			rk_ftruncate(f.client, f.fd, (int64_t)arg[1]));
}

RK__FILE_CALL(fallocate)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_fallocate(f.client, f.fd, (uint32_t)arg[1],
					  (int64_t)arg[2], (int64_t)arg[3]));
}

/* What it is, or a negative errno. */
static int64_t mode_of(const struct rk__target *f)
{
	struct rk_stat st;
	int64_t r = rk_getfl(f->client, f->fd);

	if (r >= 0)
		r = r & O_PATH ? -EBADF : rk_fstat(f->client, f->fd, &st);
	return r < 0 ? r : (int64_t)st.mode;
}

/* Advice is looked at, and not taken: the pages are the server's. */
RK__FILE_CALL(fadvise64)
{
	struct rk__target f;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = mode_of(&f);
	if (r >= 0 && S_ISFIFO(r))
		r = -ESPIPE;
	if (r >= 0)
		r = (int64_t)arg[2] < 0 || arg[3] > POSIX_FADV_NOREUSE ?
			-EINVAL : 0;
	return rk__done(ret, r);
}

RK__FILE_CALL(readahead)
{
	struct rk__target f;
	int64_t flags, r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	flags = rk_getfl(f.client, f.fd);
	r = flags < 0 ? flags : mode_of(&f);
	if (r >= 0 && (flags & O_ACCMODE) == O_WRONLY)
		r = -EBADF;
	if (r >= 0)
		r = S_ISREG(r) ? 0 : -EINVAL;
	return rk__done(ret, r);
}

/* --- on the device ---------------------------------------------------------------- */

RK__FILE_CALL(fsync)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_fsync(f.client, f.fd));
}

RK__FILE_CALL(fdatasync)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_fdatasync(f.client, f.fd));
}

RK__FILE_CALL(syncfs)
{
	struct rk__target f;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = mode_of(&f);
	return rk__done(ret, r < 0 ? r : rk_syncfs(f.client, f.fd));
}

RK__FILE_CALL(sync_file_range)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	return rk__done(ret, rk_sync_file_range(f.client, f.fd,
						(int64_t)arg[1],
						(int64_t)arg[2],
						(uint32_t)arg[3]));
}

/* All that there is: the servers here, then the kernel. It has no way to fail. */
RK__FILE_CALL(sync)
{
	struct rk_client *client;

	for (uint32_t i = 0; i < t->config->n_servers; i++)
		if (t->host->client(t, i, &client) == 0)
			(void)rk_sync(client);
	return RK__NATIVE;
}
