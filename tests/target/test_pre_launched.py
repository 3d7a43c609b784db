# SPDX-License-Identifier: BSD-3-Clause
"""VMs that start with the machine: two Linux side by side, and a small kernel beside a Service VM."""

from pathlib import Path

from misc.latency.latency import parse
from misc.run.image import make_cdrom, make_disk
from misc.guest.mkimage import Boot, Module, make_cd
from tests.target.test_bare import ADAPTER
from tests.target.test_connected import build_peer
from tests.run.target import BROKEN, MachineSpec, Session, TargetTest

FACTS = """\
echo "first: $(nproc) CPUs, $(sed -n 's/MemTotal: *//p' /proc/meminfo)"
echo "first: $(cat /proc/cmdline)"
for tick in 1 2 3 4 5 6 7 8 9; do
	sleep 2
	echo "first: tick $tick"
done
"""


class Partitioned(TargetTest):
    """The scenario partitioned: first and second."""

    LIMIT = 300

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "partitioned" / "hypervisor" / "acrn.bin"

    def boot_two(self, second: str, second_args: str = "") -> Session:
        """Both with the guests' Linux; what each does is a script."""
        first = self.initramfs(FACTS).rename(self.folder / "first.cpio")
        other = self.initramfs(second)
        return self.boot_hypervisor([
            Module(self.kernel, "First_kernel console=ttyS0 quiet word=1"),
            Module(first, "First_ramdisk"),
            Module(self.kernel, f"Second_kernel console=ttyS0 quiet {second_args}"),
            Module(other, "Second_ramdisk")], cpus=2)

    def test_reset(self) -> None:
        # What if one VM resets itself all the time? It is loaded anew from its modules, and the
        # other one, which has a processor and memory of its own, notices nothing.
        session = self.boot_two("reboot -f")
        session.expect(r"^first: 1 CPUs, 1[12]\d{4} kB", 100, BROKEN)
        session.expect("^first: console=ttyS0 quiet word=1$", 20, BROKEN)
        session.expect("second: reset", 60, BROKEN)
        session.expect("^first: tick", 60, BROKEN)
        session.expect("second: reset", 60, BROKEN)
        session.expect("^first: tick 9", 60, BROKEN)

    def test_ends(self) -> None:
        # What if one ends by a triple fault? The other goes on, and when that powers off the
        # machine does.
        session = self.boot_two("reboot -f", "reboot=t")
        session.expect("second: vCPU 0 triple-faulted", 100, BROKEN)
        session.expect("second: powers off", 10, BROKEN)
        session.expect("^first: tick 9", 60, BROKEN)
        session.expect("first: powers off", 30, BROKEN)
        session.expect("all VMs have ended; the machine is powered off", 10, BROKEN)
        session.wait_end(20)

    def test_latency(self) -> None:
        # Does the guest that users measure latencies with get a whole measurement done, and no
        # interrupt before its deadline?
        session = self.boot_hypervisor([
            Module(self.output / "tests/guest/latency.bzimage", "First_kernel samples=500")])
        session.expect("^rt: done", 60, BROKEN)
        measured = parse("first", session.text)
        self.assertEqual(measured.samples, 500)
        self.assertLess(measured.mean, 2000)

    def test_missing(self) -> None:
        # What if one VM's kernel is missing, or the machine has no processor for it?
        for cpus, tag, line in ((2, "Nobodys", 'second: no boot module .* tag "Second_kernel"'),
                                (1, "Second_kernel", "second: none of its processors")):
            with self.subTest(line):
                first = self.initramfs("echo first: up")
                session = self.boot_hypervisor([
                    Module(self.kernel, "First_kernel console=ttyS0 quiet"),
                    Module(first, "First_ramdisk"),
                    Module(self.kernel, f"{tag} console=ttyS0 quiet")], cpus=cpus)
                session.expect(line, 60, BROKEN)
                session.expect("^first: up", 60, BROKEN)
                session.wait_end(30)


