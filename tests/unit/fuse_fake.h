/*
 * fuse_fake.h - what the FUSE gate stands on, in memory: a flat directory of
 * small files, locks, serving in batches, and a kernel at the other end of a
 * socket pair. A "death" forgets what was not committed and what was not
 * posted, as a real one does.
 */
#ifndef FUSE_FAKE_H
#define FUSE_FAKE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "gate/fuse.h"

enum { FILES = 64, FILE_SIZE = 512 << 10, QUEUE = 20000, ROOT_INO = 2 };

struct fake_file {
	bool used;
	char name[256];
	uint32_t mode, size;
	uint8_t *data;
};

struct fake_lock {
	uint64_t owner, file;
	enum rk__lock_kind kind;
	uint32_t vnode;
	unsigned type;
};

static struct {
	struct fake_file file[FILES];
	struct fake_lock lock[8];
	unsigned n_locks;
	struct rk__handle *queue[QUEUE], *parked[QUEUE];
	unsigned n_queue, n_parked;
	unsigned creates, writes, forgets, sources, dropped;
	bool changed, hold_posts;
	int kernel;			/* the other end of /dev/fuse */
	struct rk__family family;
	uint64_t unique;
} fake;

/* --- vfs -------------------------------------------------------------------- */

static void fake_stat(uint64_t ino, struct rk_stat *st)
{
	const struct fake_file *f = &fake.file[ino];

	*st = (struct rk_stat){ .ino = ino, .mode = f->mode, .size = f->size,
				.nlink = 1, .blksize = 4096 };
}

static uint64_t fake_find(const char *name, size_t len)
{
	for (unsigned i = ROOT_INO + 1; i < FILES; i++)
		if (fake.file[i].used && strlen(fake.file[i].name) == len &&
		    !memcmp(fake.file[i].name, name, len))
			return i;
	return 0;
}

static uint64_t fake_make(const char *name, size_t len, uint32_t mode)
{
	for (unsigned i = ROOT_INO + 1; i < FILES; i++) {
		struct fake_file *f = &fake.file[i];

		if (f->used)
			continue;
		*f = (struct fake_file){ .used = true, .mode = mode };
		memcpy(f->name, name, len);
		f->data = calloc(1, FILE_SIZE);
		return i;
	}
	return 0;
}

int rk__vfs_lookup(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk_stat *ret)
{
	uint64_t ino = fake_find(name, len);

	if (!ino)
		return -ENOENT;
	fake_stat(ino, ret);
	return 0;
}

int rk__vfs_getattr(struct rk__node n, struct rk_stat *ret)
{
	fake_stat(n.ino, ret);
	return 0;
}

/* Cuts in stages of a page. */
int rk__vfs_setattr(const struct rk__cred *c, struct rk__node n,
		    const struct rk_setattr *set, struct rk_stat *ret)
{
	struct fake_file *f = &fake.file[n.ino];

	fake.changed = true;
	if (set->valid & RK_SET_MODE)
		f->mode = (f->mode & S_IFMT) | set->mode;
	if ((set->valid & RK_SET_SIZE) && f->size > set->size + 4096) {
		f->size -= 4096;
		return 1;
	}
	if (set->valid & RK_SET_SIZE)
		f->size = (uint32_t)set->size;
	fake_stat(n.ino, ret);
	return 0;
}

int rk__vfs_create(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, const struct rk_new *what,
		   struct rk_stat *ret)
{
	uint64_t ino;

	if (fake_find(name, len))
		return -EEXIST;
	fake.creates++;
	fake.changed = true;
	ino = fake_make(name, len, what->mode);
	fake_stat(ino, ret);
	return 0;
}

int rk__vfs_tmpfile(const struct rk__cred *c, struct rk__node dir,
		    const struct rk_new *what, bool linkable,
		    struct rk_stat *ret)
{
	return -EOPNOTSUPP;
}

int rk__may_open(const struct rk_stat *st, uint32_t open_flags)
{
	return 0;
}

int rk__vfs_link(const struct rk__cred *c, struct rk__node n,
		 struct rk__node dir, const char *name, size_t len,
		 struct rk_stat *ret)
{
	fake_stat(n.ino, ret);
	return 0;
}

int rk__vfs_unlink(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, bool directory)
{
	uint64_t ino = fake_find(name, len);

	if (!ino)
		return -ENOENT;
	fake.changed = true;
	free(fake.file[ino].data);
	fake.file[ino].used = false;
	return 0;
}

