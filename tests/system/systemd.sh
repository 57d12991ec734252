#!/bin/bash
# systemd.sh - the units under a real systemd: booted by systemd-nspawn in a
# throw-away overlay of the host's root, into which rump is installed. What is
# done there is in systemd_inside.sh's steps; without nspawn the units are looked
# at by systemd-analyze alone.
# limit: 180
. "$(dirname "$0")/../harness/lib.sh"
need_program cmake systemd-analyze
units=$WORK/usr/lib/systemd/system

install_at()
{
	DESTDIR=$1 cmake --install "$BUILD" --prefix "$2" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "it does not install"; }
}

# Units that systemd understands, and their score: 0 is best.
install_at '' "$WORK/usr"
cp "$units/rumpserver@.service" "$units/rumpserver@x.service"
cp "$units/rumpserver@.socket" "$units/rumpserver@x.socket"
for u in rumpserver@x.service rumpserver@x.socket rumpserver.target; do
	systemd-analyze verify --man=no "$units/$u" >"$WORK/log" 2>&1 ||
		{ cat "$WORK/log" >&2; fail "$u is wrong"; }
	! grep -F "$units" "$WORK/log" || fail "$u has something unknown"
done
systemd-analyze security --offline=true "$units/rumpserver@x.service" \
	>"$WORK/security" 2>&1 || { cat "$WORK/security" >&2; fail "no score"; }
say "$(grep 'Overall exposure' "$WORK/security" | sed 's/^[^O]*//')"
score=$(grep -o 'service: [0-9.]*' "$WORK/security" | tr -dc 0-9)
[ "$score" -le 25 ] || { cat "$WORK/security" >&2; fail "it was better: $score"; }
rm -rf "$WORK/usr"

need_fuse
need_root "a container"
command -v systemd-nspawn >/dev/null ||
	skip "systemd-nspawn is not installed; the units were verified"
root=$WORK/root name=rump-$$
mkdir "$WORK/fs" "$root"
mount -t tmpfs -o mode=755 none "$WORK/fs" || skip "no tmpfs may be mounted"
mkdir "$WORK/fs/upper" "$WORK/fs/work"
mount -t overlay -o "lowerdir=/,upperdir=$WORK/fs/upper,workdir=$WORK/fs/work" \
	none "$root" 2>/dev/null ||
	skip "no overlay of the host's root here; the units were verified"
install_at "$root" /usr
rm -rf "$root/etc/rump" "$root/srv" "$root/etc/machine-id"
: >"$root/etc/machine-id"
mkdir -p "$root/etc/rump" "$root/srv/export" "$root/rump-test" \
	"$root/etc/systemd/system"
cp "$SOURCE/tests/harness/systemd_inside.sh" "$root/rump-test/inside.sh"
image "$root/srv/vol.img" 32M
image "$root/srv/act.img" 16M
cat >"$root/etc/systemd/system/rump-test.service" <<'EOF'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
After=systemd-journald.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=150
ExecStart=/bin/bash /rump-test/inside.sh
StandardOutput=file:/rump-test/log
StandardError=inherit
EOF
printf '[Unit]\nWants=rump-test.service\n' \
	>"$root/etc/systemd/system/rump-test.target"

systemd-nspawn -D "$root" --boot --register=no --keep-unit --private-network \
	--bind=/dev/fuse --capability=all --system-call-filter=@known \
	--link-journal=no --console=pipe -M "$name" -- --unit=rump-test.target \
	</dev/null >"$WORK/console" 2>&1 &
nspawn=$!
background "$nspawn"
wait "$nspawn" || true
CHILDREN=()
rm -rf "/run/systemd/nspawn/propagate/$name"
rmdir /run/systemd/nspawn/* /run/systemd/nspawn 2>/dev/null || true
if [ ! -e "$root/rump-test/log" ]; then
	tail -n 5 "$WORK/console"
	skip "systemd-nspawn cannot boot a container here: $(
		grep . "$WORK/console" | tail -n 1); the units were verified"
fi
grep -v '^FAIL' "$root/rump-test/log"
if [ ! -e "$root/rump-test/done" ]; then
	grep '^FAIL' "$root/rump-test/log" >&2
	fail "in the container"
fi
