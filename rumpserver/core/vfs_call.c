/*
 * vfs_call.c - see vfs_call.h.
 *
 * A call that changed nothing is not logged, nor is one that failed: what it
 * changed before it failed is rolled back with its op.
 */
#include <linux/fs.h>
#include <string.h>
#include <xxhash.h>
#include "vfs_call.h"
#include "vfs_int.h"

static bool kept[RK_MOUNTS_MAX];

static bool is_on_device(const struct rk__family *f, uint32_t mount)
{
	return f->mount[mount].kind == RK_SOURCE_IMAGE;
}

/* Each server mounts all of its drivers anew anyway. */
static bool keeps_nothing(uint32_t mount)
{
	bool nothing = rk__driver[mount]->flags & RK_DRIVER_REOPEN;

	for (uint32_t i = 0; i < RK_STACK_MAX - 1 && rk__lower[mount][i]; i++)
		nothing &= rk__lower[mount][i]->flags & RK_DRIVER_REOPEN ?
			   true : false;
	return nothing;
}

bool rk__cold_possible(const struct rk__family *f)
{
	/* What sleeps in the middle of an op has a stack that knows of the
	 * drivers' memory. */
	for (uint32_t i = 0; i < f->n_mounts; i++)
		if (f->mount[i].process ||
		    (!is_on_device(f, i) && !keeps_nothing(i)))
			return false;
	return f->calls_fd >= 0 && !f->fragile;
}

void rk__calls_restart(const struct rk__family *f)
{
	bool possible = rk__cold_possible(f);

	for (uint32_t i = 0; i < f->n_mounts; i++)
		kept[i] = possible && is_on_device(f, i) &&
			  !f->mount[i].read_only;
}

/* --- keeping a call ----------------------------------------------------------- */

struct making {
	struct rk__call call;
	const void *part[RK_CALL_PARTS];
	uint64_t changes;
};

static void begin(struct making *m, enum rk__call_op op, struct rk__node n)
{
	if (!kept[n.mount])
		return;
	memset(m, 0, sizeof *m);
	m->call.op = op;
	m->call.mount = (uint8_t)n.mount;
	m->call.ino = n.ino;
	m->changes = rk__change_count();
	rk__time_stop(NULL);
}

static void has_part(struct making *m, uint32_t mount, int i, const void *p,
		     size_t len)
{
	if (!kept[mount])
		return;
	m->part[i] = p;
	m->call.part[i] = (uint32_t)len;
}

/* Of what others may have seen: not how many blocks it took. */
static uint64_t digest(const struct rk_stat *st)
{
	const struct rk_time *t[] = {
		&st->atime, &st->mtime, &st->ctime, &st->btime,
	};
	uint64_t word[16] = {
		st->ino, st->size, (uint64_t)st->mode << 32 | st->nlink,
		(uint64_t)st->uid << 32 | st->gid, st->rdev,
		(uint64_t)st->generation << 32 | st->flags,
	};

	for (int i = 0; i < 4; i++) {
		word[6 + 2 * i] = (uint64_t)t[i]->sec;
		word[7 + 2 * i] = t[i]->nsec;
	}
	return XXH3_64bits(word, sizeof word);
}

static int64_t end(struct making *m, uint32_t mount, int64_t r,
		   const struct rk_stat *answer)
{
	if (!kept[mount])
		return r;
	m->call.now = rk__time_go_on();
	if (r < 0 || m->changes == rk__change_count())
		return r;
	m->call.result = r;
	if (answer)
		m->call.check = digest(answer);
	rk__call_log(&m->call, m->part);
	return r;
}

static void made(struct making *m, uint32_t mount, int r,
		 const struct rk_stat *st)
{
	if (r < 0 || !kept[mount])
		return;
	m->call.made = st->ino;
	m->call.made_generation = st->generation;
}

int rk__do_create(struct rk__node dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_CREATE, dir);
	has_part(&m, dir.mount, 0, name, len);
	has_part(&m, dir.mount, 1, what->target,
		 what->target ? strlen(what->target) + 1 : 0);
	has_part(&m, dir.mount, 2, what, sizeof *what);
	r = d->create ? d->create(rk__fs(dir.mount), dir.ino, name, len, what,
				  ret) : -EROFS;
	made(&m, dir.mount, r, ret);
	return (int)end(&m, dir.mount, r, ret);
}

