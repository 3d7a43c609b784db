# SPDX-License-Identifier: BSD-3-Clause
"""The screen, read back: text memory, framebuffers of a BIOS's and of UEFI's graphics."""

import json
import re
import socket
import subprocess
from pathlib import Path

from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.image import KERNEL_TAG
from misc.run.machine import TOP
from misc.run.session import Session
from tests.bench.debugger import Debugger
from tests.run.target import MachineSpec, TargetTest

COLUMNS, ROWS = 80, 25
NO_VMX = ["cpu: no VMX: the processor lacks it, or its virtual machine hides it",
          "ACRN: this machine cannot run a hypervisor; halted"]


def alone(lines: list[str]) -> list[str]:
    """A screen with nothing else."""
    return lines + [""] * (ROWS - len(lines))


def font() -> dict[int, str]:
    """The hypervisor's: character by dots."""
    text = (TOP / "hypervisor/boot/screen.c").read_text(encoding="ascii")
    glyphs = re.findall(r"\b0x([0-9A-F]{10})UL", text)
    return {int(glyph, 16): chr(ord(" ") + i) for i, glyph in enumerate(glyphs)}


def read_picture(data: bytes) -> tuple[str, list[str]]:
    """The size and the lines of a PPM picture."""
    kind, size, most, dots = data.split(b"\n", 3)
    assert (kind, most) == (b"P6", b"255")
    width, height = map(int, size.split())
    scale_x, scale_y = width // 480, height // 225
    known = font()

    def cell(row: int, column: int) -> str:
        glyph = 0
        for i in range(40):
            x = (column * 6 + i % 5) * scale_x + scale_x // 2
            y = (row * 9 + i // 5) * scale_y + scale_y // 2
            if dots[(y * width + x) * 3] > 128:
                glyph |= 1 << (i // 5 * 5 + 4 - i % 5)
        return known.get(glyph, "?")

    lines = ["".join(cell(row, column) for column in range(COLUMNS)).rstrip()
             for row in range(ROWS)]
    return size.decode(), lines


def read_text(dump: Path) -> list[str]:
    """The lines of a copy of text memory."""
    text = dump.read_bytes()[::2].decode("ascii", errors="replace")
    return [text[i:i + COLUMNS].rstrip() for i in range(0, len(text), COLUMNS)]


class Screen(TargetTest):
    """A machine without VMX: the refusal is on its screen, and nothing else."""

    LIMIT = 240

    def machine(self, boot: Boot, *extra: str, model: str = "qemu64") -> Session:
        """QEMU with a monitor."""
        self.monitor_path = self.folder / "qmp"
        self.monitor_path.unlink(missing_ok=True)
        cdrom = make_cd(self.folder / "screen.iso", boot)
        spec = MachineSpec(cdrom=cdrom, model=model, extra=[
            "-qmp", f"unix:{self.monitor_path},server=on,wait=off", *extra])
        return self.start(spec, "qemu")

    def monitor(self, command: str, **arguments: object) -> None:
        """One command of QEMU's monitor."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.monitor_path))
            answers = monitor.makefile("r")
            answers.readline()
            for request in ({"execute": "qmp_capabilities"},
                            {"execute": command, "arguments": arguments}):
                monitor.sendall(json.dumps(request).encode() + b"\n")
                answer = answers.readline()
                while '"event"' in answer:  # of the machine, in between
                    answer = answers.readline()
                self.assertIn('"return"', answer)

    def text(self) -> list[str]:
        """The lines of the text screen."""
        dump = self.folder / "text"
        self.monitor("pmemsave", val=0xB8000, size=2 * COLUMNS * ROWS, filename=str(dump))
        return read_text(dump)

    def picture(self) -> tuple[str, list[str]]:
        """What a person would see: its size and its lines."""
        dump = self.folder / "picture"
        self.monitor("screendump", filename=str(dump))
        return read_picture(dump.read_bytes())

    def test_text(self) -> None:
        # Does it stand there alone, without what BIOS and loader left?
        for model, lines in (("qemu64", NO_VMX),
                             ("qemu32", ["ACRN: this CPU has no 64-bit mode; halted"])):
            with self.subTest(model):
                session = self.machine(Boot(self.hypervisor), model=model)
                session.expect(r"halted\s", 60)  # the screen has it before the end of the line
                self.assertEqual(self.text(), alone(lines))
                session.close_machine()

    def test_framebuffer(self) -> None:
        # What if GRUB was told of a graphics mode, or the image may choose?
        elf = self.hypervisor.with_suffix(".32.out")
        for video, protocol, image, size in (
                ("1024x768x16", "multiboot", elf, "1024 768"),
                ("800x600x24", "multiboot", elf, "800 600"),
                ("1920x1080x32", "multiboot2", self.hypervisor, "1920 1080")):
            with self.subTest(video):
                boot = Boot(image, "uart=banana", protocol=protocol, video=video)
                session = self.machine(boot)
                session.expect(r"halted\s", 60)  # the screen has it before the end of the line
                first = ("boot: uart=banana is not understood; write uart=disabled, "
                         "uart=port@0x3F8, uart=mmio@0xADDRESS or uart=bdf@0xBDF")
                self.assertEqual(self.picture(), (size, alone(
                    [first[:COLUMNS], first[COLUMNS:], *NO_VMX])))
                session.close_machine()

    def test_uefi(self) -> None:
        # What if the machine has no text mode, and the hypervisor no serial port?
        boot = Boot(self.hypervisor, "uart=disabled", efi=True, video="auto")
        session = self.machine(boot, "-bios", "/usr/share/ovmf/OVMF.fd")
        for _ in range(120):
            session.pump(1.0)
            size, lines = self.picture()
            if any("halted" in line for line in lines):
                break
        self.assertEqual((size, lines), ("1280 800", alone(NO_VMX)))
        self.assertNotIn("ACRN", session.text)


class Panic(TargetTest):
    """The hypervisor's end, seen without a serial port."""

    LIMIT = 240

    def address(self, name: str) -> int:
        """Of a function, in an image that lies where it is linked."""
        elf = self.hypervisor.with_suffix(".elf")
        symbols = subprocess.run(["nm", str(elf)], capture_output=True, text=True, check=True)
        found = re.search(rf"^([0-9a-f]+) . {name}$", symbols.stdout, re.MULTILINE)
        assert found, name
        return int(found[1], 16)

    def test_text(self) -> None:
        # What if the hypervisor goes wrong while a guest runs that has written on the screen?
        boot = Boot(self.hypervisor.with_suffix(".32.out"), "uart=disabled",
                    [Module(self.guest("features"), KERNEL_TAG)], protocol="multiboot")
        cdrom = make_cd(self.folder / "panic.iso", boot)
        dump = self.folder / "text"
        with Debugger(MachineSpec(cdrom=cdrom)) as debugger:
            debugger.run_to(self.address("vcpu_skip"))
            for cell in range(0, COLUMNS * ROWS, 2):
                debugger.command(f"setpmem 0x{0xb8000 + 2 * cell:x} 4 0x1f781f78")
            debugger.command("set rip = 0x1000")  # data: not to be executed
            debugger.run_to(self.address("cpu_halt_forever"))
            debugger.command(f'writemem "{dump}" 0xb8000 {2 * COLUMNS * ROWS}')
        lines = read_text(dump)
        self.assertRegex(lines[0], "^exception 14 error 0x11 at 0x1000 rsp 0x[0-9a-f]+ cr2 0x1000$")
        cause = lines.index("ACRN: panic on CPU 0: exception 14 in the hypervisor")
        self.assertRegex(lines[cause + 1], r"^ VM 0 \(\S+\) vCPU 0 was: rip 0x[0-9a-f]+ rsp ")
        self.assertNotIn("x" * 4, "".join(lines))
