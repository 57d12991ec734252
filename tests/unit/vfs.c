/*
 * vfs.c - what the vfs adds to a driver: permissions, set-id bits, the name
 * cache, references and orphans, and a note for every change.
 */
#include <unistd.h>
#include "../harness/core_fake.h"

static struct rk__node root;
static const uint32_t groups[] = { 30, 31 };
static const struct rk__cred owner = { .uid = 10, .gid = 20 };
static const struct rk__cred member = {
	.uid = 11, .gid = 21, .group = groups, .n_groups = 2,
};
static const struct rk__cred other = { .uid = 12, .gid = 22 };
static const struct rk__cred kernel = { .uid = 12, .gid = 22, .checked = true };

static void setup(void)
{
	fake_start("/vol");
	root = rk__node(0, MEM_ROOT);
}

static struct rk__node node(uint64_t ino)
{
	return rk__node(0, ino);
}

static int make_at(const struct rk__cred *c, struct rk__node dir,
		   const char *name, uint32_t mode, struct rk_stat *st)
{
	struct rk_new what = { .mode = mode, .target = "target" };

	return (int)fake_end(rk__vfs_create(c, dir, name, strlen(name), &what,
					    st));
}

/* As root, with this owner and group. */
static struct rk__node put(struct rk__node dir, const char *name, uint32_t mode,
			   uint32_t uid, uint32_t gid)
{
	struct rk_stat st;

	cr_assert_eq(make_at(&fake_root, dir, name, mode, &st), 0);
	mem_fs.inode[st.ino].st.uid = uid;
	mem_fs.inode[st.ino].st.gid = gid;
	mem_fs.inode[st.ino].st.mode = mode;
	return node(st.ino);
}

static int rm(const struct rk__cred *c, struct rk__node dir, const char *name,
	      bool directory)
{
	return (int)fake_end(rk__vfs_unlink(c, dir, name, strlen(name),
					    directory));
}

static int mv(const struct rk__cred *c, struct rk__node a, const char *name,
	      struct rk__node b, const char *newname, uint32_t flags)
{
	return (int)fake_end(rk__vfs_rename(c, a, name, strlen(name), b,
					    newname, strlen(newname), flags));
}

static int find(const struct rk__cred *c, struct rk__node dir, const char *name,
		struct rk_stat *st)
{
	int r = rk__vfs_lookup(c, dir, name, strlen(name), st);

	cr_assert(!rk__changed(), "a lookup changed something");
	return r;
}

static int set(const struct rk__cred *c, struct rk__node n,
	       struct rk_setattr s, struct rk_stat *st)
{
	return (int)fake_end(rk__vfs_setattr(c, n, &s, st));
}

/* --- permissions -------------------------------------------------------------- */

Test(vfs, access_by_class_of_user)
{
	static const struct {
		uint32_t mode;
		unsigned owner, member, other, root;
	} table[] = {
		{ S_IFREG | 0000, 0, 0, 0, 6 },
		{ S_IFREG | 0700, 7, 0, 0, 7 },
		{ S_IFREG | 0070, 0, 7, 0, 7 },
		{ S_IFREG | 0007, 0, 0, 7, 7 },
		{ S_IFREG | 0644, 6, 4, 4, 6 },
		{ S_IFREG | 0421, 4, 2, 1, 7 },
		{ S_IFREG | 0077, 0, 7, 7, 7 },
		{ S_IFDIR | 0000, 0, 0, 0, 7 },
		{ S_IFDIR | 0750, 7, 5, 0, 7 },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct rk_stat st = {
			.mode = table[i].mode, .uid = 10, .gid = 31,
		};

		for (unsigned m = 0; m < 8; m++) {
			cr_expect_eq(!rk__vfs_access(&owner, &st, m),
				     !(m & ~table[i].owner));
			cr_expect_eq(!rk__vfs_access(&member, &st, m),
				     !(m & ~table[i].member));
			cr_expect_eq(!rk__vfs_access(&other, &st, m),
				     !(m & ~table[i].other));
			cr_expect_eq(!rk__vfs_access(&fake_root, &st, m),
				     !(m & ~table[i].root));
			cr_expect_eq(rk__vfs_access(&kernel, &st, m), 0);
		}
	}
}

