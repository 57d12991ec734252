/*
 * checkpoint.c - rump checkpoint and rump checkpoints: naming what the images of a
 * server hold now, and listing such names.
 *
 * A server that runs is asked, as a program of the library would. The list is read
 * from the file beside the image, whoever uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/undo.h"
#include "rump.h"
#include "rump/client.h"
#include "runtime.h"
#include "supervisor/make.h"

static const char help[] =
"usage: rump checkpoint [--delete] NAME LABEL\n"
"\n"
"Makes a checkpoint called LABEL of all images that the server NAME writes: what\n"
"they hold now, durably. Nothing is copied; from then on what is overwritten is\n"
"saved beside the image, once. rump restore goes back to it, rump checkpoints\n"
"lists them. What a kernel has not written back yet (of a mount with the option\n"
"writeback, of files mapped through a mount) is not in it: sync first.\n"
"\n"
"  -d, --delete   remove that checkpoint; NAME may be an image that nobody uses\n";

static const char list_help[] =
"usage: rump checkpoints NAME|IMAGE\n"
"\n"
"Lists the checkpoints of an image, or of all images of a server: label, when it\n"
"was made, and how much is stored for it, which is what changed between it and\n"
"the next one. One that can no longer be restored says why.\n";

int complain_label(const char *label)
{
	return complain("'%.64s' is no label; use up to 63 letters, digits, "
			"'.', '_' and '-', the first a letter or a digit",
			label);
}

bool is_image(const char *what)
{
	struct rk_status status;
	char path[4096];

	if (strchr(what, '/'))
		return true;
	if (rk_runtime_socket(what, path, sizeof path) == 0 &&
	    ask_peer(path, RK_HELLO_STATUS, 1, &status) == 0)
		return false;
	return access(what, F_OK) == 0;
}

static int explain(const char *name, const char *label, int error)
{
	switch (error) {
	case -EEXIST:
		return complain("there is a checkpoint '%s' already", label);
	case -ENOENT:
		return complain("there is no checkpoint '%s'", label);
	case -EPERM:
		return complain("only the owner of '%s' and root may make and "
				"remove its checkpoints", name);
	case -ENOTSUP:
		return complain("'%s' has no image that could have "
				"checkpoints", name);
	case -EROFS:
		return complain("the images of '%s' are read-only", name);
	case -EDQUOT:
		return complain("there are %u checkpoints already; remove one "
				"with rump checkpoint --delete",
				RK_CHECKPOINTS_MAX);
	case -EUCLEAN:
		return complain("the file of the checkpoints of '%s' is "
				"damaged; remove it, it cannot be used", name);
	default:
		return complain("%s: %s", name, strerror(-error));
	}
}

/* --- of a server -------------------------------------------------------------- */

static int ask_server(const char *name, const char *label, bool remove)
{
	struct rk_client *client;
	char path[4096];
	int e = rk_socket_path(name, path, sizeof path);

	if (!e)
		e = rk_attach(path, 0, &client);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e == -ENOENT || e == -ECONNREFUSED || e == -EINVAL)
		return complain_unknown(name);
	if (e < 0)
		return complain("%s: %s", name, strerror(-e));
	e = (int)(remove ? rk_checkpoint_delete(client, label) :
		  rk_checkpoint(client, label));
	rk_detach(client);
	return e < 0 ? explain(name, label, e) : 0;
}

/* --- of an image that nobody uses ------------------------------------------------ */

static int remove_from(struct rk__image *image, const char *source,
		       const char *label)
{
	static struct rk__undo u;
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;
	int e = 0;

	if (!image->journal_new)
		e = rk__journal_replay(image->rw_fd, image->journal_fd,
				       image->undo_fd, &n, error);
	if (e < 0)
		return complain("%s", error);
	e = rk__undo_open(&u, image->undo_fd, image->rw_fd, image->size);
	if (e == 0)
		e = rk__undo_delete(&u, label);
	rk__undo_close(&u);
	rk__image_settled(image);
	return e < 0 ? explain(source, label, e) : 0;
}

