/*
 * acl.c - what POSIX access lists mean: which are valid, what mode they are,
 * whom they let do what.
 */
#include <unistd.h>
#include "../harness/core_fake.h"
#include "core/acl.h"

enum { UO = 1, U = 2, GO = 4, G = 8, M = 16, O = 32, NONE = -1 };

static struct rk__acl acl;

struct e {
	int tag, perm, id;
};

/* As setxattr(2) passes it. */
static int read_list(const struct e *e, unsigned n, uint32_t version)
{
	struct {
		uint32_t version;
		struct rk__acl_entry entry[16];
	} v = { .version = version };

	for (unsigned i = 0; i < n; i++)
		v.entry[i] = (struct rk__acl_entry){
			(uint16_t)e[i].tag, (uint16_t)e[i].perm,
			(uint32_t)e[i].id,
		};
	return rk__acl_read(&v, 4 + n * sizeof v.entry[0], &acl);
}

#define LIST(...) ({							\
	const struct e e_[] = { __VA_ARGS__ };				\
	read_list(e_, sizeof e_ / sizeof *e_, 2);			\
})
#define THREE { UO, 6, NONE }, { GO, 4, NONE }, { O, 0, NONE }

Test(acl, names)
{
	cr_expect(rk__acl_is_name("system.posix_acl_access"));
	cr_expect(rk__acl_is_name("system.posix_acl_default"));
	cr_expect(!rk__acl_is_name("system.posix_acl"));
	cr_expect(!rk__acl_is_name("user.posix_acl_access"));
}

Test(acl, what_is_valid)
{
	const struct e three[] = { THREE };
	uint8_t bytes[3] = { 2 };

	cr_expect_eq(LIST(THREE), 0);
	cr_expect_eq(acl.n, 3u);
	cr_expect_eq(rk__acl_size(&acl), 4u + 3 * 8);
	cr_expect_eq(rk__acl_read(NULL, 0, &acl), 0, "an empty one");
	cr_expect_eq(acl.n, 0u);
	cr_expect_eq(rk__acl_read(bytes, 3, &acl), -EINVAL);
	cr_expect_eq(read_list(three, 3, 1), -EOPNOTSUPP);
	cr_expect_eq(read_list(three, 0, 2), 0, "a version and nothing");
	cr_expect_eq(rk__acl_read(&acl, 4 + 5, &acl), -EINVAL);
	cr_expect_eq(LIST({ UO, 6, NONE }, { GO, 4, NONE }), -EINVAL);
	cr_expect_eq(LIST({ UO, 8, NONE }, { GO, 4, NONE }, { O, 0, NONE }),
		     -EINVAL);
	cr_expect_eq(LIST({ GO, 6, NONE }, { UO, 4, NONE }, { O, 0, NONE }),
		     -EINVAL, "out of order");
	cr_expect_eq(LIST({ UO, 6, NONE }, { UO, 6, NONE }, { GO, 4, NONE },
			  { O, 0, NONE }), -EINVAL, "twice");
	cr_expect_eq(LIST({ UO, 6, NONE }, { U, 6, 7 }, { GO, 4, NONE },
			  { O, 0, NONE }), -EINVAL, "named without a mask");
	cr_expect_eq(LIST({ UO, 6, NONE }, { U, 6, NONE }, { GO, 4, NONE },
			  { M, 7, NONE }, { O, 0, NONE }), -EINVAL, "nobody");
	cr_expect_eq(LIST({ 3, 6, NONE }, { GO, 4, NONE }, { O, 0, NONE }),
		     -EINVAL);
	cr_expect_eq(LIST({ UO, 6, NONE }, { U, 6, 7 }, { U, 2, 8 },
			  { GO, 4, NONE }, { G, 1, 7 }, { M, 7, NONE },
			  { O, 0, NONE }), 0);
}

