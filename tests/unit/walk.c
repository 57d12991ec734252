/*
 * walk.c - paths of all shapes, through two mounts of one driver.
 */
#include "../harness/core_fake.h"
#include "core/walk.h"

static struct rk__node root;
static const struct rk__cred user = { .uid = 10, .gid = 20 };

static uint64_t make(uint64_t dir, const char *name, uint32_t mode,
		     const char *target)
{
	struct rk_new what = { .mode = mode, .target = target };
	struct rk_stat st;

	cr_assert_eq(rk__vfs_create(&fake_root, rk__node(0, dir), name,
				    strlen(name), &what, &st), 0);
	fake_commit();
	return st.ino;
}

static uint64_t a, b, f, secret;

static void setup(void)
{
	fake_start("/vol");
	/* The same files once more, elsewhere. */
	rk__driver[1] = &mem_driver;
	strcpy(fake_family.mount[1].path, "/vol/sub/");
	fake_family.n_mounts = 2;
	RK_NOTE(&rk__core->mount[1]);
	RK_NOTE(&rk__core->n_mounts);
	rk__core->mount[1] = rk__core->mount[0];
	rk__core->n_mounts = 2;
	rk__vfs_restart(&fake_family);
	root = rk__node(0, MEM_ROOT);
	a = make(MEM_ROOT, "a", S_IFDIR | 0755, NULL);
	b = make(a, "b", S_IFDIR | 0755, NULL);
	f = make(b, "f", S_IFREG | 0644, NULL);
	secret = make(MEM_ROOT, "secret", S_IFDIR | 0700, NULL);
	make(secret, "f", S_IFREG | 0644, NULL);
	make(MEM_ROOT, "to-f", S_IFLNK, "a/b/f");
	make(b, "up", S_IFLNK, "../../to-f");
	make(MEM_ROOT, "abs", S_IFLNK, "/vol//a/./b");
	make(MEM_ROOT, "out", S_IFLNK, "/etc/passwd");
	make(MEM_ROOT, "loop", S_IFLNK, "loop");
	make(MEM_ROOT, "dangling", S_IFLNK, "a/new");
	make(MEM_ROOT, "to-a", S_IFLNK, "a/");
}

#define NONE 0

struct row {
	const char *path;
	unsigned flags;
	int result;
	uint64_t *ino;			/* NULL: not found, or the root */
	enum rk__last last;
};

static void check(const struct row *row, struct rk__node start)
{
	struct rk__walked w;
	int r = rk__walk(&user, start, row->path, row->flags, &w);

	cr_expect_eq(r, row->result, "%s: %d, not %d", row->path, r,
		     row->result);
	if (r < 0 || row->result < 0)
		return;
	cr_expect_eq(w.last, row->last, "%s", row->path);
	if (row->ino && w.found)
		cr_expect_eq(w.node.ino, *row->ino, "%s", row->path);
	else if (row->ino)
		cr_expect(false, "%s is there", row->path);
}

enum { F = RK_WALK_FOLLOW, P = RK_WALK_PARENT, E = RK_WALK_EMPTY };

