/*
 * The FUSE gate against a fake kernel: what is answered to what, and that
 * nothing in a request is believed.
 */
#include "fuse_expect.h"

TestSuite(fuse, .init = fake_setup);

Test(fuse, lookup_holds_and_forget_drops)
{
	struct fuse_forget_in forget = { .nlookup = 2 };
	struct fuse_entry_out *e = (void *)answer.data;
	uint64_t node = fake_create("a", &answer);

	cr_assert_neq(node, 0);
	cr_assert_eq(fake_call(FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "a", 2,
			       &answer), 0);
	cr_assert_eq(e->nodeid, node);
	cr_assert_eq(rk__core->vnode[3].lookups, 2);
	fake_send(FUSE_FORGET, node, 0, &forget, sizeof forget, NULL, 0);
	fake_poll();
	cr_assert_not(fake_receive(&answer), "FORGET has no answer");
	cr_assert(rk__core->vnode[3].used, "it waits for company");
	cr_assert(rk__fuse_forgets_wait());
	rk__fuse_settle();
	cr_assert_not(rk__fuse_forgets_wait());
	cr_assert_not(rk__core->vnode[3].used);
	cr_assert_eq(fake_call(FUSE_READLINK, node, NULL, 0, NULL, 0, &answer),
		     -ESTALE);
	/* Who kept a file handle finds it again, by "." only. */
	cr_assert_eq(fake_call(FUSE_LOOKUP, node, NULL, 0, "x", 2, &answer),
		     -ESTALE);
	cr_assert_eq(fake_call(FUSE_LOOKUP, node, NULL, 0, ".", 2, &answer), 0);
	cr_assert_eq(e->nodeid, node);
}

Test(fuse, negative_lookup_is_cached)
{
	struct fuse_entry_out *e = (void *)answer.data;

	cr_assert_eq(fake_call(FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "none", 5,
			       &answer), 0);
	cr_assert_eq(e->nodeid, 0);
	cr_assert_eq(e->entry_valid, RK_FUSE_VALID_BLIND_S);
}

Test(fuse, forgets_go_with_the_next_commit)
{
	struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t node = fake_create("a", &answer);

	fake_create("b", &answer);
	fake_send(FUSE_FORGET, node, 0, &forget, sizeof forget, NULL, 0);
	fake_poll();
	fake_call(FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "b", 2, &answer);
	cr_assert_eq(fake.forgets, 0);
	fake_create("c", &answer);
	cr_assert_eq(fake.forgets, 1);
	/* Not more of them than there is room for. */
	for (unsigned i = 0; i <= RK_FUSE_FORGETS; i++) {
		node = fake_create("d", &answer);
		fake_send(FUSE_FORGET, node, 0, &forget, sizeof forget, NULL, 0);
		fake_poll();
	}
	cr_assert_gt(fake.forgets, 1);
}

Test(fuse, batch_forget_is_bounded)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[2];
	} b = { .in = { .count = 2 } };

	b.one[0].nodeid = fake_create("a", &answer);
	b.one[1].nodeid = fake_create("b", &answer);
	b.one[0].nlookup = b.one[1].nlookup = 1;
	b.in.count = 3;
	fake_send(FUSE_BATCH_FORGET, 0, 0, &b, sizeof b, NULL, 0);
	fake_poll();
	rk__fuse_settle();
	cr_assert_eq(fake.forgets, 0);
	b.in.count = 2;
	fake_send(FUSE_BATCH_FORGET, 0, 0, &b, sizeof b, NULL, 0);
	fake_poll();
	rk__fuse_settle();
	cr_assert_eq(fake.forgets, 2);
}

Test(fuse, every_opcode_checks_its_length)
{
	static const uint8_t junk[256];

	for (uint32_t op = 0; op < 80; op++) {
		const struct rk__fuse_op *o = rk__fuse_op(op);

		if (!o || (o->flags & RK_FUSE_NO_REPLY))
			continue;
		for (unsigned len = 0; len < o->in_size; len++)
			cr_assert_eq(fake_call(op, FUSE_ROOT_ID, junk, len,
					       NULL, 0, &answer), -EINVAL,
				     "%s takes %u bytes", o->name, len);
		if (o->names)
			cr_assert_eq(fake_call(op, FUSE_ROOT_ID, junk,
					       o->in_size, "xx", 2, &answer),
				     -EINVAL, "%s: name without end", o->name);
	}
	cr_assert_eq(fake_call(FUSE_BMAP, FUSE_ROOT_ID, junk, 64, NULL, 0,
			       &answer), -ENOSYS);
	cr_assert_eq(fake_call(9999, FUSE_ROOT_ID, junk, 64, NULL, 0, &answer),
		     -ENOSYS);
}