Test(vfs, directories_guard_their_names, .init = setup)
{
	struct rk__node d = put(root, "d", S_IFDIR | 0755, 10, 20);
	struct rk_stat st;

	cr_expect_eq(make_at(&other, d, "f", S_IFREG | 0644, &st), -EACCES);
	cr_expect_eq(make_at(&owner, d, "f", S_IFREG | 0644, &st), 0);
	cr_expect_eq(st.uid, 10u);
	cr_expect_eq(st.gid, 20u);
	cr_expect_eq(rm(&other, d, "f", false), -EACCES);
	cr_expect_eq(mv(&other, d, "f", root, "g", 0), -EACCES);
	cr_expect_eq(find(&other, d, "f", &st), 0);
	mem_fs.inode[d.ino].st.mode = S_IFDIR | 0700;
	cr_expect_eq(find(&other, d, "f", &st), -EACCES);
	cr_expect_eq(find(&kernel, d, "f", &st), 0);
	cr_expect_eq(find(&other, node(st.ino), "f", &st), -ENOTDIR);
	cr_expect_eq(rm(&kernel, d, "f", false), 0);
	cr_expect_eq(make_at(&owner, d, "dev", S_IFCHR | 0600, &st), -EPERM);
	cr_expect_eq(make_at(&fake_root, d, "dev", S_IFCHR | 0600, &st), 0);
}

Test(vfs, sticky_directories, .init = setup)
{
	struct rk__node d = put(root, "tmp", S_IFDIR | 01777, 0, 0);

	put(d, "f", S_IFREG | 0666, 10, 20);
	put(d, "g", S_IFREG | 0666, 12, 22);
	cr_expect_eq(rm(&other, d, "f", false), -EPERM);
	cr_expect_eq(mv(&other, d, "f", d, "x", 0), -EPERM);
	cr_expect_eq(mv(&other, d, "g", d, "f", 0), -EPERM);
	cr_expect_eq(mv(&other, d, "g", d, "f", RENAME_EXCHANGE), -EPERM);
	cr_expect_eq(mv(&owner, d, "f", d, "x", 0), 0);
	cr_expect_eq(rm(&owner, d, "x", false), 0);
	cr_expect_eq(rm(&fake_root, d, "g", false), 0);
}

Test(vfs, who_may_set_what, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0644, 11, 30);
	struct rk_setattr mode = { .valid = RK_SET_MODE, .mode = 02755 };
	struct rk_setattr uid = { .valid = RK_SET_UID, .uid = 12 };
	struct rk_setattr gid = { .valid = RK_SET_GID, .gid = 31 };
	struct rk_setattr time = { .valid = RK_SET_MTIME };
	struct rk_stat st;

	cr_expect_eq(set(&other, f, mode, &st), -EPERM);
	cr_expect_eq(set(&member, f, mode, &st), 0);
	cr_expect_eq(st.mode & 07777, 02755u);
	cr_expect_eq(set(&member, f, uid, &st), -EPERM);
	cr_expect_eq(set(&other, f, gid, &st), -EPERM);
	cr_expect_eq(set(&other, f, time, &st), -EPERM);
	cr_expect_eq(set(&member, f, time, &st), 0);
	cr_expect_eq(set(&member, f, gid, &st), 0);
	cr_expect_eq(st.mode & 07777, 0755u, "chown takes the set-id bit");
	gid.gid = 99;
	cr_expect_eq(set(&member, f, gid, &st), -EPERM);
	mem_fs.inode[f.ino].st.gid = 99;
	cr_expect_eq(set(&member, f, mode, &st), 0);
	cr_expect_eq(st.mode & 07777, 0755u, "a group that is not mine");
	mode.mode = 06711;
	cr_expect_eq(set(&fake_root, f, mode, &st), 0);
	cr_expect_eq(set(&fake_root, f, uid, &st), 0);
	cr_expect_eq(st.mode & 07777, 0711u, "root's chown takes them too");
}

