# SPDX-License-Identifier: BSD-3-Clause
"""The debug shell, over the serial port of a machine with two VMs."""

import re
from pathlib import Path

from tests.run.target import BROKEN, Module, Session, TargetTest

LEAVE = "\0"  # Ctrl-Space
PROMPT = r"ACRN:\\>"
LAUNCH = """\
mkfifo /run/vm1
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet acrn.test=/bin/waits" vm1 <>/run/vm1 >/data/vm1.log 2>&1 &
tries=200
until grep -q '^waits' /data/vm1.log || [ $tries = 0 ]; do
	sleep 1
	tries=$((tries - 1))
done
[ $tries = 0 ] && cat /data/vm1.log && exit 1
echo "both run"
read -r word
echo "launch read $word"
"""

# What is typed, and patterns of the answer.
ANSWERS: list[tuple[str, list[str]]] = [
    ("", ["^$"]),
    ("nonsense 1 2", ["^nonsense: no such command"]),
    ("help", [r"(?s)boot_report.*vcpu_dumpreg +<vm id, vcpu id>.*vm_list"]),
    ("version", ["debug build, board bochs, scenario shared, hypercall API 1.0"]),
    ("vm_list", [r" 0 ACRN_Service_VM +Running +SERVICE +2\n +1 vm1 +Running +POST_LAUNCHED +2\n$"]),
    ("vcpu_list", [r"(?s) 0 +0 +0 PRIMARY +Running.* 0 +1 +1 SECONDARY +Running.* 1 +0 +0 PRIMARY"]),
    # Linux, 64-bit, in its idle loop: kernel addresses, paging on
    ("vcpu_dumpreg 0 0", [r"RIP=0xffffffff8\w+ RSP=0xffff.*\nCR0=0x8005\w+ .* EFER=0xd01\n",
                          r" CS=0x10 SS=0x18 "]),
    ("vcpu_dumpreg 0,1", [r"^VM 0 vCPU 1 on CPU 1", r"RIP=0xffffffff8"]),
    ("vcpu_dumpreg 1 1", [r"^VM 1 vCPU 1 on CPU 1", r"RIP=0xffffffff8"]),
    ("vcpu_dumpreg 0 2", ["^VM 0 has 2 vCPUs"]),
    ("vcpu_dumpreg 7 0", ["^there is no VM 7"]),
    ("vcpu_dumpreg 99 0", ["^99 is no VM: ids go from 0 to 15"]),
    ("vcpu_dumpreg 0", ["^usage: vcpu_dumpreg <vm id, vcpu id>"]),
    ("vm_console 1", ["^VM 1 has no console vUART"]),
    ("vm_console", ["^usage: vm_console <vm id>"]),
    ("loglevel", ["^console level: 3, memory level: 5, npk level: 0"]),
    ("loglevel 4 6", ["^console level: 4, memory level: 6"]),
    ("loglevel 9", [r"^usage: loglevel \[console \[mem \[npk\]\]\]"]),
    ("loglevel 3 5", ["^console level: 3"]),
    ("dump_log", [r"sev=5\]: VM 0 \(ACRN_Service_VM\): created with 2 vCPUs"]),
    ("boot_report", ["^boot: Bochs: virtual-interrupt delivery"]),
    ("cpuid 0x40000000", ["leaf: 0x40000000, subleaf: 0x0, 0x"]),
    ("cpuid 1 0", [r"subleaf: 0x0, 0x00050654:0x0[01]010800:0x\w{8}:0x\w{8}"]),
    ("cpuid", [r"^usage: cpuid <leaf \[subleaf\]>"]),
    # the boot processor, and the other one, in x2APIC mode
    ("rdmsr 1b", [r"^rdmsr\(0x1b\): 0xfee00d00"]),
    ("rdmsr -p 1 0x1b", [r"^rdmsr\(0x1b\): 0xfee00c00"]),
    ("rdmsr -p2 1b", [r"^usage: rdmsr"]),
    # write-only, locked: both are #GP
    ("rdmsr 80b", ["^CPU 0 has no MSR 0x80b"]),
    ("wrmsr 3a 0", ["^CPU 0 does not take 0x0 in MSR 0x3a"]),
    ("wrmsr -p 1 3a 0", ["^CPU 1 does not take 0x0 in MSR 0x3a"]),
    ("wrmsr c0000080 0", ["the hypervisor itself depends on MSR 0xc0000080: not written"]),
    # TSC_AUX: Linux has the number of the processor there
    ("wrmsr -p 1 c0000103 1", [r"^wrmsr\(0xc0000103\): 0x1\n"]),
    ("rdmsr -p 1 c0000103", [r"^rdmsr\(0xc0000103\): 0x1\n"]),
    ("dump_host_mem 0 20", [r"^0x0000000000000000: (\w\w ){16} .{16}\n0x0000000000000010: (\w\w ){4} "]),
    ("dump_host_mem fec00000 16", ["^0xfec00000 is no memory of this machine"]),
    ("dump_host_mem 9ff0000000000000 16", ["is no memory of this machine"]),
    ("dump_host_mem ffffffffffffffff 16", ["^usage: dump_host_mem <addr, length>"]),
    # the text of VM 1's Linux, loaded at 16 MB, and a hole
    ("dump_guest_mem 1 1000000 16", [r"^0x0000000001000000: (\w\w ){16}"]),
    ("dump_guest_mem 1 80000000 16", ["^0x80000000 is no memory of VM 1"]),
    ("dump_guest_mem 2 0 16", ["^there is no VM 2"]),
    ("int", [r"(?s)VECTOR FOR +CPU0 +CPU1.*timer +[1-9]\d* +[1-9]\d*\n.*kick"]),
    ("dump_ioapic", [r"(?s)   4 0x\w\w   fixed   APIC id 0   edge    high     no .*  23 0x"]),
    ("vioapic 0", [r"(?s)   4 0x\w\w   fixed .*  23 0x"]),
    ("vioapic 1", [r"(?s)   4 0x\w\w   fixed .*  47 0x"]),
    ("vioapic", ["^usage: vioapic <vm id>"]),
    ("pt", [r" 0 line 14 +0x\w\w +0 edge +no +guest: 0x"]),
    ("vm_stats 1", [r" 1 +0 +10 CPUID +[1-9]\d* +[1-9]\d* +[1-9]\d* +[1-9]\d* ",
                    r" 1 +0 +30 port I/O +[1-9]"]),
    # Linux's processors wait for each other as the second one comes up
    ("vm_stats 1", [r" 1 +\d +40 PAUSE +[1-9]"]),
    ("vm_stats 16", [r"^usage: vm_stats \[vm id\]"]),
    ("reboot now", ["^usage: reboot"]),
]