Test(fuse, create_of_what_is_there)
{
	struct fuse_create_in in = { .mode = 0644 };
	uint64_t node = fake_create("a", &answer);

	cr_assert_eq(fake_create("a", &answer), node);
	cr_assert_eq(fake.creates, 1);
	in.flags = O_EXCL;
	cr_assert_eq(fake_call(FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof in, "a",
			       2, &answer), -EEXIST);
}

Test(fuse, data_goes_and_comes)
{
	static uint8_t data[100000];
	struct fuse_write_in w = { .offset = 5, .size = sizeof data };
	struct fuse_read_in r = { .offset = 5, .size = 128 << 10 };
	uint64_t node = fake_create("a", &answer);

	memset(data, 'x', sizeof data);
	cr_assert_eq(fake_call(FUSE_WRITE, node, &w, sizeof w, data,
			       sizeof data, &answer), 0);
	cr_assert_eq(((struct fuse_write_out *)answer.data)->size, sizeof data);
	cr_assert_eq(fake_call(FUSE_READ, node, &r, sizeof r, NULL, 0, &answer),
		     0);
	cr_assert_eq(answer.head.len, sizeof answer.head + sizeof data);
	cr_assert_eq(memcmp(answer.data, data, sizeof data), 0);
	w.size--;
	cr_assert_eq(fake_call(FUSE_WRITE, node, &w, sizeof w, data,
			       sizeof data, &answer), -EINVAL);
	r.size = RK_FUSE_MAX_WRITE + 1;
	cr_assert_eq(fake_call(FUSE_READ, node, &r, sizeof r, NULL, 0, &answer),
		     -EINVAL);
}

Test(fuse, more_writes_than_big_slots)
{
	static uint8_t data[8192];
	struct fuse_write_in w = { .size = sizeof data };
	uint64_t node = fake_create("a", &answer);

	for (unsigned i = 0; i < 3 * RK_FUSE_BIG_SLOTS; i++)
		fake_send(FUSE_WRITE, node, 0, &w, sizeof w, data, sizeof data);
	fake_poll();
	for (unsigned i = 0; i < 3 * RK_FUSE_BIG_SLOTS; i++)
		cr_assert(fake_receive(&answer) && answer.head.error == 0);
	cr_assert_eq(rk__fuse_of(0)->n_free_big, RK_FUSE_BIG_SLOTS);
}

Test(fuse, more_reads_than_buffers)
{
	struct fuse_read_in r = { .size = 100 };
	uint64_t node = fake_create("a", &answer);

	for (unsigned i = 0; i < 3 * RK_FUSE_BUFFERS; i++)
		fake_send(FUSE_READ, node, 0, &r, sizeof r, NULL, 0);
	fake_poll();
	for (unsigned i = 0; i < 3 * RK_FUSE_BUFFERS; i++)
		cr_assert(fake_receive(&answer) && answer.head.error == 0);
	cr_assert_eq(rk__fuse_of(0)->n_free_buffer, RK_FUSE_BUFFERS);
}

Test(fuse, stages_and_set_id_bits)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE | FATTR_KILL_SUIDGID,
				      .size = 10 };
	uint64_t node = fake_create("a", &answer);

	fake.file[3].size = 100000;
	fake.file[3].mode |= 06010;
	cr_assert_eq(fake_call(FUSE_SETATTR, node, &in, sizeof in, NULL, 0,
			       &answer), 0);
	cr_assert_eq(fake.file[3].size, 10);
	cr_assert_eq(((struct fuse_attr_out *)answer.data)->attr.mode & 07777,
		     0654);
}

Test(fuse, directories_are_listed_in_pieces)
{
	struct fuse_read_in in = { .size = 100 };
	unsigned n = 0;

	fake_create("one", &answer);
	fake_create("three-three-three", &answer);
	for (;;) {
		uint32_t len;

		cr_assert_eq(fake_call(FUSE_READDIR, FUSE_ROOT_ID, &in,
				       sizeof in, NULL, 0, &answer), 0);
		len = answer.head.len - sizeof answer.head;
		if (!len)
			break;
		for (uint32_t at = 0; at < len;) {
			struct fuse_dirent *d = (void *)(answer.data + at);

			n++;
			in.offset = d->off;
			at += FUSE_DIRENT_SIZE(d);
		}
	}
	cr_assert_eq(n, 4);
	in.size = 8;
	in.offset = 0;
	cr_assert_eq(fake_call(FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof in,
			       NULL, 0, &answer), -EINVAL);
}

