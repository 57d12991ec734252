/*
 * loader.c - drivers are loaded, their allocations go to the arena, their
 * writable data is known; what is no driver is refused with a sentence.
 *
 * Drivers are compiled on the spot: a small one, and a library that it needs.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "recovery/recovery.h"
#include "recovery/region.h"
#include "supervisor/loader.h"
#include "../harness/temp.h"

static char dir[TEMP_MAX];
static char error[RK_SERVER_ERROR_LEN];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert(f);
	fputs(text, f);
	fclose(f);
}

static void compile(const char *out, const char *source, const char *more)
{
	int top = strlen(__FILE__) - strlen("tests/unit/loader.c");
	char command[1024];

	write_file("x.c", source);
	snprintf(command, sizeof command, "cd %s && cc -shared -fPIC -w "
		 "-I%.*sdrivers -I%.*sprotocol -o %s x.c %s", dir, top,
		 __FILE__, top, __FILE__, out, more);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void set_up(void)
{
	cr_assert(temp_dir(dir, "loader"));
}

static void tear_down(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(loader, .init = set_up, .fini = tear_down);

static const char library[] =
"#include <stdlib.h>\n"
"int in_library = 42;\n"
"static void *(*const table[])(size_t) = { malloc };\n"
"void *library_malloc(size_t n) { return malloc(n); }\n"
"void *library_table(size_t n) { return table[0](n); }\n";

static const char driver[] =
"#include <stdlib.h>\n#include <string.h>\n#include \"driver.h\"\n"
"static int in_driver = 7;\n"
"static char zeros[10000];\n"
"extern int in_library;\n"
"void *library_malloc(size_t), *library_table(size_t);\n"
"static int m(const struct rk_host *h, const struct rk_mount_options *o,\n"
"	void **ret, uint64_t *root, bool *needs)\n"
"{\n"
"	void **p = (void **)*ret;\n"
"	p[0] = malloc(10); p[1] = calloc(2, 5); p[2] = realloc(NULL, 10);\n"
"	p[3] = strdup(\"x\"); p[4] = strndup(\"xy\", 1);\n"
"	posix_memalign(&p[5], 64, 10); p[6] = aligned_alloc(64, 64);\n"
"	p[7] = library_malloc(10); p[8] = library_table(10);\n"
"	p[9] = &in_driver; p[10] = zeros + 5000; p[11] = &in_library;\n"
"	free(malloc(3));\n"
"	return 12;\n"
"}\n"
"const struct rk_driver rk_driver =\n"
"	{ .abi = RK_DRIVER_ABI, .name = \"small\", .mount = m };\n";

static bool in_segments(const void *p)
{
	struct rk__segment s[RK_SEGMENTS_MAX];
	unsigned n = rk__loader_segments(s, RK_SEGMENTS_MAX);

	for (unsigned i = 0; i < n; i++) {
		cr_assert_eq(s[i].addr % RK_PAGE, 0);
		cr_assert_eq(s[i].length % RK_PAGE, 0);
		if ((uintptr_t)p - s[i].addr < s[i].length)
			return true;
	}
	return false;
}

static void check_driver(const char *link_flags)
{
	void *got[16] = { 0 }, *fs = got;
	const struct rk_driver *d = NULL;
	struct rk__family f = { .n_mounts = 0 };

	compile("libsmall.so", library, link_flags);
	snprintf(error, sizeof error, "-L. -lsmall -Wl,-rpath,%s %s", dir,
		 link_flags);
	compile("rump-driver-small.so", driver, error);
	cr_assert_eq(rk__loader_load(dir, "small", &d, error), 0, "%s", error);
	cr_assert_str_eq(d->name, "small");

	f.core_fd = memfd_create("core", 0);
	f.driver_fd = memfd_create("driver", 0);
	cr_assert_eq(ftruncate(f.core_fd, RK_CORE_SIZE), 0);
	cr_assert_eq(ftruncate(f.driver_fd, RK_DRIVER_SIZE), 0);
	cr_assert_eq(rk__region_map(f.core_fd, f.driver_fd), 0);
	rk__arena_format();
	cr_assert_eq(d->mount(NULL, NULL, &fs, NULL, NULL), 12);
	for (int i = 0; i < 9; i++)
		cr_assert((uint64_t)got[i] - RK_DRIVER_AT < RK_DRIVER_SIZE,
			  "allocation %d is not in the arena", i);
	for (int i = 9; i < 12; i++)
		cr_assert(in_segments(got[i]), "data %d is not known", i);
	cr_assert_not(in_segments(d), "what is read-only is not recorded");
	cr_assert_not(in_segments(&stdout), "nor what is the C library's");
}

Test(loader, redirects_and_records)
{
	check_driver("-Wl,-z,lazy");
}

Test(loader, redirects_what_is_read_only_after_relocation)
{
	check_driver("-Wl,-z,relro,-z,now");
}

Test(loader, loading_twice_changes_nothing)
{
	struct rk__segment s[RK_SEGMENTS_MAX];
	const struct rk_driver *a, *b;
	unsigned n;

	compile("libsmall.so", library, "");
	snprintf(error, sizeof error, "-L. -lsmall -Wl,-rpath,%s", dir);
	compile("rump-driver-small.so", driver, error);
	cr_assert_eq(rk__loader_load(dir, "small", &a, error), 0);
	n = rk__loader_segments(s, RK_SEGMENTS_MAX);
	cr_assert_eq(rk__loader_load(dir, "small", &b, error), 0);
	cr_assert_eq(a, b);
	cr_assert_eq(rk__loader_segments(s, RK_SEGMENTS_MAX), n);
}

/* The same driver, but each server mounts it anew. */
static void compile_reopening(void)
{
	static char text[sizeof driver + 64];
	char flags[128];

	snprintf(text, sizeof text, "%s", driver);
	strcpy(strstr(text, ".name ="), ".flags = RK_DRIVER_REOPEN, "
	       ".name = \"plain\", .mount = m };\n");
	snprintf(flags, sizeof flags, "-L. -lsmall -Wl,-rpath,%s", dir);
	compile("rump-driver-plain.so", text, flags);
}