Test(vfs, set_group_directories, .init = setup)
{
	struct rk__node d = put(root, "d", S_IFDIR | 02777, 0, 77);
	struct rk_stat st;

	cr_expect_eq(make_at(&other, d, "f", S_IFREG | 02755, &st), 0);
	cr_expect_eq(st.gid, 77u);
	cr_expect_eq(st.mode & 07777, 0755u);
	cr_expect_eq(make_at(&kernel, d, "sub", S_IFDIR | 0755, &st), 0);
	cr_expect_eq(st.gid, 77u);
	cr_expect_eq(st.mode & 07777, 02755u);
}

Test(vfs, writes_take_set_id_bits, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 06777, 10, 20);
	struct rk_setattr size = { .valid = RK_SET_SIZE, .size = 1 };
	struct rk_stat st;
	uint64_t at;

	cr_expect_eq(fake_end(rk__vfs_write(&fake_root, f, "ab", 2, 0, false,
					    &at)), 2);
	rk__vfs_getattr(f, &st);
	cr_expect_eq(st.mode & 07777, 06777u);
	cr_expect_eq(fake_end(rk__vfs_write(&other, f, "cd", 2, 0, true,
					    &at)), 2);
	cr_expect_eq(at, 2u);
	rk__vfs_getattr(f, &st);
	cr_expect_eq(st.mode & 07777, 0777u);
	mem_fs.inode[f.ino].st.mode = S_IFREG | 06767;
	cr_expect_eq(set(&owner, f, size, &st), 0);
	cr_expect_eq(st.mode & 07777, 02767u, "no group execution, a member");
	mem_fs.inode[f.ino].st.mode = S_IFREG | 02767;
	cr_expect_eq(set(&other, f, size, &st), 0);
	cr_expect_eq(st.mode & 07777, 0767u, "no member");
}

Test(vfs, xattr_namespaces, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0640, 10, 20);
	struct rk__node l = put(root, "l", S_IFLNK | 0777, 10, 20);
	char list[256], buf[8];

#define XSET(c, n, name) \
	fake_end(rk__vfs_setxattr(c, n, name, "value", 5, 0))
#define XGET(c, n, name) rk__vfs_getxattr(c, n, name, buf, sizeof buf)
	cr_expect_eq(XSET(&owner, f, "user.a"), 0);
	cr_expect_eq(XSET(&other, f, "user.a"), -EACCES);
	cr_expect_eq(XGET(&owner, f, "user.a"), 5);
	cr_expect_eq(XGET(&other, f, "user.a"), -EACCES);
	cr_expect_eq(XSET(&owner, l, "user.a"), -EPERM);
	cr_expect_eq(XGET(&owner, l, "user.a"), -ENODATA);
	cr_expect_eq(XSET(&owner, f, "trusted.a"), -EPERM);
	cr_expect_eq(XSET(&fake_root, f, "trusted.a"), 0);
	cr_expect_eq(XGET(&owner, f, "trusted.a"), -ENODATA);
	cr_expect_eq(XSET(&owner, f, "security.a"), -EPERM);
	cr_expect_eq(XSET(&fake_root, f, "security.a"), 0);
	cr_expect_eq(XGET(&other, f, "security.a"), 5);
	cr_expect_eq(XSET(&other, f, "system.posix_acl_access"), -EPERM);
	cr_expect_eq(XSET(&owner, f, "system.posix_acl_access"), -EOPNOTSUPP);
	cr_expect_eq(XSET(&owner, f, "nonsense.a"), -EOPNOTSUPP);
	cr_expect_eq(XSET(&owner, f, ""), -ERANGE);
	cr_expect_eq(rk__vfs_listxattr(&fake_root, f, list, sizeof list),
		     7 + 10 + 11);
	cr_expect_eq(rk__vfs_listxattr(&owner, f, list, sizeof list), 7 + 11);
	cr_expect(!memcmp(list, "user.a\0security.a", 18));
	cr_expect_eq(rk__vfs_listxattr(&owner, f, list, 0), 18);
	cr_expect_eq(rk__vfs_listxattr(&owner, f, list, 17), -ERANGE);
	cr_expect_eq(fake_end(rk__vfs_removexattr(&other, f, "user.a")),
		     -EACCES);
	cr_expect_eq(fake_end(rk__vfs_removexattr(&owner, f, "user.a")), 0);
}

