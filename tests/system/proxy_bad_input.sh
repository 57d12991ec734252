#!/bin/bash
# proxy_bad_input.sh - what cannot be done through a proxy, or was mistyped, is
# said in one sentence, before anything is made; and auto says what it chose.
# limit: 60
. "$(dirname "$0")/../harness/lib.sh"
img=$WORK/disk.img
image "$img" 16M -t ext4 -E "root_owner=$(id -u):$(id -g)"
m=(-m "/vol=ext4:$img")
run=("$RUMP" run)

refuses "a typo" 125 "'prelaod'; is 'preload' meant" "${run[@]}" --proxy=prelaod "${m[@]}" -- true
refuses "no such proxy" 125 "auto, preload, notify, none" "${run[@]}" --proxy=something "${m[@]}" -- true
refuses "an empty word" 125 "auto, preload, notify, none" "${run[@]}" --proxy= "${m[@]}" -- true
refuses "a root" 125 '--root is a mount' "${run[@]}" --proxy=preload --root "ext4:$img" -- true
refuses "a bind" 125 '--bind is a mount' "${run[@]}" --proxy=notify "${m[@]}" --bind "$WORK" -- true
for o in --under-mount --no-net --proxy-report; do
	refuses "$o without a proxy" 125 "$o is about a proxy" "${run[@]}" $o "${m[@]}" -- true
	refuses "$o with none" 125 "$o is about a proxy" "${run[@]}" $o --proxy=none "${m[@]}" -- true
done
refuses "a mount that is none" 125 '--under-mount.*--no-fuse' "${run[@]}" --proxy=preload --under-mount --no-fuse "${m[@]}" -- true
refuses "notify without its filter" 125 '--no-net' "${run[@]}" --proxy=notify --no-net "${m[@]}" -- true
RUMP_PRELOAD=$WORK/none.so refuses "no library" 125 'none.so' "${run[@]}" --proxy=preload "${m[@]}" -- true
RUMP_PRELOAD=none.so refuses "a library that nobody finds" 125 'absolute' "${run[@]}" --proxy=preload "${m[@]}" -- true
refuses "no such program" 127 'not found: /no/such' "${run[@]}" --proxy=preload "${m[@]}" -- /no/such
refuses "no such server" 125 'no server' "${run[@]}" --proxy=preload -s nobody-$$ -- true
"$RUMP" start bad-$$ "ext4:$img"
refuses "a mount that moves" 125 '=/elsewhere' "${run[@]}" --proxy=notify -s bad-$$=/elsewhere -- true
"$RUMP" stop bad-$$
! command -v busybox >/dev/null ||
	refuses "a static program without the net" 125 'static.*--proxy=notify' \
		"${run[@]}" --proxy=preload --no-net "${m[@]}" -- busybox true
printf '#!%s/elf32\n' "$WORK" >"$WORK/script"
# what begins like a program of another machine
{ printf '\177ELF\001\001\001'; head -c 57 /dev/zero; } >"$WORK/elf32"
chmod 755 "$WORK/elf32" "$WORK/script"
refuses "a program of another machine" 125 'no program for x86-64' "${run[@]}" --proxy=notify "${m[@]}" -- "$WORK/elf32"
refuses "a script for it" 125 'no program for x86-64' "${run[@]}" --proxy=preload "${m[@]}" -- "$WORK/script"

# Set-user-ID: without new privileges it runs as who called it, and that is said.
if can_be_nobody; then
	mkdir -p "$WORK/user"
	image "$WORK/user/disk.img" 16M -t ext4 -E root_owner=65534:65534
	cp /bin/true "$WORK/setuid"
	chmod 4755 "$WORK/setuid"
	as_nobody true
	export -f as_nobody
	export WORK
	refuses "set-user-ID without the net" 125 'set-id.*library' \
		bash -c 'as_nobody "$@"' - "$RUMP" run --proxy=preload --no-net -m "/vol=ext4:$WORK/user/disk.img" -- "$WORK/setuid"
	as_nobody "$RUMP" run --proxy=notify -m "/vol=ext4:$WORK/user/disk.img" -- "$WORK/setuid" \
		2>"$WORK/err" || { cat "$WORK/err" >&2; fail "set-user-ID under the filter"; }
	grep -q no_new_privs "$WORK/err" || fail "set-user-ID: not said"
	say "set-user-ID: $(cat "$WORK/err")"
	as_nobody "$RUMP" run --proxy=preload -m "/vol=ext4:$WORK/user/disk.img" -- \
		sh -c 'id -u >/vol/id && cat /vol/id' >"$WORK/out" 2>"$WORK/err" ||
		{ cat "$WORK/err" >&2; fail "as an ordinary user"; }
	[ "$(cat "$WORK/out")" = 65534 ] || fail "as an ordinary user: $(cat "$WORK/out")"
fi

# One proxy inside of another has no room for a second listener.
status=0
"${run[@]}" --proxy=notify "${m[@]}" -- "$RUMP" run --proxy=notify \
	-m "/mem=mem:" -- true >"$WORK/out" 2>&1 || status=$?
[ "$status" = 125 ] || { cat "$WORK/out" >&2; fail "a proxy inside of another: $status"; }
say "a proxy inside of another: $(cat "$WORK/out")"

# auto: one line, what and why.
auto()	# PATTERN COMMAND...
{
	local pattern=$1
	shift
	"$@" >"$WORK/out" 2>"$WORK/err" </dev/null || { cat "$WORK/err" >&2; fail "auto: exit status $?"; }
	[ "$(wc -l <"$WORK/err")" = 1 ] && grep -Eq -- "$pattern" "$WORK/err" ||
		{ cat "$WORK/err" >&2; fail "auto does not say /$pattern/ in one line"; }
	[ "$(cat "$WORK/out")" = there ] || fail "auto: the file is not there"
	say "$(cat "$WORK/err")"
}
see=(sh -c 'echo there >/vol/f && cat /vol/f')
auto 'preload.*no mount \(--no-fuse\)' "${run[@]}" --proxy=auto --no-fuse "${m[@]}" -- "${see[@]}"
RUMP_PRELOAD=/none auto 'notify' "${run[@]}" --proxy=auto --no-fuse "${m[@]}" -- "${see[@]}"
if [ "$(id -u)" = 0 ] && unshare -m --propagation private true 2>/dev/null; then
	for how in "" --proxy=auto; do
		auto 'preload.*no mount' unshare -m --propagation private sh -c 'mount --bind /dev/null /dev/fuse
			exec "$@"' - "${run[@]}" $how "${m[@]}" -- "${see[@]}"
	done
fi
if (PROXY= need_fuse) >/dev/null; then
	auto 'none.*mount' "${run[@]}" --proxy=auto "${m[@]}" -- "${see[@]}"
	"${run[@]}" "${m[@]}" -- "${see[@]}" 2>"$WORK/err" >/dev/null
	[ ! -s "$WORK/err" ] || fail "the usual way says something: $(cat "$WORK/err")"
fi
check_image "$img"
