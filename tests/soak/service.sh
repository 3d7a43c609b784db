# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in the Service VM of a soak test: four User VMs, each started again and
# again, left to end or reset by themselves, stopped or killed at a random moment,
# until somebody types a line. After each end the VM's disk must hold what its
# guest said it had written. `seed` is set by whoever made this script.

ip link set lo up
brctl addbr br0
ip addr add 10.0.0.254/24 dev br0
ip link set br0 up
nc -ll -p 5000 -e cat &
echo_server=$!

free_kb()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sed -n 's/MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

# The halves of a disk take turns; sector 0 says which one is whole, and its sum.
disk_is_whole() # image
{
	# shellcheck disable=SC2046 # two words
	set -- "$1" $(head -c 512 "$1" | tr -d '\0')
	[ $# -eq 1 ] && return 0 # never written
	half=$(($2 % 2))
	[ "$(dd if="$1" bs=64k skip=$((16 + half * 16)) count=8 2>/dev/null | md5sum)" = "$3  -" ]
}

judge() # number, action, status
{
	log=/run/vm$1.log
	disk_is_whole "/data/disk$1" || echo "soak: vm$1: BAD disk"
	grep -E 'BAD|panic|BUG|WARNING|rcu_sched|blocked for more' "$log" |
		sed "s/^/soak: vm$1: BAD guest: /"
	case $2 in
	kill) [ "$3" = 137 ] || [ "$3" = 0 ] ;;
	*) [ "$3" = 0 ] ;;
	esac || echo "soak: vm$1: BAD status $3 after $2: $(tail -n 3 "$log")"
	if [ "$2" = end ] && ! grep -q '^soak: done' "$log"; then
		echo "soak: vm$1: BAD end: $(tail -n 3 "$log")"
	fi
}

keep() # number
{
	tunctl -t "tap$1" >/dev/null
	brctl addif br0 "tap$1"
	ip link set "tap$1" up
	truncate -s 4M "/data/disk$1"
	vhost=$([ $(($1 % 2)) = 1 ] || echo ,vhost)
	awk -v seed="$((seed * 10 + $1))" 'BEGIN {
		srand(seed)
		for (;;)
			print (rand() < 0.5 ? "kill" : "end"), rand() * 25
	}' | while read -r action delay && [ ! -e /run/stop ]; do
		acrn-dm -m 48M -s 0,hostbridge -s 1,lpc -l com1,stdio \
			-s "3,virtio-blk,/data/disk$1" -s "4,virtio-net,tap=tap$1$vhost" -s 5,virtio-rnd \
			-k /data/bzImage -r /data/user.cpio \
			-B "console=ttyS0 quiet acrn.test=/bin/soak acrn.number=$1" "vm$1" \
			</dev/null >"/run/vm$1.log" 2>&1 &
		if [ "$action" = kill ]; then
			sleep "$delay"
			kill -9 $! 2>/dev/null
		fi
		wait $!
		status=$?
		judge "$1" "$action" "$status"
		echo "soak: vm$1: round ended by $action, $(grep -c '^soak: start' "/run/vm$1.log") starts"
	done
}

before=$(free_kb)
echo "soak: started"
keepers=
for number in 1 2 3 4; do
	keep $number &
	keepers="$keepers $!"
done
read -r _
touch /run/stop
# shellcheck disable=SC2086 # several words
wait $keepers
kill $echo_server
# A killed acrn-dm has a helper that takes its VM down; that is done soon, or never.
tries=40
while [ $tries -gt 0 ] && ps | grep -q '[a]crn-dm'; do
	sleep 0.5
	tries=$((tries - 1))
done
after=$(free_kb)
[ $((after + 8192)) -gt "$before" ] ||
	echo "soak: $before kB free before, $after after: BAD, $(ps | grep -c '[a]crn-dm') left"
echo "soak: ended, $before kB free before, $after kB after"