Test(vfs, read_only_mounts, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0644, 0, 0);
	struct rk_setattr mode = { .valid = RK_SET_MODE, .mode = 0600 };
	struct rk_stat st;
	char c;

	rk__mount_read_only[0] = true;
	cr_expect_eq(make_at(&fake_root, root, "g", S_IFREG, &st), -EROFS);
	cr_expect_eq(rm(&fake_root, root, "f", false), -EROFS);
	cr_expect_eq(mv(&fake_root, root, "f", root, "g", 0), -EROFS);
	cr_expect_eq(set(&fake_root, f, mode, &st), -EROFS);
	cr_expect_eq(rk__vfs_write(&fake_root, f, "a", 1, 0, false, NULL),
		     -EROFS);
	cr_expect_eq(rk__vfs_fallocate(&fake_root, f, 0, 0, 1), -EOPNOTSUPP);
	cr_expect_eq(XSET(&fake_root, f, "user.a"), -EROFS);
	cr_expect_eq(rk__vfs_link(&fake_root, f, root, "g", 1, &st), -EROFS);
	cr_expect_eq(rk__vfs_read(f, &c, 1, 0), 0);
	cr_expect_eq(find(&fake_root, root, "f", &st), 0);
	cr_expect(!rk__changed());
}

/* --- names -------------------------------------------------------------------- */

Test(vfs, names_that_can_be_none, .init = setup)
{
	char name[RK_NAME_LEN_MAX + 1];
	struct rk_stat st;
	struct rk_new what = { .mode = S_IFREG | 0644 };

	memset(name, 'n', sizeof name);
	cr_expect_eq(rk__vfs_lookup(&fake_root, root, name, sizeof name, &st),
		     -ENAMETOOLONG);
	cr_expect_eq(rk__vfs_create(&fake_root, root, name, sizeof name, &what,
				    &st), -ENAMETOOLONG);
	cr_expect_eq(rk__vfs_lookup(&fake_root, root, "", 0, &st), -ENOENT);
	cr_expect_eq(rk__vfs_lookup(&fake_root, root, "a/b", 3, &st), -EINVAL);
	cr_expect_eq(make_at(&fake_root, root, "..", S_IFREG, &st), -EEXIST);
	cr_expect_eq(rm(&fake_root, root, ".", true), -EINVAL);
	cr_expect_eq(rm(&fake_root, root, "..", true), -ENOTEMPTY);
	cr_expect_eq(mv(&fake_root, root, ".", root, "x", 0), -EBUSY);
	cr_expect_eq(find(&fake_root, root, "..", &st), 0);
	cr_expect_eq(st.ino, MEM_ROOT);
}

