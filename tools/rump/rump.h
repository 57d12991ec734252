/*
 * rump.h - what the commands of `rump` share.
 */
#ifndef RUMP_H
#define RUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include "channel.h"
#include "supervisor/supervisor.h"

enum {
	RUMP_BAD_CONFIG = 1,
	RUMP_FAILED = 125,		/* rump itself could not do it */
	RUMP_CANNOT_RUN = 126,
	RUMP_NOT_FOUND = 127,
};

/* "rump: sentence" to stderr; returns RUMP_FAILED. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for a wrong option, which getopt_long() left in argv. */
int complain_option(const char *command, char **argv);
/* Options of a command that has no other than --help, which ends it here. 0, or
 * what to exit with. */
int take_help(const char *name, const char *text, int argc, char **argv);

/* What every server needs of the surroundings. */
void default_config(struct rk__config *ret);
/* Where the drivers are: $RUMP_DRIVER_DIR, beside this program, installed. */
void find_drivers(char *ret, size_t size);
/* A line for each driver, for help texts. */
void list_drivers(const char *indent);
/* Many clients are many descriptors. *ret_old: for programs we start. */
void raise_limits(struct rlimit *ret_old);
/* Puts the working directory before it. */
int make_absolute(const char *path, char *ret, size_t size);

/* --- peer.c: other supervisors -------------------------------------------- */

/* Would whoever connects to it wake it? */
bool is_asleep(const char *socket_path);
/* Asks the one at this socket. -EAGAIN: no answer in timeout_s, 0: for ever. */
int ask_peer(const char *socket_path, enum rk_hello_kind kind,
	     unsigned timeout_s, struct rk_status *ret);
/* Has the one at this socket hand over to a program, or write its state to a
 * file (-1: none), and waits for it. */
int order_peer(const char *socket_path, enum rk_order_kind kind,
	       const char *program, int file, struct rk_status *ret);
/* Returns when the processes of one that stopped have ended, too. */
void wait_for_end(const struct rk_status *status);
/* Begins to use the one called name: a connection, which says so until it is
 * closed, or a negative errno. *ret_ns: its namespaces (user, mount), or -1. */
int use_peer(const char *name, struct rk_status *ret, int ret_ns[2]);
/* Has this process the capability of this number? */
bool have_capability(int number);
/* Says that there is no such server, and which name may be meant. */
int complain_unknown(const char *name);
/* Calls fn for each that answers, until it returns non-zero. */
int for_each_peer(int (*fn)(void *arg, const char *socket_path,
			    const struct rk_status *status), void *arg);

/* --- status.c --------------------------------------------------------------- */

/* Says that it does not run, and whether it could, or what may be meant. */
int complain_idle(const char *name, const char *socket_path);

/* --- ps.c ------------------------------------------------------------------- */

/* "3m12s", since an instant of CLOCK_REALTIME. */
void format_uptime(uint64_t started_s, char ret[32]);

/* --- commands; each returns the exit status --------------------------------- */

int cmd_run(int argc, char **argv);
int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_upgrade(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
/* What an old server starts as the new one. */
int cmd_take_over(int argc, char **argv);
int cmd_restart(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_drivers(int argc, char **argv);
int cmd_checkpoint(int argc, char **argv);
int cmd_checkpoints(int argc, char **argv);
int cmd_restore(int argc, char **argv);
/* By the names that mount(8) and umount(8) look for; their exit status. */
int cmd_mount_helper(int argc, char **argv);
int cmd_umount_helper(int argc, char **argv);
/* By the name rumpserver. */
int cmd_server(int argc, char **argv);

/* --- checkpoint.c, restore.c -------------------------------------------------- */

/* Says what a label may be. */
int complain_label(const char *label);
/* A path, or the name of a file here that is not also a server's? */
bool is_image(const char *what);
struct rk__image;
/* Opens and locks it to be written. 0, or what to exit with. */
int open_image(const char *source, struct rk__image *ret);

/* --- umount.c --------------------------------------------------------------- */

struct umount_how {
	bool lazy;			/* out of sight at once */
	bool force;			/* whoever waits for it gets an error */
};

/* Returns the exit status of rump umount. */
int umount_dir(const char *dir, const struct umount_how *how);

#endif
