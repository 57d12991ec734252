#!/bin/bash
# config_run.sh - rump start, stop, restart and status with configs; run -s and
# mount of a server that has one and does not run yet.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "mounts for the host are looked at"
export XDG_CONFIG_HOME=$WORK/config
conf=$XDG_CONFIG_HOME/rump V=test-v-$$ H=test-h-$$ v=$WORK/v.img
mkdir -p "$conf" "$WORK/mnt" "$WORK/here"
image "$v" 32M
image "$WORK/h.img" 16M
stop_all() { "$RUMP" stop -f "$V"; "$RUMP" stop -f "$H"; } 2>/dev/null
trap 's=$?; set +e; stop_all; (exit $s); clean_up' EXIT
printf '[server]\nlimit = 9\npatience = 2\n[mount /vol]\ndriver = ext4\nsource = %s\n' \
	"$v" >"$conf/$V.conf"
printf '[server]\naudience = host\n[mount %s]\ndriver = ext4\nsource = %s\n' \
	"$WORK/mnt" "$WORK/h.img" >"$conf/$H.conf"
role() { family "$1" | awk -v r="$2" '$1 == r {print $2}'; }
says() { "$RUMP" status "$1" | grep -Eq "$2" || { "$RUMP" status "$1"; fail "status: no /$2/"; }; }

# Before it runs.
refuses "status of one that does not run" 125 "rump start $V starts it" "$RUMP" status "$V"
refuses "restart of one that does not run" 125 "rump start $V" "$RUMP" restart "$V"
refuses "stop of one that does not run" 125 "does not run" "$RUMP" stop "$V"
refuses "status of nothing" 125 'no server' "$RUMP" status nothing-at-all

# run -s starts it, and says so; several at once start one.
"$RUMP" run -s "$V" -- sh -c 'echo one >/vol/file' 2>"$WORK/err" || fail "run -s"
grep -q "'$V' does not run: it is started by $conf/$V.conf" "$WORK/err" ||
	fail "it does not say so: $(cat "$WORK/err")"
"$RUMP" stop "$V" || fail "no stop"
check_image "$v"
for k in 1 2 3; do
	"$RUMP" run -s "$V" -- sh -c "echo $k >>/vol/three" 2>/dev/null &
	pids[k]=$!
done
for k in 1 2 3; do wait "${pids[k]}" || fail "one of three at once fails"; done
[ "$("$RUMP" run -s "$V" -- sh -c 'wc -l </vol/three')" = 3 ] || fail "three at once"

# What status tells: state, config, users, deaths and why, limits of the config.
says "$V" "^$V: serves; started .* ago$"
says "$V" "config +$conf/$V.conf"
says "$V" "mount +/vol: ext4:$v, shared"
says "$V" "restarts +0 restarts; 0 requests refused; 0 of 9 deaths"
"$RUMP" run -s "$V" -- sleep 60 &
user=$!
background "$user"
wait_for 10 eval '"$RUMP" status "$V" | grep -q "used by  *1 program,"' || fail "no user"
kill -9 "$(role "$V" server)"
wait_for 10 eval '"$RUMP" status "$V" | grep -q "1 restart, 1 killed;"' || fail "no restart"
says "$V" 'last death .*: killed.*; the next served [0-9]+ us later'
kill -SEGV "$(role "$V" server)"
wait_for 10 eval '"$RUMP" status "$V" | grep -q "2 restarts, 1 killed, 1 crashed;"' ||
	fail "a crash is none: $("$RUMP" status "$V")"
says "$V" 'last death .*: crashed \(SIGSEGV\)'

# restart: refused while it is used, and if the config is wrong.
refuses "restart of one in use" 125 'still uses' "$RUMP" restart "$V"
old=$(role "$V" supervisor)
sed -i 's/limit/limt/' "$conf/$V.conf"
refuses "restart by a wrong config" 125 "$V.conf:2: .*'limit' meant" \
	"$RUMP" restart --force "$V"
[ "$(role "$V" supervisor)" = "$old" ] || fail "it was stopped for nothing"
sed -i 's/limt/limit/' "$conf/$V.conf"
"$RUMP" restart --force "$V" || fail "no restart by force"
[ "$(role "$V" supervisor)" != "$old" ] || fail "it is the same"
kill "$user" 2>/dev/null || true
wait "$user" 2>/dev/null || true
"$RUMP" restart "$V" || fail "no restart"
[ "$("$RUMP" run -s "$V" -- cat /vol/file)" = one ] || fail "a file is lost"
refuses "a mount of one that runs" 125 'server named' "$RUMP" mount "$V" "$WORK/here"
"$RUMP" stop "$V"

# For the host: as its config says, and whatever it says.
"$RUMP" start "$H" || fail "no start for the host"
: >"$WORK/mnt/file"
says "$H" "mount +$WORK/mnt: ext4:$WORK/h.img, for the host"
refuses "run -s of the host's" 125 'mount of the host' "$RUMP" run -s "$H" -- true
sleep 60 <"$WORK/mnt/file" &
user=$!
background "$user"
refuses "restart of a mount in use" 125 'in use' "$RUMP" restart "$H"
kill "$user"
wait "$user" 2>/dev/null || true
"$RUMP" restart "$H" || fail "no restart for the host"
[ -e "$WORK/mnt/file" ] || fail "it is not mounted again"
"$RUMP" stop "$H" || fail "no stop for the host"
[ ! -e "$WORK/mnt/file" ] || fail "it is still mounted"
"$RUMP" mount "$V" "$WORK/here" || fail "no mount by name"
[ "$(cat "$WORK/here/file")" = one ] || fail "another mount"
"$RUMP" restart "$V" || fail "no restart of a mount"
[ "$(cat "$WORK/here/file")" = one ] || fail "it is not where it was"
"$RUMP" umount "$WORK/here" || fail "no umount"
"$RUMP" mount "$H" || fail "no mount at the config's path"
[ -e "$WORK/mnt/file" ] || fail "not at the config's path"
"$RUMP" umount "$WORK/mnt"
printf '[mount /x]\ndriver = mem\n' >>"$conf/$H.conf"
sed -i 's/host/shared/' "$conf/$H.conf"
refuses "two mounts in one place" 125 'has 2 mounts' "$RUMP" mount "$H"
check_image "$v"
check_image "$WORK/h.img"
