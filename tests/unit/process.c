/*
 * process.c - ops on stacks of their own: sleeping in the middle, going on in a
 * successor that has nothing but what was noted, claims, and what drivers are
 * told. The core region is plain memory; a "restart" wipes whatever no note
 * carried.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/fd.h"
#include "core/task.h"

/* --- what it stands on ------------------------------------------------------- */

static uint8_t *image;			/* what a successor would start from */
static struct {
	void *at;
	size_t n;
} noted[256];
static unsigned n_noted;
static unsigned parked, requeued, woken;
static const void *parked_key;

void rk__note(void *p, size_t n)
{
	cr_assert(n_noted < 256);
	noted[n_noted].at = p;
	noted[n_noted++].n = n;
}

void rk__park(struct rk__handle *h, const void *key)
{
	parked++;
	parked_key = key;
	h->parked = true;
}

bool rk__unpark(struct rk__handle *h)
{
	bool was = h->parked;

	h->parked = false;
	return was;
}

void rk__requeue(struct rk__handle *h)
{
	requeued++;
}

void rk__wake(const void *key)
{
	woken++;
}

/* Files need no vnodes here, and nobody has descriptors. */
uint32_t rk__vnode_get(struct rk__node n)
{
	return 0;
}

void rk__vnode_hold_open(uint32_t index)
{
}

int rk__vnode_put_open(uint32_t index)
{
	return 0;
}

uint32_t rk__fd_hold(const struct rk__proc *p, int32_t fd)
{
	return 0;
}

void rk__ofd_put(uint32_t ofd)
{
}

void rk__proc_put(uint32_t index)
{
}

static size_t offset_of(const void *p)
{
	return (size_t)((uintptr_t)p - RK_CORE_AT);
}

/* A copy that does not mind what the address sanitizer has around variables. */
__attribute__((no_sanitize("address"), noinline))
static void copy(void *to, const void *from, size_t n)
{
	volatile uint8_t *t = to;
	const volatile uint8_t *f = from;

	while (n-- > 0)
		*t++ = *f++;
}

static void commit(void)
{
	for (unsigned i = 0; i < n_noted; i++)
		copy(image + offset_of(noted[i].at), noted[i].at, noted[i].n);
	n_noted = 0;
}

static void *map(void *at)
{
	void *p = mmap(at, RK_CORE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	cr_assert(p != MAP_FAILED);
	return p;
}

/* The tables and the tasks that were ever used, as the image has them. */
static void restart(void)
{
	munmap((void *)RK_CORE_AT, RK_CORE_SIZE);
	map((void *)RK_CORE_AT);
	copy(&rk__core->task_brk, image + offset_of(&rk__core->task_brk),
	     sizeof rk__core->task_brk);
	copy(rk__core->task, image + offset_of(rk__core->task),
	     sizeof rk__core->task);
	for (uint32_t i = 0; i < rk__core->task_brk; i++)
		copy(rk__task_at(i) + RK_PAGE,
		     image + offset_of(rk__task_at(i)) + RK_PAGE,
		     RK_TASK_SIZE - RK_PAGE);
	n_noted = 0;
	rk__process_start(true);
}

static void set_up(void)
{
	map((void *)RK_CORE_AT);
	image = map(NULL);
	rk__process_start(true);
}

TestSuite(process, .init = set_up);

/* --- ops ---------------------------------------------------------------------- */

static const struct rk__gate_ops gate = { .name = "test" };

static struct rk__handle request(uint64_t id)
{
	return (struct rk__handle){
		.gate = &gate, .slot = (uint32_t)id, .id = id,
	};
}

struct arg {
	uint32_t sleeps, done;
	int told;
	struct rk__node node;
	enum rk__use use;
};

static enum rk__outcome run(struct rk__handle *h, rk__body *body,
			    struct arg *arg, const char *in)
{
	bool asleep;
	struct rk__work *w = rk__tasks->begin(h, in, in ? strlen(in) + 1 : 0,
					      &asleep);
	enum rk__outcome o;

	if (!asleep) {
		w->body = body;
		w->out_len = 16;
		memcpy(w->arg, arg, sizeof *arg);
	}
	rk__handle_now = h;
	o = rk__tasks->run(w);
	rk__handle_now = NULL;
	memcpy(arg, w->arg, sizeof *arg);
	commit();
	return o;
}

static void check_text(const struct rk__work *w, const char *local)
{
	cr_assert_str_eq((char *)w->in, "hello");
	cr_assert_str_eq(local, "hello");
	cr_assert_str_eq(rk__room(RK_ROOM_STRINGS), "hello");
	cr_assert_str_eq((char *)w->out, "hello");
}

/* Keeps things wherever an op may keep them, and sleeps a few times. */
static void sleeper(struct rk__work *w)
{
	struct arg *a = (struct arg *)w->arg;
	char local[3000];
	volatile double root = 1.0 / ((double)w->index + 3);

	strcpy(local, (char *)w->in);
	strcpy(rk__room(RK_ROOM_STRINGS), local);
	strcpy((char *)w->out, local);
	for (uint32_t i = 0; i < a->sleeps && a->told == 0; i++) {
		a->told = rk__host_wait(NULL, &gate);
		check_text(w, local);
		cr_assert_eq(root, 1.0 / ((double)w->index + 3));
		a->done++;
	}
	w->outcome = RK_DONE;
}

Test(process, what_does_not_sleep_notes_nothing)
{
	struct rk__handle h = request(1);
	struct arg a = { 0 };

	for (int i = 0; i < 1000; i++)
		cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_DONE);
	cr_assert_eq(rk__core->task_brk, 0);
	cr_assert(!rk__tasks->asleep(&h));
}

