/*
 * mount_helper.c - mount.fuse.rump and umount.fuse.rump: rump as mount(8) and
 * umount(8) call it, with their arguments and their exit status. So
 * `mount -t fuse.rump ext4:/image /dir` works, and a line of fstab, and
 * umount(8) waits until everything is in the image.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon.h"
#include "supervisor/spec.h"

/* mount(8): EXIT STATUS */
enum { EXIT_USAGE = 1, EXIT_MOUNT = 32 };

static const char mount_help[] =
"usage: mount.fuse.rump SOURCE DIR [-sfnv] [-N NS] [-t TYPE] [-o OPTION,...]\n"
"\n"
"The helper of mount(8) for `mount -t fuse.rump SOURCE DIR` and fstab. SOURCE\n"
"is DRIVER:IMAGE, or IMAGE with the option driver=DRIVER.\n"
"\n"
"options: the flags of mount(8) (nosuid and nodev always, if it is not for\n"
"root), allow_other (always for root), name=NAME and deadline=TIME as for rump\n"
"mount; others are the driver's.\n";

static const char umount_help[] =
"usage: umount.fuse.rump DIR [-nlfvr] [-N NS] [-t TYPE]\n"
"\n"
"The helper of umount(8): rump umount, by its arguments.\n";

struct words {
	struct mount_request *q;
	char driver[32];		/* driver=, or "" */
	char rest[1024];		/* the driver's, each after a comma */
	char *error;
};

/* --- one word of -o ---------------------------------------------------------- */

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

static bool begins(const char *word, size_t len, const char *with)
{
	return strlen(with) <= len && memcmp(word, with, strlen(with)) == 0;
}

/* What mount(8), fstab and systemd say to each other. */
static bool is_of_others(const char *word, size_t len)
{
	static const char *const name[] = {
		"defaults", "auto", "noauto", "user", "nouser", "users",
		"nousers", "owner", "noowner", "group", "nogroup", "_netdev",
		"nofail", "silent", "loud", "default_permissions",
	};
	static const char *const start[] = {
		"x-", "X-", "comment=", "user=", "helper=", "uhelper=",
	};

	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		if (is(word, len, name[i]))
			return true;
	for (size_t i = 0; i < sizeof start / sizeof *start; i++)
		if (begins(word, len, start[i]))
			return true;
	return false;
}

__attribute__((format(printf, 3, 4)))
static bool copy_value(char *to, size_t size, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to, size, format, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < size;
}

static int too_long(struct words *w, const char *word, size_t len)
{
	snprintf(w->error, RK_SERVER_ERROR_LEN, "the option '%.*s...' is too "
		 "long", len < 40 ? (int)len : 40, word);
	return EXIT_USAGE;
}

static int take_deadline(struct words *w, const char *value, size_t len)
{
	char text[32];
	uint64_t us;

	if (!copy_value(text, sizeof text, "%.*s", (int)len, value))
		return too_long(w, value, len);
	if (rk__spec_time("deadline", text, &us, w->error) < 0)
		return EXIT_USAGE;
	w->q->config.deadline_ms = (us + 999) / 1000;
	return 0;
}

static int take_word(struct words *w, const char *word, size_t len)
{
	struct rk__config *c = &w->q->config;
	size_t used = strlen(w->rest);
	bool fits = true;

	if (is(word, len, "remount")) {
		snprintf(w->error, RK_SERVER_ERROR_LEN, "a mount of rump "
			 "cannot be remounted; unmount it and mount it again");
		return EXIT_USAGE;
	}
	if (is_of_others(word, len) ||
	    rk__mount_flag(word, len, &w->q->how.flags))
		return 0;
	if (is(word, len, "allow_other"))
		w->q->how.allow_other = true;
	else if (begins(word, len, "deadline="))
		return take_deadline(w, word + 9, len - 9);
	else if (begins(word, len, "driver="))
		fits = copy_value(w->driver, sizeof w->driver, "%.*s",
				  (int)len - 7, word + 7);
	else if (begins(word, len, "name="))
		fits = copy_value(c->name, sizeof c->name, "%.*s",
				  (int)len - 5, word + 5);
	else
		fits = copy_value(w->rest + used, sizeof w->rest - used,
				  ",%.*s", (int)len, word);
	return fits ? 0 : too_long(w, word, len);
}