LAUNCH = """\
cat /proc/iomem
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet acrn.test=/bin/hello" vm1 </dev/null
echo "acrn-dm ended with status $?"
for try in 1 2 3 4 5 6 7 8; do
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/smp -B "smp=fault" vm1 </dev/null
	echo "fault ended with $?"
done
echo "faults: over"
for try in 1 2 3 4 5 6 7 8; do
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/smp -B "smp=rt" vm1 </dev/null &
	sleep 2
	kill -9 $!
	wait $!
	echo "kill ended with $?"
done
echo "kills: over"
"""


class Hybrid(TargetTest):
    """The scenario hybrid: safety, a Service VM, vm1.

    In safety runs kernel32 of tests/target/guest/legacy, which switches between tasks by its timer,
    looks at all it does, and resets itself for as long as nothing is wrong.
    """

    LIMIT = 400

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "hybrid" / "hypervisor" / "acrn.bin"

    def test_hybrid(self) -> None:
        # Do all three kinds of VM run on one machine, and does the pre-launched one go on while a
        # User VM faults again and again, while acrn-dm is killed, and when the Service VM resets?
        vm = self.service_vm(LAUNCH, kernel_args="quiet acrn.after=reboot", hello="echo hello")
        vm.user_disk_mb = 0
        vm.disk_files.append((self.guest("smp"), "/smp"))
        disk = make_disk(vm, self.folder)
        make_cdrom(vm, self.folder)  # for the Service VM's ramdisk
        cdrom = make_cd(self.folder / "hybrid.iso", Boot(self.hypervisor, "", [
            Module(self.output / "tests" / "guest" / "kernel32.elf", "Safety_kernel reset"),
            Module(self.kernel, f"Linux_bzImage {vm.kernel_args}"),
            Module(self.folder / "service.cpio", "Ramdisk_mod")]))
        session = self.start(MachineSpec(cdrom=cdrom, disks=[disk], cpus=2))
        session.expect("safety: reset", 100, BROKEN)
        session.expect("^hello", 200, BROKEN)
        start = session.expect("^acrn-dm ended with status 0", 60, BROKEN).end()
        for word, status in (("fault", 0), ("kill", 137)):
            end = session.expect(f"^{word}s: over", 100, BROKEN).end()
            text = session.text[start:end]
            self.assertEqual(text.count(f"{word} ended with {status}\n"), 8, text)
            # As many as in the same time before, but for those that the load on its CPU costs.
            self.assertGreater(text.count("safety: reset"), 4, text)
            start = end
        session.expect("ACRN_Service_VM: reset; a VM of higher severity runs", 60, BROKEN)
        session.expect("safety: reset", 60, BROKEN)
        session.expect("safety: reset", 60, BROKEN)


DEVICES = """\
for device in /sys/bus/pci/devices/*; do
	echo "{vm}: ${{device##*/}} $(cat $device/vendor) $(cat $device/device)" \
		"$(head -n1 $device/resource)"
done
echo "{vm}: no more"
"""
# Shared memory with its doorbells, and a line of the line of PCI vUARTs, in each life of the owner.
TALK = """\
peer 2 {other} 20 irq
tty=$(basename $(ls -d /sys/bus/pci/devices/*/tty/*))
exec 3<>/dev/$tty
stty raw -echo crtscts <&3
sleep 2
echo "greetings of {vm}" >&3
read -r line <&3
echo "{vm}: $tty says $line"
sleep 2
"""
USE = """\
echo "owner: command $(od -An -tx2 -j4 -N2 /sys/bus/pci/devices/0000:00:01.0/config)"
echo "owner: eth0 is $(cat /sys/class/net/eth0/address)"
"""


