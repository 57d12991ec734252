# shellcheck shell=bash
# setup.sh - sourced by the other tools: installs the packages of packages.txt
# that are missing. Uses no network if all are there.

setup_packages()
{
	local here list missing='' p sudo=''
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
	list=$(sed 's/#.*//' "$here/packages.txt")
	if ! command -v dpkg-query >/dev/null; then
		echo "This is no Debian; what is needed is in $here/packages.txt." >&2
		return 0
	fi
	for p in $list; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null |
			grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	echo "Installing:$missing"
	if [ "$(id -u)" != 0 ]; then
		sudo=sudo
		if ! command -v sudo >/dev/null; then
			echo "Run this as root, or install:$missing" >&2
			return 1
		fi
	fi
	$sudo apt-get update -q
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
		--no-install-recommends $missing
}