class Shell(TargetTest):
    """Every command, once, on one machine."""

    LIMIT = 300

    def command(self, session: Session, line: str) -> str:
        """What the shell answers to `line`."""
        session.send(line + "\r")
        start = session.expect(re.escape(line) + "\n", 30, BROKEN).end()
        end = session.expect("^" + PROMPT, 60, BROKEN).start()
        return session.text[start:end]

    def test_commands(self) -> None:
        # Does each command answer what is so, while two VMs run?
        vm = self.service_vm(LAUNCH, waits="echo waits\nwhile :; do sleep 1000; done")
        vm.user_disk_mb = 0
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^both run", 200, BROKEN + "|launch ended")
        session.send(LEAVE)
        session.expect("Entering ACRN Shell.*\n" + PROMPT, 30, BROKEN)
        for line, answers in ANSWERS:
            for answer in answers:
                self.assertRegex(self.command(session, line), answer)
        session.send("vm_console 0\r")
        session.expect("Entering VM 0", 30, BROKEN)
        session.send("hazel\n")
        session.expect("^launch read hazel", 30, BROKEN)
        # Does reboot do so, and is the shell's half of a line still there on the way?
        session.send(LEAVE)
        session.expect("Entering ACRN Shell.*\n" + PROMPT, 30, BROKEN)
        session.send("reboot\r")
        session.expect("the shell resets the machine(.*\n)+boot: Bochs: virtual", 60, BROKEN)


class Consoles(TargetTest):
    """The scenario partitioned: two VMs with a console each."""

    LIMIT = 200

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "partitioned" / "hypervisor" / "acrn.bin"

    def test_switch(self) -> None:
        # Is the end of what a VM printed unseen still there, and does typing reach who is shown?
        first = self.initramfs("echo first: up\nread -r word\necho first: read $word"
                               ).rename(self.folder / "first.cpio")
        second = self.initramfs("seq 10001 13000\necho second: wrote\nread -r word\n"
                                "echo second: read $word\nread -r word")
        session = self.boot_hypervisor([
            Module(self.kernel, "First_kernel console=ttyS0 quiet"),
            Module(first, "First_ramdisk"),
            Module(self.kernel, "Second_kernel console=ttyS0 quiet"),
            Module(second, "Second_ramdisk")], cpus=2)
        session.expect("^first: up", 100, BROKEN)
        session.send(LEAVE)
        session.expect("Entering ACRN Shell.*\n" + PROMPT, 30, BROKEN)
        # the second has printed all it has to, unseen: it waits for a word
        session.send("dump_guest_mem 0 1000000 20000\r")
        session.expect("0x0000000001004e10: .*\n" + PROMPT, 120, BROKEN)
        session.send("vm_console 1\r")
        shown = session.expect("Entering VM 1 Console", 30, BROKEN).end()
        session.expect("^13000\nsecond: wrote", 60, BROKEN)
        self.assertFalse("\n10001\n" in session.text)
        self.assertTrue("\n12500\n" in session.text[shown:])
        self.assertFalse("ACRN:" in session.text[shown:])
        session.send("hazel\n")
        session.expect("^second: read hazel", 30, BROKEN)
        session.send(LEAVE + "vm_console 0\r")
        session.expect("Entering VM 0 Console", 30, BROKEN)
        session.send("walnut\n")
        session.expect("^first: read walnut", 30, BROKEN)
        # When the VM on the console has gone, is the shell there?
        session.expect("Entering ACRN Shell.*\n" + PROMPT, 60, BROKEN)
        session.send("vm_list\r")
        session.expect(" 1 second +Running", 30, BROKEN)
