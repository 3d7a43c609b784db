# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in a User VM of a soak test: reads back what it wrote to its disk before it
# was ended, writes anew, has bytes sent back by the Service VM, and then resets
# itself or returns, which powers it off. It may be killed at any moment.
echo "soak: start"
read -r command_line </proc/cmdline
number=${command_line##*acrn.number=}

# shellcheck disable=SC2046 # two words
set -- $(head -c 512 /dev/vda | tr -d '\0')
generation=${1:-0}
half()
{
	dd if=/dev/vda bs=64k skip=$((16 + generation % 2 * 16)) count=8 2>/dev/null
}
if [ $# -gt 0 ] && [ "$(half | md5sum)" != "$2  -" ]; then
	echo "soak: BAD generation $generation"
fi

generation=$((generation + 1))
head -c 512k /dev/urandom >/run/data
head -c 64 /dev/hwrng | dd of=/run/data conv=notrunc 2>/dev/null
sum=$(md5sum </run/data)
dd if=/run/data of=/dev/vda bs=64k seek=$((16 + generation % 2 * 16)) conv=fsync 2>/dev/null ||
	echo "soak: BAD write"
echo "$generation ${sum%  -}" | dd of=/dev/vda bs=512 conv=sync,fsync 2>/dev/null || echo "soak: BAD write"
echo 3 >/proc/sys/vm/drop_caches
[ "$(half | md5sum)" = "$sum" ] || echo "soak: BAD read"

ip addr add "10.0.0.$number/24" dev eth0
ip link set eth0 up
head -c 128k /run/data | nc 10.0.0.254 5000 >/run/back
head -c 128k /run/data | cmp - /run/back || echo "soak: BAD network"

if [ $((generation % 3)) = 0 ]; then
	reboot -f
fi
echo "soak: done"