int rk__vfs_rename(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk__node newdir,
		   const char *newname, size_t newlen, uint32_t flags)
{
	uint64_t ino = fake_find(name, len);

	if (!ino)
		return -ENOENT;
	fake.changed = true;
	snprintf(fake.file[ino].name, 256, "%.*s", (int)newlen, newname);
	return 0;
}

int rk__vfs_readlink(struct rk__node n, char *buf, size_t size)
{
	memcpy(buf, "target", 6);
	return 6;
}

int64_t rk__vfs_read(struct rk__node n, void *buf, size_t len, uint64_t off)
{
	const struct fake_file *f = &fake.file[n.ino];

	if (off >= f->size)
		return 0;
	if (len > f->size - off)
		len = f->size - off;
	memcpy(buf, f->data + off, len);
	return (int64_t)len;
}

int64_t rk__vfs_write(const struct rk__cred *c, struct rk__node n,
		      const void *buf, size_t len, uint64_t off, bool append,
		      uint64_t *ret_off)
{
	struct fake_file *f = &fake.file[n.ino];

	if (off + len > FILE_SIZE)
		return -EFBIG;
	fake.writes++;
	fake.changed = true;
	memcpy(f->data + off, buf, len);
	if (off + len > f->size)
		f->size = (uint32_t)(off + len);
	return (int64_t)len;
}

int rk__vfs_fallocate(const struct rk__cred *c, struct rk__node n,
		      uint32_t mode, uint64_t off, uint64_t len)
{
	return -EOPNOTSUPP;
}

int rk__vfs_seek(struct rk__node n, uint64_t off, bool hole, uint64_t *ret)
{
	*ret = hole ? fake.file[n.ino].size : off;
	return 0;
}

int64_t rk__vfs_copy(const struct rk__cred *c, struct rk__node from,
		     uint64_t off_from, struct rk__node to, uint64_t off_to,
		     uint64_t len)
{
	return (int64_t)len;
}

int rk__vfs_readdir(struct rk__node dir, uint64_t cookie, rk_emit_fn *emit,
		    void *arg)
{
	if (cookie < 1 && emit(arg, ".", 1, ROOT_INO, 4, 1))
		return 0;
	if (cookie < 2 && emit(arg, "..", 2, ROOT_INO, 4, 2))
		return 0;
	for (uint64_t i = cookie < 2 ? 3 : cookie + 1; i < FILES; i++)
		if (fake.file[i].used &&
		    emit(arg, fake.file[i].name, strlen(fake.file[i].name), i,
			 8, i))
			return 0;
	return 0;
}

int rk__vfs_getxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, void *buf, size_t size)
{
	if (strcmp(name, "user.a"))
		return -ENODATA;
	if (size && size < 5)
		return -ERANGE;
	if (size)
		memcpy(buf, "value", 5);
	return 5;
}

int rk__vfs_setxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, const void *value, size_t size,
		     uint32_t flags)
{
	return !strcmp(name, "user.a") && size == 5 &&
	       !memcmp(value, "value", 5) ? 0 : -EINVAL;
}

int rk__vfs_listxattr(const struct rk__cred *c, struct rk__node n, char *list,
		      size_t size)
{
	return 0;
}

int rk__vfs_removexattr(const struct rk__cred *c, struct rk__node n,
			const char *name)
{
	return -ENODATA;
}

int rk__vfs_statfs(uint32_t mount, struct rk_statfs *ret)
{
	*ret = (struct rk_statfs){ .bsize = 4096, .blocks = 7 };
	return 0;
}

/* --- vnodes: number i is file i ------------------------------------------------- */

uint32_t rk__vnode_get(struct rk__node n)
{
	struct rk__vnode *v = &rk__core->vnode[n.ino];

	if (!v->used) {
		v->used = true;
		v->ino = n.ino;
		v->mount = n.mount;
	}
	return (uint32_t)n.ino;
}

uint32_t rk__vnode_find(struct rk__node n)
{
	return n.ino < FILES && rk__core->vnode[n.ino].used ?
		(uint32_t)n.ino : 0;
}

struct rk__vnode *rk__vnode(uint32_t index)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	return index && index < FILES && v->used ? v : NULL;
}

void rk__vnode_hold_lookup(uint32_t index)
{
	rk__core->vnode[index].lookups++;
	fake.changed = true;
}

