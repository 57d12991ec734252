#!/bin/bash
# servers.sh - servers that several programs share (rump start, run -s, stop),
# and several servers for one program.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
need_root "servers are looked at in the kernel's lists"
a=$WORK/a.img b=$WORK/b.img A=test-a-$$ B=test-b-$$
image "$a" 32M
image "$b" 32M
sock=$("$RUMP" run --no-fuse -m "/x=ext4:$a" -- sh -c 'dirname $RUMP_SOCKET')
stop_all() { "$RUMP" stop -f "$A"; "$RUMP" stop -f "$B"; } 2>/dev/null
trap 's=$?; set +e; stop_all; (exit $s); clean_up' EXIT
pid_of() { "$RUMP" ps --pids | awk -v n="$1" -v r="$2" '$1 == n && $2 == r {print $3}'; }
shared() { "$RUMP" run "$@"; }

# One server, programs that know nothing of each other.
"$RUMP" start "$A" "ext4:$a" || fail "no start"
! grep -q "$a" /proc/self/mountinfo || fail "the host sees its mount"
shared -s "$A" -- sh -c "echo one >/$A/file"
[ "$(shared -s "$A" -- cat "/$A/file")" = one ] || fail "another program misses it"
[ ! -e "/$A" ] || fail "the host got a directory"
"$RUMP" start --kill-every 10ms "$B" "/deep/b=ext4:$b" || fail "no second start"
"$RUMP" ls | has "^$A  *shared .* /$A  *ext4  *$a" || fail "ls: $("$RUMP" ls)"
"$RUMP" ls | has "^$B  *shared .* /deep/b  *ext4  *$b" || fail "ls misses one"

# Both in one program, under kills; elsewhere; two programs at the same time.
shared -s "$A,$B" -- bash -c "for i in \$(seq 100); do
	echo \$i >>/$A/both; echo \$i >>/deep/b/both; done
	cmp /$A/both /deep/b/both" || fail "two servers in one program"
[ "$(shared -s "$A=$WORK/here" -s "$B=/deep" -- sh -c \
	"cat $WORK/here/file; wc -l </deep/both")" = $'one\n100' ] ||
	fail "mounts elsewhere"
for k in 1 2 3; do
	shared -s "$B" -- bash -c "for i in \$(seq 60); do
		echo $k >>/deep/b/log; done" &
	pids[k]=$!
done
wait "${pids[@]}"
[ "$(shared -s "$B" -- sh -c 'wc -l </deep/b/log')" = 180 ] || fail "lines are lost"
[ "$("$RUMP" ps | awk -v n="$B" '$1 == n {print $4}')" -gt 0 ] || fail "never killed"

# The library: one program, two servers.
"$BUILD/tests/system/system-two_servers" "$sock/$A.sock" "/$A" \
	"$sock/$B.sock" /deep/b || fail "the library and two servers"
shared -s "$A" -- sh -c '[ "$RUMP_SOCKET" = "'"$sock/$A.sock"'" ]' ||
	fail "RUMP_SOCKET is another's"

# What is wrong is said in one sentence.
refuses "an unknown name" 125 "no server.*is '$A' meant" "$RUMP" run -s "${A}x" -- true
refuses "an unknown name" 125 "no server.*is '$A' meant" "$RUMP" stop "x$A"
refuses "a name far from any" 125 'rump ls' "$RUMP" stop nothing-like-it-at-all
refuses "a name that is taken" 125 'server named' "$RUMP" start "$A" "ext4:$b"
refuses "an image in use" 125 'in use' "$RUMP" start "c$A" "ext4:$a"
refuses "no name" 125 'no name' "$RUMP" start a/b "ext4:$b"
refuses "no source" 125 'no config' "$RUMP" start "$A"
refuses "two at one path" 125 'twice' "$RUMP" start x "ext4:$a" "ext4:$b"
refuses "kills of another's server" 125 'not for those of -s' \
	"$RUMP" run -s "$A" --kill-every 1s -- true
refuses "a program that is not there" 127 'not found' "$RUMP" run -s "$A" -- "/$A/none"
refuses "one inside the other" 125 'inside' "$RUMP" run -s "$A" -s "$B=/$A/b" -- true
"$RUMP" run -m "/vol=ext4:$WORK/none.img" -- true 2>/dev/null && fail "no image"

# In use it stays; the next supervisor knows that too.
"$RUMP" run -s "$A" -- sleep 3600 &
user=$!
background "$user"
wait_for 60 eval '[ "$("$RUMP" ls | awk -v n="$A" "\$1 == n {print \$3}")" = 1 ]' ||
	fail "ls does not count the program"
refuses "a server in use" 125 'program still uses' "$RUMP" stop "$A"
old=$(pid_of "$A" supervisor)
kill -9 "$old"
next() { [ -n "$(pid_of "$A" supervisor)" ] && [ "$(pid_of "$A" supervisor)" != "$old" ]; }
wait_for 60 next || fail "no supervisor follows"
wait_for 60 eval '[ "$("$RUMP" ls | awk -v n="$A" "\$1 == n {print \$3}")" = 1 ]' ||
	fail "the program is forgotten"
[ "$(shared -s "$A" -- cat "/$A/file")" = one ] || fail "after a supervisor's death"
kill "$user"
wait "$user" 2>/dev/null || true
wait_for 60 "$RUMP" stop "$A" || fail "no stop"
check_image "$a"

# By force: whoever uses it gets errors, the image is whole.
family=$("$RUMP" ps --pids | awk -v n="$B" '$1 == n {print $3}')
shared -s "$B" -- bash -c "echo started >$WORK/flag
	while echo x >>/deep/b/forced; do :; done; exit 3" 2>/dev/null &
