/*
 * run.c - system calls of libc and of the loader are patched in this process,
 * and much of libc is run: it behaves as it did, and reaches the kernel from
 * the stub page only. Its argument is the name of a test; each is a process of
 * its own, which has no threads when it is patched.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "broker/sites.h"
#include "preload/stub.h"
#include "run.h"

void check_at(const char *file, int line, bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s:%d: %s (errno %d)\n", file, line, what, errno);
	_exit(1);
}

static void *table_of(const char *const paths[], size_t n, size_t *ret_size,
		      struct rk__sites_report *report)
{
	struct stat st;
	void *p;
	int fd;

	check(rk__sites_make(paths, n, report, &fd) == 0);
	check(fstat(fd, &st) == 0);
	/* Private, for who wants to change it. */
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		 fd, 0);
	check(p != MAP_FAILED);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return p;
}

void patch_all(bool stub)
{
	struct rk__sites_report report;
	struct rk__patched done;
	size_t size;
	void *table = table_of(NULL, 0, &size, &report);

	check(probe_patch(table, size, stub, &done) == 0);
	/* All but those of the code that patches. */
	check(done.sites <= report.sites && done.sites + 8 > report.sites);
	check(done.sites > 200);
	/* rt_sigreturn is none of them; what is left is an error's last words.
	 */
	check(done.left <= 8);
	munmap(table, size);
}

void others_are_killed(void)
{
	static struct sock_filter f[RK__CALLS + 32];
	unsigned n = 0, i;
	struct sock_fprog p = {.filter = f};

	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, instruction_pointer) + 4);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					      RK__STUB_AT >> 32, 0, 3);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, instruction_pointer));
	f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
					      ~(RK__STUB_SIZE - 1u));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					      (uint32_t)RK__STUB_AT, 1, 0);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
					      SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (i = 0; i < RK__CALLS; i++) {
		if (!probe_wanted(i))
			continue;
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						      i, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						      SECCOMP_RET_KILL_PROCESS);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
					      SECCOMP_RET_ALLOW);
	p.len = (unsigned short)n;
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
}

/* --- what is changed --------------------------------------------------------- */

struct text {
	const uint8_t *mapped, *file;
	size_t size;
};

static int text_read(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct text *t = arg;

	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		int fd;

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		fd = open(info->dlpi_name, O_RDONLY | O_CLOEXEC);
		t->mapped = (const void *)(info->dlpi_addr + p->p_vaddr);
		t->size = p->p_filesz;
		t->file = mmap(NULL, t->size, PROT_READ, MAP_PRIVATE, fd,
			       (off_t)p->p_offset);
		close(fd);
		return t->file != MAP_FAILED;
	}
	return 0;
}

static void changes_nothing_but_the_sites(void)
{
	struct rk__sites_report report;
	const struct rk__sites_head *h;
	const struct rk__site *s;
	struct rk__patched done;
	struct text t;
	size_t size, at = 0, changed = 0;

	check(dl_iterate_phdr(text_read, &t));
	h = table_of(NULL, 0, &size, &report);
	check(memcmp(t.mapped, t.file, t.size) == 0);
	check(probe_patch(h, size, true, &done) == 0);
	s = rk__sites_sites(h);
	for (uint32_t k = 0; k < h->n_objects; k++) {
		const struct rk__sites_object *o = &rk__sites_objects(h)[k];

		if (o->text_size != t.size)
			continue;
		for (uint32_t i = o->first; i < o->first + o->n; i++) {
			size_t from = s[i].at - o->text;

			check(memcmp(t.mapped + at, t.file + at, from - at) ==
			      0);
			check(t.mapped[from] == 0xe9);
			at = from + RK__SITE_JUMP;
			changed++;
		}
		check(memcmp(t.mapped + at, t.file + at, t.size - at) == 0);
	}
	check(changed > 200);
	/* A second time there is nothing to do. */
	check(probe_patch(h, size, false, &done) == 0);
	check(done.sites == 0);
}

static void leaves_an_object_that_differs(void)
{
	struct rk__sites_report report;
	struct rk__sites_head *h;
	struct rk__site *s;
	struct rk__patched done;
	struct text t;
	size_t size;

	check(dl_iterate_phdr(text_read, &t));
	h = table_of(NULL, 0, &size, &report);
	s = (struct rk__site *)(uintptr_t)rk__sites_sites(h);
	for (uint32_t i = 0; i < h->n_objects; i++) {
		const struct rk__sites_object *o = &rk__sites_objects(h)[i];
		struct rk__site *last = &s[o->first + o->n - 1];

		/* What is around the instruction itself. */
		last->bytes[last->pre ? 0 : RK__SYSCALL] ^= 1;
	}
	check(probe_patch(h, size, true, &done) == 0);
	check(done.sites == 0);
	check(done.left > 200);
	check(memcmp(t.mapped, t.file, t.size) == 0);
}

