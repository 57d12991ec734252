/*
 * daemon.h - servers that stay when the command ends: one mount for the whole
 * host, or mounts that programs share. What was asked for, by the command line
 * or by mount(8), and the processes that serve it from then on.
 */
#ifndef RUMP_DAEMON_H
#define RUMP_DAEMON_H

#include "rump.h"
#include "supervisor/mount.h"
#include "supervisor/shared.h"

struct mount_request {
	struct rk__config config;
	struct rk__mount_how how;
	char label[4096 + 64];		/* DRIVER:SOURCE, how.source */
	bool foreground;		/* stay until it is stopped */
	/* A pipe: the servers stop when nobody holds lifeline[1] any more. It
	 * stays the caller's. Both 0: there is none. */
	int lifeline[2];
	/* the daemon's own */
	unsigned major, minor;		/* of the mount, when it is there */
	struct rk__shared shared;	/* config.audience RK_AUDIENCE_SHARED */
	struct rk__handed *handed;	/* it takes over from another program */
};

void mount_request_init(struct mount_request *ret);

/* Reads "DRIVER:SOURCE[,option...]" and the directory. A negative errno, and a
 * sentence in error (RK_SERVER_ERROR_LEN). */
int mount_read_spec(struct mount_request *q, const char *source,
		    const char *dir, char *error);

/* What is in q->config, whose only mount is for the host: what it needs of the
 * surroundings, and dir, where it will be. */
int mount_prepare(struct mount_request *q, const char *dir, char *error);

/* Starts it, and returns when it can be used (foreground: when it is gone).
 * A negative errno, and a sentence in error (RK_SERVER_ERROR_LEN). */
int daemon_start(struct mount_request *q, char *error);

/* The holder of a server that another program hands over; returns its exit
 * status, or a negative errno with a sentence. */
struct rk__handed;
int daemon_take_over(struct mount_request *q, struct rk__handed *handed,
		     char *error);

/* Of a holder: reaps the whole family, which became its own. false: one of them
 * does not die. */
bool reap_family(void);

/* --- start.c: the same for mounts that programs share ------------------------- */

void shared_request_init(struct mount_request *ret);
/* Starts what is in q->config, which must have a name. */
int shared_start(struct mount_request *q, char *error);

/* Starts what is in q->config, which must have a name: for the host, or shared.
 * Where no mounts can be made it says so, and does without. */
int request_start(struct mount_request *q, char *error);

/* Starts the server of that name by its config, if there is one and it does not
 * run, and says so. Returns 0 if there was nothing to do as well; else an exit
 * status, after a sentence. */
int start_by_config(const char *name);

/* --- stale.c: mounts whose servers and holder were killed --------------------- */

/* Take away those at dir, saying so in one sentence each. */
void stale_clear_dir(const char *dir);
/* Those of this image, which must be locked by us: so nobody serves it. */
void stale_clear_source(const char *source);

#endif
