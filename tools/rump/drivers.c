/*
 * drivers.c - rump drivers: what can be mounted, and with which options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"
#include "rump.h"
#include "supervisor/loader.h"

static const char help[] =
"usage: rump drivers [NAME]\n"
"\n"
"Lists the drivers that there are, a line each: name, what its source is, what\n"
"it is for. With NAME, that driver and its options.\n";

static const char *source_of(const struct rk_driver *d)
{
	static const char *const name[] = {
		[RK_SOURCE_IMAGE] = "image", [RK_SOURCE_FILE] = "file",
		[RK_SOURCE_DIRECTORY] = "directory",
		[RK_SOURCE_NONE] = "nothing",
	};

	return d->flags & RK_DRIVER_STACKS ? "driver" :
	       (size_t)d->source < sizeof name / sizeof *name ?
	       name[d->source] : "?";
}

static void print_line(void *arg, const char *name, const struct rk_driver *d)
{
	const char *text = d->help ? d->help : "";

	printf("%s%-12s %-10s %.*s\n", (const char *)arg, name, source_of(d),
	       (int)strcspn(text, "\n"), text);
}

void list_drivers(const char *indent)
{
	char dir[4096];

	find_drivers(dir, sizeof dir);
	rk__loader_each(dir, print_line, (void *)indent);
}

struct wanted {
	const char *name;
	bool found;
};

static void print_options(void *arg, const char *name,
			  const struct rk_driver *d)
{
	struct wanted *w = arg;
	const char *text = d->help ? d->help : "";
	size_t first = strcspn(text, "\n");

	if (strcmp(name, w->name) != 0)
		return;
	w->found = true;
	printf("%s: %.*s\nsource: %s%s\n", name, (int)first, text, source_of(d),
	       d->flags & RK_DRIVER_READ_ONLY ? ", only read" : "");
	text += first + (text[first] == '\n');
	printf("options:%s%s", *text ? "\n" : " none\n", text);
}

static int print_one(const char *name)
{
	char error[RK_SERVER_ERROR_LEN], dir[4096];
	struct wanted w = { .name = name };

	find_drivers(dir, sizeof dir);
	if (rk__loader_find(dir, name, error) < 0)
		return complain("%s", error);
	rk__loader_each(dir, print_options, &w);
	return w.found ? 0 : complain("driver '%s' cannot be loaded; try to "
				      "mount with it to see why", name);
}

int cmd_drivers(int argc, char **argv)
{
	int e = take_help("drivers", help, argc, argv);

	if (e)
		return e;
	if (argc - optind > 1)
		return complain("drivers: takes one name; see rump drivers "
				"--help");
	if (argc > optind)
		return print_one(argv[optind]);
	printf("%-12s %-10s %s\n", "NAME", "SOURCE", "FOR");
	list_drivers("");
	return 0;
}
