/*
 * fd.c - descriptors, which every server opens for itself: always from the
 * mount's directory down, never out of it, over no symbolic link, into no other
 * file system.
 */
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host.h"

#define CONFINED (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | \
	RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

int rk__own_begin(struct fs *fs)
{
	struct journal *j = fs->host->lasting;
	struct own *o = *fs->host->own;

	if (o)
		return 0;
	o = mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o == MAP_FAILED)
		return -ENOMEM;
	for (unsigned i = 0; i < FD_SETS * FD_WAYS; i++)
		o->slot[i / FD_WAYS][i % FD_WAYS] =
			(struct slot){ .path = -1, .data = -1 };
	o->epoch = ++j->epochs;
	/* what a predecessor wrote is not known */
	o->n_dirty = DIRTY_MAX + 1;
	*fs->host->own = o;
	return 0;
}

static struct slot *set_of(struct own *o, uint64_t ino)
{
	return o->slot[(ino * 0x9e3779b97f4a7c15ull) >> 59];
}
_Static_assert(FD_SETS == 1 << 5, "the hash above");

static void close_slot(struct slot *s)
{
	if (s->path >= 0)
		close(s->path);
	if (s->data >= 0)
		close(s->data);
	*s = (struct slot){ .path = -1, .data = -1 };
}

static struct slot *find_slot(struct own *o, uint64_t ino)
{
	struct slot *set = set_of(o, ino);

	for (unsigned i = 0; i < FD_WAYS; i++)
		if (set[i].ino == ino) {
			set[i].used = ++o->clock;
			return &set[i];
		}
	return NULL;
}

static struct slot *get_slot(struct own *o, uint64_t ino)
{
	struct slot *set = set_of(o, ino), *s = find_slot(o, ino);

	if (s)
		return s;
	s = &set[0];
	for (unsigned i = 1; i < FD_WAYS; i++)
		if (set[i].used < s->used)
			s = &set[i];
	close_slot(s);
	s->ino = ino;
	s->used = ++o->clock;
	return s;
}

void rk__fd_drop(struct fs *fs, uint64_t ino)
{
	struct slot *s = find_slot(own(fs), ino);

	if (s)
		close_slot(s);
}

void rk__fd_keep(struct fs *fs, uint64_t ino, int data, int access)
{
	struct slot *s = get_slot(own(fs), ino);

	if (s->data >= 0)
		close(s->data);
	s->data = data;
	s->access = access;
}

/* From the end to the beginning. NULL: it has no name, or too long a one. */
static const char *path_of(struct fs *fs, uint64_t ino)
{
	struct own *o = own(fs);
	size_t at = sizeof o->path - 1;

	o->path[at] = 0;
	while (ino != fs->root) {
		const struct node *n = rk__node_find(fs, ino);

		if (!n || !n->parent || n->len + 1u > at)
			return NULL;
		if (o->path[at])
			o->path[--at] = '/';
		at -= n->len;
		memcpy(o->path + at, n->name, n->len);
		ino = n->parent;
	}
	return o->path + at;
}

static bool is_it(struct fs *fs, int fd, uint64_t ino)
{
	struct statx *x = &own(fs)->sx;

	return statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO,
		     x) == 0 && x->stx_ino == ino &&
	       x->stx_dev_major == fs->dev_major &&
	       x->stx_dev_minor == fs->dev_minor;
}

static int open_it(struct fs *fs, uint64_t ino, int flags)
{
	const char *path = path_of(fs, ino);
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = CONFINED,
	};
	int fd;

	if (!path)
		return -ESTALE;
	fd = (int)syscall(SYS_openat2, fs->host->dirfd, *path ? path : ".",
			  &how, sizeof how);
	/* somebody else moved it, or put another one there */
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ||
		       errno == EXDEV ? -ESTALE : -errno;
	if (is_it(fs, fd, ino))
		return fd;
	close(fd);
	return -ESTALE;
}

int rk__path_fd(struct fs *fs, uint64_t ino)
{
	struct slot *s;
	int fd;

	if (ino == fs->root)
		return fs->host->dirfd;
	s = find_slot(own(fs), ino);
	if (s && s->path >= 0)
		return s->path;
	fd = open_it(fs, ino, O_PATH);
	if (fd < 0)
		return fd;
	s = get_slot(own(fs), ino);
	s->path = fd;
	return fd;
}

static bool serves(int has, int wanted)
{
	return has == wanted || has == O_RDWR;
}

/* Opening others may wait, or do something. */
static int type_of(struct fs *fs, uint64_t ino)
{
	int fd = rk__path_fd(fs, ino);

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &own(fs)->sx) < 0)
		return -errno;
	return own(fs)->sx.stx_mode & S_IFMT;
}

static int open_file(struct fs *fs, uint64_t ino, int *access)
{
	/* what another may have put there meanwhile must not make us wait */
	const int flags = O_NONBLOCK | O_NOCTTY;
	int fd;

	if (*access == O_WRONLY) {
		fd = open_it(fs, ino, O_RDWR | flags);
		if (fd >= 0)
			*access = O_RDWR;
		if (fd != -EACCES)
			return fd;
	}
	return open_it(fs, ino, *access | flags);
}

int rk__data_fd(struct fs *fs, uint64_t ino, int access)
{
	struct slot *s = find_slot(own(fs), ino);
	int fd, type;

	if (ino == fs->root)
		return access == O_RDONLY ? fs->host->dirfd : -EISDIR;
	if (s && s->data >= 0 && serves(s->access, access))
		return s->data;
	type = type_of(fs, ino);
	if (type < 0)
		return type;
	if (type == S_IFDIR)
		fd = access == O_RDONLY ?
		     open_it(fs, ino, O_RDONLY | O_DIRECTORY) : -EISDIR;
	else
		fd = type == S_IFREG ? open_file(fs, ino, &access) : -EINVAL;
	if (fd >= 0)
		rk__fd_keep(fs, ino, fd, access);
	return fd;
}

void rk__dirty(struct fs *fs, uint64_t ino)
{
	struct own *o = own(fs);

	for (unsigned i = 0; i < o->n_dirty && i < DIRTY_MAX; i++)
		if (o->dirty[i] == ino)
			return;
	if (o->n_dirty < DIRTY_MAX)
		o->dirty[o->n_dirty] = ino;
	if (o->n_dirty <= DIRTY_MAX)
		o->n_dirty++;
}
