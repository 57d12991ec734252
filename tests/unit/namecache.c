/*
 * namecache.c - the cache may forget, but must never be wrong.
 */
#include "../harness/core_fake.h"

static const struct rk__node dir = { .mount = 1, .ino = 12 };

static enum rk__name_found find(struct rk__node d, const char *name,
				uint64_t *ino)
{
	return rk__name_find(d, name, strlen(name), ino);
}

Test(namecache, positive_negative_unknown)
{
	uint64_t ino;

	cr_assert_eq(find(dir, "a", &ino), RK_NAME_UNKNOWN);
	rk__name_enter(dir, "a", 1, 7);
	rk__name_enter(dir, "b", 1, 0);
	cr_assert_eq(find(dir, "a", &ino), RK_NAME_POSITIVE);
	cr_assert_eq(ino, 7);
	cr_assert_eq(find(dir, "b", &ino), RK_NAME_NEGATIVE);
	cr_assert_eq(find(rk__node(2, 12), "a", &ino), RK_NAME_UNKNOWN);
	cr_assert_eq(find(rk__node(1, 13), "a", &ino), RK_NAME_UNKNOWN);
	rk__name_enter(dir, "a", 1, 0);
	cr_assert_eq(find(dir, "a", &ino), RK_NAME_NEGATIVE);
}

Test(namecache, long_names_and_dots)
{
	char name[RK_NAME_LEN_MAX + 2];
	uint64_t ino;

	memset(name, 'x', sizeof name);
	for (size_t len = 1; len <= RK_NAME_LEN_MAX; len++) {
		rk__name_enter(dir, name, len, len);
		cr_assert_eq(rk__name_find(dir, name, len, &ino),
			     RK_NAME_POSITIVE);
		cr_assert_eq(ino, len);
	}
	rk__name_enter(dir, name, sizeof name, 1);
	cr_assert_eq(rk__name_find(dir, name, sizeof name, &ino),
		     RK_NAME_UNKNOWN);
	rk__name_enter(dir, ".", 1, 5);
	rk__name_enter(dir, "..", 2, 5);
	cr_assert_eq(find(dir, ".", &ino), RK_NAME_UNKNOWN);
	cr_assert_eq(find(dir, "..", &ino), RK_NAME_UNKNOWN);
	cr_assert_eq(rk__name_find(dir, "", 0, &ino), RK_NAME_UNKNOWN);
}

Test(namecache, a_removed_directory_leaves_nothing)
{
	uint64_t ino;

	for (int i = 0; i < 10000; i++) {
		rk__name_enter(dir, "a", 1, 7);
		rk__name_purge_dir(dir);
		cr_assert_eq(find(dir, "a", &ino), RK_NAME_UNKNOWN);
	}
	rk__name_enter(dir, "a", 1, 7);
	rk__name_purge_all();
	cr_assert_eq(find(dir, "a", &ino), RK_NAME_UNKNOWN);
	rk__name_enter(dir, "b", 1, 8);
	cr_assert_eq(find(dir, "a", &ino), RK_NAME_UNKNOWN);
	cr_assert_eq(find(dir, "b", &ino), RK_NAME_POSITIVE);
}

enum { DIRS = 50, NAMES = 8000 };

Test(namecache, never_wrong_when_full)
{
	static uint32_t model[DIRS][NAMES];	/* ino + 1, 0: never entered */
	unsigned known = 0;

	for (int i = 0; i < 2000000; i++) {
		uint32_t d = fake_random(DIRS), n = fake_random(NAMES);
		struct rk__node node = rk__node(0, d + 1);
		enum rk__name_found found;
		uint64_t ino = 0;
		char name[80];
		int len = sprintf(name, "%s%u", n % 7 ? "" :
			"a-name-that-is-too-long-to-stand-in-its-entry-", n);

		if (fake_random(3) == 0) {
			model[d][n] = fake_random(5) + 1;
			rk__name_enter(node, name, (size_t)len,
				       model[d][n] - 1);
		} else if (fake_random(20000) == 0) {
			memset(model[d], 0, sizeof model[d]);
			rk__name_purge_dir(node);
		}
		found = rk__name_find(node, name, (size_t)len, &ino);
		if (found == RK_NAME_UNKNOWN)
			continue;
		known++;
		cr_assert_eq(ino + 1, model[d][n]);
		cr_assert_eq(found, ino ? RK_NAME_POSITIVE : RK_NAME_NEGATIVE);
	}
	cr_assert_gt(known, 500000u);
}