int rk__vnode_put_lookup(uint32_t index, uint64_t n)
{
	struct rk__vnode *v = &rk__core->vnode[index];

	fake.forgets++;
	fake.changed = true;
	cr_assert_geq(v->lookups, n);
	v->lookups -= n;
	if (!v->lookups)
		v->used = false;
	return 0;
}

void rk__vnode_drop_lookups(uint32_t mount)
{
	fake.dropped++;
}

/* --- locks: whole files only ------------------------------------------------------ */

static struct fake_lock *fake_in_way(uint32_t vnode,
				     const struct rk__lock_request *r)
{
	for (unsigned i = 0; i < fake.n_locks; i++)
		if (fake.lock[i].vnode == vnode &&
		    fake.lock[i].owner != r->owner &&
		    (fake.lock[i].type == F_WRLCK || r->type == F_WRLCK))
			return &fake.lock[i];
	return NULL;
}

int rk__lock_set(uint32_t vnode, const struct rk__lock_request *r)
{
	if (r->type == F_UNLCK) {
		rk__lock_release(vnode, r->kind, r->owner);
		return 0;
	}
	if (fake_in_way(vnode, r))
		return -EAGAIN;
	fake.lock[fake.n_locks++] = (struct fake_lock){
		.owner = r->owner, .file = r->file, .kind = r->kind,
		.vnode = vnode,
		.type = r->type,
	};
	rk__core->vnode[vnode].locks = 1;
	fake.changed = true;
	return 0;
}

void rk__lock_test(uint32_t vnode, const struct rk__lock_request *r,
		   struct rk_flock *ret)
{
	const struct fake_lock *l = fake_in_way(vnode, r);

	*ret = (struct rk_flock){ .type = l ? l->type : F_UNLCK, .pid = 7 };
}

void rk__lock_release(uint32_t vnode, enum rk__lock_kind kind, uint64_t owner)
{
	for (unsigned i = 0; i < fake.n_locks; i++) {
		struct fake_lock *l = &fake.lock[i];

		if (l->vnode != vnode || l->owner != owner || l->kind != kind)
			continue;
		*l = fake.lock[--fake.n_locks];
		fake.changed = true;
		return;
	}
}

void rk__lock_release_file(uint32_t vnode, uint64_t file)
{
	for (unsigned i = 0; i < fake.n_locks; i++)
		if (fake.lock[i].vnode == vnode && fake.lock[i].file == file)
			fake.lock[i--] = fake.lock[--fake.n_locks];
}

int rk__lock_wait(uint32_t vnode, const struct rk__lock_request *r)
{
	return 0;
}

void rk__lock_wait_end(uint32_t vnode, const struct rk__lock_request *r)
{
}

/* --- serving ------------------------------------------------------------------------ */

void rk__requeue(struct rk__handle *h) { (void)h; }

void rk__park_lock(struct rk__handle *h, uint32_t vnode, uint32_t ofd,
		   const struct rk__lock_request *want)
{
	h->parked = true;
	fake.parked[fake.n_parked++] = h;
}

bool rk__unpark(struct rk__handle *h)
{
	for (unsigned i = 0; i < fake.n_parked; i++) {
		if (fake.parked[i] != h)
			continue;
		fake.parked[i] = fake.parked[--fake.n_parked];
		h->parked = false;
		return true;
	}
	return false;
}

/* The first of those that wait, as the loop would run it. */
static inline void fake_run_woken(void)
{
	unsigned n = fake.n_parked;
	struct rk__handle *h[QUEUE];

	memcpy(h, fake.parked, n * sizeof h[0]);
	for (unsigned i = 0; i < n; i++)
		if (rk__unpark(h[i]))
			rk__serve(h[i]);
	rk__serve_flush();
}

bool rk__vfs_outside(uint32_t mount)
{
	return false;
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	return id && rk__core->committed[slot] == id;
}

void rk__serve(struct rk__handle *h)
{
	enum rk__outcome o;

	fake.changed = false;
	do
		o = h->gate->exec(h);
	while (o == RK_STAGE);
	if (o == RK_PARKED)
		return;
	if (fake.changed)
		rk__core->committed[h->slot] = h->id;
	fake.queue[fake.n_queue++] = h;
}

