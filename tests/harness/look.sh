#!/bin/sh
# look.sh NAME - what the family of that name holds: a line for each process
# with its role, the number of its descriptors and the KiB of memory that are
# its own, and a line for each memory file with 0 and its KiB. Sorted.
export LC_ALL=C

look()
{
	"$RUMP" ps --pids | awk -v n="$1" '$1 == n {print $2, $3}' |
	while read -r role pid; do
		fds=$(ls "/proc/$pid/fd" 2>/dev/null | wc -l)
		kb=$(awk '/^Pss_Anon/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null)
		echo "$role ${fds:-0} ${kb:-0}"
	done | sort -s -k1,1
	# Blocks of the region images: what is in use of recoverable memory.
	for fd in /proc/"$("$RUMP" ps --pids | awk -v n="$1" \
		'$1 == n && $2 == "supervisor" {print $3}')"/fd/*; do
		case $(readlink "$fd") in
		/memfd:rump-core* | /memfd:rump-driver*)
			echo "$(readlink "$fd" | cut -d' ' -f1) 0 $(($(stat -Lc %b "$fd") / 2))" ;;
		esac
	done | sort -u
}

# A process that ends while it is looked at has nothing: look again.
for try in $(seq 100); do
	seen=$(look "$1")
	echo "$seen" | grep -q '^[a-z]* 0 ' || break
	sleep 0.1
done
echo "$seen"
