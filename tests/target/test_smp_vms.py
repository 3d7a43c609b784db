# SPDX-License-Identifier: BSD-3-Clause
"""User VMs with several processors: shared with others, and given up by the Service VM."""

import re

from tests.run.target import BROKEN, TargetTest
from tests.target.test_devices import SLEPT, UNTIL

DM = "acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio"
LINUX = '-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/cpus"'
DISK = "-s 3,virtio-blk,iothread=2@0/1,mq=2,/data/user.img,writeback"

# Two SMP guests and the Service VM share four processors; then Linux does with it; then two
# processors are given up, and Linux has these.
LAUNCH = UNTIL + SLEPT + f"""\
for vm in one two; do
	{DM} -k /data/smp.bzimage $vm </dev/null >/data/$vm.log 2>&1 &
done
for vm in one two; do
	tries=300
	until grep -q 'smp done' /data/$vm.log || [ $tries = 0 ]; do
		sleep 1
		tries=$((tries - 1))
	done
	sed "s/^smp/$vm/" /data/$vm.log
done
kill %1 %2
wait %1 %2
{DM} {LINUX} shared
for cpu in 2 3; do
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	echo $cpu >/sys/devices/virtual/misc/acrn_hsm/remove_cpu
done
echo "left: $(cat /sys/devices/system/cpu/online)"
{DM} {DISK} {LINUX} --cpu_affinity 2,3 own >/run/own 2>&1 &
own=$!
/bin/busy 0 1
threads=$(grep -l dm-virtio /proc/$own/task/*/comm | sed s/comm/status/)
echo "threads of the disk: $(echo $threads | wc -w)"
until_line '^disk: 2 queues' /run/own
disk=$(slept $threads)
main=$(slept /proc/$own/status)
until_line '^disk: read' /run/own
echo "reads woke them $(($(slept $threads) - disk)) times, the other $(($(slept /proc/$own/status) - main)) times"
wait $own
cat /run/own
echo "own: acrn-dm ended with status $?"
/bin/busy 0 1
"""

# Each of these processors does some work, bound to it.
BUSY = """\
for cpu; do
	taskset -c $cpu sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; \
		echo "busy on $(cut -d " " -f 39 /proc/self/stat)"' &
done
wait
"""

# VMs whose processors start each other, and reset themselves, die at any time; one ends by a
# triple fault; one that is well lives beside them.
RACES = f"""\
{DM} -k /data/smp.bzimage well </dev/null >/data/well.log 2>&1 &
well=$!
for round in 1 2 3 4 5 6; do
	{DM} -k /data/smp.bzimage -B smp=race race </dev/null >>/data/race.log 2>&1 &
	sleep $round.$round
	kill -9 $!
	wait $!
done
echo "races: $(grep -c 'race, 4 CPUs' /data/race.log)"
{DM} -k /data/smp.bzimage -B smp=fault fault </dev/null >/data/fault.log 2>&1
echo "fault: $(grep -c 'triple fault' /data/fault.log), status $?"
wait $well
sed 's/^smp/well/' /data/well.log
"""

EIGHT = f"{DM} -k /data/smp.bzimage eight </dev/null"

CPUS = """\
cpus=$(nproc)
echo "online: $(cat /sys/devices/system/cpu/online), $(grep -c ^processor /proc/cpuinfo) in cpuinfo"
/bin/busy $(seq 0 $((cpus - 1)))
[ -b /dev/vda ] || exit 0
for cpu in 0 1; do
	taskset -c $cpu sh -c "cat /bin/busybox /bin/busybox >/data/$cpu; fsync /data/$cpu; \
		echo $cpu >>/data/$cpu; fsync /data/$cpu" &
done
wait
umount /data
mount -t ext4 /dev/vda /data
for cpu in 0 1; do
	cat /bin/busybox /bin/busybox >/run/copy
	echo $cpu >>/run/copy
	[ "$(crc32 /run/copy | cut -c 1-8)" = "$(taskset -c $((1 - cpu)) crc32 /data/$cpu | \
		cut -c 1-8)" ] && echo "disk: same checksum through queue $cpu"
done
echo "disk: $(ls /sys/block/vda/mq | wc -l) queues"
sleep 2
dd if=/dev/vda of=/dev/null bs=4096 count=1000 iflag=direct 2>/dev/null && echo "disk: read"
sleep 2
"""