static int take_words(struct words *w, const char *list)
{
	int r = 0;

	for (size_t len; *list && !r; list += len, list += *list == ',') {
		len = strcspn(list, ",");
		if (len)
			r = take_word(w, list, len);
	}
	return r;
}

/* --- mount.fuse.rump --------------------------------------------------------- */

static int complain_as_helper(const char *name, const char *sentence, int r)
{
	fprintf(stderr, "%s: %s\n", name, sentence);
	return r;
}

static int read_mount(int argc, char **argv, struct words *w, bool *ret_fake)
{
	int o, r = 0;

	opterr = 0;
	while (!r && (o = getopt(argc, argv, "sfnvN:t:o:")) != -1) {
		if (o == 'f')
			*ret_fake = true;
		else if (o == 'o')
			r = take_words(w, optarg);
		else if (o == '?')
			r = EXIT_USAGE;
		if (o == '?')
			snprintf(w->error, RK_SERVER_ERROR_LEN, "option -%c is "
				 "unknown, or lacks its argument", optopt);
	}
	if (!r && argc - optind != 2) {
		snprintf(w->error, RK_SERVER_ERROR_LEN, "takes a source and a "
			 "directory");
		r = EXIT_USAGE;
	}
	return r;
}

/* In the form that rump mount has. */
static int compose(const struct words *w, const char *source, char *ret,
		   size_t size)
{
	if (!w->driver[0] && (source[0] == '/' || !strchr(source, ':'))) {
		snprintf(w->error, RK_SERVER_ERROR_LEN, "'%.100s' names no "
			 "driver; write DRIVER:IMAGE, as in ext4:/disk.img, or "
			 "give the option driver=ext4", source);
		return EXIT_USAGE;
	}
	if (copy_value(ret, size, "%s%s%s%s", w->driver,
		       w->driver[0] ? ":" : "", source, w->rest))
		return 0;
	snprintf(w->error, RK_SERVER_ERROR_LEN, "the source is too long");
	return EXIT_USAGE;
}

int cmd_mount_helper(int argc, char **argv)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "", text[4096 + 2048];
	struct words w = { .q = &q, .error = error };
	bool fake = false;
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(mount_help, stdout);
		return 0;
	}
	mount_request_init(&q);
	/* mount(8) says what root wants, and nothing where he allows it */
	if (geteuid() == 0)
		q.how.flags = 0;
	r = read_mount(argc, argv, &w, &fake);
	if (!r)
		r = compose(&w, argv[optind], text, sizeof text);
	if (r)
		return complain_as_helper(argv[0], error, r);
	if (mount_read_spec(&q, text, argv[optind + 1], error) < 0)
		return complain_as_helper(argv[0], error, EXIT_MOUNT);
	/* as fstab has it, so that mount -a knows it again */
	if (w.driver[0])
		snprintf(q.label, sizeof q.label, "%s", q.config.mount[0].source);
	if (q.how.flags & MS_RDONLY)
		q.config.mount[0].read_only = true;
	if (!fake && daemon_start(&q, error) < 0)
		return complain_as_helper(argv[0], error, EXIT_MOUNT);
	return 0;
}

/* --- umount.fuse.rump -------------------------------------------------------- */

int cmd_umount_helper(int argc, char **argv)
{
	struct umount_how how = { 0 };
	int o;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(umount_help, stdout);
		return 0;
	}
	opterr = 0;
	while ((o = getopt(argc, argv, "nlfvrN:t:")) != -1) {
		how.lazy |= o == 'l';
		how.force |= o == 'f';
		if (o == '?')
			return complain_as_helper(argv[0], "an option is "
						  "unknown", EXIT_USAGE);
	}
	if (argc - optind != 1)
		return complain_as_helper(argv[0], "takes one directory",
					  EXIT_USAGE);
	return umount_dir(argv[optind], &how) ? EXIT_MOUNT : 0;
}