class Pair(TargetTest):
    """The scenario pair: two Linux with memory in common and a serial line, and no Service VM."""

    LIMIT = 200

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "pair" / "hypervisor" / "acrn.bin"

    def test_talk(self) -> None:
        # Do two VMs that nobody serves reach each other, by memory, bells and a line, and does the
        # checker find that they share nothing else?
        program = [(build_peer(self.folder), "/bin/peer")]
        first, second = (
            self.initramfs(TALK.format(vm=vm, other=other) + f"sleep {more}", program).rename(
                self.folder / f"{vm}.cpio")
            for vm, other, more in (("first", 1, 5), ("second", 0, 0)))
        session = self.boot_hypervisor([
            Module(self.kernel, "First_kernel console=ttyS0 quiet"), Module(first, "First_ramdisk"),
            Module(self.kernel, "Second_kernel console=ttyS0 quiet"),
            Module(second, "Second_ramdisk")], "loglevel=5", cpus=2)
        session.expect(r"^peer 0: \d+ bytes from 1 are right", 100, BROKEN + "|WRONG")
        session.expect("^peer 0: done", 60, BROKEN + "|WRONG")
        session.expect(r"^first: ttyS\d says greetings of second", 60, BROKEN)
        session.expect("invariants hold: 1 VMs", 60, BROKEN)


class Given(TargetTest):
    """
    The scenario given: Linux owns the machine's network adapter, beside a Service VM, with which it
    has memory in common and a serial line.
    """

    LIMIT = 300

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "given" / "hypervisor" / "acrn.bin"

    def test_linux(self) -> None:
        # Does Linux find its device by the tables that were made for it, and does its driver work
        # with the registers and without the bus? Again after a reset? Does the Service VM see none?
        # And do the emulated functions, which nobody placed in the VM, reach the Service VM?
        program = [(build_peer(self.folder), "/bin/peer")]
        talk = TALK.format(vm="service", other=0)
        service = self.initramfs(f"{DEVICES.format(vm='service')}{talk}{talk}sleep 1000",
                                 program).rename(self.folder / "service.cpio")
        owner = self.initramfs(DEVICES.format(vm="owner") + USE
                               + TALK.format(vm="owner", other=1) + "reboot -f", program)
        session = self.boot_hypervisor([
            Module(self.kernel, "Owner_kernel console=ttyS0 quiet"), Module(owner, "Owner_ramdisk"),
            Module(self.kernel, "Linux_bzImage console=ttyS0 quiet"), Module(service, "Ramdisk_mod")],
            cpus=2, extra=ADAPTER)
        for _ in range(2):
            session.expect("^owner: 0000:00:00.0 0x1275 0x1275", 100, BROKEN)
            session.expect("^owner: 0000:00:01.0 0x8086 0x100e 0x0*80000000 0x0*8001ffff", 10, BROKEN)
            session.expect("^owner: 0000:00:08.0 0x1af4 0x1110 0x0*dffff000 0x0*dfffffff", 10, BROKEN)
            session.expect("^owner: 0000:00:1f.0 0x9710 0x9900 0x0*dfbff000 0x0*dfbfffff", 10, BROKEN)
            session.expect("^owner: no more", 10, BROKEN)
            session.expect("^owner: command  0003", 10, BROKEN)
            session.expect("^owner: eth0 is 52:54:00:a1:b2:c3", 10, BROKEN)
            session.expect(r"^peer 0: \d+ bytes from 1 are right", 100, BROKEN + "|WRONG")
            session.expect("^peer 0: done", 60, BROKEN + "|WRONG")
            session.expect(r"^owner: ttyS\d says greetings of service", 60, BROKEN)
            session.expect("owner: reset", 20, BROKEN)
        session.send("\x00")
        session.send("vm_console 1\r")
        session.expect("^service: 0000:00:00.0 0x8086 0x1237", 100, BROKEN)
        session.expect("^service: no more", 20, BROKEN)
        for _ in range(2):
            session.expect("^peer 1: done", 20, BROKEN + "|WRONG")
            session.expect(r"^service: ttyS\d says greetings of owner", 20, BROKEN)
        self.assertNotIn("service: 0000:00:02.0", session.text)
