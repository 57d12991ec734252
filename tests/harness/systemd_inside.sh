#!/bin/bash
# systemd_inside.sh - what tests/system/systemd.sh does in its container, whose
# systemd has started it. Leaves /rump-test/done if all is as it should be.
set -u
cd /rump-test || exit 1

fail()
{
	echo "FAIL: $*"
	systemctl status 'rumpserver@*' --no-pager 2>&1 | tail -n 40
	journalctl -b -n 40 --no-pager 2>&1
	exit 1
}
say() { echo "  $*"; }
wait_for()
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}
show() { systemctl show "rumpserver@$1.service" -p "$2" --value; }
is() { [ "$(show "$1" "$2")" = "$3" ]; }
active() { systemctl -q is-active "rumpserver@$1.service"; }
role() { rump ps --pids | awk -v n="$1" -v r="$2" '$1 == n && $2 == r {print $3}'; }
other() { local now; now=$(role "$1" "$2"); [ -n "$now" ] && [ "$now" != "$3" ]; }
# entries NAME ID [FIELD=VALUE...]
entries() { journalctl -q -b "RUMP_SERVER=$1" "MESSAGE_ID=$2" "${@:3}" -o cat --no-pager; }
told() { entries "$@" | grep -q .; }
id_of() { awk -v s="$1" '$1 == "--" {id = $2} index($0, "Subject: ") == 1 && index($0, s) {print id; exit}' \
	/usr/lib/systemd/catalog/rump.catalog; }
