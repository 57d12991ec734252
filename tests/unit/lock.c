/*
 * lock.c - locks against a model that has one cell for each byte and owner.
 */
#include <fcntl.h>
#include "../harness/core_fake.h"

enum { BYTES = 24, OWNERS = 5, KINDS = 3 };

static uint32_t vnode;
/* 0, F_RDLCK + 1 or F_WRLCK + 1; the last cell is everything up to the end. */
static int model[KINDS][OWNERS][BYTES + 1];

static void setup(void)
{
	fake_start("/vol");
	vnode = rk__vnode_get(rk__node(0, MEM_ROOT));
}

static int cell(const struct rk__lock *l, uint64_t byte)
{
	if (l->start > byte || l->end < byte)
		return 0;
	return (l->exclusive ? F_WRLCK : F_RDLCK) + 1;
}

/* The list says what the model says, each byte once, in as few pieces as
 * possible. */
static void compare(void)
{
	int seen[KINDS][OWNERS][BYTES + 1] = {0};
	uint32_t i, j;

	for (i = rk__core->vnode[vnode].locks; i; i = rk__core->lock[i].next) {
		const struct rk__lock *l = &rk__core->lock[i];

		for (int b = 0; b <= BYTES; b++) {
			int *s = &seen[l->kind - 1][l->owner][b];

			if (!cell(l, b == BYTES ? UINT64_MAX : (uint64_t)b))
				continue;
			cr_assert_eq(*s, 0, "two locks on a byte");
			*s = cell(l, b == BYTES ? UINT64_MAX : (uint64_t)b);
		}
		for (j = rk__core->vnode[vnode].locks; j;
		     j = rk__core->lock[j].next) {
			const struct rk__lock *m = &rk__core->lock[j];

			cr_assert(l->kind != m->kind || l->owner != m->owner ||
				  l->exclusive != m->exclusive ||
				  l->end == UINT64_MAX ||
				  l->end + 1 != m->start, "two for one");
		}
	}
	cr_assert(!memcmp(seen, model, sizeof seen));
}

static bool model_conflict(int kind, int owner, int type, int from, int to)
{
	for (int k = 0; k < KINDS; k++) {
		if ((k == RK_LOCK_FLOCK - 1) != (kind == RK_LOCK_FLOCK - 1))
			continue;
		for (int o = 0; o < OWNERS; o++) {
			if (o == owner && k == kind)
				continue;
			for (int b = from; b <= to; b++)
				if (model[k][o][b] == F_WRLCK + 1 ||
				    (model[k][o][b] && type == F_WRLCK))
					return true;
		}
	}
	return false;
}

static void random_step(void)
{
	static const unsigned types[] = { F_RDLCK, F_WRLCK, F_UNLCK, F_UNLCK };
	int kind = (int)fake_random(KINDS), owner = (int)fake_random(OWNERS);
	int from = (int)fake_random(BYTES);
	int to = from + (int)fake_random((uint32_t)(BYTES + 1 - from));
	struct rk__lock_request r = {
		.kind = (enum rk__lock_kind)(kind + 1),
		.owner = (uint64_t)owner,
		.pid = 100,
		.type = types[fake_random(4)],
	};
	struct rk_flock f;
	bool conflict;
	int e;

	if (r.kind == RK_LOCK_FLOCK || fake_random(50) == 0)
		from = 0, to = BYTES;
	r.start = (uint64_t)from;
	r.end = to == BYTES ? UINT64_MAX : (uint64_t)to;
	if (fake_random(40) == 0) {
		rk__lock_release(vnode, r.kind, r.owner);
		memset(model[kind][owner], 0, sizeof model[kind][owner]);
		return;
	}
	conflict = r.type != F_UNLCK &&
		   model_conflict(kind, owner, (int)r.type, from, to);
	rk__lock_test(vnode, &r, &f);
	cr_assert_eq(f.type != F_UNLCK, conflict);
	e = rk__lock_set(vnode, &r);
	cr_assert_eq(e, conflict ? -EAGAIN : 0);
	if (e < 0) {
		cr_assert(!rk__changed(), "a refused lock changed something");
		return;
	}
	for (int b = from; b <= to; b++)
		model[kind][owner][b] =
			r.type == F_UNLCK ? 0 : (int)r.type + 1;
}

Test(lock, random_against_bytes, .init = setup)
{
	for (int i = 0; i < 200000; i++) {
		random_step();
		compare();
		fake_commit();
	}
}

static struct rk__lock_request request(enum rk__lock_kind kind, uint64_t owner,
				       unsigned type, uint64_t start,
				       uint64_t end)
{
	return (struct rk__lock_request){
		.kind = kind, .owner = owner, .type = type,
		.start = start, .end = end, .pid = (uint32_t)owner,
	};
}

static int set(uint64_t owner, unsigned type, uint64_t at)
{
	struct rk__lock_request r = request(RK_LOCK_POSIX, owner, type, at, at);

	return rk__lock_set(vnode, &r);
}

