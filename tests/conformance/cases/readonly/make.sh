# The tree that look.sh looks at.
cat <<'END'
case tree
open 1 f O_CREAT|O_RDWR 0644
write 1 10000 x
open 1 none O_CREAT|O_RDWR 0000
mkdir d 0755
mkdir d/e 0700
open 1 d/f O_CREAT|O_RDWR 0666
write 1 100 y
symlink f l
symlink nowhere dangling
mkdir w 0777
chmod w 01777
open 1 w/mine O_CREAT|O_RDWR 0600
chown w/mine 1000 1000
open 1 sh O_CREAT|O_RDWR 0755
close 1
END
