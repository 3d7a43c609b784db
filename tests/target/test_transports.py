# SPDX-License-Identifier: BSD-3-Clause
"""Each virtio device by each way that a driver has to it."""

import re

from tests.run.target import BROKEN, TargetTest

LAUNCH = """\
brctl addbr br0
ip addr add 10.0.0.1/24 dev br0
ip link set br0 up
tunctl -t tap0 >/dev/null
brctl addif br0 tap0
tunctl -t tap1 >/dev/null
ip addr add 10.0.1.1/24 dev tap1
ip link set tap1 up
dd if=/dev/zero of=/data/disk bs=1M count=2 2>/dev/null
mkfifo /run/keys
keys <>/run/keys >/run/keys.log &
until [ -s /run/keys.log ]; do
	sleep 0.1
done
input=$(cd /sys/devices/virtual/input/$(head -n1 /run/keys.log) && echo event*)
while sleep 0.3; do
	echo
done >/run/keys &
transport()
{
	echo "--- $1"
	vsock serve 700 &
	acrn-dm $3 -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/disk$4 \\
		-s 4,virtio-net,tap=tap0 -s 5,virtio-rnd -s 6,virtio-console,@file:con=/data/con \\
		-s 7,virtio-net,tap=tap1,vhost -s 8,vhost-vsock,cid=40 -s 9,virtio-input,/dev/input/$input \\
		-k /data/bzImage -r /data/user.cpio \\
		-B "console=ttyS0 quiet acrn.test=/bin/transport $2" vm1 </dev/null
	echo "acrn-dm ended with status $?"
	cat /data/con
	echo "disk: $(dd if=/data/disk bs=1k skip=64 count=1000 2>/dev/null | crc32)"
	rm /data/con
}
transport "modern, MSI-X" virtio_pci.force_legacy=0
transport "modern, INTx" pci=nomsi
transport "modern, INTx of MSI" virtio_pci.force_legacy=0 --virtio_msi
transport "modern, MSI-X, polled" virtio_pci.force_legacy=0 "--virtio_poll 300000" \\
	,aio=io_uring,writeback
transport "legacy, MSI-X" virtio_pci.force_legacy=1 "" ,aio=io_uring
transport "legacy, INTx" "virtio_pci.force_legacy=1 pci=nomsi"
"""

TRANSPORT = """\
for device in /sys/bus/virtio/devices/*; do
	# VERSION_1 tells by which interface, the handlers of its interrupts how many there are
	echo "driver: $(basename $(readlink $device/driver)) version 1: $(cut -c 33 $device/features)"
done
echo "messages: $(grep -c 'PCI-MSI.*virtio' /proc/interrupts) lines: $(grep -c 'IO-APIC.*virtio' /proc/interrupts)"
dd if=/bin/busybox of=/dev/vda bs=1k seek=64 count=1000 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo "wrote: $(dd if=/bin/busybox bs=1k count=1000 2>/dev/null | crc32)"
echo "read: $(dd if=/dev/vda bs=1k skip=64 count=1000 2>/dev/null | crc32)"
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
ping -c 2 10.0.0.1 | grep received
ip addr add 10.0.1.2/24 dev eth1
ip link set eth1 up
ping -c 3 10.0.1.1 | grep received
echo "random: $(dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c)"
echo "socket: $(echo hello | vsock send 2 700)"
cd $(dirname $(grep -l "test keys" /sys/class/input/event*/device/name))
echo "pressed: $(dd if=/dev/input/$(basename $(dirname $PWD)) bs=24 count=1 2>/dev/null | wc -c)"
echo "console says hello" >/dev/hvc0
"""

DRIVERS = ("virtio_blk", "virtio_net", "virtio_rng", "virtio_console")
# Their kinds are younger than the legacy interface.
YOUNGER = ("virtio_input", "vmw_vsock_virtio_transport")


class Transports(TargetTest):
    """One boot, a User VM for each."""

    LIMIT = 600

    def test_each(self) -> None:
        # Do disk, network, random numbers and console work by the interface of virtio 1.x and by the
        # one before, with messages and without, and if their queues are polled? And a keyboard and
        # sockets by the one they have? Two disks use io_uring, one of the network cards vhost.
        vm = self.service_vm(LAUNCH, transport=TRANSPORT)
        vm.user_disk_mb = 0
        vm.service_files += [(self.program(name), f"/bin/{name}") for name in ("keys", "vsock")]
        vm.user_files.append((self.folder / "vsock", "/bin/vsock"))
        session = self.boot_service_vm(vm)
        session.expect("launch ended with status 0", 400, BROKEN)
        session.wait_end(60)
        parts = re.split(r"^--- (.*)\n", session.text, flags=re.MULTILINE)
        ways = dict(zip(parts[1::2], parts[2::2]))
        self.assertEqual(len(ways), 6)
        for way, text in ways.items():
            with self.subTest(way):
                version = "1" if "modern" in way else "0"
                for driver in DRIVERS:
                    self.assertIn(f"driver: {driver} version 1: {version}\n", text)
                for driver in YOUNGER:
                    self.assertIn(f"driver: {driver} version 1: 1\n", text)
                messages, lines = map(int, re.findall(r"messages: (\d+) lines: (\d+)", text)[0])
                if "MSI-X" in way:
                    self.assertGreaterEqual(messages, 8)
                    self.assertEqual(lines, 0)
                else:
                    self.assertEqual(messages, 0)
                    self.assertGreaterEqual(lines, 1)
                sums = re.findall(r"^(?:wrote|read|disk): ([0-9a-f]{8})\b", text, re.MULTILINE)
                self.assertEqual(len(sums), 3, text)
                self.assertEqual(set(sums), {sums[0]})
                self.assertIn("2 packets received", text)
                self.assertIn("3 packets received", text)
                self.assertNotIn("no vhost", text)
                self.assertIn("random: 64\n", text)
                self.assertIn("socket: hello\n", text)
                self.assertIn("pressed: 24\n", text)
                self.assertIn("console says hello", text)
                self.assertIn("acrn-dm ended with status 0\n", text)
                self.assertNotIn("no io_uring", text)
