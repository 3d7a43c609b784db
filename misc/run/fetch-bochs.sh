#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Prints the path of the best Bochs there is: 3.0, which emulates VMX faster and
# more fully than Debian 12's 2.7, is fetched from Debian 13's archive, unpacked
# (not installed) into the cache and run with its own C library. Bochs 3.1 is
# never taken: its 64-bit IDIV is wrong. Progress goes to stderr.
set -eu

cache=${ACRN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/acrn}
unpacked=$cache/bochs-3.0
packages="bochs bochs-term bochsbios vgabios libc6 libstdc++6 libgcc-s1 libsamplerate0"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say()
{
	echo "bochs: $*" >&2
}

installed_version()
{
	dpkg-query -W -f '${Version}' bochs 2>/dev/null || true
}

# The Debian mirror this machine is configured for, whatever the format of its
# source lists.
debian_mirror()
{
	# shellcheck disable=SC2016 # apt expands these itself
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' \
		'Identifier: Packages' |
		sed -n 's/^Debian Debian main //p' | head -n 1
}

# Runs apt with lists and cache of our own, so that the machine's stay as they are.
private_apt()
{
	apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
		-o Dir::State::status="$work/status" -o APT::Default-Release= \
		-o APT::Sandbox::User=root "$@" >>"$work/log" 2>&1
}

write_launcher()
{
	cat >"$1" <<'LAUNCHER'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
lib=$root/usr/lib/x86_64-linux-gnu
export LTDL_LIBRARY_PATH="$lib/bochs/plugins" BXSHARE="$root/usr/share/bochs"
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:/usr/lib/x86_64-linux-gnu" \
	"$root/usr/bin/bochs-bin" "$@"
LAUNCHER
	chmod +x "$1"
}

unpack()
{
	mirror=$(debian_mirror)
	if [ -z "$mirror" ]; then
		say "no Debian mirror in this machine's apt configuration"
		return 1
	fi
	work=$(mktemp -d "$cache/bochs-fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	say "fetching Bochs 3.0 from Debian 13 (20 MB, 10 to 60 seconds, once)"
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/out/root"
	: >"$work/status"
	echo "deb [arch=amd64 signed-by=$keyring] $mirror trixie main" >"$work/sources.list"
	# shellcheck disable=SC2086 # one word per package is meant
	if ! { private_apt update && cd "$work/deb" && private_apt download $packages; }; then
		tail -n 5 "$work/log" >&2
		return 1
	fi
	for deb in "$work"/deb/*.deb; do
		dpkg -x "$deb" "$work/out/root"
	done
	write_launcher "$work/out/bochs"
	if ! "$work/out/bochs" --help 2>&1 | grep -q 'Bochs x86 Emulator 3\.0'; then
		"$work/out/bochs" --help 2>&1 | head -n 5 >&2
		say "what was fetched is not a working Bochs 3.0"
		return 1
	fi
	mv "$work/out" "$unpacked"
}

case $(installed_version) in
3.0*)
	echo /usr/bin/bochs-bin
	exit 0
	;;
esac

mkdir -p "$cache"
if [ ! -x "$unpacked/bochs" ]; then
	exec 9>"$cache/bochs.lock"
	flock 9
fi
if [ -x "$unpacked/bochs" ] || unpack; then
	echo "$unpacked/bochs"
	exit 0
fi

case $(installed_version) in
"" | 3.1*)
	say "no usable Bochs: 3.0 could not be fetched, none fit is installed"
	exit 1
	;;
esac
say "using the installed $(installed_version) (less than half as fast)"
echo /usr/bin/bochs-bin
