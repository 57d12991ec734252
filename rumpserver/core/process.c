/*
 * process.c - ops on stacks of their own, which may sleep in the middle.
 *
 * Theory of operation. A gate's exec gives an op a task, on whose stack its
 * body runs; as long as nobody sleeps that is all, and the stack is used again
 * by the next. An op that goes to sleep leaves its stack as it is. The server,
 * on its own stack again, notes what of it is alive (from the stack's pointer
 * up, the work, the rooms in use, output so far) and a record in core's table,
 * and commits: from then on any successor finds the op there. Bytes that came
 * in are not noted, for they stand in the request still.
 *
 * The request is in its slot all the while, and parked on what it waits for.
 * Whoever runs it again, be it woken, cancelled, or found by a successor, runs
 * the stack on; the driver looks for itself whether it may go on, so waking is
 * nothing that has to survive. With the answer the record goes.
 *
 * What lies on a stack is good in a successor because everything that it may
 * point to is at the same address: RM, code and data of the program (the
 * servers of one zygote are forks of it), thread-local storage. Whatever is
 * not (slots, buffers of gates, the C library's heap) is not reached from here
 * but through rk__handle_now, anew each time.
 *
 * While an op sleeps others run. The core's own code was written for ops that
 * are atomic, so each vfs function claims the files it is about, and one that
 * would meet a file in use waits: if it has not slept yet it is undone and run
 * again from its start, like any request that waits; else it sleeps. Claims of
 * one op are nested, from directories to what is in them.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "task.h"
#if RK_SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { SLICE_NS = 100000 };		/* that an op has before it gives way */

static const char claims_key;		/* somebody may use a file no more */

static struct {
	uint32_t free[RK_TASKS_MAX], n_free;
	uint32_t n_asleep;
	void *main_sp;
	uint64_t slice_ns;		/* when the running one began */
	struct {
		struct rk__handle *handle;	/* of its request */
		void *sp;
		const void *key;
		bool ready;		/* as make_ready has it */
		bool has_in;
		void *fake;		/* the address sanitizer's */
	} task[RK_TASKS_MAX];
	struct rk__handle nobody[RK_TASKS_MAX];
	const void *main_bottom;
	size_t main_size;
} process;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct rk__task *record(uint32_t i)
{
	return &rk__core->task[i];
}

/* Index + 1 of the task in which a request sleeps; 0: in none. */
static uint32_t find(const struct rk__handle *h)
{
	if (!process.n_asleep)
		return 0;
	for (uint32_t i = 0; i < rk__core->task_brk; i++) {
		const struct rk__task *t = record(i);

		if (t->asleep && t->slot == h->slot && t->id == h->id)
			return i + 1;
	}
	return 0;
}

/* --- switching stacks ------------------------------------------------------- */

/* What a call must preserve: registers, and the modes of both FPUs. */
__asm__(
	".text\n"
	".globl rk__switch\n"
	".type rk__switch, @function\n"
	"rk__switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	subq $8, %rsp\n"
	"	stmxcsr (%rsp)\n"
	"	fnstcw 4(%rsp)\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	ldmxcsr (%rsp)\n"
	"	fldcw 4(%rsp)\n"
	"	addq $8, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size rk__switch, . - rk__switch\n");

static uint8_t *stack_bottom(uint32_t i)
{
	return rk__task_at(i) + RK_PAGE;
}

#if RK_SANITIZED
static void leaving_main(uint32_t i, void **fake)
{
	__sanitizer_start_switch_fiber(fake, stack_bottom(i),
				       RK_TASK_WORK - RK_PAGE);
}

