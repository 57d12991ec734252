#!/bin/bash
# conformance_drivers.sh - the scripts of conformance.sh on other drivers than
# ext4: a directory of the host, files in memory through the library, and ext4
# below a driver that fails in ways that nobody may see.
# limit: 150 600
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "users, and a native mount to compare with"
. "$SOURCE/tests/harness/conformance.sh"
# some QUICK LONG: which scripts
some() { if [ "$LONG" = 1 ]; then echo "$1 $2"; else echo "$1"; fi; }

# What is slow, and who dies and is succeeded.
# shellcheck disable=SC2046
natively cat $(some "acls io names" "data linking sticky")
RULES=",fault.rule=write|create:every=50:slow=1ms"
RULES+=",fault.rule=rename:once:crash,fault.rule=*:every=997:crash"
compare fault+ext4 mount "slow, and crashes"

# Of the room in memory, and of times before 1901 and after 2446, ext4 knows
# nothing.
in_memory() { sed -E '/99999999999|15032385535/d; /^room|^statfs|FS_ENCRYPT_FL/d'; }
# shellcheck disable=SC2046
natively in_memory $(some "acls attrs names" "data linking sticky")
RULES=,size=128m
compare mem library "no kills"
compare mem library "kills" --kill-every 20ms

# A directory of the host has no files without names, no attributes but those
# of users, no flags, and the room of the file system that it is in.
of_host()
{
	sed -E '/O_TMPFILE|trusted\.|security\.|FS_[A-Z]*_FL/d
		/^(room|statfs|getflags|setflags|fsgetxattr|fssetxattr)/d'
}
# shellcheck disable=SC2046
natively of_host $(some "io names processes" "acls data linking modes sticky")
compare host mount "no kills"
compare host mount "kills" --kill-every 20ms
