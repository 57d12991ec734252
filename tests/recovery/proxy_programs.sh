#!/bin/bash
# proxy_programs.sh - programs that people use, through the preload library and
# without FUSE, while the server is killed: the scripts that do it on a mount.
# limit: 180 3600
. "$(dirname "$0")/../harness/lib.sh"
here=$(dirname "$0")
export PROXY=preload SHORT=1
[ "$LONG" = 0 ] || SHORT=0
# What is quick is always done.
all="sqlite programs_git programs_copy programs_unix programs_editors"
[ "$LONG" = 0 ] || all="$all programs_build programs_python"
ran=0
for script in $all; do
	status=0 start=$SECONDS
	bash "$here/$script.sh" >"$WORK/log" 2>&1 || status=$?
	case $status in
	0)	ran=$((ran + 1)) ;;
	77)	say "$script: $(tail -n 1 "$WORK/log")"; continue ;;
	*)	cat "$WORK/log" >&2; fail "$script" ;;
	esac
	say "$script, $((SECONDS - start)) s: $(tail -n 1 "$WORK/log")"
done
[ "$ran" -gt 0 ] || skip "none of the programs is installed"
