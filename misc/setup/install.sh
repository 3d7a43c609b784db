#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the Debian packages of packages.txt that are missing. Needs root or
# sudo only when there is something to install. Says nothing when all is there.
set -eu

list="$(dirname "$0")/packages.txt"

has_package()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# apt takes an unknown name for a pattern and answers for what it matches
# (linux-source-6.1 for linux-source-6.12): the first line tells.
has_candidate()
{
	apt-cache policy "$1" 2>/dev/null | {
		read -r name && [ "$name" = "$1:" ] && grep -q '^  Candidate: [^(]'
	}
}

# The lines of which no alternative is installed.
missing_lines()
{
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list" | while read -r line; do
		found=n
		for name in $(echo "$line" | tr '|' ' '); do
			if has_package "$name"; then
				found=y
				break
			fi
		done
		[ "$found" = y ] || echo "$line"
	done
}

choose()
{
	for name in $(echo "$1" | tr '|' ' '); do
		if has_candidate "$name"; then
			echo "$name"
			return 0
		fi
	done
	echo "setup: no Debian package for '$1' ($(grep -F "$1" "$list" | sed 's/.*# *//'))" >&2
	echo "setup: is 'main' of your Debian release in the apt sources?" >&2
	return 1
}

refuse()
{
	{
		echo "setup: these Debian packages are missing:"
		echo "$missing" | sed 's/^/setup:   /'
		echo "setup: $1"
		echo "setup: let root run $(readlink -f "$0"), then try again"
	} >&2
	exit 1
}

missing=$(missing_lines)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		refuse "this is not root, and there is no sudo"
	elif ! sudo env true; then
		refuse "sudo does not let this user install them"
	fi
	as_root=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quiet_apt()
{
	if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=600 "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "setup: apt-get $1 failed" >&2
		return 1
	fi
}

echo "setup: refreshing the package lists (a few seconds)"
# A third-party source that fails must not stop us: the install will tell.
quiet_apt update || true

names=
for line in $missing; do
	name=$(choose "$line")
	names="$names $name"
done
echo "setup: installing$names"
echo "setup: (up to 600 MB on a fresh machine, 1 to 5 minutes)"
# shellcheck disable=SC2086 # one word per package is meant
quiet_apt install --no-install-recommends $names
echo "setup: packages installed"
