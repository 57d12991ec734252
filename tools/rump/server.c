/*
 * server.c - rumpserver: rump as what starts servers by their configs (systemd,
 * say) calls it. One server in the foreground, or a look at configs.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config.h"

static const char help[] =
"usage: rumpserver NAME | FILE.conf\n"
"       rumpserver --check NAME | FILE.conf | DIRECTORY...\n"
"\n"
"Runs the server that a config describes, and stays until it is stopped or gets\n"
"SIGINT, SIGTERM or SIGHUP. The config of NAME is NAME.conf in\n"
"$XDG_CONFIG_HOME/rump (~/.config/rump) or in /etc/rump.\n"
"\n"
"  --check   start nothing: say everything that is wrong with the configs, each\n"
"            with its line, and what two of them cannot both have; exit with 1\n"
"            if there is anything\n"
"\n"
"rump start NAME starts it in the background; rump.conf(5) tells what a config\n"
"may say.\n";

struct configs {
	struct config **c;
	size_t n;
	bool unread;			/* one of them could not be read */
};

static void add(struct configs *all, const char *what)
{
	struct config *c = malloc(sizeof *c);
	struct config **p = realloc(all->c, (all->n + 1) * sizeof *p);
	char error[RK_SERVER_ERROR_LEN];

	if (p)
		all->c = p;
	if (!c || !p) {
		complain("not enough memory");
		exit(RUMP_BAD_CONFIG);
	}
	if (config_read(what, c, error) == 0) {
		all->c[all->n++] = c;
		return;
	}
	complain("%s", error);
	all->unread = true;
	free(c);
}

static int is_config(const struct dirent *d)
{
	return d->d_name[0] != '.' && strchr(d->d_name, '.') &&
	       config_is_path(d->d_name);
}

static void add_directory(struct configs *all, const char *dir)
{
	struct dirent **name;
	char path[4096 + 256];
	size_t len = strlen(dir);
	int n = scandir(dir, &name, is_config, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s%s%s", dir,
			 dir[len - 1] == '/' ? "" : "/", name[i]->d_name);
		add(all, path);
		free(name[i]);
	}
	if (n > 0)
		free(name);
	if (n >= 0)
		return;
	complain("%s: %s", dir, strerror(errno));
	all->unread = true;
}

static int check(char **what)
{
	struct configs all = { 0 };
	unsigned wrong;
	struct stat st;

	for (; *what; what++) {
		if ((strchr(*what, '/') || **what == '.') && stat(*what, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			add_directory(&all, *what);
		else
			add(&all, *what);
	}
	wrong = all.unread;
	for (size_t i = 0; i < all.n; i++)
		for (size_t k = 0; k <= i; k++)
			config_compare(all.c[k], all.c[i]);
	for (size_t i = 0; i < all.n; i++) {
		if (!all.c[i]->conf.n_errors)
			printf("%s: good\n", all.c[i]->path);
		wrong += config_say(all.c[i], stderr);
		free(all.c[i]);
	}
	free(all.c);
	return wrong ? RUMP_BAD_CONFIG : 0;
}

static int run(const char *what)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "";
	int e;

	shared_request_init(&q);
	e = config_request(what, &q, error);
	if (e)
		return e;
	q.foreground = true;
	return request_start(&q, error) < 0 ? complain("%s", error) : 0;
}

int cmd_server(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { 0 },
	};
	bool only_check = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			only_check = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("rumpserver " RUMP_VERSION);
			return 0;
		default:
			return complain("option %s is unknown; see rumpserver "
					"--help", argv[optind - 1]);
		}
	}
	if (only_check && optind < argc)
		return check(argv + optind);
	if (!only_check && argc - optind == 1)
		return run(argv[optind]);
	return complain("rumpserver takes %s; see rumpserver --help",
			only_check ? "configs to check" : "one config");
}
