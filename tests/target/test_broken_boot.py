# SPDX-License-Identifier: BSD-3-Clause
"""What the loader and the firmware can get wrong: a clear line, and the boot goes on if it can."""

import re
import struct
from pathlib import Path

from misc.run.image import KERNEL_TAG
from misc.run.machine import find_bochs
from tests.run.target import Module, TargetTest

WORKS = "^features done, 0 wrong"
BROKEN = r"halted|panic|exception \d+ error|triple-faulted"
REFUSED = "\nACRN: no VM could be started; halted"


class BrokenBoot(TargetTest):
    """Boots with something wrong, and the line it must cost."""

    LIMIT = 240

    def file(self, name: str, data: bytes) -> Path:
        """A file in the test's folder."""
        path = self.folder / name
        path.write_bytes(data)
        return path

    def goes_on(self, *lines: str, **options: object) -> None:
        """The lines come, in this order, and the guest works all the same."""
        options.setdefault("modules", [Module(self.guest("features"), KERNEL_TAG)])
        session = self.boot_hypervisor(**options)  # type: ignore
        for line in lines:
            session.expect(line, 60, f"{BROKEN}|{WORKS}")
        session.expect(WORKS, 60, BROKEN)
        session.close_machine()

    def refused(self, line: str, *modules: Module, **options: object) -> None:
        """The line and the refusal come, and no second boot."""
        session = self.boot_hypervisor(list(modules), **options)  # type: ignore
        session.expect(line + REFUSED, 60, "features start")
        with self.assertRaises(Exception):
            session.expect(".", 1)
        session.close_machine()


class Modules(BrokenBoot):
    """Boot modules and command lines."""

    def test_kernel(self) -> None:
        # What if the kernel is not there, not named, empty, cut, or no kernel?
        guest = self.guest("features")
        data = guest.read_bytes()
        no_module = 'no boot module begins with the tag "Linux_bzImage"[^\n]*'
        for name, line, modules in (
                ("missing", no_module, []),
                ("tag", no_module, [Module(guest, "Linux_bzimage x")]),
                ("empty", f"module 0 is empty(.*\n)*.*{no_module}",
                 [Module(self.file("empty", b""), KERNEL_TAG)]),
                ("cut", f"the kernel module is cut short: {len(data) - 1} bytes, its header says "
                        f"{len(data)}", [Module(self.file("cut", data[:-1]), KERNEL_TAG)]),
                ("short", "400 bytes, too short for a bzImage",
                 [Module(self.file("short", data[:400]), KERNEL_TAG)]),
                ("elf", "is not a Linux bzImage",
                 [Module(guest.with_suffix(".elf"), KERNEL_TAG)])):
            with self.subTest(name):
                self.refused(line, *modules)

    def test_many(self) -> None:
        # What if there are more modules than slots?
        more = [Module(self.file(f"m{i}", b"x"), f"more{i}") for i in range(60)]
        self.goes_on("^boot: more than 48 modules, the rest is left out",
                     modules=[Module(self.guest("features"), KERNEL_TAG), *more])

    def test_command_line(self) -> None:
        # What if the command line has 4 KB, or options that nobody understands?
        self.refused(r"command line is 4199 characters long, cut to 2043\n(.*\n)*.*the kernel's "
                     "command line has 2057 characters, 2047 are the most", Module(self.guest("features"), KERNEL_TAG),
                     hv_args="word=1 " * 600)
        self.goes_on("^boot: uart=banana is not understood", "^boot: hide=foo: there is no such",
                     "^boot: quirks=maybe is not", "^log: loglevel=purple is not",
                     hv_args="uart=banana hide=foo, quirks=maybe loglevel=purple = x =y nothing=")

    def test_memory(self) -> None:
        # What if there is too little memory for the guest?
        self.refused("no room for the kernel: it needs .* KB of RAM above 0x1000000",
                     Module(self.guest("features"), KERNEL_TAG), memory_mb=20)


def table(body: bytes, signature: bytes = b"APIC", length: int = 0, broken: int = 0) -> bytes:
    """An ACPI table around `body`; `length` if it shall lie, `broken` is added to its checksum."""
    head = struct.pack("<4sIBB6s8sI4sI", signature, length or 36 + len(body), 1, 0, b"TEST  ",
                       b"BROKEN  ", 1, b"TEST", 1)
    whole = bytearray(head + body)
    whole[9] = (broken - sum(whole)) & 0xFF
    return bytes(whole)


def cpu(apic_id: int, flags: int = 1) -> bytes:
    """A processor of the MADT."""
    return struct.pack("<BBBBI", 0, 8, apic_id, apic_id, flags)


def ioapic(base: int) -> bytes:
    """An IOAPIC of the MADT."""
    return struct.pack("<BBBBII", 1, 12, 1, 0, base, 0)


MADT = struct.pack("<II", 0xFEE00000, 1)
IOAPIC = ioapic(0xFEC00000)


