# shellcheck shell=bash
# tree.sh - a tree with one of everything, and the comparison of such a tree
# with what a mount shows of it.

# make_tree DIR: whole seconds, so that formats that have no others can hold it.
make_tree()
{
	local t=$1 i
	mkdir -p "$t/dir/sub/deeper" "$t/many" "$t/empty"
	printf 'hello\n' >"$t/hello"
	: >"$t/dir/nothing"
	head -c 3000000 /dev/urandom >"$t/dir/random"
	seq 300000 >"$t/dir/sub/text"
	printf '#!/bin/sh\necho it runs\n' >"$t/dir/program"
	for i in $(seq 400); do echo "$i" >"$t/many/file with a name $i"; done
	printf 'x' >"$t/dir/sub/ünïcödé ☺"
	printf 'y' >"$t/dir/sub/$(printf 'n%.0s' $(seq 200))"
	ln -s ../hello "$t/dir/link"
	ln -s /nowhere/at/all "$t/dangling"
	ln "$t/hello" "$t/dir/sub/deeper/again"
	truncate -s 5M "$t/holes"
	printf 'end' | dd of="$t/holes" bs=1 seek=4000000 conv=notrunc 2>/dev/null
	chmod 4755 "$t/dir/program"
	chmod 1777 "$t/empty"
	chmod 0640 "$t/hello"
	if [ "$(id -u)" = 0 ]; then
		mkfifo "$t/fifo"
		mknod "$t/char" c 300 70000
		mknod "$t/block" b 7 3
		chown 1234:70001 "$t/dir/sub/text"
		chown -h 99:98 "$t/dangling"
	fi
	find "$t" -exec touch -h -d @1600000000 {} +
}

# What is known of each file under a directory, a line each. $2: a command for
# the fields that a format does not have.
describe()
{
	(cd "$1" && find . \( -type d -printf '%p %y %m %U:%G %n - %Ts\n' \) -o \
		\( -type l -printf '%p %y %U:%G %n %s %Ts %l\n' \) -o \
		\( -type f -printf '%p %y %m %U:%G %n %s %Ts\n' \) -o \
		-printf '%p %y %m %U:%G %n %Ts\n' | sort
	find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | sort)
}

# same_tree A B: attributes and bytes.
same_tree()
{
	describe "$1" >"$WORK/tree.a" || return
	describe "$2" >"$WORK/tree.b" || return
	diff "$WORK/tree.a" "$WORK/tree.b" || return
	(cd "$1" && find . -type f -exec sha256sum {} + | sort) >"$WORK/sums.a"
	(cd "$2" && find . -type f -exec sha256sum {} + | sort) >"$WORK/sums.b"
	diff "$WORK/sums.a" "$WORK/sums.b"
}
export -f describe same_tree
export WORK