class SmpVms(TargetTest):
    """One boot with four processors."""

    LIMIT = 900

    def test_smp_vms(self) -> None:
        # Do VMs with four processors work while they share them, and where processors go from
        # the Service VM to another VM, do both go on?
        # And do the two processors of the latter use its disk at once, each with its own queue, and
        # do the disk's doorbells wake its own threads, not acrn-dm's thread of I/O requests?
        vm = self.service_vm(LAUNCH, cpus=CPUS, busy=BUSY)
        vm.service_files.append((self.script("busy", BUSY), "/bin/busy"))
        vm.user_disk_mb = 16
        vm.disk_files.append((self.guest("smp"), "/smp.bzimage"))
        session = self.boot_service_vm(vm, cpus=4)
        failed = BROKEN + "|launch ended"
        session.expect("service-vm: up, .* 4 CPUs", 100, failed)
        for name in ("one", "two"):
            session.expect(f"^{name}: 4 CPUs", 300, failed)
            session.expect(f"^{name} done, 0 wrong", 100, failed)
        session.expect("^online: 0-3, 4 in cpuinfo", 100, failed)
        for number in (2, 3):
            session.expect(f"gave up its processor with APIC id {number}$", 60, failed)
        session.expect("^left: 0-1$", 60, failed)
        session.expect("^online: 0-1, 2 in cpuinfo", 100, failed)
        for queue in (0, 1):
            session.expect(f"^disk: same checksum through queue {queue}$", 100, failed)
        session.expect("^disk: 2 queues$", 60, failed)
        session.expect("^own: acrn-dm ended with status 0", 100, failed)
        session.wait_end(60)
        self.assertIn("threads of the disk: 2", session.text)
        counts = re.search(r"^reads woke them (\d+) times, the other (\d+) times", session.text, re.MULTILINE)
        assert counts, session.text
        self.assertGreater(int(counts[1]), 500)
        self.assertLess(int(counts[2]), 100)
        # In the VM with four, twice in what is left of the Service VM, in the VM with two.
        for cpu, times in enumerate([4, 4, 1, 1]):
            self.assertEqual(len(re.findall(f"^busy on {cpu}$", session.text, re.MULTILINE)), times)

    def test_eight(self) -> None:
        # Does a VM with eight processors get each kind of IPI, beside a Service VM on two of them?
        vm = self.service_vm(EIGHT, kernel_args="quiet acrn.after=poweroff maxcpus=2")
        vm.user_disk_mb = 0
        vm.disk_files.append((self.guest("smp"), "/smp.bzimage"))
        session = self.boot_service_vm(vm, cpus=8)
        failed = BROKEN + "|launch ended|smp: wrong"
        session.expect("service-vm: up, .* 2 CPUs", 100, failed)
        session.expect("^smp: 8 CPUs", 300, failed)
        session.expect("^smp done, 0 wrong", 200, failed)
        session.expect("launch ended with status 0", 60, BROKEN)
        session.wait_end(60)

    def test_races(self) -> None:
        # What if a VM is destroyed or reset while its processors are in the middle of a start?
        vm = self.service_vm(RACES)
        vm.user_disk_mb = 0
        vm.hv_args = "loglevel=5"
        vm.disk_files.append((self.guest("smp"), "/smp.bzimage"))
        session = self.boot_service_vm(vm, cpus=4)
        failed = BROKEN + "|launch ended"
        self.assertGreater(int(session.expect(r"^races: (\d+)\s", 300, failed)[1]), 6)
        session.expect("^fault: 1, status 0", 100, failed)
        session.expect("^well done, 0 wrong", 200, failed)
        session.wait_end(60)
        # After each of the eight VMs and at power-off.
        self.assertGreaterEqual(session.text.count("invariants hold"), 9)