Test(process, an_op_goes_on_where_it_slept)
{
	struct rk__handle h = request(1);
	struct arg a = { .sleeps = 2 };

	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_SLEEPS);
	cr_assert(rk__tasks->asleep(&h));
	cr_assert_eq(rk__tasks->key(&h), &gate);
	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_SLEEPS);
	cr_assert_eq(a.done, 1);
	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_DONE);
	cr_assert_eq(a.done, 2);
	rk__tasks->end(&h);
	cr_assert(!rk__tasks->asleep(&h));
}

Test(process, a_successor_goes_on_with_what_was_noted)
{
	enum { N = 20 };
	struct rk__handle h[N];
	struct arg a[N];

	for (unsigned i = 0; i < N; i++) {
		h[i] = request(i + 1);
		a[i] = (struct arg){ .sleeps = 3 };
		cr_assert_eq(run(&h[i], sleeper, &a[i], "hello"), RK_SLEEPS);
	}
	for (unsigned round = 1; round <= 3; round++) {
		restart();
		for (unsigned i = 0; i < N; i++) {
			cr_assert_eq(run(&h[i], sleeper, &a[i], "hello"),
				     round < 3 ? RK_SLEEPS : RK_DONE);
			cr_assert_eq(a[i].done, round);
		}
	}
	for (unsigned i = 0; i < N; i++)
		rk__tasks->end(&h[i]);
	commit();
	restart();
	for (unsigned i = 0; i < N; i++)
		cr_assert(!rk__tasks->asleep(&h[i]));
}

/* What it did after its last wait is as if it had not been. */
Test(process, what_was_not_committed_is_done_again)
{
	struct rk__handle h = request(1);
	struct arg a = { .sleeps = 2 };

	run(&h, sleeper, &a, "hello");
	run(&h, sleeper, &a, "hello");
	cr_assert_eq(a.done, 1);
	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_DONE);
	restart();
	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_DONE);
	cr_assert_eq(a.done, 2);
}

Test(process, one_stack_is_left_for_those_who_go_on)
{
	static struct rk__handle h[RK_TASKS_MAX + 1];
	struct arg a;

	for (unsigned i = 0; i < RK_TASKS_MAX; i++) {
		h[i] = request(i + 1);
		a = (struct arg){ .sleeps = 1 };
		cr_assert_eq(run(&h[i], sleeper, &a, "hello"),
			     i + 1 < RK_TASKS_MAX ? RK_SLEEPS : RK_DONE);
	}
	cr_assert_eq(a.told, -EAGAIN);
	h[RK_TASKS_MAX] = request(1000);
	a = (struct arg){ 0 };
	cr_assert_eq(run(&h[RK_TASKS_MAX], sleeper, &a, "hello"), RK_DONE);
}

Test(process, a_wait_is_interrupted)
{
	struct rk__handle h = request(1);
	struct arg a = { .sleeps = 5 };

	run(&h, sleeper, &a, "hello");
	h.interrupted = true;
	cr_assert_eq(run(&h, sleeper, &a, "hello"), RK_DONE);
	cr_assert_eq(a.told, -EINTR);
}