int rk__do_tmpfile(struct rk__node dir, const struct rk_new *what,
		     struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_TMPFILE, dir);
	has_part(&m, dir.mount, 2, what, sizeof *what);
	r = d->tmpfile ? d->tmpfile(rk__fs(dir.mount), dir.ino, what, ret) :
			 -EOPNOTSUPP;
	made(&m, dir.mount, r, ret);
	return (int)end(&m, dir.mount, r, ret);
}

int rk__do_link(struct rk__node n, struct rk__node dir, const char *name,
		  size_t len, struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_LINK, n);
	has_part(&m, n.mount, 0, name, len);
	if (kept[n.mount])
		m.call.ino2 = dir.ino;
	r = d->link ? d->link(rk__fs(n.mount), n.ino, dir.ino, name, len,
			      ret) : -EROFS;
	return (int)end(&m, n.mount, r, ret);
}

int rk__do_unlink(struct rk__node dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_UNLINK, dir);
	has_part(&m, dir.mount, 0, name, len);
	if (kept[dir.mount])
		m.call.flags = directory;
	r = d->unlink ? d->unlink(rk__fs(dir.mount), dir.ino, name, len,
				  directory, ret) : -EROFS;
	return (int)end(&m, dir.mount, r, ret);
}

int rk__do_rename(struct rk__node dir, const char *name, size_t len,
		    struct rk__node newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	void *fs = rk__fs(dir.mount);
	struct rk_stat whiteout;
	struct making m;
	int r;

	begin(&m, RK_CALL_RENAME, dir);
	has_part(&m, dir.mount, 0, name, len);
	has_part(&m, dir.mount, 1, newname, newlen);
	if (kept[dir.mount]) {
		m.call.ino2 = newdir.ino;
		m.call.flags = flags;
	}
	r = d->rename ? d->rename(fs, dir.ino, name, len, newdir.ino, newname,
				  newlen, flags, victim) : -EROFS;
	if (r >= 0 && flags & RENAME_WHITEOUT &&
	    d->lookup(fs, dir.ino, name, len, &whiteout) == 0)
		made(&m, dir.mount, r, &whiteout);
	return (int)end(&m, dir.mount, r, victim);
}

int rk__do_setattr(struct rk__node n, const struct rk_setattr *set,
		     struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_SETATTR, n);
	has_part(&m, n.mount, 2, set, sizeof *set);
	r = d->setattr ? d->setattr(rk__fs(n.mount), n.ino, set, ret) : -EROFS;
	return (int)end(&m, n.mount, r, ret);
}

int64_t rk__do_write(struct rk__node n, const void *buf, size_t len,
		       uint64_t off)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int64_t r;

	begin(&m, RK_CALL_WRITE, n);
	has_part(&m, n.mount, 2, buf, len);
	if (kept[n.mount])
		m.call.off = off;
	r = d->write ? d->write(rk__fs(n.mount), n.ino, buf, len, off) :
		       -EROFS;
	return end(&m, n.mount, r, NULL);
}

int rk__do_fallocate(struct rk__node n, uint32_t mode, uint64_t off,
		       uint64_t len)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_FALLOCATE, n);
	if (kept[n.mount]) {
		m.call.flags = mode;
		m.call.off = off;
		m.call.len = len;
	}
	r = d->fallocate ? d->fallocate(rk__fs(n.mount), n.ino, mode, off,
					len) : -EOPNOTSUPP;
	return (int)end(&m, n.mount, r, NULL);
}

int rk__do_reclaim(struct rk__node n)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_RECLAIM, n);
	r = d->reclaim ? d->reclaim(rk__fs(n.mount), n.ino) : 0;
	return (int)end(&m, n.mount, r, NULL);
}

int rk__do_setxattr(struct rk__node n, const char *name, const void *value,
		      size_t size, uint32_t flags)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_SETXATTR, n);
	has_part(&m, n.mount, 0, name, strlen(name) + 1);
	has_part(&m, n.mount, 2, value, size);
	if (kept[n.mount])
		m.call.flags = flags;
	r = d->setxattr ? d->setxattr(rk__fs(n.mount), n.ino, name, value,
				      size, flags) : -EOPNOTSUPP;
	return (int)end(&m, n.mount, r, NULL);
}

