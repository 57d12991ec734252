/*
 * acl.h - POSIX access lists: what they mean (acl.c, pure), and where the
 * operations on files meet them (vfs_acl.c).
 *
 * A list is passed as the value of system.posix_acl_access or _default, the
 * form of setxattr(2). What the mode says for the owner, the mask (or the
 * group, where there is none) and the others is the same in both at all times;
 * a list that says no more than the mode is not kept.
 */
#ifndef RK_ACL_H
#define RK_ACL_H

#include "request.h"
#include "vfs.h"

enum { RK_ACL_MAX = (RK_XATTR_SIZE_MAX - 4) / 8 };

struct rk__acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct rk__acl {
	uint32_t version;
	struct rk__acl_entry entry[RK_ACL_MAX];
	uint32_t n;
};

/* --- acl.c ------------------------------------------------------------------ */

bool rk__acl_is_name(const char *name);
/* -EINVAL, -EOPNOTSUPP (another version); what is read is a valid list or an
 * empty one. */
int rk__acl_read(const void *value, size_t size, struct rk__acl *ret);
/* Bytes that it takes as a value: the start of the struct. */
static inline size_t rk__acl_size(const struct rk__acl *a)
{
	return 4 + a->n * sizeof a->entry[0];
}

/* The mode with the permissions of the list; *ret_equal: it says no more. */
uint32_t rk__acl_mode(const struct rk__acl *a, uint32_t mode, bool *ret_equal);
/* The list follows a change of the mode. */
void rk__acl_chmod(struct rk__acl *a, uint32_t mode);
/* The list of a new file from the default one of its directory; returns the
 * mode of the file. */
uint32_t rk__acl_inherit(struct rk__acl *a, uint32_t mode);
/* R_OK | W_OK | X_OK of somebody who is not the owner; 0 or -EACCES. */
int rk__acl_permits(const struct rk__acl *a, const struct rk__cred *c,
		    const struct rk_stat *st, unsigned mask);

/* --- vfs_acl.c -------------------------------------------------------------- */

/* As rk__acl_permits, of a file that has a list: 1 if it has none. */
int rk__acl_access(const struct rk__cred *c, const struct rk_stat *st,
		   unsigned mask);
/* setxattr and removexattr (size 0) of a list. */
int rk__acl_set(const struct rk__cred *c, struct rk__node n, const char *name,
		const void *value, size_t size);
/* After a change of the mode. */
int rk__acl_follow(struct rk__node n, const struct rk_stat *st);
/* What a new file in `dir` gets: 0 if there is no default list, and the umask
 * counts; 1: *mode is as the list limits it. */
int rk__acl_default(struct rk__node dir, const struct rk_stat *dir_st,
		    uint32_t *mode);
/* Gives it to the new file, right after rk__acl_default answered 1. */
int rk__acl_give(struct rk__node n, uint32_t mode);

#endif