Test(loader, what_is_mounted_anew_stays_as_it_is)
{
	struct rk__segment s[RK_SEGMENTS_MAX];
	void *got[16] = { 0 }, *fs = got;
	const struct rk_driver *d;

	compile("libsmall.so", library, "");
	compile_reopening();
	cr_assert_eq(rk__loader_load(dir, "plain", &d, error), 0, "%s", error);
	cr_assert_eq(d->mount(NULL, NULL, &fs, NULL, NULL), 12);
	for (int i = 0; i < 9; i++)
		cr_assert((uint64_t)got[i] - RK_DRIVER_AT >= RK_DRIVER_SIZE,
			  "allocation %d is in the arena", i);
	cr_assert_eq(rk__loader_segments(s, RK_SEGMENTS_MAX), 0);
}

Test(loader, a_library_serves_one_kind_of_memory)
{
	const struct rk_driver *d;

	compile("libsmall.so", library, "");
	snprintf(error, sizeof error, "-L. -lsmall -Wl,-rpath,%s", dir);
	compile("rump-driver-small.so", driver, error);
	compile_reopening();
	cr_assert_eq(rk__loader_load(dir, "small", &d, error), 0);
	cr_assert_eq(rk__loader_load(dir, "plain", &d, error), -ELIBACC);
	cr_assert(strstr(error, "'plain' shares a library"), "%s", error);
}

static void note(void *arg, const char *name, const struct rk_driver *d)
{
	cr_assert_str_eq(d->name, name);
	strcat(arg, name);
}

Test(loader, lists_what_can_be_loaded)
{
	char names[64] = "";

	compile("libsmall.so", library, "");
	snprintf(error, sizeof error, "-L. -lsmall -Wl,-rpath,%s", dir);
	compile("rump-driver-small.so", driver, error);
	compile_reopening();
	compile("rump-driver-empty.so", "int x;", "");
	write_file("rump-driver-text.so", "this is text");
	rk__loader_each(dir, note, names);
	cr_assert_str_eq(names, "plainsmall");
	rk__loader_each("/nowhere", note, names);
	cr_assert_str_eq(names, "plainsmall");
}

Test(loader, what_is_no_driver)
{
	const struct rk_driver *d;

	cr_assert_eq(rk__loader_find(dir, "none", error), -ENOENT);
	cr_assert(strstr(error, "no drivers"));
	write_file("rump-driver-text.so", "this is text");
	compile("rump-driver-empty.so", "int x;", "");
	compile("rump-driver-old.so", "#include \"driver.h\"\n"
		"const struct rk_driver rk_driver = { .abi = 12345 };", "");
	cr_assert_eq(rk__loader_find(dir, "none", error), -ENOENT);
	cr_assert(strstr(error, "'none'") && strstr(error, "empty") &&
		  strstr(error, "old"), "%s", error);
	cr_assert_eq(rk__loader_find(dir, "../x", error), -ENOENT);
	cr_assert_eq(rk__loader_find(dir, "", error), -ENOENT);
	cr_assert_eq(rk__loader_load(dir, "text", &d, error), -ENOEXEC);
	cr_assert_eq(rk__loader_load(dir, "empty", &d, error), -ENOEXEC);
	cr_assert(strstr(error, "not a driver"), "%s", error);
	cr_assert_eq(rk__loader_load(dir, "old", &d, error), -ENOEXEC);
	cr_assert(strstr(error, "another version"), "%s", error);
}