static int wait_for(uint64_t owner, unsigned type, uint64_t at)
{
	struct rk__lock_request r = request(RK_LOCK_POSIX, owner, type, at, at);

	cr_assert_eq(rk__lock_set(vnode, &r), -EAGAIN);
	return rk__lock_wait(vnode, &r);
}

Test(lock, circles_are_refused, .init = setup)
{
	struct rk__lock_request r;

	for (uint64_t i = 1; i <= 4; i++)
		cr_assert_eq(set(i, F_WRLCK, i), 0);
	cr_assert_eq(wait_for(1, F_WRLCK, 2), 0);
	cr_assert_eq(wait_for(2, F_WRLCK, 3), 0);
	cr_assert_eq(wait_for(3, F_WRLCK, 4), 0);
	cr_assert_eq(wait_for(4, F_RDLCK, 1), -EDEADLK);
	cr_assert_eq(wait_for(2, F_RDLCK, 1), -EDEADLK);
	/* One who was told to go no longer stands in the circle. */
	r = request(RK_LOCK_POSIX, 2, F_WRLCK, 3, 3);
	rk__lock_wait_end(vnode, &r);
	cr_assert_eq(wait_for(4, F_RDLCK, 1), 0);
	/* Nor does anybody after a restart, until all have asked again. */
	rk__lock_restart();
	cr_assert_eq(wait_for(4, F_RDLCK, 1), 0);
	cr_assert_eq(wait_for(3, F_RDLCK, 4), 0);
	cr_assert_eq(wait_for(1, F_RDLCK, 3), -EDEADLK);
}

Test(lock, a_waiter_that_gets_its_lock_waits_no_more, .init = setup)
{
	cr_assert_eq(set(1, F_WRLCK, 0), 0);
	cr_assert_eq(set(2, F_WRLCK, 1), 0);
	cr_assert_eq(wait_for(2, F_WRLCK, 0), 0);
	fake.wakes = 0;
	cr_assert_eq(set(1, F_UNLCK, 0), 0);
	cr_assert_gt(fake.wakes, 0u);
	cr_assert_eq(set(2, F_WRLCK, 0), 0);
	cr_assert_eq(wait_for(1, F_WRLCK, 1), 0);
}

Test(lock, flock_conversion_gives_up_the_old_lock, .init = setup)
{
	struct rk__lock_request a, b;

	a = request(RK_LOCK_FLOCK, 1, F_RDLCK, 0, UINT64_MAX);
	b = request(RK_LOCK_FLOCK, 2, F_RDLCK, 0, UINT64_MAX);
	cr_assert_eq(rk__lock_set(vnode, &a), 0);
	cr_assert_eq(rk__lock_set(vnode, &b), 0);
	a.type = b.type = F_WRLCK;
	cr_assert_eq(rk__lock_set(vnode, &a), -EAGAIN);
	cr_assert_eq(rk__lock_wait(vnode, &a), 1);
	cr_assert_eq(rk__lock_set(vnode, &a), -EAGAIN);
	cr_assert_eq(rk__lock_wait(vnode, &a), 0);
	cr_assert_eq(rk__lock_set(vnode, &b), 0);
	rk__lock_release(vnode, 0, 2);
	cr_assert_eq(rk__lock_set(vnode, &a), 0);
	fake_commit();
}

Test(lock, the_table_may_be_full, .init = setup)
{
	struct rk__lock_request r =
		request(RK_LOCK_POSIX, 1, F_RDLCK, 0, UINT64_MAX);
	uint64_t i;

	rk__core->lock_brk = RK_LOCKS_MAX - 10;
	for (i = 0; i < 10; i++)
		cr_assert_eq(set(1, F_RDLCK, 10 * i), 0);
	cr_assert_eq(set(1, F_RDLCK, 10 * i), -ENOLCK);
	cr_assert_eq(set(2, F_RDLCK, 0), -ENOLCK);
	cr_assert_eq(set(1, F_UNLCK, 0), 0);
	/* To unlock the middle of a range takes one more. */
	r.start = 50;
	r.end = 60;
	cr_assert_eq(rk__lock_set(vnode, &r), 0);
	cr_assert_eq(set(1, F_RDLCK, 0), 0);
	cr_assert_eq(set(1, F_RDLCK, 100), 0);
	cr_assert_eq(set(1, F_UNLCK, 55), -ENOLCK);
	r.type = F_UNLCK;
	r.start = 0;
	r.end = UINT64_MAX;
	cr_assert_eq(rk__lock_set(vnode, &r), 0);
	cr_assert_eq(rk__core->vnode[vnode].locks, 0u);
	cr_assert_eq(set(1, F_RDLCK, 0), 0);
}

Test(lock, ten_thousand_waiters, .init = setup)
{
	cr_assert_eq(set(1, F_WRLCK, 0), 0);
	for (uint64_t i = 2; i < 10002; i++)
		cr_assert_eq(wait_for(i, F_WRLCK, 0), 0);
	cr_assert_eq(set(1, F_UNLCK, 0), 0);
	for (uint64_t i = 2; i < 10002; i++) {
		cr_assert_eq(set(i, F_WRLCK, 0), 0);
		cr_assert_eq(set(i, F_UNLCK, 0), 0);
		fake.n_notes = 0;
	}
}
