/*
 * remove.c - removing names, hiding what is still held, and its end.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host.h"

enum { HIDDEN_LEN = sizeof HIDDEN - 1 + 16 };

struct dirent_64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int check_empty(struct fs *fs, uint64_t ino)
{
	struct own *o = own(fs);
	int fd = rk__data_fd(fs, ino, O_RDONLY);
	uint64_t cookie = 0;
	long n;

	if (fd < 0)
		return fd;
	while ((n = rk__dirents(fs, fd, cookie)) > 0)
		for (long at = 0; at < n;) {
			struct dirent_64 *d = (void *)(o->dirents + at);

			if (!is_dots(d->name))
				return -ENOTEMPTY;
			cookie = (uint64_t)d->off;
			at += d->reclen;
		}
	return (int)n;
}

/* To where it can be found by its number. 1: it can't be. */
static int hide(struct fs *fs, int dirfd, const char *name,
		const struct rk_stat *st)
{
	char hidden[HIDDEN_LEN + 1];
	int r = S_ISDIR(st->mode) ? check_empty(fs, st->ino) : 0;

	if (r < 0)
		return r;
	rk__hidden_name(st->ino, hidden);
	return rename_at(dirfd, name, fs->host->dirfd, hidden,
			 RENAME_NOREPLACE) < 0 ? 1 : 0;
}

static int do_unlink(struct fs *fs, uint64_t dir, const char *name,
		     const struct rk_stat *st)
{
	int fd = rk__path_fd(fs, dir), r = 1;

	if (fd >= 0 && held(fs, st->ino)) {
		/* what can't be hidden lives on in this descriptor */
		rk__path_fd(fs, st->ino);
		fd = rk__path_fd(fs, dir);
		r = fd < 0 ? fd : hide(fs, fd, name, st);
		fd = rk__path_fd(fs, dir);
	}
	if (fd < 0)
		return fd;
	if (r <= 0)
		return r;
	return unlinkat(fd, name, S_ISDIR(st->mode) ? AT_REMOVEDIR : 0) < 0 ?
	       -errno : 0;
}

void rk__lost_name(struct fs *fs, uint64_t dir, const char *name,
		   struct rk_stat *st)
{
	const struct node *n = rk__node_find(fs, st->ino);
	bool directory = S_ISDIR(st->mode);
	char hidden[HIDDEN_LEN + 1];
	struct rk_stat now;

	rk__hidden_name(st->ino, hidden);
	if (rk__find(fs, fs->root, hidden, &now) == 0 && now.ino == st->ino) {
		rk__node_put(fs, st->ino, fs->root, hidden, HIDDEN_LEN,
			     directory);
		/* now that it is known what that name is */
		rk__find(fs, fs->root, hidden, st);
		return;
	}
	st->nlink = directory ? 0 : st->nlink - 1;
	if (held(fs, st->ino))
		rk__node_put(fs, st->ino, 0, "", 0, directory);
	else if (n && n->parent == dir && strcmp(n->name, name) == 0)
		rk__node_drop(fs, st->ino);
}

/* 1: it was done before we died. */
static int gone_before(struct fs *fs, const struct effect *e, uint64_t dir,
		       const char *name)
{
	struct rk_stat st;
	int r;

	if (e->state == EFFECT_DONE)
		return 1;
	r = rk__find(fs, dir, name, &st);
	if (r == -ENOENT)
		return 1;
	return r < 0 ? r : st.ino != e->from.ino;
}

static int check_type(const struct rk_stat *st, bool directory)
{
	if (S_ISDIR(st->mode) == directory)
		return 0;
	return directory ? -ENOTDIR : -EISDIR;
}

int rk__host_unlink(void *arg, uint64_t dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret)
{
	struct fs *fs = arg;
	char text[NAME_LEN_MAX + 1];
	struct effect *e, intent = { .kind = EFFECT_UNLINK };
	int r = rk__begin(fs);

	if (r == 0)
		r = take_name(fs, dir, name, len, -ENOENT, text);
	if (r < 0)
		return r;
	intent.name = rk__name_digest(dir, name, len);
	intent.digest = intent.name ^ directory;
	e = rk__effect_again(fs, EFFECT_UNLINK, intent.digest);
	if (e) {
		r = gone_before(fs, e, dir, text);
	} else {
		r = rk__find(fs, dir, text, &intent.from);
		if (r == 0)
			r = check_type(&intent.from, directory);
		if (r < 0)
			return r;
		e = rk__effect_intend(fs, &intent);
	}
	if (r == 0)
		r = do_unlink(fs, dir, text, &e->from);
	if (r < 0)
		return rk__effect_failed(fs, e, r);
	*ret = e->from;
	rk__lost_name(fs, dir, text, ret);
	rk__effect_done(fs, e, 0);
	rk__dirty(fs, dir);
	return 0;
}

/*
 * In two stages. As soon as the hidden name is gone, the host may give its
 * number to another file, of which we must not think that it is hidden: so the
 * node goes first, and that is committed.
 */
int rk__host_reclaim(void *arg, uint64_t ino)
{
	struct fs *fs = arg;
	char hidden[HIDDEN_LEN + 1];
	const struct node *n;
	int r = rk__own_begin(fs);

	if (r < 0)
		return r;
	/* it is that other file already */
	if (held(fs, ino))
		return 0;
	n = rk__node_find(fs, ino);
	if (n && n->kept && !n->children) {
		rk__node_drop(fs, ino);
		return 1;
	}
	rk__hidden_name(ino, hidden);
	if (unlinkat(fs->host->dirfd, hidden, 0) < 0 &&
	    (errno == EISDIR || errno == EPERM))
		unlinkat(fs->host->dirfd, hidden, AT_REMOVEDIR);
	return 0;
}

static bool is_hidden(const char *name)
{
	return strlen(name) == HIDDEN_LEN &&
	       strncmp(name, HIDDEN, sizeof HIDDEN - 1) == 0 &&
	       strspn(name + sizeof HIDDEN - 1, "0123456789abcdef") == 16;
}

void rk__sweep_hidden(struct fs *fs)
{
	struct own *o = own(fs);
	int fd = fs->host->dirfd;
	long n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return;
	while ((n = syscall(SYS_getdents64, fd, o->dirents, DIRENTS)) > 0)
		for (long at = 0; at < n;) {
			struct dirent_64 *d = (void *)(o->dirents + at);

			at += d->reclen;
			if (is_hidden(d->name) && unlinkat(fd, d->name, 0) < 0)
				unlinkat(fd, d->name, AT_REMOVEDIR);
		}
}
