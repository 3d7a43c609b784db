#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the guests' Linux from Debian's linux-source package, once: the result
# is cached by a hash of everything that goes into it. Prints the folder, which
# holds bzImage, config, System.map, and of the same source the HSM's sample
# program (sample/) and interface header (acrn.h). Progress goes to stderr.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
fragment="$here/kernel.config"
cache=${ACRN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/acrn}
jobs=${JOBS:-$(nproc)}
# Lines that the kernel's make prints for this configuration: for the progress.
expected_lines=1760

say()
{
	echo "kernel: $*" >&2
}

# The oldest of the versions in packages.txt that is installed.
find_source()
{
	for package in linux-source-6.1 linux-source-6.12; do
		version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || continue
		tarball=/usr/src/$package.tar.xz
		[ -n "$version" ] && [ -f "$tarball" ] && return 0
	done
	say "no linux-source package is installed: run misc/setup/install.sh"
	return 1
}

report_progress()
{
	while sleep 15; do
		lines=$(wc -l <"$1")
		percent=$((lines * 100 / expected_lines))
		[ "$percent" -lt 99 ] || percent=99
		say "$percent% ($(tail -n 1 "$1" | tr -s ' '))"
	done
}

# Every line of the fragment must have survived Kconfig, unless this version of
# Linux knows no such symbol.
verify_config()
{
	lost=
	while read -r line; do
		name=${line#\# }
		name=${name%%[= ]*}
		case $line in
		CONFIG_*=*)
			grep -qxF "$line" .config && continue
			if grep -rqE "^(menu)?config ${name#CONFIG_}$" --include='Kconfig*' .; then
				lost="$lost $name"
			else
				say "$version has no $name"
			fi
			;;
		"# CONFIG_"*" is not set")
			! grep -q "^$name=" .config || lost="$lost $name"
			;;
		esac
	done <"$fragment"
	[ -z "$lost" ] && return 0
	say "these lines of kernel.config did not survive Kconfig:$lost"
	return 1
}

build()
{
	work=$(mktemp -d "$cache/kernel-build.XXXXXX")
	progress=
	# The reporter may have ended by itself; that must not become this script's status.
	trap 'kill "$progress" 2>/dev/null || :; rm -rf "$work"' EXIT
	trap 'exit 1' INT TERM

	say "building Linux from $package $version, once"
	say "(4 to 10 minutes on two cores; kept in $cache)"
	mkdir "$work/src" "$work/out"
	tar -x -f "$tarball" -C "$work/src" --strip-components=1
	cd "$work/src"
	log=$work/log
	make KCONFIG_ALLCONFIG="$fragment" allnoconfig >"$log" 2>&1
	verify_config

	: >"$log"
	report_progress "$log" &
	progress=$!
	if ! nice -n 10 make -j"$jobs" bzImage >"$log" 2>&1; then
		grep -B 2 -A 8 -i 'error' "$log" | tail -n 40 >&2
		say "the build failed"
		return 1
	fi
	say "$(wc -l <"$log") lines, done"
	mv arch/x86/boot/bzImage System.map "$work/out/"
	mv .config "$work/out/config"
	mv samples/acrn "$work/out/sample"
	mv include/uapi/linux/acrn.h "$work/out/"
	mv "$work/out" "$result"
}

find_source
key=$({ cat "$fragment" "$0"; echo "$package $version"; } | sha256sum | cut -c 1-16)
result=$cache/kernel-$key
mkdir -p "$cache"
if [ ! -f "$result/bzImage" ]; then
	# Two runs at a time: the second waits and finds the first one's result.
	exec 9>"$cache/kernel.lock"
	flock 9
	[ -f "$result/bzImage" ] || build
fi
echo "$result"
