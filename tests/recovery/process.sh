#!/bin/bash
# process.sh - ext4 where each op has a stack of its own: the verifier, the model
# and, in the long run, the comparison with the kernel's ext4, under kills.
# limit: 90 1500
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
export OPTIONS=,execution=process
verifier=$BUILD/tests/recovery/verifier
model=$BUILD/tests/recovery/model
seed=${SEED:-$(date +%s)}
img=$WORK/disk.img
seconds=5 ops=800
[ "$LONG" = 0 ] || { seconds=120 ops=5000; }

# try WHAT RUMP-OPTIONS -- PROGRAM...
try()
{
	local what=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	image "$img" 256M
	"$RUMP" run --kill-every 10ms "${options[@]}" \
		-m "/vol=ext4:$img$OPTIONS" -- "$@" >"$WORK/log" 2>&1 ||
		{ tail -n 30 "$WORK/log" >&2; fail "$what, seed $seed"; }
	[ "$(kills_in "$WORK/log")" -gt 0 ] || fail "$what: no kill at all"
	check_image "$img"
	say "$what: killed $(kills_in "$WORK/log") times"
}

try "verifier" -- "$verifier" -f -s "$seconds" -r "$seed" /vol
try "model, mount" -- "$model" -n "$ops" -s "$seed" /vol
try "model, library" --no-fuse -- "$model" -l -n "$ops" -s "$seed" /vol
try "every op" --no-fuse -- "$BUILD/tests/system/system-all_ops" process
[ "$LONG" = 0 ] || bash "$SOURCE/tests/system/conformance.sh"
