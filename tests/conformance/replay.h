/*
 * replay.h - between the reader of scripts and the calls that they name.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Built a second time, all of it goes through the library.
 */
#ifdef REPLAY_LIBRARY
#include "door.h"
bool door_lacks(const char *call);
#ifndef DOOR_ITSELF
#define openat2 door_openat2
#endif
#else
#define openat2(...) syscall(SYS_openat2, __VA_ARGS__)
/* The router alone starts no programs: who brings it into one does. */
#ifdef REPLAY_ROUTE
#define door_lacks(call) (!strcmp(call, "exec"))
#else
#define door_lacks(call) false
#endif
#define door_user(who) ((void)(who))
#endif

struct call {
	const char *name;
	/* One letter a word: p is a path, - is not. Those behind a | may lack, and
	 * there may be more. */
	const char *words;
	/* What the system call returned, errno left as it is. */
	long (*run)(char **arg);
};

/* NULL-terminated by name. */
extern const struct call file_calls[], data_calls[], attr_calls[],
	more_calls[], play_calls[];

/* "O_RDWR|O_CREAT", "0644", "64K", "-1" */
long number(const char *s);
/* Adds to what is printed behind the result. */
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);
const char *error_name(int error);
/* Descriptors are known by a small number of the script's own. */
int descriptor(const char *arg);
/* The same, and the number is free: for whoever closes it. */
int drop_descriptor(const char *arg);
long keep_descriptor(const char *arg, int fd);
/* Where paths start: AT_FDCWD, or what "in" says. */
extern int at_fd;
int go_home(void);
void limit_file_size(long n);		/* -1: none */
void limit_now(bool on);
uint64_t hash(const void *p, long n);

#endif
