#!/bin/bash
# programs_build.sh - a part of this project is built with gcc on the mount
# while the server is killed; what was built runs, on the mount as well.
# limit: 120 900
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_program gcc cmake ninja

every=20ms rounds=1 target=model
[ "$LONG" = 0 ] || { every=100ms rounds=2 target=all; }
img=$WORK/disk.img

cat >"$WORK/inside" <<'END'
set -e
source=$1 target=$2
mkdir /vol/src
tar -C "$source" -cf - CMakeLists.txt protocol rumpclient rumpserver rumplocal syscall-proxy drivers \
	tools tests docs LICENSE | tar -C /vol/src -xf -
export TMPDIR=/vol/tmp
mkdir "$TMPDIR"
cmake -G Ninja -S /vol/src -B /vol/build
ninja -C /vol/build "$target"
# Nothing is left to be done, as the time stamps say.
ninja -C /vol/build "$target" | tail -n 1 | grep 'no work to do'
mkdir /vol/model
/vol/build/tests/recovery/model -n 400 /vol/model
END
for round in $(seq "$rounds"); do
	image "$img" 2G
	under_kills "$img" "$every" sh "$WORK/inside" "$SOURCE" "$target"
done
say "$KILLS kills"
