# SPDX-License-Identifier: BSD-3-Clause
"""Guests of 32 and 16 bits that know of no hypervisor: an ELF kernel made for GRUB, a raw image."""

import re
from pathlib import Path

from misc.guest.mkimage import Boot, Module, make_cd
from tests.run.target import BROKEN, MachineSpec, Session, TargetTest

WRONG = r"WRONG|[1-9]\d* wrong|" + BROKEN
# Its registers in memory and in ports, and an interrupt line; nobody is at the other end.
ADAPTER = ["pci: slot1=e1000",
           "e1000: card=0, enabled=1, mac=52:54:00:a1:b2:c3, ethmod=slirp"]
MODULE = b"a ramdisk for a kernel that knows only of modules\n" * 200
LAUNCH = """\
for end in "" task; do
	acrn-dm -m 32M -s 0,hostbridge -s 1,lpc -l com1,stdio -E /data/kernel32.elf -r /data/module \\
		-B "for grub $end" vm1 </dev/null
	echo "acrn-dm ended with status $?"
done
acrn-dm -m 32M -s 0,hostbridge -s 1,lpc -l com1,stdio -E /data/lives.elf vm1 </dev/null
echo "wide: acrn-dm ended with status $?"
"""


class Bare(TargetTest):
    """kernel32.elf and raw16.bin of tests/target/guest/legacy."""

    LIMIT = 120

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "bare" / "hypervisor" / "acrn.bin"

    @property
    def kernel32(self) -> Path:
        return self.output / "tests" / "guest" / "kernel32.elf"

    def module(self) -> Path:
        path = self.folder / "module"
        path.write_bytes(MODULE)
        return path

    def judge_kernel32(self, session: Session, words: str) -> None:
        """What its loader gave it, and that nothing is wrong."""
        session.expect("^magic: ok", 60, WRONG)
        session.expect(f"^cmdline .*{words}$", 10, WRONG)
        session.expect(rf"^module 1 of {len(MODULE)} bytes, sum {sum(MODULE)}$", 10, WRONG)
        session.expect("^with paging$", 10, WRONG)
        session.expect("^with PAE$", 10, WRONG)
        session.expect("^line of the UART: ok", 30, WRONG)
        session.expect("^tasks take turns: ok", 60, WRONG)
        session.expect("^kernel32: 0 wrong", 10, WRONG)

    def judge_adapter(self, session: Session, place: str) -> None:
        """That it was found there, and has worked."""
        self.assertIn(f"\nPCI adapter {place}\n", session.text)
        self.assertIn("\nPCI adapter's address 5452 a100 c3b2\n", session.text)
        self.assertIn("\nPCI line: ok\n", session.text)

    def test_grub(self) -> None:
        # Does the kernel start from GRUB itself, on the bare machine?
        boot = Boot(self.kernel32, "for grub", [Module(self.module(), "a module")],
                    protocol="multiboot")
        session = self.start(MachineSpec(cdrom=make_cd(self.folder / "grub.iso", boot),
                                         extra=ADAPTER))
        self.judge_kernel32(session, "for grub")
        self.assertIn("\nloader GRUB", session.text)
        self.assertIn("\nPIT rate: ok", session.text)
        self.judge_adapter(session, "00:02.0, registers at c0000000, line 9, command 7")
        session.wait_end(20)

    def test_pre_launched(self) -> None:
        # Does the same file start as a pre-launched VM, with its ramdisk as a module and a
        # map of its own memory, beside a raw image of 16-bit code?
        session = self.boot_hypervisor([
            Module(self.kernel32, "Elf_kernel for grub"),
            Module(self.module(), "Elf_ramdisk"),
            Module(self.output / "tests" / "guest" / "raw16.bin", "Raw_image")], cpus=2,
            extra=ADAPTER)
        self.judge_kernel32(session, "for grub")
        self.assertIn("\nmap 0000000000100000 0000000000f00000 1\n", session.text)
        self.assertIn("\nmemory 640 15360\n", session.text)
        self.assertIn("\npages 3840\n", session.text)
        # Does it have the network adapter of the machine, which may not be the bus's master? The
        # other VM looks for one too.
        self.judge_adapter(session, "00:01.0, registers at 80000000, line 10, command 3")
        session.expect("kernel32: powers off", 10, WRONG)
        # The second one has printed unseen, and waits for a key.
        session.expect(r"^ACRN:\\>", 10, WRONG)
        # The first one's last words are out, though it is gone; a line of the log may cut them.
        words = re.sub(r"\n?\[\d+us\].*\n", "", session.text)
        self.assertIn("power off, sleep type 5", words)
        session.send("vm_console 1\r")
        session.expect("^raw16: 0 wrong, waits", 10, WRONG)
        session.send("k")
        session.expect("^raw16: key k", 10, WRONG)
        # Its clock is its own: the other VM has set the year 2071 on its.
        session.expect("^raw16: year 20[2-6][0-9], 0 wrong", 10, WRONG)
        # A hardware task switch ends the VM, with a line that says so; it was the last one.
        session.expect("raw16: vCPU 0: a hardware task switch by JMP to selector 0x30", 10, BROKEN)
        session.wait_end(20)

    def test_user_vm(self) -> None:
        # Does acrn-dm -E start the same file, and an ELF of 64 bits that was not made for GRUB? Does a
        # hardware task switch end that VM only?
        vm = self.service_vm(LAUNCH)
        vm.hypervisor = self.output / "hypervisor" / "acrn.bin"
        vm.disk_files += [(self.kernel32, "/kernel32.elf"), (self.module(), "/module"),
                          (self.kernel32.with_name("lives.elf"), "/lives.elf")]
        session = self.boot_service_vm(vm)
        self.judge_kernel32(session, "for grub ")
        session.expect("^acrn-dm ended with status 0", 10, WRONG)
        self.judge_kernel32(session, "for grub task")
        session.expect("vm1: vCPU 0: a hardware task switch by JMP to selector 0x20", 10, WRONG)
        session.expect("^acrn-dm ended with status 0", 10, WRONG)
        session.expect("^lives: - had 1, all well", 20, WRONG)
        session.expect("^wide: acrn-dm ended with status 0", 10, WRONG)
        self.assertIn("\nloader acrn-dm\n", session.text)
        self.assertIn("\nmap 0000000000100000 0000000001f00000 1\n", session.text)
        self.assertIn("\nPIT rate: ok\n", session.text)
        session.wait_end(60)
