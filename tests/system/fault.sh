#!/bin/bash
# fault.sh - the driver that fails on purpose: what each rule does, as programs
# see it, how often, and what becomes of what it makes a server suffer.
# limit: 90 400
. "$(dirname "$0")/../harness/lib.sh"
need_fuse
model=$BUILD/tests/recovery/model
head -c 200000 /dev/urandom >"$WORK/data"

# t COMMAND...: says ok, or why not, in one word
cat >"$WORK/prelude" <<'END'
set -e
cd /vol
t()
{
	local why
	if why=$("$@" 2>&1 >/dev/null); then echo ok
	else why=${why##*: } && echo "${why// /-}"; fi
}
END
# with RULES SCRIPT: the rules are separated by spaces
with()
{
	local spec=/vol=fault+mem: rule
	for rule in $1; do
		spec+=,fault.$rule
	done
	"$RUMP" run --deadline 700ms -m "$spec" -- \
		bash -c ". $WORK/prelude; W=$WORK; $2" >"$WORK/out" 2>"$WORK/err" ||
		{ cat "$WORK/out" "$WORK/err" >&2; fail "$1: $2"; }
}
# sees WHAT RULES SCRIPT: what it says, as one line
sees()
{
	with "$2" "$3"
	[ "$(tr '\n' ' ' <"$WORK/out")" = "$1 " ] ||
		{ cat "$WORK/out" "$WORK/err" >&2; fail "$2: not '$1'"; }
	say "$2: $1"
}
eio=Input/output-error

# How often.
sees "$eio ok ok" rule=create:once:error=EIO 't touch a; t touch b; t touch c'
sees "$eio $eio" rule=create:always:error=EIO 't touch a; t touch b'
sees "ok $eio ok" rule=create:at=2:error=EIO 't touch a; t touch b; t touch c'
sees "ok ok $eio $eio" rule=create:after=2:error=EIO \
	'for i in 1 2 3 4; do t touch $i; done'
sees "ok ok $eio ok ok $eio ok" rule=create:every=3:error=EIO \
	'for i in 1 2 3 4 5 6 7; do t touch $i; done'
chances='for i in $(seq 200); do touch $i 2>/dev/null || echo $i; done'
with rule=create:p=0.2:error=EIO "$chances"
mv "$WORK/out" "$WORK/first"
n=$(wc -l <"$WORK/first")
[ "$n" -gt 10 ] && [ "$n" -lt 80 ] || fail "p=0.2 is $n of 200"
with rule=create:p=0.2:error=EIO "$chances"
cmp -s "$WORK/out" "$WORK/first" || fail "the same seed, other calls"
with 'rule=create:p=0.2:error=EIO seed=7' "$chances"
! cmp -s "$WORK/out" "$WORK/first" || fail "another seed, the same calls"

# Which calls.
sees "ok Disk-quota-exceeded ok" 'rule=create|unlink@b:always:error=EDQUOT' \
	't touch a; t touch b; t touch c'
sees "Cannot-allocate-memory Function-not-implemented" \
	'rule=*@a:once:error=ENOMEM rule=*@b:once:error=ENOSYS' \
	't mkdir a; t mkdir b'

# An error after the work was done takes it back.
sees "$eio ok a b" rule=create@b:once:late-error=EIO \
	'touch a; t mkdir b; t mkdir b; ls'
sees "$eio 5 kept" rule=write:at=2:late-error=EIO \
	'echo kept >f; t bash -c "echo more >>f"; stat -c %s f; cat f'

# Who dies once is succeeded, and nobody hears of it; who dies again and again
# is answered with EIO, and others go on.
for what in crash abort hang late-crash late-abort late-hang; do
	sees "ok a" "rule=create@a:once:$what" 't mkdir a; ls'
	sees "$eio ok b" "rule=create@a:always:$what" 't mkdir a; t touch b; ls'
done

# What is slow is late, and what is too slow is a hang.
sees "ok" rule=create:always:slow=1ms 't touch a'
sees "$eio" rule=create:always:slow=5s 't touch a'

# A short write is gone on with.
sees "ok ok" rule=write:always:short \
	't cp "$W/data" f; t cmp "$W/data" f'

# Bits that are wrong as they are kept: what the kernel has cached is right.
image "$WORK/disk.img" 16M
on_disk()	# RULE COMMAND...
{
	local rule=$1
	shift
	"$RUMP" run -m "/vol=fault+ext4:$WORK/disk.img,fault.rule=$rule" -- "$@"
}
on_disk write:once:wrong cp "$WORK/data" /vol/f || fail "a wrong write is seen"
check_image "$WORK/disk.img"
[ "$(in_mount "$WORK/disk.img" cmp -l "$WORK/data" /vol/f | wc -l)" = 1 ] ||
	fail "what was written is right"
in_mount "$WORK/disk.img" cp "$WORK/data" /vol/f
# And as they are read; a short read is taken for the end of the file.
[ "$(on_disk read:once:wrong cmp -l "$WORK/data" /vol/f | wc -l)" = 1 ] ||
	fail "what is read is right"
[ "$(on_disk read:always:short cat /vol/f | wc -c)" -lt 200000 ] ||
	fail "a short read is not seen"
in_mount "$WORK/disk.img" cmp "$WORK/data" /vol/f ||
	fail "what was read wrong was kept"

# A crash and an abort in every so many calls, and kills besides.
image "$WORK/disk.img" 64M
ops=200
[ "$LONG" = 0 ] || ops=3000
"$RUMP" run --kill-every 100ms -m "/vol=fault+ext4:$WORK/disk.img,$(
	)fault.rule=*:every=997:crash,fault.rule=*:every=1009:late-abort,$(
	)fault.rule=write|create|rename:every=53:late-crash" -- \
	"$model" -n "$ops" -s 3 /vol >"$WORK/log" 2>&1 ||
	{ tail -n 30 "$WORK/log" >&2; fail "the model under faults"; }
check_image "$WORK/disk.img"
say "model: $(tail -n 3 "$WORK/log" | head -n 1)"

# What is written wrong is said by its part.
refused()	# PATTERN RULE
{
	refuses "$2" 125 "$1" "$RUMP" run --no-fuse \
		-m "/vol=fault+mem:,fault.rule=$2" -- true
}
refused "1 part" read
refused "2 parts" read:once
refused "'raed' is no operation" 'read|raed:once:crash'
refused "have a name" read@x:once:crash
refused "'' is no operation" :once:crash
refused "has 0 bytes" lookup@:once:crash
refused "'evry=3' does not say when" read:evry=3:crash
refused "does not say when" read:every=0:crash
refused "does not say when" read:p=1.5:crash
refused "'crush' is no fault" read:once:crush
refused "is no fault" read:once:error=EWRONG
refused "is no fault" read:once:slow=5
refused "only read and write" 'read|lookup:once:wrong'
refused "no late-" read:once:late-short
refuses "fault alone" 125 'fault stands on another one' \
	"$RUMP" run --no-fuse -m /vol=fault:disk.img -- true
refuses "another option" 125 'rule= and seed=, not rules=' \
	"$RUMP" run --no-fuse -m /vol=fault+mem:,fault.rules=x -- true