Test(vfs, rename_keeps_a_tree, .init = setup)
{
	struct rk__node a = put(root, "a", S_IFDIR | 0755, 0, 0);
	struct rk__node b = put(a, "b", S_IFDIR | 0755, 0, 0);
	struct rk__node c = put(b, "c", S_IFDIR | 0755, 0, 0);
	struct rk_stat st;

	put(root, "f", S_IFREG | 0644, 0, 0);
	put(root, "g", S_IFREG | 0644, 0, 0);
	cr_expect_eq(mv(&fake_root, root, "a", c, "x", 0), -EINVAL);
	cr_expect_eq(mv(&fake_root, root, "a", a, "x", 0), -EINVAL);
	cr_expect_eq(mv(&fake_root, b, "c", root, "a", RENAME_EXCHANGE),
		     -EINVAL);
	cr_expect_eq(mv(&fake_root, b, "c", root, "a", 0), -ENOTEMPTY);
	cr_expect_eq(mv(&fake_root, root, "f", root, "a", 0), -EISDIR);
	cr_expect_eq(mv(&fake_root, root, "a", root, "f", 0), -ENOTDIR);
	cr_expect_eq(mv(&fake_root, root, "f", root, "g", RENAME_NOREPLACE),
		     -EEXIST);
	cr_expect_eq(mv(&fake_root, root, "f", root, "h", RENAME_EXCHANGE),
		     -ENOENT);
	cr_expect_eq(mv(&fake_root, root, "f", root, "g", 1u << 3),
		     -EINVAL);
	cr_expect_eq(rk__vfs_link(&fake_root, a, root, "x", 1, &st), -EPERM);
	cr_expect_eq(find(&fake_root, root, "f", &st), 0);
	cr_expect_eq(fake_end(rk__vfs_link(&fake_root, node(st.ino), root,
					   "same", 4, &st)), 0);
	cr_expect_eq(mv(&fake_root, root, "f", root, "same", 0), 0);
	cr_expect_eq(find(&fake_root, root, "f", &st), 0, "nothing was done");
	cr_expect_eq(mv(&fake_root, b, "c", root, "f", RENAME_EXCHANGE), 0);
	cr_expect_eq(find(&fake_root, root, "f", &st), 0);
	cr_expect_eq(st.ino, c.ino);
	cr_expect_eq(find(&fake_root, c, "..", &st), 0);
	cr_expect_eq(st.ino, MEM_ROOT);
}

/* Every name that the vfs knows is what the driver says without it. */
static void compare_with_driver(const struct rk__node *dir, unsigned n)
{
	for (unsigned d = 0; d < n; d++) {
		const struct mem_inode *i = mem_inode(dir[d].ino);

		if (!i || !S_ISDIR(i->st.mode) || i->st.nlink == 0)
			continue;
		for (char c = 'a'; c <= 'h'; c++) {
			struct rk_stat a, b;
			int r = rk__vfs_lookup(&fake_root, dir[d], &c, 1, &a);

			cr_assert_eq(r, mem_lookup(NULL, dir[d].ino, &c, 1,
						   &b));
			cr_assert(r || a.ino == b.ino);
		}
	}
}

static struct rk__node any_dir(const struct rk__node *dir, unsigned n)
{
	return dir[fake_random(n)];
}

static void random_op(struct rk__node *dir, unsigned *n)
{
	char a = (char)('a' + fake_random(8)), b = (char)('a' + fake_random(8));
	struct rk__node d = any_dir(dir, *n), e = any_dir(dir, *n);
	static const uint32_t flags[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE
	};
	struct rk_new what = { .mode = S_IFREG | 0644 };
	struct rk_stat st;
	int r = 0;

	switch (fake_random(8)) {
	case 0:
		what.mode = S_IFDIR | 0755;
		/* fall through */
	case 1:
		r = rk__vfs_create(&fake_root, d, &a, 1, &what, &st);
		if (r == 0 && S_ISDIR(what.mode))
			dir[*n < 8 ? (*n)++ : 1 + fake_random(7)] =
				node(st.ino);
		break;
	case 2:
	case 3:
		r = rk__vfs_unlink(&fake_root, d, &a, 1, fake_random(2));
		break;
	case 4:
	case 5:
		r = rk__vfs_rename(&fake_root, d, &a, 1, e, &b, 1,
				   flags[fake_random(5)]);
		break;
	case 6:
		if (rk__vfs_lookup(&fake_root, d, &a, 1, &st) == 0)
			r = rk__vfs_link(&fake_root, node(st.ino), e, &b, 1,
					 &st);
		break;
	case 7:
		r = -EIO;		/* something else failed after it */
		rk__vfs_create(&fake_root, d, &a, 1, &what, &st);
		break;
	}
	fake_end(r);
}

Test(vfs, names_stay_right, .init = setup)
{
	struct rk__node dir[8] = { root };
	unsigned n = 1;

	for (int i = 0; i < 30000; i++) {
		random_op(dir, &n);
		compare_with_driver(dir, n);
	}
	cr_assert_lt(rk__core->vnode_brk, 3u, "nobody holds anything");
}