Test(acl, list_and_mode_say_the_same)
{
	bool equal;

	cr_assert_eq(LIST(THREE), 0);
	cr_expect_eq(rk__acl_mode(&acl, 0104777, &equal), 0104640u);
	cr_expect(equal);
	cr_assert_eq(LIST({ UO, 7, NONE }, { U, 7, 9 }, { GO, 5, NONE },
			  { M, 3, NONE }, { O, 1, NONE }), 0);
	cr_expect_eq(rk__acl_mode(&acl, 0, &equal), 0731u, "the mask");
	cr_expect(!equal);
	rk__acl_chmod(&acl, 0642);
	cr_expect_eq(rk__acl_mode(&acl, 0, &equal), 0642u);
	cr_expect_eq(acl.entry[2].perm, 5, "the group's own stays");
	cr_expect_eq(acl.entry[1].perm, 7);
	cr_expect_eq(rk__acl_inherit(&acl, 0100000 | 0524), 0100000u | 0400);
	cr_expect_eq(acl.entry[0].perm, 4);
	cr_expect_eq(acl.entry[3].perm, 0);
}

static int may(uint32_t uid, uint32_t gid, uint32_t second, unsigned mask)
{
	const struct rk__cred c = {
		.uid = uid, .gid = gid, .group = &second, .n_groups = 1,
	};
	const struct rk_stat st = { .uid = 1, .gid = 100 };

	return rk__acl_permits(&acl, &c, &st, mask);
}

Test(acl, who_may)
{
	cr_assert_eq(LIST({ UO, 7, NONE }, { U, 6, 9 }, { U, 0, 10 },
			  { GO, 4, NONE }, { G, 2, 200 }, { G, 7, 201 },
			  { M, 6, NONE }, { O, 1, NONE }), 0);
	cr_expect_eq(may(9, 5, 5, R_OK | W_OK), 0);
	cr_expect_eq(may(9, 201, 201, X_OK), -EACCES,
		     "a named user's entry decides");
	cr_expect_eq(may(10, 100, 201, R_OK), -EACCES);
	cr_expect_eq(may(11, 100, 5, R_OK), 0);
	cr_expect_eq(may(11, 100, 5, W_OK), -EACCES);
	cr_expect_eq(may(11, 200, 100, W_OK), 0, "any group that grants it");
	cr_expect_eq(may(11, 200, 100, R_OK | W_OK), -EACCES,
		     "one group must grant all of it");
	cr_expect_eq(may(11, 201, 5, R_OK | W_OK), 0);
	cr_expect_eq(may(11, 201, 5, X_OK), -EACCES, "the mask limits");
	cr_expect_eq(may(11, 200, 5, X_OK), -EACCES,
		     "a member gets nothing from the others' entry");
	cr_expect_eq(may(11, 5, 5, X_OK), 0, "nor the mask from others");
	cr_expect_eq(may(11, 5, 5, R_OK), -EACCES);
}

/* Any bytes: an error, or a list of which the rest can be asked. */
Test(acl, bytes_at_random)
{
	uint8_t v[4 + 8 * 6] = { 2 };
	unsigned lists = 0;
	bool equal;

	for (unsigned round = 0; round < 200000; round++) {
		size_t n = 4 + 8 * (size_t)fake_random(7);

		for (size_t i = 4; i < n; i++)
			v[i] = (i - 4) % 8 == 0 ? 1u << fake_random(6) :
			       (i - 4) % 8 == 2 ? (uint8_t)fake_random(8) :
			       (i - 4) % 8 < 4 ? 0 : (uint8_t)fake_random(3);
		if (rk__acl_read(v, n, &acl) < 0 || !acl.n)
			continue;
		lists++;
		rk__acl_chmod(&acl, round);
		cr_assert_eq(rk__acl_mode(&acl, 0, &equal), round & 0777);
		(void)may(round % 4, round % 3, round % 5, round % 8);
	}
	cr_assert_gt(lists, 10u);
}
