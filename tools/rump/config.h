/*
 * config.h - configs as the commands use them: found by name, read, checked
 * against the drivers that there are and against each other.
 */
#ifndef RUMP_CONFIG_H
#define RUMP_CONFIG_H

#include <stdio.h>
#include "daemon.h"
#include "supervisor/conf.h"

struct config {
	char path[4096];
	char name[64];			/* of the server: the file's, without .conf */
	struct rk__conf conf;
};

/* Is it the path of a config, or the name of a server? */
bool config_is_path(const char *what);
/* Where the config of the server called name is; -ENOENT: nowhere. */
int config_find(const char *name, char *ret, size_t size);
/*
 * Reads the config of that path or name, and looks whether the drivers fit. All
 * that is wrong is in ret->conf. A negative errno: it cannot be read at all,
 * and a sentence is in error (RK_SERVER_ERROR_LEN).
 */
int config_read(const char *what, struct config *ret, char *error);
/* Writes what is wrong, a line each; how many there were. */
unsigned config_say(const struct config *c, FILE *to);
/* What two of them cannot both have: noted in b. */
void config_compare(const struct config *a, struct config *b);

/* Reads it into *q, which is started by request_start(); says what is wrong,
 * and returns an exit status then. */
int config_request(const char *what, struct mount_request *q, char *error);

#endif