Test(vfs, the_cache_answers, .init = setup)
{
	struct rk_stat st;
	unsigned before;

	put(root, "f", S_IFREG | 0644, 0, 0);
	before = mem_lookups;
	cr_expect_eq(find(&fake_root, root, "f", &st), 0);
	cr_expect_eq(mem_lookups, before);
	cr_expect_eq(find(&fake_root, root, "g", &st), -ENOENT);
	cr_expect_eq(find(&fake_root, root, "g", &st), -ENOENT);
	cr_expect_eq(mem_lookups, before + 1);
}

/* --- references ----------------------------------------------------------------- */

Test(vfs, orphans_live_until_let_go, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0644, 0, 0);
	uint32_t v = rk__vnode_get(f);
	char buf[4000], c;

	memset(buf, 'x', sizeof buf);
	rk__vnode_hold_lookup(v);
	rk__vnode_hold_open(v);
	fake_commit();
	cr_expect_eq(fake_end(rk__vfs_write(&fake_root, f, buf, sizeof buf, 0,
					    false, NULL)), (int)sizeof buf);
	cr_expect_eq(rm(&fake_root, root, "f", false), 0);
	cr_expect_eq(rk__vfs_read(f, &c, 1, 0), 1);
	cr_expect_eq(rk__vnode_put_lookup(v, 1), 0);
	cr_expect_eq(rk__vnode_put_open(v), 1);
	cr_expect_null(rk__vnode(v));
	cr_expect(rk__vnode_reclaim_some(), "waits for the commit");
	cr_expect_not_null(mem_inode(f.ino));
	fake_commit();
	cr_expect(rk__vnode_reclaim_some(), "a stage");
	fake_commit();
	cr_expect(rk__vnode_reclaim_some());
	fake_commit();
	cr_expect_null(mem_inode(f.ino));
	cr_expect(!rk__vnode_reclaim_some());
	cr_expect_eq(rk__vnode_get(put(root, "g", S_IFREG, 0, 0)), v);
}

Test(vfs, what_nobody_holds_goes_at_once, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0644, 0, 0);
	struct rk__node g = put(root, "g", S_IFREG | 0644, 0, 0);
	static char buf[4000];

	cr_expect_eq(rm(&fake_root, root, "f", false), 0);
	cr_expect_null(mem_inode(f.ino));
	fake_end(rk__vfs_write(&fake_root, g, buf, sizeof buf, 0, false, NULL));
	cr_expect_eq(rm(&fake_root, root, "g", false), 0);
	cr_expect_not_null(mem_inode(g.ino), "its first stage");
	cr_expect_eq(rk__vnode_find(g), 0u);
	cr_expect(rk__vnode_reclaim_some());
	fake_commit();
	cr_expect_null(mem_inode(g.ino));
}

Test(vfs, a_reclaim_that_fails_is_given_up, .init = setup)
{
	uint32_t v[3];

	for (int i = 0; i < 3; i++) {
		char name = (char)('a' + i);

		v[i] = rk__vnode_get(put(root, (char[]){ name, 0 },
					 S_IFREG | 0644, 0, 0));
		rk__vnode_hold_open(v[i]);
		cr_assert_eq(rk__vfs_unlink(&fake_root, root, &name, 1, false),
			     0);
	}
	for (int i = 0; i < 3; i++)
		rk__vnode_put_open(v[i]);
	fake_commit();
	mem_reclaim_fails = true;
	for (int i = 0; i < 3; i++) {
		cr_expect(rk__vnode_reclaim_some());
		fake_commit();
	}
	cr_expect(!rk__vnode_reclaim_some());
	/* And an unlink that would reclaim did not happen. */
	put(root, "x", S_IFREG | 0644, 0, 0);
	cr_expect_eq(rm(&fake_root, root, "x", false), -EIO);
	cr_expect_not_null(mem_entry(MEM_ROOT, "x", 1));
}