Test(fuse, readdirplus_holds_what_it_gives)
{
	struct fuse_read_in in = { .size = 4096 };
	struct fuse_direntplus *p = (void *)answer.data;

	fake_create("a", &answer);
	cr_assert_eq(fake_call(FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof in,
			       NULL, 0, &answer), 0);
	cr_assert_eq(p->entry_out.nodeid, 0, "no reference of .");
	p = (void *)(answer.data + 2 * FUSE_DIRENTPLUS_SIZE(p));
	cr_assert_eq(p->dirent.name[0], 'a');
	cr_assert_eq(p->entry_out.attr.ino, 3);
	cr_assert_eq(rk__core->vnode[3].lookups, 2);
}

Test(fuse, extended_attributes)
{
	struct fuse_getxattr_in get = { .size = 0 };
	struct fuse_setxattr_in set = { .size = 5 };
	uint64_t node = fake_create("a", &answer);

	cr_assert_eq(fake_call(FUSE_GETXATTR, node, &get, sizeof get, "user.a",
			       7, &answer), 0);
	cr_assert_eq(((struct fuse_getxattr_out *)answer.data)->size, 5);
	get.size = 100;
	cr_assert_eq(fake_call(FUSE_GETXATTR, node, &get, sizeof get, "user.a",
			       7, &answer), 0);
	cr_assert_eq(answer.head.len, sizeof answer.head + 5);
	cr_assert_eq(fake_call(FUSE_SETXATTR, node, &set, sizeof set,
			       "user.a\0value", 12, &answer), 0);
	fake.family.fuse_init[0] = 0;
	fake_start_server(true);
	cr_assert_eq(fake_call(FUSE_SETXATTR, node, &set,
			       FUSE_COMPAT_SETXATTR_IN_SIZE, "user.a\0value",
			       12, &answer), 0);
}

/* --- locks ----------------------------------------------------------------------- */

Test(fuse, a_lock_waits_and_is_woken)
{
	struct fuse_flush_in flush = { .lock_owner = 1 };
	uint64_t node = fake_create("a", &answer), waits;

	expect(lock(FUSE_SETLK, node, 1, F_WRLCK), 0);
	expect(lock(FUSE_SETLK, node, 2, F_WRLCK), -EAGAIN);
	waits = lock(FUSE_SETLKW, node, 2, F_WRLCK);
	cr_assert_not(fake_receive(&answer));
	cr_assert_eq(fake_call(FUSE_FLUSH, node, &flush, sizeof flush, NULL, 0,
			       &answer), 0);
	fake_run_woken();
	expect(waits, 0);
}

Test(fuse, a_waiting_lock_is_interrupted)
{
	uint64_t node = fake_create("a", &answer), waits;
	struct fuse_interrupt_in in;

	expect(lock(FUSE_SETLK, node, 1, F_WRLCK), 0);
	waits = lock(FUSE_SETLKW, node, 2, F_WRLCK);
	in.unique = waits;
	fake_send(FUSE_INTERRUPT, 0, 0, &in, sizeof in, NULL, 0);
	fake_poll();
	expect(waits, -EINTR);
	cr_assert_eq(fake.n_parked, 0);
	/* Too late is no error. */
	fake_send(FUSE_INTERRUPT, 0, 0, &in, sizeof in, NULL, 0);
	fake_poll();
	cr_assert_not(fake_receive(&answer));
}

Test(fuse, waiting_locks_leave_room)
{
	uint64_t node = fake_create("a", &answer);
	unsigned refused = 0;

	expect(lock(FUSE_SETLK, node, 1, F_WRLCK), 0);
	for (unsigned i = 0; i < RK_FUSE_SLOTS + 10; i++) {
		lock(FUSE_SETLKW, node, 2 + i, F_WRLCK);
		if (fake_receive(&answer)) {
			cr_assert_eq(answer.head.error, -ENOLCK);
			refused++;
		}
	}
	cr_assert_gt(fake.n_parked, 16000);
	cr_assert_eq(refused + fake.n_parked, RK_FUSE_SLOTS + 10);
	expect(lock(FUSE_SETLK, node, 1, F_UNLCK), 0);
}