class Firmware(BrokenBoot):
    """ACPI tables: some that GRUB puts in place of the firmware's, some taken from the BIOS."""

    def bios(self, *words: bytes) -> list[str]:
        """A BIOS that lost these words; the configuration line for it."""
        share = find_bochs().parent / "root/usr/share/bochs"
        if not share.exists():
            share = Path("/usr/share/bochs")
        data = (share / "BIOS-bochs-latest").read_bytes()
        for word in words:
            self.assertIn(word, data)
            data = data.replace(word, b"X" + word[1:])
        return [f'romimage: file="{self.file("bios", data)}", address=0xfffe0000']

    def test_missing(self) -> None:
        # What if there is no RSDP at all, no MADT, no FADT, no HPET? One processor still runs.
        for name, words, line in (
                ("RSDP", [b"PTR "], "^acpi: no RSDP: one processor"),
                ("MADT", [b"APIC\0"], "^acpi: no MADT: this processor alone"),
                ("FADT", [b"FACP"], "^acpi: no FADT: "),
                ("HPET", [b"HPET"], "^boot: Bochs")):
            with self.subTest(name):
                self.goes_on(line, cpus=2, extra=self.bios(*words))

    def test_many_cpus(self) -> None:
        # What if there are more processors than the image is made for?
        self.goes_on("^boot: 8 of 10 processors used: MAX_PCPU_NUM", cpus=10)

    def test_madt(self) -> None:
        # What if the table of processors has no sense, or is none?
        bad = "^acpi: table APIC at 0x[0-9a-f]+ has a wrong length or checksum"
        for name, madt, lines in (
                ("zero length", table(MADT + cpu(0) + bytes(4) + cpu(1) + IOAPIC),
                 ["^acpi: MADT entry at 52 has length 0, the rest is not read"]),
                ("checksum", table(MADT + cpu(0) + IOAPIC, broken=1), [bad, "no MADT"]),
                ("huge", table(MADT + cpu(0), length=0x7FFFFFFF), [bad, "no MADT"]),
                ("short", table(MADT + cpu(0), length=7), [bad, "no MADT"]),
                ("duplicate and disabled", table(MADT + cpu(0) + cpu(0) + cpu(1, 0) + IOAPIC), []),
                ("no processor", table(MADT + IOAPIC), []),
                ("not there", table(MADT + cpu(0) + cpu(9) + cpu(1) + IOAPIC),
                 ["^boot: processor with APIC id 9 does not start; it is left out"]),
                ("IOAPIC in RAM", table(MADT + cpu(0) + ioapic(0x1000000) + IOAPIC),
                 ["^acpi: 1 IOAPICs are not used"])):
            with self.subTest(name):
                self.goes_on(*lines, cpus=2, tables=[self.file("madt", madt)])

    def test_dmar(self) -> None:
        # What if the table of remapping units names one that is not there, or has no sense?
        unit = struct.pack("<HHBBHQ", 0, 16, 1, 0, 0, 0xFED90000)
        head = struct.pack("<BB10x", 38, 1)
        for name, dmar, lines in (
                ("absent", table(head + unit, b"DMAR"), ["^vtd: nobody answers at 0xfed90000"]),
                ("in RAM", table(head + unit[:8] + struct.pack("<Q", 0x1000000), b"DMAR"),
                 ["^vtd: the unit at 0x1000000 is left alone"]),
                ("zero length", table(head + unit + bytes(4) + unit, b"DMAR"),
                 ["^vtd: DMAR entry at 64 has length 0", "^vtd: nobody answers"]),
                ("checksum", table(head + unit, b"DMAR", broken=1),
                 ["^acpi: table DMAR at 0x[0-9a-f]+ has a wrong length or checksum"])):
            with self.subTest(name):
                self.goes_on(*lines, tables=[self.file("dmar", dmar)])

    def test_dmar_hidden(self) -> None:
        # Does the Service VM's Linux, which takes tables with a wrong checksum too, find one?
        unit = struct.pack("<BB10xHHBBHQ", 38, 1, 0, 16, 1, 0, 0, 0xFED90000)
        script = "ls /sys/firmware/acpi/tables\necho 'tables listed'"
        session = self.boot_hypervisor(
            [Module(self.kernel, KERNEL_TAG + " console=ttyS0 quiet"),
             Module(self.initramfs(script), "Ramdisk_mod")],
            tables=[self.file(f"dmar{i}", table(unit, b"DMAR", broken=i)) for i in range(2)])
        session.expect("^tables listed", 100, BROKEN)
        self.assertRegex(session.text, r"\bAPIC\b")
        self.assertRegex(session.text, r"\bXMAR2\b")
        self.assertNotIn("DMAR", re.sub("table DMAR at .* not used", "", session.text))


class PciUart(BrokenBoot):
    """A serial port that is a PCI function."""

    def test_refusal(self) -> None:
        # Does uart=bdf@ find it, and does the machine's own port stay silent then?
        output = self.folder / "pci-serial"
        session = self.boot_hypervisor([], "uart=bdf@0x20", machine="qemu", extra=[
            "-chardev", f"file,id=pci,path={output}", "-device", "pci-serial,chardev=pci,addr=4"])
        for _ in range(60):
            session.pump(1.0)
            if output.exists() and "halted" in output.read_text(encoding="ascii"):
                break
        self.assertRegex(output.read_text(encoding="ascii"),
                         "cpu: no VMX.*\nACRN: this machine cannot run a hypervisor; halted")
        self.assertNotIn("ACRN", session.text)
