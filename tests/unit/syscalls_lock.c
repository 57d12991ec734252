/*
 * syscalls_lock.c - locks as clients ask for them, and everything at once.
 */
#include <sys/file.h>
#include "../harness/syscall_fake.h"

TestSuite(syscalls_lock, .init = setup, .fini = teardown);

Test(syscalls_lock, record_locks)
{
	struct rk_flock *l = (struct rk_flock *)out;

	attach(2, 3, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(0, "f", O_RDONLY), 1);
	cr_assert_eq(OPEN(2, "f", O_RDWR), 0);
	cr_expect_eq(CALL(0, write, 0, "0123456789", 10), 10);
	cr_expect_eq(CALL(0, setlk, 1, F_WRLCK), -EBADF);
	cr_expect_eq(CALL(0, setlk, 0, 7), -EINVAL);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, -1, 1), -EINVAL);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, 5, -6), -EINVAL);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, INT64_MAX, 2), -EOVERFLOW);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, -4, 2, SEEK_END), 0);
	cr_expect_eq(CALL(2, getlk, 0, NULL, F_RDLCK), 0);
	cr_expect(l->type == F_WRLCK && l->start == 6 && l->length == 2);
	cr_expect_eq(l->pid, 1u);
	cr_expect_eq(CALL(2, setlk, 0, F_RDLCK, 7, 1), -EAGAIN);
	cr_expect_eq(CALL(2, setlkw, 0, F_RDLCK, 7, 1), PARKED);
	cr_expect_eq(fake.parked_key, rk__lock_key(rk__vnode_find(
		rk__ofd_node(rk__fd(rk__proc_of_channel(0), 0)))));
	/* Closing any descriptor of the file lets all of them go. */
	fake.wakes = 0;
	cr_expect_eq(CALL(0, close, 1), 0);
	cr_expect_gt(fake.wakes, 0u);
	cr_expect_eq(CALL(2, setlkw, 0, F_RDLCK, 7, 1), 0);
	/* Unlike an OFD lock, which goes with its last descriptor. */
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, 0, 2, 0, 1), 0);
	cr_expect_eq(CALL(0, dup, 0, 0), 1);
	cr_expect_eq(CALL(0, close, 0), 0);
	cr_expect_eq(CALL(2, getlk, 0, NULL, F_RDLCK), 0);
	cr_expect(l->type == F_WRLCK && l->pid == UINT32_MAX);
	cr_expect_eq(CALL(0, close, 1), 0);
	cr_expect_eq(CALL(2, getlk, 0, NULL, F_RDLCK), 0);
	cr_expect_eq(l->type, (uint32_t)F_UNLCK);
}

Test(syscalls_lock, deadlock_and_death)
{
	attach(2, 3, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(2, "f", O_RDWR), 0);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, 0, 1), 0);
	cr_expect_eq(CALL(2, setlk, 0, F_WRLCK, 1, 1), 0);
	cr_expect_eq(CALL(0, setlkw, 0, F_WRLCK, 1, 1), PARKED);
	cr_expect_eq(CALL(2, setlkw, 0, F_WRLCK, 0, 1), -EDEADLK);
	detach(0);
	cr_expect_eq(CALL(2, setlkw, 0, F_WRLCK, 0, 1), 0);
}

Test(syscalls_lock, who_was_called_back_waits_no_more)
{
	attach(2, 3, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(2, "f", O_RDWR), 0);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, 0, 1), 0);
	cr_expect_eq(CALL(2, setlk, 0, F_WRLCK, 1, 1), 0);
	cr_expect_eq(CALL(0, setlkw, 0, F_WRLCK, 1, 1), PARKED);
	req.flags = RK_REQ_CANCELLED;
	cr_expect_eq(run(0), -EINTR);
	cr_expect_eq(CALL(2, setlkw, 0, F_WRLCK, 0, 1), PARKED, "no circle");
}

Test(syscalls_lock, flocks)
{
	attach(2, 3, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(2, "f", O_RDWR), 0);
	cr_expect_eq(CALL(0, flock, 0, LOCK_SH), 0);
	cr_expect_eq(CALL(2, flock, 0, LOCK_SH), 0);
	cr_expect_eq(CALL(2, flock, 0, LOCK_EX | LOCK_NB), -EAGAIN);
	cr_expect_eq(CALL(2, flock, 0, LOCK_EX), PARKED);
	cr_expect_eq(CALL(0, flock, 0, LOCK_EX), 0, "it gave its own up");
	cr_expect_eq(CALL(2, setlk, 0, F_WRLCK), 0, "another space");
	cr_expect_eq(CALL(0, flock, 0, LOCK_UN), 0);
	cr_expect_eq(CALL(2, flock, 0, LOCK_EX), 0);
	cr_expect_eq(CALL(2, flock, 0, 3), -EINVAL);
	cr_expect_eq(CALL(0, flock, 5, LOCK_EX), -EBADF);
}