started=$(id_of ' serves') recovered=$(id_of 'was replaced') quarantined=$(id_of 'refuses a')
inherited=$(id_of 'new supervisor') stopped=$(id_of 'stopped')
[ ${#started}${#recovered}${#quarantined}${#inherited}${#stopped} = 3232323232 ] ||
	fail "the catalog is not there"

cat >/etc/rump/vol.conf <<EOF
[mount /vol]
driver = fault+ext4
source = /srv/vol.img
options = fault.rule=create@boom:always:crash
[mount /mem]
driver = mem
[mount /export]
driver = host
source = /srv/export
EOF
printf '[mount /act]\ndriver = ext4\nsource = /srv/act.img\n' >/etc/rump/act.conf
printf '[mount /act]\ndrivr = ext4\nsource = /srv/act.img\n' >/etc/rump/bad.conf
printf '[server]\naudience = host\n[mount /mnt]\ndriver = mem\n' >/etc/rump/host.conf
# Files of an overlay have other device numbers than their directory.
mount -t tmpfs none /srv/export
mkdir -p /etc/systemd/system/rumpserver@.service.d
printf '[Service]\nWatchdogSec=10s\n' >/etc/systemd/system/rumpserver@.service.d/test.conf
systemctl daemon-reload
journalctl --update-catalog || fail "the catalog is wrong"

# Ready when it is, with a status, a mount, and all three drivers at work.
timeout 60 systemctl start rumpserver@vol || fail "no start"
active vol || fail "it is not active"
is vol StatusText 'Serving 0 clients, 0 restarts.' || fail "status: $(show vol StatusText)"
[ "$(role vol holder)" = "$(show vol MainPID)" ] || fail "the main process is not the holder"
told vol "$started" || fail "the journal does not tell of its start"
rump run -s vol -- sh -c 'echo a >/vol/a && echo b >/mem/b && echo c >/export/c &&
	sync /vol/a' || fail "a driver does not work in the unit"
[ "$(cat /srv/export/c)" = c ] || fail "the host's directory"
rump status vol | grep -q 'by systemd' || fail "it does not know of systemd"
rump restart vol 2>&1 | grep -q 'systemctl restart rumpserver@vol' || fail "restart beside systemd"

# A program with an open file, through every death but the holder's.
mkfifo go
rump run -s vol -- sh -c 'exec 3<>/vol/held; echo up >&3; echo >up
	while read -r word <go && [ "$word" != end ]; do
		echo "$word" >&3 && tail -n 1 /vol/held >said; done' &
program=$!
wait_for 20 test -e up || fail "the program does not run"
alive() { rm -f said; echo "$1" >go; wait_for 20 grep -qx "$1" said || fail "the open file is lost: $1"; }
wait_for 20 is vol StatusText 'Serving 1 client, 0 restarts.' || fail "status: $(show vol StatusText)"
main=$(show vol MainPID) old=$(role vol server)
kill -9 "$old"
wait_for 20 other vol server "$old" || fail "no successor"
alive server
wait_for 20 told vol "$recovered" RUMP_CAUSE=kill || fail "no entry of a killed server"
rump run -s vol -- sh -c ': >/vol/boom' 2>/dev/null && fail "it did not crash"
wait_for 20 told vol "$recovered" RUMP_CAUSE=fault RUMP_OP=create || fail "no entry of a crash"
wait_for 20 told vol "$quarantined" RUMP_OP=create || fail "no entry of the refused request"
entries vol "$recovered" RUMP_CAUSE=fault | tail -n 1 | sed 's/^/  /'
journalctl -q -b -x "MESSAGE_ID=$recovered" --no-pager | grep -q 'went on' ||
	fail "the catalog has no text for it"
alive crash

old=$(role vol supervisor)
kill -9 "$old"
wait_for 20 other vol supervisor "$old" || fail "no supervisor follows"
alive supervisor
wait_for 20 told vol "$inherited" || fail "no entry of the supervisor's death"
# Stopped, it is what the watchdog is for; the holder sees it first.
old=$(role vol supervisor)
kill -STOP "$old"
wait_for 40 other vol supervisor "$old" || fail "a stopped supervisor stays"
alive watchdog
active vol && is vol MainPID "$main" && is vol NRestarts 0 ||
	fail "the unit did not outlive its supervisors"
say "the unit outlived a server, two crashes, and a killed and a stopped supervisor"
echo end >go
wait "$program" || fail "the program saw an error"

# A clean stop.
timeout 60 systemctl stop rumpserver@vol || fail "no stop"
is vol Result success || fail "its end is $(show vol Result)"
wait_for 10 told vol "$stopped" || fail "no entry of its end"
[ ! -e /srv/vol.img.rump-journal ] && [ ! -e /run/rump/vol.sock ] || fail "something is left"
e2fsck -fn /srv/vol.img >fsck 2>&1 || { cat fsck; fail "the image is not clean"; }

# The watchdog of systemd itself: the holder is silent.
timeout 60 systemctl start rumpserver@vol || fail "no second start"
main=$(show vol MainPID)
kill -STOP "$main"
wait_for 60 is vol NRestarts 1 || fail "the watchdog did not come"
wait_for 30 active vol || fail "it is not started again"
[ "$(rump run -s vol -- cat /vol/a)" = a ] || fail "a file is lost"
timeout 60 systemctl stop rumpserver@vol || fail "no stop after the watchdog"
say "systemd's watchdog started the unit again"

# The first client starts it; who only looks does not.
timeout 60 systemctl start rumpserver@act.socket || fail "no socket"
rump ls >/dev/null; rump ps >/dev/null
rump status act 2>&1 | grep -q 'whoever connects' || fail "status: $(rump status act 2>&1)"
active act && fail "a look started it"
[ "$(rump run -s act -- sh -c 'echo first >/act/f; cat /act/f')" = first ] ||
	fail "the first client does not start it"
active act || fail "it is not the unit that serves"
old=$(role act supervisor)
kill -9 "$old"
wait_for 20 other act supervisor "$old" || fail "no supervisor follows on the socket"
[ "$(rump run -s act -- cat /act/f)" = first ] || fail "not on the same socket"
# Another build takes over: it is the main process then, and has the socket.
main=$(show act MainPID)
said=$(rump upgrade act 2>&1) || fail "no upgrade: $said"
gone() { ! is act MainPID "$main"; }
wait_for 20 gone || fail "systemd does not know the new holder"
[ "$(role act holder)" = "$(show act MainPID)" ] || fail "another is the main process"
old=$(role act supervisor)
kill -9 "$old"
wait_for 20 other act supervisor "$old" || fail "no supervisor follows after the upgrade"
[ "$(rump run -s act -- cat /act/f)" = first ] || fail "not on the same socket after the upgrade"
active act && is act NRestarts 0 || fail "the upgrade restarted the unit"
rump stop act || fail "no stop"
wait_for 20 is act ActiveState inactive || fail "it is not at rest: $(show act ActiveState)"
rump ls >/dev/null
active act && fail "a look started it again"
[ "$(rump run -s act -- cat /act/f)" = first ] || fail "the second first client"
timeout 60 systemctl stop rumpserver@act.socket rumpserver@act || fail "no stop of both"
e2fsck -fn /srv/act.img >fsck 2>&1 || { cat fsck; fail "the image is not clean"; }
say "the first client starts it, and again after an upgrade and a stop"

# What cannot work is said, and not tried again.
for n in bad host none; do
	timeout 60 systemctl start "rumpserver@$n" 2>/dev/null && fail "$n starts"
done
is bad NRestarts 0 || fail "a wrong config is tried again"
journalctl -q -b -u rumpserver@bad -o cat | grep -q "bad.conf:2: .*'driver' meant" ||
	fail "the journal does not say what is wrong"
journalctl -q -b -u rumpserver@host -o cat | grep -q 'fstab' || fail "a mount that nobody sees"
systemd-analyze verify --man=no rumpserver@vol.service rumpserver@vol.socket rumpserver.target 2>&1 |
	grep -i rumpserver && fail "verify"
touch done