static void refuses_what_is_no_table(void)
{
	struct rk__sites_report report;
	struct rk__patched done;
	struct rk__site *s;
	uint8_t *p;
	size_t size;

	p = table_of(NULL, 0, &size, &report);
	for (size_t i = 0; i < sizeof(struct rk__sites_head) - 4; i++) {
		p[i] ^= 0x10;
		check(probe_patch(p, size, false, &done) == -EINVAL);
		p[i] ^= 0x10;
	}
	for (size_t n = 0; n < size; n += 7)
		check(!probe_check(p, n));
	s = (void *)(uintptr_t)rk__sites_sites((void *)p);
	s[0].pre = 200;
	check(!probe_check(p, size));
	s[0].pre = 5;
	s[0].at = ~0ull - 3;
	check(!probe_check(p, size));
}

/* Nothing may become executable any more. */
static void executable_is_refused(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof(f) / sizeof(*f), f};

	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
}

static void *thread_waits(void *arg)
{
	char c;

	return read(*(int *)arg, &c, 1) == 0 ? arg : NULL;
}

static void leaves_all_if_refused(void)
{
	struct rk__sites_report report;
	struct rk__patched done;
	pthread_t thread;
	struct text t;
	size_t size;
	void *table;
	int p[2], error;

	check(dl_iterate_phdr(text_read, &t));
	table = table_of(NULL, 0, &size, &report);
	check(pipe(p) == 0);
	check(pthread_create(&thread, NULL, thread_waits, p) == 0);
	check(probe_patch(table, size, false, &done) == -EBUSY);
	close(p[1]);
	pthread_join(thread, NULL);
	executable_is_refused();
	/* A thread that has been joined may still be on its way out. */
	do
		error = probe_patch(table, size, false, &done);
	while (error == -EBUSY);
	check(error == -EACCES);
	check(memcmp(t.mapped, t.file, t.size) == 0);
	check(probe_calls[SYS_openat] == 0);
}

/* --- what is a site ---------------------------------------------------------- */

static bool is_jump(void *handle, const char *name)
{
	char symbol[64];
	const uint8_t *p;

	snprintf(symbol, sizeof(symbol), "form_%s", name);
	p = dlsym(handle, symbol);
	check(p);
	/* In its first bytes; none of them has a jump of its own. */
	for (int i = 0; i < 16; i++)
		if (p[i] == 0xe9)
			return true;
	return false;
}

static void knows_what_is_safe(void)
{
	static const char *const sites[] = {"adjacent", "between", "entered",
					    "after"};
	static const char *const others[] = {
		"left_target",	 "left_switch", "left_flags",
		"left_relative", "left_stray",	"none_sigreturn",
		"none_getppid",
	};
	const char *paths[] = {PATCH_FORMS};
	struct rk__sites_report report;
	struct rk__patched done;
	uint64_t r[16];
	void *handle, *table;
	size_t size;

	handle = dlopen(PATCH_FORMS, RTLD_NOW);
	check(handle);
	table = table_of(paths, 1, &size, &report);
	check(report.sites == 5);
	check(report.left == 5);
	check(report.foreign == 2);
	check(probe_patch(table, size, true, &done) == 0);
	check(done.sites == 5);
	for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
		char symbol[64];
		long (*f)(long fd);

		check(is_jump(handle, sites[i]));
		snprintf(symbol, sizeof(symbol), "form_%s", sites[i]);
		*(void **)&f = dlsym(handle, symbol);
		probe_calls[SYS_close] = 0;
		probe_ours(77, -EXDEV);
		check(f(77) == -EXDEV);
		check(probe_calls[SYS_close] == 1);
		probe_ours(-1, 0);
		check(f(dup(0)) == 0);
		check(probe_calls[SYS_close] == 1);
		/* What the kernel does not know either is looked at. */
		check(f(-1) == -EBADF);
		check(f(4000) == -EBADF);
		check(probe_calls[SYS_close] == 3);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		check(!is_jump(handle, others[i]));

	for (int k = 0; k < 3; k++) {
		void (*f)(long fd, uint64_t *ret);

		*(void **)&f = dlsym(handle, "form_registers");
		probe_ours(k ? -1 : 77, 12345);
		f(k == 1 ? dup(0) : 77, r);
		for (int i = 0; i < 11; i++)
			check(r[i] == 0x101u + (unsigned)i);
		if (k != 1)
			check(r[11] == 77);
		check((int64_t)r[12] == (k == 0 ? 12345 : k == 1 ? 0 : -EBADF));
		check(r[13] == 0x5a5a);
		check(r[14] == 0x6b6b);
		check(r[15] == ~0ull);
	}
}

#define TEST(name)                                                             \
	{                                                                      \
#name, name                                                    \
	}
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	TEST(changes_nothing_but_the_sites),
	TEST(leaves_an_object_that_differs),
	TEST(refuses_what_is_no_table),
	TEST(leaves_all_if_refused),
	TEST(knows_what_is_safe),
	TEST(libc_works_and_nothing_else_calls),
	TEST(children),
	TEST(cancel_unwinds),
	TEST(cancel_unwinds_out_of_the_stub_page),
	TEST(backtrace_passes),
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		if (argc == 2 && !strcmp(argv[1], tests[i].name)) {
			tests[i].run();
			return 0;
		}
	fprintf(stderr, "There is no test of this name.\n");
	return 2;
}
