/*
 * rename.c - names that move.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host.h"

struct move {
	struct fs *fs;
	uint64_t dir, newdir;
	char name[NAME_LEN_MAX + 1], newname[NAME_LEN_MAX + 1];
	size_t len, newlen;
	uint32_t flags;
};

static uint64_t ino_at(struct fs *fs, uint64_t dir, const char *name)
{
	struct rk_stat st;

	return rk__find(fs, dir, name, &st) == 0 ? st.ino : 0;
}

/* Was it done before we died? */
static bool moved_before(const struct move *m, const struct effect *e)
{
	uint64_t from, to;

	if (e->state == EFFECT_DONE)
		return true;
	from = ino_at(m->fs, m->dir, m->name);
	to = ino_at(m->fs, m->newdir, m->newname);
	if (to != e->from.ino)
		return false;
	return m->flags & RENAME_EXCHANGE ? from == e->to.ino :
					    from != e->from.ino;
}

/* What is replaced and still held gets a second name, by which it can be found:
 * the replacing itself stays one step. */
static void keep_victim(const struct move *m, const struct rk_stat *to)
{
	struct fs *fs = m->fs;
	char hidden[32];
	int fd;

	if (!to->ino || m->flags & RENAME_EXCHANGE || !held(fs, to->ino))
		return;
	rk__path_fd(fs, to->ino);
	fd = rk__path_fd(fs, m->newdir);
	rk__hidden_name(to->ino, hidden);
	if (fd >= 0 && !S_ISDIR(to->mode))
		(void)!linkat(fd, m->newname, fs->host->dirfd, hidden, 0);
}

static void lose_keeper(const struct move *m, const struct rk_stat *to)
{
	char hidden[32];

	if (!to->ino || m->flags & RENAME_EXCHANGE || S_ISDIR(to->mode))
		return;
	rk__hidden_name(to->ino, hidden);
	unlinkat(m->fs->host->dirfd, hidden, 0);
}

static int do_rename(const struct move *m, const struct rk_stat *to)
{
	int from_fd, to_fd, r;

	keep_victim(m, to);
	from_fd = rk__path_fd(m->fs, m->dir);
	to_fd = rk__path_fd(m->fs, m->newdir);
	if (from_fd < 0 || to_fd < 0)
		return from_fd < 0 ? from_fd : to_fd;
	if (rename_at(from_fd, m->name, to_fd, m->newname, m->flags) == 0)
		return 0;
	r = -errno;
	lose_keeper(m, to);
	return r;
}

static int take_names(struct move *m, const char *name, const char *newname)
{
	int r = take_name(m->fs, m->dir, name, m->len, -ENOENT, m->name);

	if (r == 0)
		r = take_name(m->fs, m->newdir, newname, m->newlen, -EPERM,
			      m->newname);
	return r;
}

static int look(const struct move *m, struct effect *intent)
{
	int r = rk__find(m->fs, m->dir, m->name, &intent->from);

	if (r < 0)
		return r;
	r = rk__find(m->fs, m->newdir, m->newname, &intent->to);
	if (r == -ENOENT)
		intent->to = (struct rk_stat){ 0 };
	return r == -ENOENT ? 0 : r;
}

static void note_places(const struct move *m, const struct effect *e,
			struct rk_stat *victim)
{
	struct fs *fs = m->fs;

	*victim = (struct rk_stat){ 0 };
	if (e->to.ino && m->flags & RENAME_EXCHANGE) {
		rk__node_put(fs, e->to.ino, m->dir, m->name, m->len,
			     S_ISDIR(e->to.mode));
	} else if (e->to.ino) {
		*victim = e->to;
		rk__lost_name(fs, m->newdir, m->newname, victim);
	}
	rk__node_put(fs, e->from.ino, m->newdir, m->newname, m->newlen,
		     S_ISDIR(e->from.mode));
}

int rk__host_rename(void *arg, uint64_t dir, const char *name, size_t len,
		    uint64_t newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim)
{
	struct move m = { .fs = arg, .dir = dir, .newdir = newdir, .len = len,
			  .newlen = newlen, .flags = flags };
	struct effect *e, intent = { .kind = EFFECT_RENAME };
	int r = rk__begin(m.fs);

	if (r == 0)
		r = take_names(&m, name, newname);
	if (r < 0)
		return r;
	intent.name = rk__name_digest(dir, name, len);
	intent.newname = rk__name_digest(newdir, newname, newlen);
	intent.digest = rk__digest(intent.name ^ flags, &intent.newname, 8);
	e = rk__effect_again(m.fs, EFFECT_RENAME, intent.digest);
	if (!e) {
		r = look(&m, &intent);
		if (r < 0)
			return r;
		e = rk__effect_intend(m.fs, &intent);
		r = do_rename(&m, &e->to);
	} else if (!moved_before(&m, e)) {
		r = do_rename(&m, &e->to);
	}
	if (r < 0)
		return rk__effect_failed(m.fs, e, r);
	note_places(&m, e, victim);
	rk__effect_done(m.fs, e, 0);
	rk__dirty(m.fs, dir);
	rk__dirty(m.fs, newdir);
	return 0;
}
