/*
 * acl.h - POSIX access lists between system call and disk format.
 */
#ifndef RK_EXT4_ACL_H
#define RK_EXT4_ACL_H

#include <stddef.h>
#include <stdint.h>

/* Length of what it put into ret, which has room for `size`. */
int64_t rk__ext4_acl_to_disk(const void *value, size_t size, void *ret);
/* The length that it takes; ret got what has room. */
int64_t rk__ext4_acl_from_disk(const void *value, size_t size, void *ret,
			       size_t room);

#endif