static int remove_of_image(const char *source, const char *label)
{
	struct rk__image image;
	int e = open_image(source, &image);

	if (e)
		return e;
	e = remove_from(&image, source, label);
	rk__image_close(&image);
	return e;
}

int cmd_checkpoint(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delete", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool remove = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "dh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'd')
			return complain_option("checkpoint", argv);
		remove = true;
	}
	if (argc - optind != 2)
		return complain("checkpoint: takes a name and a label; see "
				"rump checkpoint --help");
	argv += optind;
	if (!rk__label_good(argv[1]))
		return complain_label(argv[1]);
	if (remove && is_image(argv[0]))
		return remove_of_image(argv[0], argv[1]);
	return ask_server(argv[0], argv[1], remove);
}

/* --- the list ------------------------------------------------------------------- */

static void print_size(uint64_t blocks)
{
	static const char unit[] = "KMGT";
	double size = (double)blocks * RK_PAGE / 1024;
	unsigned i = 0;

	for (; size >= 1024 && i + 2 < sizeof unit; i++)
		size /= 1024;
	if (!blocks)
		printf(" %8s", "0");
	else
		printf(" %7.*f%c", i && size < 100 ? 1 : 0, size, unit[i]);
}

static void print_one(const struct rk__checkpoint *c)
{
	time_t sec = c->sec;
	char when[32] = "-";
	struct tm tm;

	if (localtime_r(&sec, &tm))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%-24s %-19s", c->label, when);
	print_size(c->blocks);
	if (c->why)
		printf("  void: %s", rk__undo_void_text(c->why));
	putchar('\n');
}

static int read_list(const char *source, struct rk__undo_head *ret)
{
	char path[4096 + 64];
	int e = rk__undo_path(source, path, sizeof path), fd;

	memset(ret, 0, sizeof *ret);
	if (e == -ENOENT)
		return complain("no such image: %s", source);
	if (e < 0)
		return complain("%s: %s", source, strerror(-e));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return complain("cannot open %s: %s", path, strerror(errno));
	e = rk__undo_head(fd, ret);
	close(fd);
	if (e == -EUCLEAN)
		return complain("%s is damaged; remove it, it cannot be used",
				path);
	return e < 0 ? complain("%s: %s", path, strerror(-e)) : 0;
}

static int list(const char *source, bool named)
{
	static struct rk__undo_head head;
	int e = read_list(source, &head);

	if (e)
		return e;
	if (named)
		printf("%s:\n", source);
	if (!head.n)
		printf("no checkpoints\n");
	else
		printf("%-24s %-19s %8s\n", "LABEL", "TIME", "STORED");
	for (uint32_t i = 0; i < head.n; i++)
		print_one(&head.checkpoint[i]);
	return 0;
}

/* The sources of its mounts, as far as they are images. */
static int list_server(const char *name)
{
	struct rk_status s;
	char path[4096], *line;
	int e = rk_runtime_socket(name, path, sizeof path);

	if (!e)
		e = ask_peer(path, RK_HELLO_STATUS, 0, &s);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e < 0)
		return complain_unknown(name);
	e = 0;
	for (char *at = s.mounts; e == 0 && (line = strsep(&at, "\n"));) {
		char *source = strchr(line, '=');

		source = source ? strchr(source, ':') : NULL;
		if (source && access(source + 1, F_OK) == 0)
			e = list(source + 1, s.n_mounts > 1);
	}
	return e;
}

int cmd_checkpoints(int argc, char **argv)
{
	int e = take_help("checkpoints", list_help, argc, argv);

	if (e)
		return e;
	if (argc - optind != 1)
		return complain("checkpoints: takes one name or image; see "
				"rump checkpoints --help");
	return is_image(argv[optind]) ? list(argv[optind], false) :
					list_server(argv[optind]);
}
