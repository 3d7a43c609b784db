#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# In the Service VM: makes the bridge that User VMs' taps hang on, acrn-br0 as ACRN calls it, puts
# the machine's own network interface on it, whose addresses and routes become the bridge's, and
# makes taps. What is there already stays; with -d all is as it was before. Until the next start.
set -eu

usage()
{
	cat >&2 <<END
acrn-bridge [-b BRIDGE] [-i INTERFACE] [-m] [TAP...]
acrn-bridge [-b BRIDGE] -d
  -b  the bridge, if not acrn-br0
  -i  an interface of this machine that goes on it, with its addresses and routes
  -m  taps of several queues, for virtio-net's queues=
  -d  delete the bridge and the taps on it; the interface has its addresses back
END
	exit 2
}

fail()
{
	echo "acrn-bridge: $1" >&2
	exit 1
}

exists()
{
	[ -e "/sys/class/net/$1" ]
}

# Addresses and routes through gateways of $1 become $2's.
move_addresses()
{
	addresses=$(ip -o addr show dev "$1" scope global | sed -n 's/.* inet6* \([^ ]*\) .*/\1/p')
	routes=$(ip route show dev "$1" | sed -n 's/ linkdown//; / via /p')
	for address in $addresses; do
		ip addr del "$address" dev "$1"
		ip addr add "$address" dev "$2"
	done
	ip link set "$2" up
	echo "$routes" | while read -r route; do
		# shellcheck disable=SC2086 # words of a command
		[ -z "$route" ] || ip route replace $route dev "$2"
	done
}

make_tap()
{
	if ! exists "$1"; then
		if [ -n "$many" ]; then
			ip tuntap add dev "$1" mode tap multi_queue
		else
			# The second is busybox's.
			ip tuntap add dev "$1" mode tap 2>/dev/null || tunctl -t "$1" >/dev/null
		fi
	elif [ ! -e "/sys/class/net/$1/tun_flags" ]; then
		fail "$1 is there, and is no tap"
	fi
	ip link set "$1" master "$bridge"
	ip link set "$1" up
}

delete()
{
	exists "$bridge" || fail "there is no $bridge"
	for port in "/sys/class/net/$bridge/brif"/*; do
		port=${port##*/}
		exists "$port" || continue
		if [ -e "/sys/class/net/$port/tun_flags" ]; then
			ip link delete "$port"
		else
			ip link set "$port" nomaster
			move_addresses "$bridge" "$port"
		fi
	done
	ip link delete "$bridge"
}

bridge=acrn-br0 interface='' many='' action=make
while getopts b:i:md option; do
	case $option in
	b) bridge=$OPTARG ;;
	i) interface=$OPTARG ;;
	m) many=y ;;
	d) action=delete ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))

if [ $action = delete ]; then
	if [ $# != 0 ] || [ -n "$interface$many" ]; then
		usage
	fi
	delete
	exit
fi
[ -z "$interface" ] || exists "$interface" || fail "there is no interface $interface"
if ! exists "$bridge"; then
	ip link add "$bridge" type bridge
elif [ ! -d "/sys/class/net/$bridge/bridge" ]; then
	fail "$bridge is there, and is no bridge"
fi
ip link set "$bridge" up
if [ -n "$interface" ] && [ ! -e "/sys/class/net/$bridge/brif/$interface" ]; then
	ip link set "$interface" master "$bridge"
	ip link set "$interface" up
	move_addresses "$interface" "$bridge"
fi
for tap in "$@"; do
	make_tap "$tap"
done