int rk__do_removexattr(struct rk__node n, const char *name)
{
	const struct rk_driver *d = rk__ops(n.mount);
	struct making m;
	int r;

	begin(&m, RK_CALL_REMOVEXATTR, n);
	has_part(&m, n.mount, 0, name, strlen(name) + 1);
	r = d->removexattr ? d->removexattr(rk__fs(n.mount), n.ino, name) :
			     -EOPNOTSUPP;
	return (int)end(&m, n.mount, r, NULL);
}

/* --- running one again -------------------------------------------------------- */

struct again {
	const struct rk_driver *d;
	void *fs;
	const struct rk__call *c;
	const uint8_t *const *part;
};

static const char *text(const struct again *a, int i)
{
	return (const char *)a->part[i];
}

static bool is_string(const struct again *a, int i)
{
	return a->c->part[i] && !a->part[i][a->c->part[i] - 1];
}

static int64_t again_new(const struct again *a, struct rk_stat *st)
{
	struct rk_new what;

	if (a->c->part[2] != sizeof what ||
	    (a->c->part[1] && !is_string(a, 1)))
		return -EBADMSG;
	memcpy(&what, a->part[2], sizeof what);
	what.target = a->c->part[1] ? text(a, 1) : NULL;
	if (a->c->op == RK_CALL_TMPFILE)
		return a->d->tmpfile(a->fs, a->c->ino, &what, st);
	return a->d->create(a->fs, a->c->ino, text(a, 0), a->c->part[0], &what,
			    st);
}

static int64_t again_setattr(const struct again *a, struct rk_stat *st)
{
	struct rk_setattr set;

	if (a->c->part[2] != sizeof set)
		return -EBADMSG;
	memcpy(&set, a->part[2], sizeof set);
	return a->d->setattr(a->fs, a->c->ino, &set, st);
}

static int64_t again_xattr(const struct again *a)
{
	const struct rk__call *c = a->c;

	if (!is_string(a, 0))
		return -EBADMSG;
	if (c->op == RK_CALL_REMOVEXATTR)
		return a->d->removexattr(a->fs, c->ino, text(a, 0));
	return a->d->setxattr(a->fs, c->ino, text(a, 0), a->part[2],
			      c->part[2], c->flags);
}

/* *has: it answers with attributes. */
static int64_t run_again(const struct again *a, struct rk_stat *st, bool *has)
{
	const struct rk__call *c = a->c;

	*has = true;
	switch ((enum rk__call_op)c->op) {
	case RK_CALL_CREATE:
	case RK_CALL_TMPFILE:
		return again_new(a, st);
	case RK_CALL_LINK:
		return a->d->link(a->fs, c->ino, c->ino2, text(a, 0),
				  c->part[0], st);
	case RK_CALL_UNLINK:
		return a->d->unlink(a->fs, c->ino, text(a, 0), c->part[0],
				    c->flags, st);
	case RK_CALL_RENAME:
		return a->d->rename(a->fs, c->ino, text(a, 0), c->part[0],
				    c->ino2, text(a, 1), c->part[1], c->flags,
				    st);
	case RK_CALL_SETATTR:
		return again_setattr(a, st);
	default:
		break;
	}
	*has = false;
	switch ((enum rk__call_op)c->op) {
	case RK_CALL_WRITE:
		return a->d->write(a->fs, c->ino, a->part[2], c->part[2],
				   c->off);
	case RK_CALL_FALLOCATE:
		return a->d->fallocate(a->fs, c->ino, c->flags, c->off, c->len);
	case RK_CALL_RECLAIM:
		return a->d->reclaim(a->fs, c->ino);
	case RK_CALL_SETXATTR:
	case RK_CALL_REMOVEXATTR:
		return again_xattr(a);
	default:
		return -EBADMSG;
	}
}

int rk__call_again(const struct rk__call *c, const uint8_t *const *part)
{
	const struct rk_wanted wanted = { c->made, c->made_generation };
	struct again a = { .c = c, .part = part };
	struct rk_stat st = { 0 };
	int64_t r;
	bool has;

	if (c->mount >= RK_MOUNTS_MAX || !rk__core->mount[c->mount].mounted)
		return -EBADMSG;
	a.d = rk__ops(c->mount);
	a.fs = rk__fs(c->mount);
	rk__wanted_set(c->made ? &wanted : NULL);
	rk__time_stop(&c->now);
	r = run_again(&a, &st, &has);
	rk__time_go_on();
	rk__wanted_set(NULL);
	if (r == -EBADMSG)
		return -EBADMSG;
	return r == c->result && (!has || digest(&st) == c->check) ? 0 :
	       -ESTALE;
}
