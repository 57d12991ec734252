#!/bin/bash
# proxy_redirect.sh - redirections of sh, bash, dash and busybox into files that
# only a proxy sees do what they do in a directory of the host: what the shells
# say and what they leave is the same.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"

cat >"$WORK/common" <<'END'
cd "$1"; other=$2
echo one >f; echo two >>f; cat f; cat <f
ls nothing >both 2>&1; echo more >>both 2>&1; sed 's/^[a-z]*: //' both
{ echo out; echo err >&2; } 2>&1 | tee tee | wc -l; cat tee
cat <<X >here
a here-document of $(wc -l <f) lines
X
cat here; cat <<X
$(cat here)
X
exec 3<>rw; echo abc >&3; echo def >&3; exec 3>&-; cat rw
exec 3<>rw; read -r a <&3; echo "read $a"; echo xyz >&3; exec 3>&-; cat rw
exec 4>saved 5>&4; echo x >&5; exec 4>&-; echo y >&5; exec 5>&-; cat saved
while read -r l; do echo "[$l]"; done <f
(exec >sub; echo in a subshell; exec sh -c 'echo after exec; echo and err >&2' 2>&1); cat sub
(read -r a; echo "first $a"; cat) <f
(read -r a; sh -c 'read -r b; echo "second $b"') <f
{ echo a; sh -c 'echo b'; echo c; } >shared; cat shared
echo h >"$other/host"; cat "$other/host" >from-host; cat from-host f >"$other/back"; cat "$other/back"
(set -C; echo no >f) 2>/dev/null || echo refused; cat f
x=$(cat f); echo "$x" | sort -r >sorted; cat sorted
cat f | (cat; echo end) >piped; cat piped
(sleep 0.05; echo late >>f) & wait; cat f
: >f; wc -c <f; >f; [ -s f ] || echo empty
for i in 1 2 3; do echo "loop $i"; done >loop; cat loop
exec 6<loop; read -r a <&6; (read -r b <&6; echo "$b"); read -r c <&6; echo "$a $c"; exec 6<&-
cat /dev/stdin <loop; exec 9>nine; echo through >/dev/fd/9; exec 9>&-; cat nine; cat /dev/fd/0 <loop | tail -n 1
sh -c 'echo to stdin >&0' 0>>loop; cat loop
dd if=loop of=dd bs=4 skip=1 2>/dev/null; cat dd
exec 7>closed; exec 7>&-; (echo x >&7) 2>/dev/null || echo closed
umask 077; echo p >private; stat -c %a private 2>/dev/null || ls -l private | cut -c1-10
exec 8>&1 >log; echo to the log; ls; exec 1>&8 8>&-; cat log
mkdir d; cd d; echo in d >../up; cat ../up; cd ..; pwd | sed 's,.*/,,'
echo a b c | tee t1 t2 >t3; cmp t1 t2 && cmp t2 t3 && echo same
trap 'echo bye >>f; cat f' EXIT
END
cat >"$WORK/bash-only" <<'END'
cat <<<"a here-string" >hs; cat hs; echo $(<hs)
diff <(cat hs) <(cat hs) && echo same
exec {v}<hs; read -r a <&$v; echo "$a"; exec {v}<&-
echo both &>ba; echo more &>>ba; cat ba
coproc { cat; }; echo co >&${COPROC[1]}; read -r a <&${COPROC[0]}; echo "$a"; exec {COPROC[1]}>&-; wait
mapfile -t lines <hs; echo "${#lines[@]} ${lines[0]}"
END
cat "$WORK/common" "$WORK/bash-only" >"$WORK/bash"
left() { (cd "$1" && find . -printf '%p %y %m\n' | sort && find . -type f -exec sha256sum {} + | sort -k2); }
export -f left

try()	# DOOR NAME SCRIPT SHELL...
{
	local door=$1 name=$2 script=$3 out=$WORK/$1-$2
	shift 3
	rm -rf "$WORK/host" "$WORK/other"
	mkdir -p "$WORK/host/w" "$WORK/other"
	"$@" "$script" "$WORK/host/w" "$WORK/other" >"$out.host" 2>&1 </dev/null
	left "$WORK/host/w" >>"$out.host"
	rm -rf "$WORK/other"
	mkdir "$WORK/other"
	image "$WORK/disk.img" 16M -t ext4 -E "root_owner=$(id -u):$(id -g)"
	timeout -k 5 300 "$RUMP" run --proxy="$door" -m "/vol=ext4:$WORK/disk.img" -- \
		bash -c 'rmdir /vol/lost+found; mkdir /vol/w
			"$@"; s=$?; left /vol/w; exit $s' - \
		"$@" "$script" /vol/w "$WORK/other" >"$out" 2>&1 </dev/null ||
		{ diff -a "$out.host" "$out" >&2; fail "$door: $name: exit status"; }
	diff -a "$out.host" "$out" >"$WORK/diff" ||
		{ cat "$WORK/diff" >&2; fail "$door: $name does something else"; }
	[ "$(wc -l <"$out")" -gt 100 ] || { cat "$out" >&2; fail "$name did not run"; }
	check_image "$WORK/disk.img"
	say "$door: $name: $(wc -l <"$out") lines, the same"
}
for door in ${PROXY:-preload notify}; do
	try "$door" sh "$WORK/common" sh
	try "$door" dash "$WORK/common" dash
	try "$door" bash "$WORK/bash" bash
	! command -v busybox >/dev/null || try "$door" busybox "$WORK/common" busybox sh
done