Test(walk, shapes, .init = setup)
{
	static uint64_t top = MEM_ROOT;
	const struct row table[] = {
		{ "a/b/f", 0, 0, &f, RK_LAST_NAME },
		{ "a//b///f", 0, 0, &f, RK_LAST_NAME },
		{ "./a/./b/../b/f", 0, 0, &f, RK_LAST_NAME },
		{ "a/b/f/", 0, -ENOTDIR, NULL, NONE },
		{ "a/b/f/x", 0, -ENOTDIR, NULL, NONE },
		{ "a/b/", 0, 0, &b, RK_LAST_NAME },
		{ "a/b/.", 0, 0, &b, RK_LAST_DOT },
		{ "a/b/..", 0, 0, &a, RK_LAST_DOTDOT },
		{ "a/b/f/.", 0, -ENOTDIR, NULL, NONE },
		{ "../../a", 0, -EXDEV, NULL, NONE },
		{ "../vol/a", 0, 0, &a, RK_LAST_NAME },
		{ "", 0, -ENOENT, NULL, NONE },
		{ "", E, 0, &top, RK_LAST_ROOT },
		{ "no", 0, -ENOENT, NULL, NONE },
		{ "no", P, 0, NULL, RK_LAST_NAME },
		{ "no/", P, 0, NULL, RK_LAST_NAME },
		{ "no/no", P, -ENOENT, NULL, NONE },
		{ "to-f", F, 0, &f, RK_LAST_NAME },
		{ "a/b/up", F, 0, &f, RK_LAST_NAME },
		{ "abs/f", 0, 0, &f, RK_LAST_NAME },
		{ "abs", F, 0, &b, RK_LAST_NAME },
		{ "abs/", 0, 0, &b, RK_LAST_NAME },
		{ "to-a", F, 0, &a, RK_LAST_NAME },
		{ "to-a/b", 0, 0, &b, RK_LAST_NAME },
		{ "out", F, -EXDEV, NULL, NONE },
		{ "out/x", 0, -EXDEV, NULL, NONE },
		{ "loop", F, -ELOOP, NULL, NONE },
		{ "loop", 0, 0, NULL, RK_LAST_NAME },
		{ "loop/x", 0, -ELOOP, NULL, NONE },
		{ "dangling", F, -ENOENT, NULL, NONE },
		{ "dangling", F | P, 0, NULL, RK_LAST_NAME },
		{ "secret", 0, 0, &secret, RK_LAST_NAME },
		{ "secret/f", 0, -EACCES, NULL, NONE },
		{ "secret/.", 0, -EACCES, NULL, NONE },
		{ "/vol", 0, 0, &top, RK_LAST_ROOT },
		{ "//vol///", 0, 0, &top, RK_LAST_ROOT },
		{ "/vol/a/b", 0, 0, &b, RK_LAST_NAME },
		{ "/./x/../vol/a", 0, 0, &a, RK_LAST_NAME },
		{ "/vol/../vol/a", 0, 0, &a, RK_LAST_NAME },
		{ "/volume/a", 0, -EXDEV, NULL, NONE },
		{ "/", 0, -EXDEV, NULL, NONE },
		{ "/vo", 0, -EXDEV, NULL, NONE },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		check(&table[i], root);
	check(&(struct row){ "x", 0, -ENOTDIR, NULL, NONE }, rk__node(0, f));
}

Test(walk, mounts_by_longest_path, .init = setup)
{
	struct rk__walked w;

	cr_expect_eq(rk__walk(&user, root, "/vol/sub/a", 0, &w), 0);
	cr_expect_eq(w.node.mount, 1u);
	cr_expect_eq(rk__walk(&user, root, "/vol/sub/../a/b", 0, &w), 0);
	cr_expect_eq(w.node.mount, 0u);
	cr_expect_eq(w.node.ino, b);
	cr_expect_eq(rk__walk(&user, root, "/vol/sub/a/../..", 0, &w), 0);
	cr_expect_eq(w.node.mount, 0u);
	cr_expect_eq(w.node.ino, MEM_ROOT);
	cr_expect_eq(rk__walk(&user, root, "/vol/subway", 0, &w), -ENOENT);
}

Test(walk, where_it_leads_outside, .init = setup)
{
	static const struct {
		const char *path, *to;
		unsigned flags;
	} table[] = {
		{ "out", "/etc/passwd", F },
		{ "out", NULL, 0 },
		{ "out/", "/etc/passwd/", 0 },
		{ "out/", NULL, P },
		{ "to-a/../out/x//y", "/etc/passwd/x//y", 0 },
		{ "../x/../y", "/x/../y", 0 },
		{ "a/../..", "/", 0 },
		{ "../../a", "/../a", 0 },
		{ "/vol/a/../..//x", "/x", 0 },
		{ "/etc/x", "/etc/x", 0 },
		{ "relative", "/srv", F },
		{ "relative/x", "/srv/x", P },
		{ "../vol/a", NULL, 0 },
	};
	struct rk__walked w;

	make(MEM_ROOT, "relative", S_IFLNK, "a/b/../../../srv");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		int r = rk__walk(&user, root, table[i].path, table[i].flags,
				 &w);

		cr_expect_eq(r, table[i].to ? -EXDEV : 0, "%s", table[i].path);
		cr_expect_eq(w.outside, table[i].to != NULL);
		if (table[i].to && w.outside)
			cr_expect_str_eq(w.path, table[i].to);
	}
	cr_expect_eq(rk__walk(&user, root, "../x", RK_WALK_BENEATH, &w), -EXDEV);
	cr_expect(!w.outside);
	cr_expect_eq(rk__walk(&user, root, "../x", RK_WALK_NO_XDEV, &w), -EXDEV);
	cr_expect(!w.outside);
}

