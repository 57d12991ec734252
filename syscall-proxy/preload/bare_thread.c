/*
 * bare_thread.c - mutexes, once, the clock, and signals.
 *
 * A mutex keeps all signals out while it is held: a handler may come to us with
 * any call, and would wait for the very code that it interrupted. Its word is 0,
 * 1 (held), or 2 (held, and somebody waits).
 */
#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "bare.h"

struct mutex {
	_Atomic uint32_t word;
	uint32_t reserved;
	uint64_t mask;			/* of who holds it, from before */
};
_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t),
	       "it lives in libc's");

uint64_t rk__signals_off(void)
{
	const uint64_t all = ~(uint64_t)0;
	uint64_t before = 0;

	(void)RK__R4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before,
		     sizeof all);
	return before;
}

void rk__signals_back(uint64_t mask)
{
	(void)RK__R4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask);
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	struct mutex *x = (struct mutex *)(void *)m;
	uint64_t before = rk__signals_off();
	uint32_t free_word = 0;

	if (!atomic_compare_exchange_strong(&x->word, &free_word, 1))
		while (atomic_exchange(&x->word, 2) != 0)
			(void)RK__R6(SYS_futex, &x->word, FUTEX_WAIT_PRIVATE, 2,
				     0, 0, 0);
	x->mask = before;
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct mutex *x = (struct mutex *)(void *)m;
	uint64_t before = x->mask;

	if (atomic_exchange(&x->word, 0) == 2)
		(void)RK__R6(SYS_futex, &x->word, FUTEX_WAKE_PRIVATE, 1, 0, 0,
			     0);
	rk__signals_back(before);
	return 0;
}

int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *unused)
{
	(void)unused;
	memset(m, 0, sizeof *m);
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *m)
{
	(void)m;
	return 0;
}

/* 0: not begun, 1: at it, 2: done. Whoever comes meanwhile waits. */
int pthread_once(pthread_once_t *once, void (*run)(void))
{
	_Atomic int *word = (_Atomic int *)once;
	uint64_t mask;
	int none = 0;

	if (atomic_load(word) == 2)
		return 0;
	mask = rk__signals_off();
	if (atomic_compare_exchange_strong(word, &none, 1)) {
		run();
		atomic_store(word, 2);
	}
	while (atomic_load(word) != 2)
		(void)RK__R0(SYS_sched_yield);
	rk__signals_back(mask);
	return 0;
}

/* --- the end of a thread ----------------------------------------------------------- */

enum { KEYS = 4 };

static void (*destructors[KEYS])(void *);
static _Atomic unsigned n_keys;
static _Thread_local void *values[KEYS];

int pthread_key_create(pthread_key_t *ret, void (*destructor)(void *))
{
	unsigned i = atomic_fetch_add(&n_keys, 1);

	if (i >= KEYS)
		return EAGAIN;
	destructors[i] = destructor;
	*ret = i;
	return 0;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	values[key] = (void *)(uintptr_t)value;
	return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
	return values[key];
}

void rk__thread_ends(void)
{
	for (unsigned i = 0; i < KEYS; i++) {
		void *value = values[i];

		values[i] = NULL;
		if (value && destructors[i])
			destructors[i](value);
	}
}

/* fork is one of the calls that come to us (fork.c): nobody has to be asked
 * before and after. */
int pthread_atfork(void (*prepare)(void), void (*parent)(void),
		   void (*child)(void))
{
	(void)prepare;
	(void)parent;
	(void)child;
	return 0;
}

/* --- signals ------------------------------------------------------------------------ */

int raise(int signal)
{
	return (int)rk__result(RK__R3(SYS_tgkill, RK__R0(SYS_getpid),
				      RK__R0(SYS_gettid), signal));
}

int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof *set);
	return 0;
}

int sigfillset(sigset_t *set)
{
	memset(set, 0xff, sizeof *set);
	return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
	return (int)-RK__R4(SYS_rt_sigprocmask, how, set, before, 8);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
	return (int)rk__result(RK__R4(SYS_rt_sigprocmask, how, set, before, 8));
}

/* --- the clock, from the page that the kernel maps for it ---------------------------- */

typedef int clock_function(clockid_t clock, struct timespec *ret);

static clock_function *fast_clock;

static const void *dynamic(const uint8_t *base, const Elf64_Dyn *d, long tag)
{
	for (; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return base + d->d_un.d_ptr;
	return NULL;
}

static void find_clock(const uint8_t *base)
{
	const Elf64_Ehdr *e = (const void *)base;
	const Elf64_Phdr *p = (const void *)(base + e->e_phoff);
	const Elf64_Dyn *d = NULL;
	const Elf64_Sym *sym;
	const char *names;
	const uint32_t *hash;

	for (unsigned i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_DYNAMIC)
			d = (const void *)(base + p[i].p_offset);
	if (!d)
		return;
	sym = dynamic(base, d, DT_SYMTAB);
	names = dynamic(base, d, DT_STRTAB);
	hash = dynamic(base, d, DT_HASH);
	if (!sym || !names || !hash)
		return;
	for (uint32_t i = 0; i < hash[1]; i++)
		if (sym[i].st_shndx && strcmp(names + sym[i].st_name,
					      "__vdso_clock_gettime") == 0)
			fast_clock = (clock_function *)(uintptr_t)
				(base + sym[i].st_value);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = fast_clock ? fast_clock(clock, ret) :
		(int)RK__R2(SYS_clock_gettime, clock, ret);

	return (int)rk__result(r);
}

static char **environment;

char *getenv(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environment; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

void rk__bare_init(char **envp)
{
	const Elf64_auxv_t *a;

	environment = envp;
	while (*envp)
		envp++;
	for (a = (const void *)(envp + 1); a->a_type != AT_NULL; a++)
		if (a->a_type == AT_SYSINFO_EHDR)
			find_clock((const uint8_t *)a->a_un.a_val);
}
