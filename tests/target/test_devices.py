# SPDX-License-Identifier: BSD-3-Clause
"""A User VM with networks, random numbers, serial lines, a keyboard, SATA drives, and a CPU."""

import hashlib
import re
import subprocess

from tests.run.target import BROKEN, TargetTest

# Waits until a file has a line, for a while.
UNTIL = """\
until_line()
{
	tries=200
	until grep -q "$1" "$2"; do
		[ $tries -gt 0 ] || return 1
		sleep 0.5
		tries=$((tries - 1))
	done
}
"""

# How often the threads with these status files have waited for something, in all.
SLEPT = """\
slept()
{
	cat "$@" | grep ^voluntary | { sum=0; while read -r name n; do sum=$((sum + n)); done; echo $sum; }
}
"""

LAUNCH = UNTIL + """\
hsm=/sys/devices/virtual/misc/acrn_hsm
echo 0 >/sys/devices/system/cpu/cpu1/online
echo 1 >$hsm/remove_cpu && echo "removed; $(nproc) left"

ip link set lo up
nc -l -p 6000 </bin/acrn-usernet >/dev/null &
echo "to the inside: $(sha1sum </bin/acrn-usernet)"
brctl addbr br0
ip addr add 10.0.0.1/24 dev br0
ip link set br0 up
tunctl -t tap0 >/dev/null
brctl addif br0 tap0

mkfifo /run/keys
keys <>/run/keys >/run/keys.log &
until_line '^input' /run/keys.log
input=$(cd /sys/devices/virtual/input/$(head -n1 /run/keys.log) && echo event*)

truncate -s 64M /run/sata.img
acrn-dm -m 64M --cpu_affinity 1 -s 0,hostbridge -s 1,lpc -l com1,pty -l com2,tcp:4444 \\
	-s 4,virtio-net,tap=tap0,mac=00:16:3e:01:02:03 -s 5,virtio-rnd \\
	-s 6,virtio-net,user,hostfwd=tcp:127.0.0.1:7000-:5001 \\
	-s 9,ahci,hd:/run/sata.img,cd:/bin/cd.iso,hd:/data/fs.img \\
	-s 7,virtio-console,@pty:con,file:log=/run/port.log,socket:data=/run/data:server \\
	-s 8,virtio-input,/dev/input/$input,0815 \\
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/devices" vm1 \\
	</dev/null 2>/run/dm.log &
dm=$!
until_line com1: /run/dm.log
pty=$(sed -n 's/.*com1: //p' /run/dm.log)
cat $pty >/run/com1.log 2>/dev/null &
until_line '^network' /run/com1.log
echo >/run/keys
until_line '^lamp' /run/keys.log && sed -n 2p /run/keys.log
mkfifo /run/com2
nc 127.0.0.1 4444 <>/run/com2 >/run/com2.log &

nc 127.0.0.1 7000 </bin/acrn-usernet | cmp - /bin/acrn-usernet && echo "forwarded both ways"
ping -c 1 10.0.0.2 | grep received
nc 10.0.0.2 5000 </bin/acrn-dm | cmp - /bin/acrn-dm && echo "same bytes back"
ip route add 239.0.0.0/8 dev br0
dropped=/sys/class/net/tap0/statistics/tx_dropped
before=$(cat $dropped)
ping -c 1 -W 1 239.1.2.3 >/dev/null
echo "of no group: $(($(cat $dropped) - before)) dropped"
ip link delete tap0
until_line 'tap was deleted' /run/dm.log && echo "told of the tap"
echo walnut >$pty
until_line '^com2' /run/com2.log
echo hazel >/run/com2
until_line ' con: ' /run/dm.log
con=$(sed -n 's/.* con: //p' /run/dm.log)
cat $con >/run/con.log 2>/dev/null &
echo chestnut >$con
until_line '^hvc0' /run/con.log && echo "console: $(cat /run/con.log)"
until_line '^to the log' /run/port.log && cat /run/port.log
wait $dm
pidof acrn-usernet || echo "no network process is left"
echo "acrn-dm ended with status $?"
echo "image: $(dd if=/run/sata.img bs=4096 count=1024 skip=5 2>/dev/null | sha1sum)"
mkdir /run/fs
mount -t ext4 -o loop /data/fs.img /run/fs
cmp /run/fs/copy /bin/busybox && echo "file system: $(cat /run/fs/data)"
grep ' heard ' /run/com2.log
cat /run/com1.log
"""

