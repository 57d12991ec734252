/*
 * environment.c - LD_PRELOAD and RUMP_PROXY are put back where a program has
 * emptied or replaced the environment of what it runs.
 */
#include <errno.h>
#include <stdlib.h>
#include "bare.h"
#include "environment.h"
#include "preload_int.h"

enum { MAX_VARIABLES = 1 << 20 };

static const char preload_name[] = "LD_PRELOAD=";
static const char proxy_name[] = RK__PROXY_ENV "=";

static bool is_named(const char *variable, const char *name)
{
	return strncmp(variable, name, strlen(name)) == 0;
}

/* Whether a list of libraries has all of ours at its begin or further on. */
static bool has_libraries(const char *value)
{
	size_t n = strlen(rk__libraries);

	for (const char *p = value; *p; p++)
		if ((p == value || p[-1] == ':' || p[-1] == ' ') &&
		    strncmp(p, rk__libraries, n) == 0 &&
		    (!p[n] || p[n] == ':' || p[n] == ' '))
			return true;
	return false;
}

/* NAME=first[:second] */
static char *join(const char *name, const char *first, const char *second)
{
	size_t n = strlen(name), a = strlen(first), b = strlen(second);
	char *s = malloc(n + a + b + 2);

	if (!s)
		return NULL;
	strcpy(s, name);
	strcpy(s + n, first);
	if (b) {
		s[n + a] = ':';
		strcpy(s + n + a + 1, second);
	}
	return s;
}

static int make(char *const *envp, size_t n, size_t preload, size_t proxy,
		struct rk__environment *e)
{
	const char *others = preload < n ?
		envp[preload] + strlen(preload_name) : "";
	size_t k = n;

	e->made = calloc(n + 3, sizeof *e->made);
	e->preload = join(preload_name, rk__libraries,
			  has_libraries(others) ? "" : others);
	e->proxy = join(proxy_name, rk__socket, "");
	if (!e->made || !e->preload || !e->proxy)
		return -ENOMEM;
	if (n)
		memcpy(e->made, envp, n * sizeof *envp);
	if (preload == n || !has_libraries(others))
		e->made[preload == n ? k++ : preload] = e->preload;
	e->made[proxy == n ? k++ : proxy] = e->proxy;
	e->envp = e->made;
	return 0;
}

int rk__environment(char *const *envp, struct rk__environment *e)
{
	size_t n = 0, preload, proxy;
	int r;

	*e = (struct rk__environment){ .envp = envp };
	while (envp && envp[n])
		if (++n > MAX_VARIABLES)
			return -E2BIG;
	preload = proxy = n;
	for (size_t i = 0; i < n; i++) {
		if (preload == n && is_named(envp[i], preload_name))
			preload = i;
		if (proxy == n && is_named(envp[i], proxy_name))
			proxy = i;
	}
	if (preload < n && has_libraries(envp[preload] + strlen(preload_name)) &&
	    proxy < n &&
	    strcmp(envp[proxy] + strlen(proxy_name), rk__socket) == 0)
		return 0;
	r = make(envp, n, preload, proxy, e);
	if (r < 0)
		rk__environment_free(e);
	return r;
}

void rk__environment_free(struct rk__environment *e)
{
	free(e->made);
	free(e->preload);
	free(e->proxy);
	*e = (struct rk__environment){ 0 };
}
