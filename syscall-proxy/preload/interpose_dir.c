/*
 * interpose_dir.c - directories as streams, over getdents64, for descriptors of
 * whoever they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <pthread.h>
#include "interpose.h"

#define EXPORT __attribute__((visibility("default")))

enum { ROOM = 32768 };

struct __dirstream {
	pthread_mutex_t lock;
	int fd;
	size_t at, n;	/* in data */
	off_t position; /* of what has been given last */
	_Alignas(struct dirent) char data[ROOM];
};

static DIR *stream_make(int fd)
{
	DIR *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	d->fd = fd;
	d->at = d->n = 0;
	d->position = 0;
	return d;
}

EXPORT DIR *fdopendir(int fd)
{
	struct stat st;
	long flags;

	if (rk__interposed(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
		return NULL;
	flags = rk__interposed(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	if (flags < 0)
		return NULL;
	if (!S_ISDIR(st.st_mode) || (flags & O_ACCMODE) == O_WRONLY) {
		errno = S_ISDIR(st.st_mode) ? EINVAL : ENOTDIR;
		return NULL;
	}
	return stream_make(fd);
}

EXPORT DIR *opendir(const char *path)
{
	long fd = rk__interposed(
		SYS_openat, AT_FDCWD, (long)path,
		O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
	DIR *d;

	if (fd < 0)
		return NULL;
	d = stream_make((int)fd);
	if (!d)
		rk__interposed(SYS_close, fd, 0, 0, 0, 0, 0);
	return d;
}

/* The next entry; NULL at the end, or with *error. */
static struct dirent *next(DIR *d, int *error)
{
	struct dirent *e;

	if (d->at == d->n) {
		long n = rk__interposed_raw(SYS_getdents64, d->fd,
					    (long)d->data, ROOM, 0, 0, 0);

		/* A directory that has been removed has no entries. */
		if (n <= 0) {
			*error = n == -ENOENT ? 0 : (int)-n;
			return NULL;
		}
		d->at = 0;
		d->n = (size_t)n;
	}
	e = (struct dirent *)(d->data + d->at);
	d->at += e->d_reclen;
	d->position = e->d_off;
	return e;
}

EXPORT struct dirent *readdir(DIR *d)
{
	struct dirent *e;
	int error = 0;

	pthread_mutex_lock(&d->lock);
	e = next(d, &error);
	pthread_mutex_unlock(&d->lock);
	if (error)
		errno = error;
	return e;
}

EXPORT struct dirent64 *readdir64(DIR *d)
{
	return (struct dirent64 *)readdir(d);
}

static int next_copy(DIR *d, void *entry, void **ret)
{
	struct dirent *e;
	int error = 0;

	pthread_mutex_lock(&d->lock);
	e = next(d, &error);
	if (e)
		memcpy(entry, e, e->d_reclen);
	pthread_mutex_unlock(&d->lock);
	*ret = e ? entry : NULL;
	return error;
}

EXPORT int readdir_r(DIR *d, struct dirent *entry, struct dirent **ret)
{
	return next_copy(d, entry, (void **)ret);
}

EXPORT int readdir64_r(DIR *d, struct dirent64 *entry, struct dirent64 **ret)
{
	return next_copy(d, entry, (void **)ret);
}

EXPORT void seekdir(DIR *d, long position)
{
	pthread_mutex_lock(&d->lock);
	rk__interposed(SYS_lseek, d->fd, position, SEEK_SET, 0, 0, 0);
	d->at = d->n = 0;
	d->position = position;
	pthread_mutex_unlock(&d->lock);
}

EXPORT void rewinddir(DIR *d)
{
	seekdir(d, 0);
}

EXPORT long telldir(DIR *d)
{
	return d->position;
}

EXPORT int dirfd(DIR *d)
{
	return d->fd;
}

EXPORT int closedir(DIR *d)
{
	int fd = d->fd;

	pthread_mutex_destroy(&d->lock);
	free(d);
	return (int)rk__interposed(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* --- all at once ------------------------------------------------------------- */

EXPORT int scandir(const char *path, struct dirent ***ret,
		   int (*wanted)(const struct dirent *),
		   int (*compare)(const struct dirent **,
				  const struct dirent **))
{
	DIR *d = opendir(path);
	struct dirent **all = NULL, *e;
	size_t n = 0;
	int error = 0;

	if (!d)
		return -1;
	while ((e = next(d, &error))) {
		struct dirent **more, *copy;

		if (wanted && !wanted(e))
			continue;
		more = realloc(all, (n + 1) * sizeof(*all));
		copy = more ? malloc(e->d_reclen) : NULL;
		all = more ? more : all;
		if (!copy) {
			error = ENOMEM;
			break;
		}
		all[n++] = memcpy(copy, e, e->d_reclen);
	}
	closedir(d);
	if (error) {
		while (n)
			free(all[--n]);
		free(all);
		errno = error;
		return -1;
	}
	if (n && compare)
		qsort(all, n, sizeof(*all),
		      (int (*)(const void *, const void *))compare);
	*ret = all;
	return (int)n;
}

EXPORT int scandir64(const char *path, struct dirent64 ***ret,
		     int (*wanted)(const struct dirent64 *),
		     int (*compare)(const struct dirent64 **,
				    const struct dirent64 **))
{
	return scandir(path, (struct dirent ***)ret,
		       (int (*)(const struct dirent *))wanted,
		       (int (*)(const struct dirent **,
				const struct dirent **))compare);
}