DEVICES = """\
echo "CPUs: $(nproc)"
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
nc -l -p 5000 -e cat &
nc -l -p 5001 -e cat &
ip addr add 10.0.2.15/24 dev eth1
ip link set eth1 up
echo "from the outside: $(nc 10.0.2.2 6000 </dev/null | sha1sum)"
cd $(dirname $(grep -l "test keys" /sys/class/input/event*/device/name))
echo "input: $(cat uniq) $(cat id/vendor) $(cat id/product)"
event=/dev/input/$(basename $(dirname $PWD))
# Of each event type, code and value; then the lamp.
exec 9<>$event
(dd bs=24 count=4 <&9 2>/dev/null | hexdump -v -e '12/2 " %u" "\\n"' | cut -d' ' -f10- >/run/events
printf '%016d\\021\\0\\001\\0\\001\\0\\0\\0' 0 | tr 0 '\\0' >&9) &
echo network
cd /sys/class/net/eth0
cat address
echo "features: $(cut -c 2,3,8,9,10,16,18,19,24 device/features)"
ip link set eth0 address 02:00:00:00:00:77
ping -c 1 10.0.0.1 | grep received
for i in 1 2; do
	dd if=/dev/hwrng bs=16 count=1 2>/dev/null >/run/random$i
done
echo "random: $(stat -c %s /run/random1), $(cmp -s /run/random1 /run/random2; echo $?)"
read -r word
echo "com1 heard $word"
cat address
exec <>/dev/ttyS1
echo com2 >/dev/ttyS1
read -r word
echo "com2 heard $word" >/dev/ttyS1
cd /sys/class/virtio-ports
echo "ports: $(cat */name | tr '\n' ' ')"
for port in vport*; do
	[ "$(cat $port/name)" = log ] && echo "to the log" >/dev/$port
done
exec <>/dev/hvc0
read -r word
echo "hvc0 heard $word" >/dev/hvc0
for i in $(seq 20); do cat /bin/busybox; done | head -c 4194304 >/run/written
dd if=/run/written of=/dev/sda bs=4096 seek=5 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/sda bs=4096 skip=5 count=1024 2>/dev/null | cmp - /run/written && echo "disk reads back"
echo "written: $(sha1sum </run/written)"
mkdir /run/cd
mount -t iso9660 -o ro /dev/sr0 /run/cd
echo "on the cd: $(cat /run/cd/data | sha1sum)"
mkdir /run/fs
mount -t ext4 /dev/sdb /run/fs
cp /bin/busybox /run/fs/copy
umount /run/fs
grep ahci /proc/interrupts
wait
echo "events: $(tr '\\n' ',' </run/events)"
"""


class Devices(TargetTest):
    """One boot with all the devices that others have no need of."""

    LIMIT = 600

    def test_devices(self) -> None:
        # Do network, SATA drives, random numbers, serial lines and a processor of its own work
        # together?
        vm = self.service_vm(LAUNCH, devices=DEVICES)
        vm.user_disk_mb = 0
        content = bytes(range(251)) * 20000
        (self.folder / "cd").mkdir()
        (self.folder / "cd" / "data").write_bytes(content)
        cdrom = self.folder / "cd.iso"
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", str(cdrom),
                        str(self.folder / "cd")], check=True, capture_output=True)
        (self.folder / "fs").mkdir()
        (self.folder / "fs" / "data").write_text("on sata\n")
        disk = self.folder / "fs.img"
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-d", str(self.folder / "fs"), str(disk), "16M"],
                       check=True, capture_output=True)
        vm.disk_files = [(disk, "/fs.img")]
        vm.service_files = [(self.output / "misc" / "acrn-usernet", "/bin/acrn-usernet"),
                            (self.program("keys"), "/bin/keys"), (cdrom, "/bin/cd.iso")]
        session = self.boot_service_vm(vm, cpus=2)
        failed = BROKEN + "|launch ended"
        session.expect("gave up its processor with APIC id 1$", 100, failed)
        session.expect("^removed; 1 left", 30, failed)
        sent = session.expect("^to the inside: ([0-9a-f]{40})", 30, failed)[1]
        for line in ("^lamp 1 is 1$", "^forwarded both ways$", "1 packets received", "^same bytes back$",
                     "^of no group: 1 dropped$", "^told of the tap$",
                     "^hvc0 heard chestnut", "^to the log$", "^no network process is left$",
                     "^acrn-dm ended with status 0$", "^image: [0-9a-f]{40}",
                     "^file system: on sata$",
                     "^com2 heard hazel$", "^CPUs: 1$",
                     f"^from the outside: {sent}", "^input: 0815 1234 5678$", "^00:16:3e:01:02:03$",
                     # What the driver agreed on: commands, a filter, uncut packets in several buffers.
                     "^features: 111111111$", "1 packets received", "^random: 16, 1$",
                     "^com1 heard walnut$",
                     "^02:00:00:00:00:77$", "^ports: con log data $", "^disk reads back$",
                     f"^on the cd: {hashlib.sha1(content).hexdigest()}", "MSI.*ahci",
                     # A key down and up: type, code and value, each with its SYN_REPORT.
                     "^events: 1 30 1 0,0 0 0 0,1 30 0 0,0 0 0 0,$"):
            session.expect(line, 300, failed)
        sums = [re.search(rf"^{word}: ([0-9a-f]{{40}})", session.text, re.M)
                for word in ("image", "written")]
        self.assertTrue(sums[0] and sums[1] and sums[0][1] == sums[1][1], sums)
        session.wait_end(60)