Test(process, nobody_waits_where_there_is_nobody)
{
	struct rk__handle h = request(1);

	cr_assert_eq(rk__host_wait(NULL, &gate), -EDEADLK);
	rk__handle_now = &h;
	cr_assert_eq(rk__host_wait(NULL, &gate), -EDEADLK);
	rk__process_start(false);
	cr_assert_eq(rk__host_wait(NULL, &gate), -ERESTART);
	cr_assert(h.parked && parked_key == &gate);
}

/* --- who has no client any more ------------------------------------------------ */

Test(process, a_client_that_goes_interrupts_its_ops)
{
	struct rk__handle h = request(RK_SLOT_CHANNEL(3, 0));
	struct arg a = { .sleeps = 5 };

	run(&h, sleeper, &a, "hello");
	rk__tasks->client_gone(2);
	cr_assert_eq(requeued, 0);
	rk__tasks->client_gone(3);
	cr_assert_eq(requeued, 1);
	cr_assert(!rk__tasks->asleep(&h));
	commit();
	restart();
	requeued = 0;
	rk__process_resume();
	cr_assert_eq(requeued, 1, "a successor finds it too");
}

/* --- claims -------------------------------------------------------------------- */

static void user(struct rk__work *w)
{
	struct arg *a = (struct arg *)w->arg;
	RK_CLAIM(a->node, a->use);

	if (a->sleeps)
		rk__host_wait(NULL, &gate);
	a->done++;
	w->outcome = RK_DONE;
}

static enum rk__outcome use(struct rk__handle *h, uint64_t ino,
			    enum rk__use what, bool sleeps)
{
	struct arg a = {
		.node = { 0, ino }, .use = what, .sleeps = sleeps,
	};

	return run(h, user, &a, NULL);
}

Test(process, claims_shut_out_as_locks_of_inodes_do)
{
	static const struct {
		enum rk__use first, second;
		bool waits;
	} pair[] = {
		{ RK_WRITES, RK_WRITES, true }, { RK_WRITES, RK_READS, true },
		{ RK_WRITES, RK_LOOKS, false }, { RK_READS, RK_WRITES, true },
		{ RK_READS, RK_READS, false }, { RK_READS, RK_LOOKS, false },
		{ RK_LOOKS, RK_WRITES, false },
	};

	for (unsigned i = 0; i < sizeof pair / sizeof *pair; i++) {
		struct rk__handle a = request(1), b = request(2), c = request(3);

		cr_assert_eq(use(&a, 7, pair[i].first, true), RK_SLEEPS);
		cr_assert_eq(use(&b, 7, pair[i].second, false),
			     pair[i].waits ? RK_PARKED : RK_DONE, "pair %u", i);
		cr_assert(!rk__tasks->asleep(&b), "it leaves no stack");
		cr_assert_eq(use(&c, 8, pair[i].second, false), RK_DONE);
		cr_assert_eq(use(&a, 7, pair[i].first, true), RK_DONE);
		rk__tasks->end(&a);
		cr_assert_eq(use(&b, 7, pair[i].second, false), RK_DONE);
	}
}

Test(process, claims_hold_in_a_successor)
{
	struct rk__handle a = request(1), b = request(2);

	use(&a, 7, RK_WRITES, true);
	restart();
	cr_assert_eq(use(&b, 7, RK_WRITES, false), RK_PARKED);
	cr_assert_eq(use(&a, 7, RK_WRITES, true), RK_DONE);
	rk__tasks->end(&a);
	cr_assert_eq(use(&b, 7, RK_WRITES, false), RK_DONE);
}

/* --- giving way ------------------------------------------------------------------ */

static bool somebody;

static bool others_wait(void)
{
	return somebody;
}

static void worker(struct rk__work *w)
{
	struct arg *a = (struct arg *)w->arg;

	while (a->done < 1000000 && !w->rooms) {
		a->done++;
		rk__host_yield(NULL);
		if (a->told)
			break;
	}
	w->outcome = RK_DONE;
}

Test(process, long_work_gives_way_only_to_somebody)
{
	struct rk__handle h = request(1);
	struct arg a = { 0 };

	rk__others_wait = others_wait;
	cr_assert_eq(run(&h, worker, &a, NULL), RK_DONE);
	cr_assert_eq(a.done, 1000000);
	somebody = true;
	a = (struct arg){ 0 };
	cr_assert_eq(run(&h, worker, &a, NULL), RK_YIELDS);
	cr_assert(rk__tasks->asleep(&h) && !rk__tasks->key(&h));
	somebody = false;
	cr_assert_eq(run(&h, worker, &a, NULL), RK_DONE);
	cr_assert_eq(a.done, 1000000);
}
