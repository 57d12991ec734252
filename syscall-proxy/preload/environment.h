/*
 * environment.h - the environment of a new image, with what brings us into it.
 */
#ifndef RK_ENVIRONMENT_H
#define RK_ENVIRONMENT_H

struct rk__environment {
	char *const *envp;		/* the caller's, or made */
	char **made;
	char *preload, *proxy;
};

/* Never writes to the caller's. 0 or a negative errno. */
int rk__environment(char *const *envp, struct rk__environment *ret);
void rk__environment_free(struct rk__environment *e);

#endif