user=$!
background "$user"
wait_for 60 test -s "$WORK/flag" || fail "the program does not start"
"$RUMP" stop --force "$B" || fail "no stop by force"
status=0
wait "$user" || status=$?
[ "$status" = 3 ] || fail "the program saw no error but $status"
for p in $family; do
	wait_for 60 eval '! kill -0 $p' || fail "process $p is left"
done
[ ! -e "$sock/$B.sock" ] && [ ! -e "$b.rump-journal" ] || fail "something is left"
check_image "$b"

# Programs that are cut off from their server's own end say no more than that.
"$RUMP" start --foreground "$A" "ext4:$a" &
front=$!
background "$front"
wait_for 60 shared -s "$A" -- true || fail "no server in front"
kill -INT "$front"
wait "$front" || fail "Ctrl-C: status $?"
check_image "$a"

# A start that is interrupted has started it and says so, or leaves nothing.
is_free() { flock -n "$a" true && [ ! -e "$a.rump-journal" ] &&
	! "$RUMP" ls | grep "^$A "; }
for i in $(seq 24); do
	signals=(INT TERM HUP)
	if timeout --preserve-status -s ${signals[i % 3]} 0.0$((RANDOM % 80 + 10)) \
		"$RUMP" start "$A" "ext4:$a" 2>/dev/null; then
		"$RUMP" stop "$A" || fail "a start that says 0 has started nothing"
	else
		is_free >/dev/null || fail "an interrupted start leaves something"
	fi
	check_image "$a"
done

# Nobody can say what one that is killed had said: it is there, or goes.
for i in $(seq 8); do
	"$RUMP" start "$A" "ext4:$a" 2>/dev/null &
	start=$!
	sleep 0.0$((RANDOM % 50 + 10))
	kill -9 "$start" 2>/dev/null || true
	wait "$start" 2>/dev/null || true
	wait_for 60 eval 'is_free || "$RUMP" stop "$A"' ||
		fail "a killed start leaves something"
	check_image "$a"
done

# A server for each mount: the end of one does not touch the other.
cat >"$WORK/one-fails" <<'END'
for i in $(seq 20); do echo $i >>/p/log; echo $i >>/q/log; done
name=$("$RUMP" ls | awk '$4 == 1 || /\/p / {if ($5 == "/p") print $1}')
kill -9 $("$RUMP" ps --pids | awk -v n="$name" '$1 == n && /holder|supervisor/ {print $3}')
for i in $(seq 100); do cat /p/log >/dev/null 2>&1 || break; sleep 0.05; done
! cat /p/log >/dev/null 2>&1 || { echo "the dead one answers"; exit 1; }
for i in $(seq 20); do echo $i >>/q/log || exit 1; done
[ "$(wc -l </q/log)" = 40 ]
END
status=0
"$RUMP" run --separate -m "/p=ext4:$a" -m "/q=ext4:$b" -- bash "$WORK/one-fails" \
	>"$WORK/out" 2>&1 || status=$?
grep -q 'ended before its program' "$WORK/out" && [ "$status" = 125 ] ||
	{ cat "$WORK/out" >&2; fail "the death of one of two: status $status"; }
! grep -q FAIL "$WORK/out" || fail "the death of one touched the other"
"$RUMP" recover "$a" >/dev/null
check_image "$a"
check_image "$b"
"$RUMP" run --separate --kill-every 10ms -m "/p=ext4:$a" -m "/q=ext4:$b" -- \
	bash -c 'for i in $(seq 100); do echo $i >>/p/n; echo $i >>/q/n; done
	cmp /p/n /q/n' 2>"$WORK/err" || { cat "$WORK/err"; fail "two servers, killed"; }
[ "$(grep -c 'nothing was lost' "$WORK/err")" = 2 ] ||
	{ cat "$WORK/err" >&2; fail "no word of both servers"; }

# They end with it, also when it is killed.
"$RUMP" run --separate -m "/p=ext4:$a" -m "/q=ext4:$b" -- sleep 3600 &
run=$!
background "$run"
listed() { "$RUMP" ls | has "$a" && "$RUMP" ls | has "$b"; }
wait_for 60 listed || fail "they are not listed"
kill -9 "$run"
wait_for 60 eval '! "$RUMP" ls | has -E "$a|$b"' || fail "they outlive rump run"
wait_for 60 eval '[ ! -e "$a.rump-journal" ] && [ ! -e "$b.rump-journal" ]' ||
	fail "they did not stop cleanly"
check_image "$a"
check_image "$b"

# An ordinary user's are in a user namespace, and his alone.
if can_be_nobody; then
	mkdir "$WORK/user"
	image "$WORK/user/a.img" 16M -t ext4 -E root_owner=65534:65534
	image "$WORK/user/b.img" 16M -t ext4 -E root_owner=65534:65534
	cat >"$WORK/as-user" <<'END'
set -e
trap '"$RUMP" stop -f mine 2>/dev/null || true' EXIT
cd "$HOME"
"$RUMP" start --kill-every 10ms mine ext4:a.img
"$RUMP" run -s mine -- sh -c 'echo his >/mine/file; id -u >>/mine/file'
[ "$("$RUMP" run -s mine -m /b=ext4:b.img -- sh -c 'cp /mine/file /b; cat /b/file')" = "his
65534" ]
for i in 1 2 3 4; do
	"$RUMP" run -s mine -- sh -c "for k in \$(seq 50); do echo \$k >>/mine/$i; done" &
done
wait
[ "$("$RUMP" run -s mine -- sh -c 'cat /mine/[1-4]' | wc -l)" = 200 ]
"$RUMP" stop mine
END
	as_nobody bash "$WORK/as-user" || fail "as an ordinary user"
	check_image "$WORK/user/a.img"
	check_image "$WORK/user/b.img"
fi