void rk__serve_flush(void)
{
	unsigned n = fake.n_queue;

	if (fake.hold_posts)
		return;
	fake.n_queue = 0;
	for (unsigned i = 0; i < n; i++)
		fake.queue[i]->gate->post(fake.queue[i]);
}

enum rk__outcome rk__serve_fsync(struct rk__handle *h, uint32_t mount)
{
	h->result = 0;
	return RK_DONE;
}

int rk__loop_add(struct rk__source *s, uint32_t events)
{
	fake.sources++;
	return 0;
}

void rk__loop_remove(struct rk__source *s)
{
	fake.sources--;
}

/* --- the kernel's end --------------------------------------------------------------- */

static void fake_start_server(bool first)
{
	fake.n_queue = fake.n_parked = fake.sources = 0;
	fake.hold_posts = false;
	for (unsigned i = 0; rk__fuse_of(0)->slot && i < RK_FUSE_SLOTS; i++)
		rk__fuse_of(0)->slot[i] = (struct rk__fuse_slot){ 0 };
	cr_assert(rk__fuse_prepare(&fake.family, 0) == 0);
	cr_assert(rk__fuse_start(0, first) == 0);
}

static void fake_setup(void)
{
	int sv[2], size = 4 << 20;

	cr_assert(mmap((void *)RK_CORE_AT, RK_CORE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       MAP_FIXED_NOREPLACE, -1, 0) == (void *)RK_CORE_AT);
	cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	for (unsigned i = 0; i < 2; i++)
		if (setsockopt(sv[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			       sizeof size) < 0)
			setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size,
				   sizeof size);
	fake.kernel = sv[1];
	fake.unique = 2;
	fake.family.fuse_fd[0] = sv[0];
	fake.family.fuse_init[0] = FUSE_SETXATTR_EXT | RK_FUSE_HAS_RESEND |
		FUSE_HANDLE_KILLPRIV_V2;
	fake.family.inbox_fd[0] = memfd_create("inbox", MFD_CLOEXEC);
	cr_assert(ftruncate(fake.family.inbox_fd[0], RK_FUSE_INBOX_SIZE) == 0);
	fake.file[ROOT_INO] = (struct fake_file){ .used = true,
						  .mode = S_IFDIR | 0755 };
	rk__core->mount[0].root_vnode = rk__vnode_get((struct rk__node){
						0, ROOT_INO });
	fake_start_server(true);
}

/* Sends header, fixed part and what follows it; gives the unique. */
static uint64_t fake_send(uint32_t opcode, uint64_t node, uint64_t flags,
			  const void *in, size_t in_len, const void *rest,
			  size_t rest_len)
{
	static uint8_t b[RK_FUSE_READ_SIZE];
	struct fuse_in_header *h = (void *)b;

	*h = (struct fuse_in_header){
		.len = (uint32_t)(sizeof *h + in_len + rest_len),
		.opcode = opcode,
		.unique = (flags & ~RK_FUSE_UNIQUE_RESEND ? flags :
			   (fake.unique += 2)) | flags,
		.nodeid = node,
		.uid = 1000,
		.gid = 1000,
	};
	if (in_len)
		memcpy(b + sizeof *h, in, in_len);
	if (rest_len)
		memcpy(b + sizeof *h + in_len, rest, rest_len);
	cr_assert_eq(send(fake.kernel, b, h->len, 0), (ssize_t)h->len);
	return h->unique;
}

struct fake_answer {
	struct fuse_out_header head;
	_Alignas(8) uint8_t data[RK_FUSE_MAX_WRITE];
};

/* false: none is there. */
static bool fake_receive(struct fake_answer *a)
{
	ssize_t n = recv(fake.kernel, a, sizeof *a, MSG_DONTWAIT);

	if (n < 0)
		return false;
	cr_assert_eq(n, (ssize_t)a->head.len);
	return true;
}

static void fake_poll(void)
{
	while (rk__fuse_poll(0))
		;
}

/* Sends, serves, expects an answer: its error. */
static int fake_call(uint32_t opcode, uint64_t node, const void *in,
		     size_t in_len, const void *rest, size_t rest_len,
		     struct fake_answer *a)
{
	uint64_t unique = fake_send(opcode, node, 0, in, in_len, rest,
				    rest_len);

	fake_poll();
	cr_assert(fake_receive(a), "opcode %u has no answer", opcode);
	cr_assert_eq(a->head.unique, unique);
	return a->head.error;
}

#endif