Test(fuse, bad_locks_are_refused)
{
	struct fuse_lk_in in = { .lk = { .start = 9, .end = 8,
					 .type = F_WRLCK } };
	uint64_t node = fake_create("a", &answer);

	cr_assert_eq(fake_call(FUSE_SETLKW, node, &in, sizeof in, NULL, 0,
			       &answer), -EINVAL);
	in.lk = (struct fuse_file_lock){ .end = 9, .type = 77 };
	cr_assert_eq(fake_call(FUSE_SETLK, node, &in, sizeof in, NULL, 0,
			       &answer), -EINVAL);
}

Test(fuse, unmounting_drops_references)
{
	uint64_t node = fake_create("a", &answer);

	expect(lock(FUSE_SETLK, node, 1, F_WRLCK), 0);
	lock(FUSE_SETLKW, node, 2, F_WRLCK);
	close(fake.kernel);
	fake_poll();
	cr_assert_eq(fake.dropped, 1);
	cr_assert_eq(fake.sources, 0);
	cr_assert_eq(fake.n_parked, 0);
	cr_assert_not(rk__fuse_poll(0));
}

Test(fuse, init_is_answered)
{
	struct fuse_init_in in = {
		.major = 7, .minor = 99, .max_readahead = 1 << 17,
		.flags = FUSE_INIT_EXT | FUSE_POSIX_LOCKS |
			FUSE_WRITEBACK_CACHE, .flags2 = 1 << 7,
	};
	struct fuse_init_out *out = (void *)answer.data;
	uint64_t flags;

	fake_send(FUSE_INIT, 0, 0, &in, sizeof in, NULL, 0);
	cr_assert_eq(rk__fuse_init(fake.family.fuse_fd[0], false, &flags), 0);
	cr_assert(fake_receive(&answer));
	cr_assert_eq(flags, FUSE_INIT_EXT | FUSE_POSIX_LOCKS |
		     RK_FUSE_HAS_RESEND | RK_FUSE_HAS_EPOCH);
	cr_assert_eq(out->minor, RK_FUSE_MINOR);
	cr_assert_eq(out->max_write, RK_FUSE_MAX_WRITE);
	in.minor = 12;
	fake_send(FUSE_INIT, 0, 0, &in, sizeof in, NULL, 0);
	cr_assert_eq(rk__fuse_init(fake.family.fuse_fd[0], false, &flags),
		     -EPROTO);
}

Test(fuse, ioctl_hands_over_what_the_caller_has_room_for)
{
	struct fuse_ioctl_in in = { .cmd = 77, .in_size = 4, .out_size = 4 };
	const uint8_t *out = answer.data + sizeof(struct fuse_ioctl_out);

	cr_assert_eq(fake_call(FUSE_IOCTL, 2, &in, sizeof in, "abcd", 4,
			       &answer), 0);
	cr_expect_eq(fake_ioctl.cmd, 77u);
	cr_expect_eq(fake_ioctl.room, 4u);
	cr_expect_eq(answer.head.len, sizeof answer.head +
		     sizeof(struct fuse_ioctl_out) + 4);
	cr_expect(!memcmp(out, "ABCD", 4));
	in.out_size = 2;
	cr_assert_eq(fake_call(FUSE_IOCTL, 2, &in, sizeof in, "abcd", 4,
			       &answer), -EINVAL);
	/* More than an answer can hold is not believed. */
	in.out_size = 1 << 20;
	cr_assert_eq(fake_call(FUSE_IOCTL, 2, &in, sizeof in, "abcd", 4,
			       &answer), 0);
	cr_expect_lt(fake_ioctl.room, RK_FUSE_OUT_SMALL + 1u);
}

static struct fuse_open_out open_directory(void)
{
	struct fuse_open_in in = { 0 };

	cr_assert_eq(fake_call(FUSE_OPENDIR, FUSE_ROOT_ID, &in, sizeof in, NULL,
			       0, &answer), 0);
	return *(struct fuse_open_out *)answer.data;
}

static void close_directory(struct fuse_open_out o)
{
	struct fuse_release_in in = { .fh = o.fh };

	cr_assert_eq(fake_call(FUSE_RELEASEDIR, FUSE_ROOT_ID, &in, sizeof in,
			       NULL, 0, &answer), 0);
}

Test(fuse, one_at_a_time_has_its_names_cached)
{
	struct fuse_open_out a = open_directory(), b = open_directory(), c;

	cr_assert(a.open_flags & FOPEN_CACHE_DIR);
	cr_assert_not(b.open_flags & FOPEN_CACHE_DIR);
	close_directory(b);
	c = open_directory();
	cr_assert_not(c.open_flags & FOPEN_CACHE_DIR);
	close_directory(a);
	cr_assert(open_directory().open_flags & FOPEN_CACHE_DIR);
	close_directory(c);
}
