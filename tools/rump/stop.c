/*
 * stop.c - rump stop and rump restart.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "runtime.h"

static const char stop_help[] =
"usage: rump stop [--force] NAME\n"
"\n"
"Stops the server that was started as NAME and returns when everything is in\n"
"its images. Refused while a program uses it.\n"
"\n"
"  -f, --force   stop it nevertheless; programs that use it get errors\n";

static const char restart_help[] =
"usage: rump restart [--force] NAME\n"
"\n"
"Stops the server NAME, as rump stop does, and starts it by its config. Refused\n"
"while a program uses it, and if the config is wrong; then nothing is stopped.\n"
"\n"
"  -f, --force   stop it nevertheless; programs that use it get errors\n";

static int refuse_in_use(const struct rk_status *s)
{
	uint32_t n = s->programs ? s->programs : s->clients;

	if (!n)
		return complain("a program still uses '%s'; end it first",
				s->name);
	return complain("%u program%s still use%s '%s'; end %s, or use rump "
			"stop --force", n, n == 1 ? "" : "s",
			n == 1 ? "s" : "", s->name, n == 1 ? "it" : "them");
}

/* It and its program would be of different minds. */
static int refuse_kind(const struct rk_status *s)
{
	return complain("'%s' ends with the program that rump run started it "
			"for (pid %u)", s->name, s->supervisor);
}

/* Its status, or an exit status after a sentence. */
static int find(const char *name, struct rk_status *ret, char *ret_path,
		size_t size)
{
	int e = rk_runtime_socket(name, ret_path, size);

	if (!e)
		e = is_asleep(ret_path) ? -ECONNREFUSED : ask_peer(ret_path, RK_HELLO_STATUS, 0, ret);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e == -EINVAL)
		return complain_unknown(name);
	return e < 0 ? complain_idle(name, ret_path) : 0;
}

/* It is the mount that is in use, or not. */
static int stop_host(const struct rk_status *s, bool force)
{
	struct umount_how how = { .force = force };
	char dir[sizeof s->mounts];
	int r;

	snprintf(dir, sizeof dir, "%.*s", (int)strcspn(s->mounts, "="),
		 s->mounts);
	r = umount_dir(dir, &how);
	if (!r)
		wait_for_end(s);
	return r;
}

static int stop(const char *name, const char *path, bool force)
{
	struct rk_status status;
	int e = ask_peer(path, force ? RK_HELLO_STOP : RK_HELLO_STOP_UNUSED, 0,
			 &status);

	if (e < 0)
		return complain("the server '%s' ended without an answer: %s",
				name, strerror(-e));
	if (status.error == -EBUSY)
		return refuse_in_use(&status);
	wait_for_end(&status);
	if (status.error)
		return complain("%s: %s", name, status.message[0] ?
				status.message : strerror(-status.error));
	return 0;
}

/* The name, or NULL after a sentence. */
static const char *read_options(const char *command, const char *help,
				int argc, char **argv, bool *ret_force)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (o != 'f') {
			complain_option(command, argv);
			return NULL;
		}
		*ret_force = true;
	}
	if (argc - optind == 1)
		return argv[optind];
	complain("%s: takes one name; see rump %s --help", command, command);
	return NULL;
}

int cmd_stop(int argc, char **argv)
{
	bool force = false;
	const char *name = read_options("stop", stop_help, argc, argv, &force);
	struct rk_status status;
	char path[4096];
	int r = name ? find(name, &status, path, sizeof path) : RUMP_FAILED;

	if (r)
		return r;
	if (status.audience == RK_AUDIENCE_PROGRAM)
		return refuse_kind(&status);
	return status.audience == RK_AUDIENCE_HOST ?
	       stop_host(&status, force) : stop(name, path, force);
}

static int restart(const char *name, const char *path,
		   const struct rk_status *s, bool force)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "";
	int r;

	if (s->audience == RK_AUDIENCE_PROGRAM)
		return refuse_kind(s);
	if (s->managed)
		return complain("'%s' is run by systemd; use systemctl restart "
				"rumpserver@%s", name, name);
	shared_request_init(&q);
	if (config_request(name, &q, error))
		return RUMP_FAILED;
	/* where it was, whatever the config means */
	if (s->audience == RK_AUDIENCE_HOST) {
		q.config.audience = RK_AUDIENCE_HOST;
		q.config.fuse = true;
		snprintf(q.config.mount[0].path, sizeof q.config.mount[0].path,
			 "%.*s", (int)strcspn(s->mounts, "="), s->mounts);
	}
	r = s->audience == RK_AUDIENCE_HOST ? stop_host(s, force) :
	    stop(name, path, force);
	if (r)
		return r;
	return request_start(&q, error) < 0 ? complain("%s", error) : 0;
}

int cmd_restart(int argc, char **argv)
{
	bool force = false;
	const char *name = read_options("restart", restart_help, argc, argv,
					&force);
	struct rk_status status;
	char path[4096];
	int r = name ? find(name, &status, path, sizeof path) : RUMP_FAILED;

	return r ? r : restart(name, path, &status, force);
}
