# POSIX access lists: what they are checked for, how they and the mode go
# together, what is inherited.
cat <<'END'
case acl
open 1 f O_CREAT|O_RDWR 0640
getacl f access
getacl f default
listxattr f 65536
mark f
setacl f access u::rw-,u:1000:r--,g::r--,m::r--,o::---
changed f
lstat f
getacl f access
listxattr f 65536
@1000 open 2 f O_RDONLY
@1000 open 2 f O_RDWR
@1001 open 2 f O_RDONLY
@1000 access f R_OK
@1000 access f W_OK
@1001 access f R_OK
setacl f access u::rw-,u:1000:rw-,g::r--,g:77:rw-,m::r--,o::---
@1000 open 2 f O_RDWR
chmod f 0660
getacl f access
lstat f
@1000 open 2 f O_RDWR
@1001:77 open 2 f O_RDWR
@1001:78,77 open 2 f O_RDWR
chmod f 0600
getacl f access
@1000 open 2 f O_RDONLY
chmod f 0777
getacl f access
setacl f access u::rwx,g::r-x,o::r--
getacl f access
lstat f
setacl f access u::rwx,u:5:rwx,g::r-x,o::r--
setacl f access u::rwx,u:5:rwx,g::r-x,m::rwx
setacl f access u::rwx,g::r-x,m::r--,o::r--
lstat f
getacl f access
setacl f access g::r-x,o::r--,u::rwx
@1000 setacl f access u::rwx,g::r-x,o::r--
setacl f default u::rwx,g::r-x,o::r--
chown f 1000 1000
@1000 setacl f access u::rwx,u:1:r--,g::r-x,m::r--,o::r--
chmod f 02755
@1000 setacl f access u::rwx,u:1:r--,g::r-x,m::r--,o::r--
lstat f
chown f 1000 2000
chmod f 02755
@1000 setacl f access u::rwx,u:1:r--,g::r-x,m::r--,o::r--
lstat f
delacl f access
getacl f access
delacl f access
lstat f
setxattr f system.posix_acl_access 0 x
setxattr f system.posix_acl_access 3 x
setxattr f system.posix_acl_access 4 x
symlink f l
setxattr l system.posix_acl_access 0 x
case acl-default
mkdir d 0755
umask 022
setacl d default u::rwx,u:1000:rwx,g::r-x,m::rwx,o::---
getacl d default
getacl d access
lstat d
open 1 d/f O_CREAT|O_RDWR 0666
lstat d/f
getacl d/f access
getacl d/f default
open 1 d/g O_CREAT|O_RDWR 0600
lstat d/g
getacl d/g access
mkdir d/s 0777
lstat d/s
getacl d/s access
getacl d/s default
mkdir d/s/t 0700
getacl d/s/t access
getacl d/s/t default
mknod d/p S_IFIFO|0666
lstat d/p
getacl d/p access
symlink f d/l
lstat d/l
open 2 d O_TMPFILE|O_RDWR 0666
linkfd 2 d/tmp
lstat d/tmp
getacl d/tmp access
umask 077
open 1 d/h O_CREAT|O_RDWR 0666
lstat d/h
bind d/sock
lstat d/sock
delacl d default
open 1 d/i O_CREAT|O_RDWR 0666
lstat d/i
mkdir e 0755
setacl e default u::rwx,g::r-x,o::r-x
open 1 e/f O_CREAT|O_RDWR 0666
lstat e/f
getacl e/f access
mkdir e/d 0777
lstat e/d
getacl e/d access
getacl e/d default
setacl e default u::rwx,g::r-x,m::r-x,o::r-x
open 1 e/g O_CREAT|O_RDWR 0666
lstat e/g
getacl e/g access
case acl-search
mkdir d 0700
open 1 d/f O_CREAT|O_RDWR 0644
@1000 stat d/f
setacl d access u::rwx,u:1000:--x,g::---,m::rwx,o::---
@1000 stat d/f
@1000 ls d
@1000 unlink d/f
setacl d access u::rwx,u:1000:rwx,g::---,m::rwx,o::---
@1000 ls d
@1000 mkdir d/x 0755
@1000 unlink d/f
@1001 ls d
lstat d
END
