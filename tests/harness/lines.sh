# shellcheck shell=bash
# lines.sh - a mount for the whole host, on which somebody writes numbered lines
# and syncs each, and keeps elsewhere how many of them were acknowledged: what
# lib.sh has, for scripts that make everything go wrong and then look whether a
# line is missing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_fuse
need_root "a mount for the whole host"
need_program debugfs
unshare -m --propagation private true 2>/dev/null || skip "no mounts may be made"
img=$WORK/disk.img dir=$WORK/mnt name=lines-$$ case=lines
notes=$WORK		# where the writer keeps what was acknowledged
mkdir -p "$dir"

pid_of() { family "$name" | awk -v r="$1" '$1 == r {print $2}'; }
acked() { cat "$notes/acked" 2>/dev/null || echo 0; }

write_lines()
{
	local i=0
	while [ ! -e "$notes/enough" ]; do
		i=$((i + 1))
		if ! { echo "$i" >>"$dir/log" && sync "$dir/log"; }; then
			echo "$i" >"$notes/refused"
			return
		fi
		echo "$i" >"$notes/acked.new"
		mv "$notes/acked.new" "$notes/acked"
	done
}

# up [RUMP-MOUNT-OPTIONS]: an empty image, unless one is there, and the writer.
up()
{
	[ -e "$img" ] || image "$img" 32M
	rm -f "$notes/enough" "$notes/acked" "$notes/refused"
	"$RUMP" mount --name "$name" "$@" "ext4:$img" "$dir" || fail "$case: no mount"
	write_lines 2>"$WORK/writer.err" &
	writer=$!
	background "$writer"
}

# More lines are acknowledged; refused: no more are, ever.
moved() { [ "$(acked)" -ge $(($1 + 3)) ]; }
goes_on()
{
	wait_for 120 moved "$(acked)" || {
		cat "$WORK/writer.err" >&2
		fail "$case: it does not go on after line $(acked)"
	}
}
refused()
{
	wait_for 120 test -e "$notes/refused" || fail "$case: the writer gets no error"
	wait "$writer"
	CHILDREN=()
}

# All lines that were acknowledged are in the image, and at most the one more
# that was in work.
prove()
{
	local n
	check_image "$img"
	rm -f "$WORK/lines"
	dump "$img" log "$WORK/lines" || fail "$case: no line is left"
	awk '$0 != NR {exit 1}' "$WORK/lines" || fail "$case: other lines"
	n=$(wc -l <"$WORK/lines")
	[ "$n" -ge "$(acked)" ] && [ "$n" -le $(($(acked) + 1)) ] ||
		fail "$case: $(acked) lines were acknowledged, $n are there"
	rm -f "$img"
}

# down: an end in order. recovered: after another, what rump recover brings.
down()
{
	: >"$notes/enough"
	wait "$writer" && [ ! -e "$notes/refused" ] || {
		cat "$WORK/writer.err" >&2
		fail "$case: the writer saw an error"
	}
	CHILDREN=()
	"$RUMP" umount "$dir" || fail "$case: no umount"
	wait_for 120 eval '[ -z "$(family "$name")" ]' || fail "$case: something stays"
	prove
}
recovered()
{
	wait_for 120 flock -n "$img" true || fail "$case: the image is still held"
	"$RUMP" recover "$img" >"$WORK/recover.log" || fail "$case: no recovery"
	prove
}