/* The second mount, of the same files, stands on a directory of the first. */
Test(walk, mounts_within_mounts, .init = setup)
{
	struct rk__walked w;
	uint64_t sub = make(MEM_ROOT, "sub", S_IFDIR | 0755, NULL);

	make(MEM_ROOT, "to-sub", S_IFLNK, "a/../sub");
	rk__walk_cover(1);
	cr_assert_eq(rk__walk(&user, root, "sub", 0, &w), 0);
	cr_expect_eq(w.node.mount, 1u);
	cr_expect_eq(w.node.ino, MEM_ROOT);
	cr_expect_eq(w.dir.mount, 0u);
	cr_expect(rk__walked_covered(&w));
	cr_expect_eq(w.st.ino, MEM_ROOT);
	cr_assert_eq(rk__walk(&user, root, "to-sub/a/b", 0, &w), 0);
	cr_expect_eq(w.node.mount, 1u);
	cr_expect_eq(w.node.ino, b);
	cr_assert_eq(rk__walk(&user, rk__node(0, a), "../sub/a/../..", 0, &w), 0);
	cr_expect_eq(w.node.mount, 0u);
	cr_expect_eq(w.node.ino, MEM_ROOT);
	cr_assert_eq(rk__walk(&user, root, "sub/../a", 0, &w), 0);
	cr_expect_eq(w.node.mount, 0u);
	/* It shows the same files, but in it nothing is covered. */
	cr_assert_eq(rk__walk(&user, root, "sub/sub", 0, &w), 0);
	cr_expect_eq(w.node.mount, 1u);
	cr_expect_eq(w.node.ino, sub);
	cr_expect_eq(rk__walk(&user, root, "sub", RK_WALK_NO_XDEV, &w), -EXDEV);
	cr_expect_eq(rk__walk(&user, root, "a", RK_WALK_NO_XDEV, &w), 0);
}

Test(walk, long_paths_and_long_links, .init = setup)
{
	static char path[RK_PATH_LEN_MAX + 100], target[4001];
	struct rk__walked w;

	memset(path, '/', sizeof path - 1);
	memcpy(path, "a", 1);
	path[RK_PATH_LEN_MAX - 1] = 0;
	cr_expect_eq(rk__walk(&user, root, path, 0, &w), 0);
	cr_expect_eq(w.node.ino, a);
	path[RK_PATH_LEN_MAX - 1] = '/';
	cr_expect_eq(rk__walk(&user, root, path, 0, &w), -ENAMETOOLONG);
	memset(target, '/', sizeof target - 1);
	memcpy(target, "a", 1);
	make(MEM_ROOT, "long", S_IFLNK, target);
	cr_expect_eq(rk__walk(&user, root, "long/b", 0, &w), 0);
	memset(path, 0, sizeof path);
	memset(path, '/', 200);
	memcpy(path, "long", 4);
	cr_expect_eq(rk__walk(&user, root, path, 0, &w), -ENAMETOOLONG);
	memset(path, 'n', 300);
	cr_expect_eq(rk__walk(&user, root, path, 0, &w), -ENAMETOOLONG);
}

Test(walk, forty_links_and_no_more, .init = setup)
{
	struct rk__walked w;
	char name[16], target[16] = "a";

	for (int i = 1; i <= 41; i++) {
		sprintf(name, "l%d", i);
		make(MEM_ROOT, name, S_IFLNK, target);
		strcpy(target, name);
	}
	cr_expect_eq(rk__walk(&user, root, "l40", F, &w), 0);
	cr_expect_eq(rk__walk(&user, root, "l41", F, &w), -ELOOP);
}

Test(walk, the_way_back, .init = setup)
{
	char path[64];

	cr_expect_eq(rk__walk_path(root, path, sizeof path), 5);
	cr_expect_str_eq(path, "/vol");
	cr_expect_eq(rk__walk_path(rk__node(0, b), path, sizeof path), 9);
	cr_expect_str_eq(path, "/vol/a/b");
	cr_expect_eq(rk__walk_path(rk__node(0, b), path, 8), -ERANGE);
}