/* --- many at once ------------------------------------------------------------------- */

static void random_call(uint32_t ch)
{
	static const char *const path[] = {
		"a", "b", "d", "d/a", "d/b", "d/c", "/vol/d", "d/../a",
	};
	const char *p = path[fake_random(8)], *q = path[fake_random(8)];
	int fd = (int)fake_random(12), to = (int)fake_random(12);
	uint32_t bits = fake_random(4);

	switch (fake_random(22)) {
	case 0: case 1: case 2:
		(void)OPEN(ch, p, O_CREAT | bits | (fake_random(4) ? 0 : O_TRUNC),
		     0777);
		break;
	case 3: case 4: CALL(ch, close, fd); break;
	case 5: CALL(ch, dup, fd, to); break;
	case 6: CALL(ch, dup3, fd, to, 0); break;
	case 7: CALL(ch, write, fd, "some bytes", 10); break;
	case 8: CALL(ch, read, fd, NULL, 20); break;
	case 9: CALL(ch, mkdirat, AT, p, 0777); break;
	case 10: CALL(ch, unlinkat, AT, p, 0); break;
	case 11: CALL(ch, unlinkat, AT, p, AT_REMOVEDIR); break;
	case 12: CALL(ch, renameat2, AT, p, AT, q, bits & 2); break;
	case 13: CALL(ch, linkat, AT, p, AT, q, 0); break;
	case 14: CALL(ch, chdir, bits ? "/vol" : p); break;
	case 15:
		CALL(ch, setlk, fd, bits % 3, to, fake_random(5), 0, bits & 1);
		break;
	case 16: CALL(ch, setlkw, fd, bits % 3, to, 3, 0, bits & 1); break;
	case 17: CALL(ch, flock, fd, bits % 3 + 1); break;
	case 18: CALL(ch, getdents, fd, NULL, 200); break;
	case 19: CALL(ch, ftruncate, fd, fake_random(4096)); break;
	case 20: CALL(ch, copy_file_range, fd, -1, to, -1, 5); break;
	case 21: CALL(ch, getcwd, NULL, 99); break;
	}
}

Test(syscalls_lock, everything_is_noted_and_let_go)
{
	uint64_t token = 10, of[10] = { 1, 2 };

	for (int i = 0; i < 100000; i++) {
		uint32_t ch = fake_random(10);

		if (!rk__proc_of_channel(ch)) {
			uint32_t parent = fake_random(10);

			of[ch] = fake_random(3) ? ++token : of[parent];
			attach(ch, of[ch], of[parent], 10 * fake_random(2));
		}
		if (fake_random(100) == 0)
			detach(ch);
		else
			random_call(ch);
		if (rk__vnode_reclaim_some())
			fake_commit();
	}
}

/* --- tables that went wild ------------------------------------------------------ */

static void turn_over(void *at, size_t size, unsigned times)
{
	uint8_t *byte = at;

	for (unsigned i = 0; i < times; i++) {
		size_t n = (size_t)rand() % size;
		uint8_t bit = (uint8_t)(1 << rand() % 8);

		byte[n] ^= bit;
		rk__core_check();
		byte[n] ^= bit;
	}
}

/* Whatever bit is turned over, looking at it does no harm. */
Test(syscalls_lock, a_wild_store_is_seen)
{
	uint32_t had;

	attach(2, 3, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(2, "f", O_RDWR), 0);
	cr_expect_eq(CALL(0, setlk, 0, F_WRLCK, 0, 1), 0);
	cr_expect_eq(CALL(2, setlk, 0, F_WRLCK, 1, 1), 0);
	srand(3);
	turn_over(&rk__core->vnode_free, (size_t)((char *)&rk__core->next_token -
		  (char *)&rk__core->vnode_free), 1000);
	turn_over(rk__core->proc, 2 * sizeof *rk__core->proc, 3000);
	turn_over(rk__core->ofd, rk__core->ofd_brk * sizeof *rk__core->ofd,
		  1000);
	turn_over(rk__core->vnode, rk__core->vnode_brk *
		  sizeof *rk__core->vnode, 1000);
	turn_over(rk__core->lock, rk__core->lock_brk * sizeof *rk__core->lock,
		  1000);
	cr_assert(rk__core_check());

	uint32_t *const index[] = {
		&rk__proc_of_channel(0)->fd[0], &rk__core->ofd[1].vnode,
		&rk__core->vnode[rk__core->ofd[1].vnode].locks,
		&rk__core->lock[1].next, &rk__core->vnode_brk,
	};

	for (size_t i = 0; i < sizeof index / sizeof *index; i++) {
		had = *index[i];
		*index[i] = 0x7fffffff;
		cr_expect(!rk__core_check(), "index %zu", i);
		*index[i] = had;
	}
	cr_assert(rk__core_check());
}
