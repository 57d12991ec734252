/*
 * peer.c - who is at the other end of a connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "supervisor/peer.h"

int rk__peer_cred(int conn, struct rk__message *m)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	gid_t *group;

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	m->uid = cred.uid;
	m->gid = cred.gid;
	m->pid = cred.pid;
	len = 65536 * sizeof *group;
	group = malloc(len);
	if (!group)
		return -ENOMEM;
	if (getsockopt(conn, SOL_SOCKET, SO_PEERGROUPS, group, &len) < 0)
		len = 0;
	m->n_groups = len / sizeof *group;
	/* who has more loses rights, and gains none */
	if (m->n_groups > sizeof m->group / sizeof *m->group)
		m->n_groups = sizeof m->group / sizeof *m->group;
	memcpy(m->group, group, m->n_groups * sizeof *group);
	free(group);
	return 0;
}

bool rk__pid_is_of(uint32_t pid, uint32_t uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%u", pid);
	return pid && stat(path, &st) == 0 && st.st_uid == uid;
}
