#!/bin/bash
# config.sh - servers that are started by configs, and every way in which a
# config can be wrong: all of it is said, each with its line.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
server=$BUILD/tools/rump/rumpserver
export XDG_CONFIG_HOME=$WORK/config
conf=$XDG_CONFIG_HOME/rump V=test-v-$$ M=test-m-$$
mkdir -p "$conf"
stop_all() { "$RUMP" stop -f "$V"; "$RUMP" stop -f "$M"; } 2>/dev/null
trap 's=$?; set +e; stop_all; (exit $s); clean_up' EXIT

# The examples are in order as they are.
"$server" --check "$SOURCE"/configs/*.conf >"$WORK/log" 2>&1 ||
	{ cat "$WORK/log" >&2; fail "an example is wrong"; }
[ "$(grep -c 'good$' "$WORK/log")" = "$(ls "$SOURCE"/configs/*.conf | wc -l)" ] ||
	fail "an example is not looked at"

# All that is wrong, by line; nothing else, and nothing twice.
cat >"$WORK/all.conf" <<'EOF'
[server]
deadlin = 3s
flush = soon
limit = many
audience = hosts
fuse = perhaps
[mount /a]
driver = ext5
source = /x.img
[mount /b]
driver = ext4
source = x.img
options = noload
[mount /c]
driver = mem
options = sise=3m
execution = proces
stay
[mount /d]
driver = archive
read-only = no
source = /x.tar
[mount /e]
driver = fault+ext4
source = /x
options = fault.rul=3
options = mem.size=4
[mount /f]
driver = fault
[mount /g]
driver = ext4
[mont /h]
x = y
EOF
"$server" --check "$WORK/all.conf" >"$WORK/log" 2>&1 && fail "it is taken"
"$server" --check "$WORK/all.conf" >/dev/null 2>&1 || [ $? = 1 ] || fail "not 1"
while read -r line words; do
	grep -Eq "^$WORK/all.conf:$line: .*$words" "$WORK/log" ||
		{ cat "$WORK/log" >&2; fail "line $line: no /$words/"; }
done <<'EOF'
2 'deadlin' in \[server\]; is 'deadline' meant
3 'soon' is no time
4 'many' is no number
5 is 'host' meant
6 'perhaps' is not no or yes
8 'ext5'; is 'ext4' meant
10 no absolute path
13 no option 'noload'
16 no option 'sise'; is 'size' meant
17 is 'process' meant
18 no '='
20 only reads
26 no option 'rul'; is 'rule' meant
27 not in fault\+ext4
29 stands on another one
31 names no source
32 no section \[mont /h\]; is 'mount' meant
EOF
[ "$(wc -l <"$WORK/log")" = 17 ] || { cat "$WORK/log" >&2; fail "not 17 lines"; }
printf "[mount /a]\n" >"$WORK/bad.conf"
refuses "a config with errors" 1 "bad.conf:1: .*names no driver" "$server" "$WORK/bad.conf"

# Two that want one image or one name; both only reading is fine.
one() { printf '[mount /%s]\ndriver = ext4\nsource = %s\n' "$1" "$2" >"$3"; }
mkdir "$WORK/one" "$WORK/two"
image "$WORK/a.img" 16M
ln "$WORK/a.img" "$WORK/b.img"
one a "$WORK/a.img" "$WORK/one/a.conf"
one b "$WORK/b.img" "$WORK/one/b.conf"
refuses "one image" 1 "one/b.conf:1: .*b.img is wanted by .*one/a.conf:1 too" \
	"$server" --check "$WORK/one"
echo 'read-only = yes' | tee -a "$WORK/one/a.conf" >>"$WORK/one/b.conf"
"$server" --check "$WORK/one" >"$WORK/log" 2>&1 || fail "two readers are refused"
one a "$WORK/c.img" "$WORK/two/a.conf"
refuses "one name" 1 "two/a.conf: the name 'a' is wanted by .*one/a.conf too" \
	"$server" --check "$WORK/one" "$WORK/two"
printf '[mount /x]\ndriver = ext4\nsource = %s\n' "$WORK/b.img" >>"$WORK/two/a.conf"
printf "[mount /y]\ndriver = ext4\nsource = %s\n" "$WORK/a.img" >>"$WORK/two/a.conf"
refuses "one image twice in a config" 1 'two/a.conf:7: .*too' \
	"$server" --check "$WORK/two/a.conf"
printf '[server]\naudience = host\n[mount %s]\ndriver = mem\n' "$WORK/mnt" |
	tee "$WORK/two/h.conf" >"$WORK/two/i.conf"
rm "$WORK/two/a.conf"
refuses "one mount point" 1 'i.conf:3: .*mounts too' "$server" --check "$WORK/two/"

# What is no config at all.
refuses "no such file" 1 'cannot read.*No such' "$server" --check "$WORK/none.conf"
refuses "no such name" 1 'there is no config nothing.conf in' "$server" nothing
refuses "a directory" 1 'cannot read.*directory' "$server" "$WORK/one/"
printf "[mount /a]\ndriver = mem\n" >"$WORK/a b.conf"
refuses "a name that is none" 1 'no name for a server' \
	"$server" --check "$WORK/a b.conf"
refuses "no config" 125 'takes one config' "$server"
refuses "an unknown option" 125 'frob' "$server" --frob x

# A directory for the sockets that cannot be had.
if can_be_nobody; then
	mkdir -p "$WORK/nobody"
	cp "$SOURCE/configs/scratch.conf" "$WORK"
	chmod 755 "$WORK"
	refuses "no permission on the run-time directory" 125 \
		'cannot make the directory .*nobody/rump: Permission denied' \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		env XDG_RUNTIME_DIR="$WORK/nobody" "$RUMP" start --no-fuse "$WORK/scratch.conf"
fi

# Patience and limit are those of the config: its servers die at every start of
# an op, so nothing ever gets done.
printf '[server]\npatience = 1\nlimit = 2\n[mount /x]\ndriver = fault+mem\n%s\n' \
	'options = fault.rule=lookup|getattr:always:crash' >"$WORK/$M.conf"
"$RUMP" start --no-fuse "$WORK/$M.conf" || fail "no start of one that will die"
"$RUMP" status "$M" | grep -q '0 of 2 deaths' || fail "another limit: $("$RUMP" status "$M")"
"$RUMP" stop -f "$M" || fail "no stop"

# Started by name and by file, in the foreground and not.
cat >"$conf/$V.conf" <<EOF
[server]
deadline = 9s
[mount /$V]
driver = ext4
source = $WORK/a.img
[mount /$V-mem]
driver = mem
options = size=3m
EOF
refuses "a name like it" 125 "is '$V' meant" "$RUMP" start "${V}x"
"$RUMP" start --no-fuse "$V" || fail "it is not started by its config"
"$RUMP" ls | grep -q "^$V  *shared .* /$V  *ext4  *$WORK/a.img" ||
	fail "ls: $("$RUMP" ls)"
"$RUMP" ls | grep -q "^$V  *shared .* /$V-mem  *mem" || fail "one is missing"
refuses "a name in use" 125 'server named' "$server" "$V"
one m "$WORK/a.img" "$WORK/$M.conf"
refuses "an image in use" 125 'in use' "$RUMP" start --no-fuse "$WORK/$M.conf"
"$RUMP" stop "$V" || fail "no stop"
"$server" "$WORK/$M.conf" >"$WORK/log" 2>&1 &
pid=$!
background "$pid"
wait_for 20 eval 'family "$M" | grep -q "^server"' || fail "no server"
[ "$(family "$M" | awk '$1 == "holder" {print $2}')" = "$pid" ] ||
	fail "rumpserver is not the holder"
kill "$pid"
wait "$pid" || fail "its end is no success: $(cat "$WORK/log")"
CHILDREN=()
check_image "$WORK/a.img"