Test(vfs, removed_directories_take_no_names, .init = setup)
{
	struct rk__node d = put(root, "d", S_IFDIR | 0755, 0, 0);
	uint32_t v = rk__vnode_get(d);
	struct rk_stat st;

	rk__vnode_hold_lookup(v);
	fake_commit();
	cr_expect_eq(find(&fake_root, d, "f", &st), -ENOENT);
	put(root, "f", S_IFREG | 0644, 0, 0);
	cr_expect_eq(rm(&fake_root, root, "d", true), 0);
	cr_expect_eq(make_at(&fake_root, d, "f", S_IFREG, &st), -ENOENT);
	cr_expect_eq(mv(&fake_root, root, "f", d, "f", 0), -ENOENT);
	cr_expect_eq(find(&fake_root, d, "f", &st), -ENOENT);
	rk__vnode_drop_lookups(0);
	fake_commit();
	while (rk__vnode_reclaim_some())
		fake_commit();
	/* Its number is given again, with none of its names. */
	cr_expect_eq(put(root, "e", S_IFDIR | 0755, 0, 0).ino, d.ino);
	cr_expect_eq(make_at(&fake_root, d, "f", S_IFREG, &st), 0);
	cr_expect_eq(find(&fake_root, d, "f", &st), 0);
}

Test(vfs, ten_thousand_vnodes, .init = setup)
{
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 1; i <= 10000; i++) {
			uint32_t v = rk__vnode_get(node(1000 + i));

			cr_assert_eq(rk__vnode_find(node(1000 + i)), v);
			rk__vnode_hold_lookup(v);
			rk__vnode_hold_lookup(v);
			fake_commit();
		}
		for (uint64_t i = 1; i <= 10000; i++) {
			uint32_t v = rk__vnode_find(node(1000 + i));

			rk__vnode_put_lookup(v, 2);
			cr_assert_eq(rk__vnode_find(node(1000 + i)), 0u);
			fake_commit();
		}
		cr_assert_eq(rk__core->vnode_brk, 10002u);
		rk__vnode_put_lookup(5, 1);	/* the kernel's own mistake */
	}
}

/* --- mounts ----------------------------------------------------------------------- */

Test(vfs, a_mount_that_fails_says_why)
{
	bool needs_recovery;
	char error[RK_SERVER_ERROR_LEN];

	fake_start("/vol");
	strcpy(fake_family.mount[0].options, "good,bad");
	strcpy(fake_family.mount[0].driver, "mem");
	strcpy(fake_family.mount[0].source, "disk.img");
	cr_expect_eq(rk__vfs_mount(0, &fake_family, &needs_recovery, error,
				   sizeof error), -EINVAL);
	cr_expect_str_eq(error, "cannot mount disk.img with driver mem: "
			 "there is no such option");
}

Test(vfs, io, .init = setup)
{
	struct rk__node f = put(root, "f", S_IFREG | 0644, 0, 0);
	struct rk__node g = put(root, "g", S_IFREG | 0644, 0, 0);
	char buf[16];
	uint64_t at;

	fake_end(rk__vfs_write(&fake_root, f, "0123456789", 10, 0, false,
			       NULL));
	cr_expect_eq(rk__vfs_write(&fake_root, f, "a", 1, INT64_MAX, false,
				   NULL), -EFBIG);
	cr_expect_eq(rk__vfs_write(&fake_root, root, "a", 1, 0, false, NULL),
		     -EISDIR);
	cr_expect_eq(rk__vfs_read(f, buf, 16, UINT64_MAX), -EINVAL);
	cr_expect_eq(fake_end(rk__vfs_copy(&fake_root, f, 2, g, 1, 5)), 5);
	cr_expect_eq(rk__vfs_read(g, buf, 16, 0), 6);
	cr_expect(!memcmp(buf, "\00023456", 6));
	cr_expect_eq(rk__vfs_copy(&fake_root, f, 0, f, 3, 5), -EINVAL);
	cr_expect_eq(rk__vfs_copy(&fake_root, f, 20, g, 0, 5), 0);
	cr_expect_eq(rk__vfs_seek(f, 3, false, &at), 0);
	cr_expect_eq(at, 3u);
	cr_expect_eq(rk__vfs_seek(f, 3, true, &at), 0);
	cr_expect_eq(at, 10u);
	cr_expect_eq(rk__vfs_seek(f, 10, true, &at), -ENXIO);
}