static void back_in_main(void *fake)
{
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

static void leaving_task(uint32_t i)
{
	__sanitizer_start_switch_fiber(&process.task[i].fake,
				       process.main_bottom, process.main_size);
}

static void back_in_task(uint32_t i)
{
	__sanitizer_finish_switch_fiber(process.task[i].fake,
					&process.main_bottom,
					&process.main_size);
}

static void forget_poison(void *from, size_t n)
{
	__asan_unpoison_memory_region(from, n);
}
#else
static void leaving_main(uint32_t i, void **fake) {}
static void back_in_main(void *fake) {}
static void leaving_task(uint32_t i) {}
static void back_in_task(uint32_t i) {}
static void forget_poison(void *from, size_t n) {}
#endif

/* From a task back to the server. Returns when the task is run on. */
static void leave(struct rk__work *w, enum rk__outcome o)
{
	uint32_t i = w->index;

	w->outcome = o;
	leaving_task(i);
	rk__switch(&process.task[i].sp, process.main_sp);
	back_in_task(i);
}

static void first(void)
{
	struct rk__work *w = rk__work_now;

	back_in_task(w->index);
	w->body(w);
	leave(w, w->outcome);
	abort();
}

/* As if `first` had been called by nobody, and was about to be entered. */
static void make_stack(uint32_t i)
{
	void **top = (void **)rk__work_of(i);

	forget_poison(stack_bottom(i), RK_TASK_WORK - RK_PAGE);
	*--top = NULL;
	*--top = (void *)first;
	for (int k = 0; k < 6; k++)
		*--top = NULL;
	--top;
	__asm__ volatile("stmxcsr (%0)\n\tfnstcw 4(%0)" : : "r"(top) : "memory");
	process.task[i].sp = top;
	process.task[i].fake = NULL;
}

static void enter(struct rk__work *w)
{
	void *fake = NULL;

	process.slice_ns = now_ns();
	rk__work_now = w;
	leaving_main(w->index, &fake);
	rk__switch(&process.main_sp, process.task[w->index].sp);
	back_in_main(fake);
	rk__work_now = NULL;
}

/* --- going to sleep, as the server sees it ------------------------------------ */

static void note_live(struct rk__work *w, uint8_t *sp)
{
	uint8_t *room = (uint8_t *)w - RK_TASK_WORK + RK_TASK_ROOM;

	forget_poison(sp, (size_t)((uint8_t *)w - sp));
	rk__note(sp, (size_t)((uint8_t *)w - sp));
	rk__note(w, sizeof *w);
	for (unsigned p = 0; p < RK_ROOM_PARTS; p++) {
		uint32_t size, at = rk__room_part(p, &size);

		if (w->rooms >> p & 1)
			rk__note(room + at, size);
	}
	if (w->out_len)
		rk__note(w->out, w->out_len);
}

static void put_to_sleep(struct rk__work *w)
{
	uint32_t i = w->index;
	struct rk__task *t = record(i);
	const struct rk__handle *h = process.task[i].handle;

	RK_NOTE(t);
	if (!t->asleep) {
		*t = (struct rk__task){
			.asleep = 1, .slot = h->slot, .id = h->id,
		};
		if (rk__core->task_brk <= i) {
			RK_NOTE(&rk__core->task_brk);
			rk__core->task_brk = i + 1;
		}
		process.n_asleep++;
	}
	t->sp = process.task[i].sp;
	t->key = process.task[i].key;
	rk__task_hold(t, w);
	note_live(w, t->sp);
}

static void give_back(uint32_t i)
{
	process.task[i].handle = NULL;
	process.free[process.n_free++] = i;
}

/* --- tasks, as gates see them ------------------------------------------------ */

/*
 * A guard page below the stack, and memory of our own for what comes in: it is
 * never noted, and a page of the image would be copied at its first write.
 * Where either cannot be had it works all the same.
 */
static void make_ready(uint32_t i)
{
	if (process.task[i].ready)
		return;
	(void)!mprotect(rk__task_at(i), RK_PAGE, PROT_NONE);
	(void)mmap(rk__task_at(i) + RK_TASK_IN, RK_TASK_OUT - RK_TASK_IN,
		   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_NORESERVE | MAP_FIXED, -1, 0);
	process.task[i].ready = true;
}

void rk__process_prepare(void)
{
	make_ready(0);
	(void)madvise(rk__task_at(0) + RK_TASK_IN, RK_TASK_OUT - RK_TASK_IN,
		      MADV_POPULATE_WRITE);
}

static struct rk__work *fresh(struct rk__handle *h)
{
	uint32_t i = process.free[--process.n_free];
	struct rk__work *w = rk__work_of(i);

	make_ready(i);
	memset(w, 0, offsetof(struct rk__work, arg));
	w->index = i;
	w->in = rk__task_at(i) + RK_TASK_IN;
	w->out = rk__task_at(i) + RK_TASK_OUT;
	make_stack(i);
	process.task[i].has_in = false;
	return w;
}

static struct rk__work *begin(struct rk__handle *h, const void *in,
			      uint32_t in_len, bool *ret_asleep)
{
	uint32_t had = find(h);
	struct rk__work *w;

	/* One is left free by all who sleep. */
	assert(had || process.n_free);
	w = had ? rk__work_of(had - 1) : fresh(h);
	make_ready(w->index);
	process.task[w->index].handle = h;
	if (!process.task[w->index].has_in && in_len)
		memcpy(w->in, in, in_len);
	process.task[w->index].has_in = true;
	*ret_asleep = had;
	return w;
}

static enum rk__outcome run(struct rk__work *w)
{
	uint32_t i = w->index;
	bool slept = i < rk__core->task_brk && record(i)->asleep;

	enter(w);
	if (slept)
		rk__wake(&claims_key);
	if (w->outcome == RK_SLEEPS || w->outcome == RK_YIELDS)
		put_to_sleep(w);
	else if (!slept)
		give_back(i);
	return w->outcome;
}

static bool asleep(const struct rk__handle *h)
{
	return find(h) != 0;
}

static const void *key(const struct rk__handle *h)
{
	return record(find(h) - 1)->key;
}

static void end(struct rk__handle *h)
{
	uint32_t i = find(h) - 1;

	rk__task_let_go(record(i));
	process.n_asleep--;
	give_back(i);
	rk__wake(&claims_key);
}

/* --- what is in use ------------------------------------------------------------ */

static bool may_sleep(const struct rk__work *w)
{
	return (w->index < rk__core->task_brk && record(w->index)->asleep) ||
	       process.n_asleep < RK_TASKS_MAX - 1;
}

static void claim(struct rk__work *w, struct rk__node n, enum rk__use use)
{
	while (process.n_asleep && rk__task_in_use(n, use, w->index)) {
		process.task[w->index].key = &claims_key;
		if (record(w->index)->asleep) {
			leave(w, RK_SLEEPS);
			continue;
		}
		rk__park(rk__handle_now, &claims_key);
		leave(w, RK_PARKED);
		abort();
	}
	w->claim[w->n_claims++] = (struct rk__claim){ n, use };
}

static void yield(struct rk__work *w)
{
	uint64_t now = now_ns();

	if (now - process.slice_ns < SLICE_NS || !may_sleep(w))
		return;
	process.slice_ns = now;
	if (!rk__others_wait || !rk__others_wait())
		return;
	process.task[w->index].key = NULL;
	leave(w, RK_YIELDS);
}

/* --- ops that nobody waits for -------------------------------------------------- */

static enum rk__outcome exec_for_nobody(struct rk__handle *h)
{
	bool had;
	struct rk__work *w = begin(h, NULL, 0, &had);
	enum rk__outcome o = run(w);

	if (o == RK_SLEEPS || o == RK_YIELDS)
		return o;
	rk__unpark(h);
	return RK_NO_REPLY;
}

static void post_to_nobody(struct rk__handle *h)
{
}

static const struct rk__gate_ops nobody = {
	.name = "nobody",
	.exec = exec_for_nobody,
	.post = post_to_nobody,
};

static void orphan(uint32_t i)
{
	struct rk__task *t = record(i);

	RK_NOTE(t);
	t->slot = RK_SLOT_NOBODY;
	t->id = i + 1;
	process.nobody[i] = (struct rk__handle){
		.gate = &nobody, .slot = t->slot, .id = t->id,
		.interrupted = true,
	};
	process.task[i].handle = &process.nobody[i];
	rk__requeue(&process.nobody[i]);
}

static void client_gone(uint32_t channel)
{
	for (uint32_t i = 0; i < rk__core->task_brk; i++)
		if (record(i)->asleep &&
		    record(i)->slot >= RK_SLOT_CHANNEL(channel, 0) &&
		    record(i)->slot < RK_SLOT_CHANNEL(channel + 1, 0))
			orphan(i);
}

void rk__process_resume(void)
{
	for (uint32_t i = 0; rk__tasks && i < rk__core->task_brk; i++)
		if (record(i)->asleep && !process.task[i].handle)
			orphan(i);
}

bool rk__process_settle(void)
{
	for (uint32_t i = 0; i < rk__core->task_brk; i++) {
		struct rk__handle *h = process.task[i].handle;

		if (!rk__tasks || !record(i)->asleep || !h)
			continue;
		h->interrupted = true;
		if (rk__unpark(h))
			rk__requeue(h);
	}
	return process.n_asleep;
}

static const struct rk__tasks tasks = {
	.begin = begin, .run = run, .claim = claim, .yield = yield, 
	.asleep = asleep, .key = key, .end = end, .client_gone = client_gone,
};

void rk__process_start(bool on)
{
	bool prepared = process.task[0].ready;

	memset(&process, 0, sizeof process);
	process.task[0].ready = prepared;
	rk__tasks = on ? &tasks : NULL;
	for (uint32_t i = RK_TASKS_MAX; i-- > 0;) {
		if (i < rk__core->task_brk && record(i)->asleep) {
			process.task[i].sp = record(i)->sp;
			process.n_asleep++;
		} else {
			process.free[process.n_free++] = i;
		}
	}
}

/* --- what drivers call ------------------------------------------------------------ */

int rk__host_wait(void *ctx, const void *what)
{
	struct rk__handle *h = rk__handle_now;
	struct rk__work *w = rk__work_now;

	/* Mounting, syncing, freeing: there is nobody to be put to sleep. */
	if (!h || (rk__tasks && !w))
		return -EDEADLK;
	if (h->interrupted)
		return -EINTR;
	if (h->gate->may_wait && !h->gate->may_wait(h))
		return -EAGAIN;
	if (!w) {
		if (!h->parked)
			rk__park(h, what);
		return -ERESTART;
	}
	if (!may_sleep(w))
		return -EAGAIN;
	process.task[w->index].key = what;
	leave(w, RK_SLEEPS);
	return rk__handle_now->interrupted ? -EINTR : 0;
}

void rk__host_wake(void *ctx, const void *what)
{
	rk__wake(what);
}

void rk__host_yield(void *ctx)
{
	if (rk__work_now)
		yield(rk__work_now);
}
