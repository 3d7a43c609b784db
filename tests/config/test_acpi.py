# SPDX-License-Identifier: BSD-3-Clause
"""Do the tables of a pre-launched VM say what there is, in the eyes of ACPICA's disassembler?"""

import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import support  # noqa: F401  (puts misc/config on the path)
import acpi


def split(image: bytes) -> dict[str, bytes]:
    """The tables of an image, found as an operating system finds them: by RSDP and XSDT."""
    def at(address: int) -> bytes:
        offset = address - acpi.BASE
        length = struct.unpack_from("<I", image, offset + 4)[0]
        return image[offset:offset + length]

    xsdt = at(struct.unpack_from("<Q", image, 24)[0])
    tables = [at(entry) for (entry,) in struct.iter_unpack("<Q", xsdt[36:])]
    tables.append(at(struct.unpack_from("<Q", tables[0], 140)[0]))
    return {table[:4].decode(): table for table in [xsdt, *tables]}


class Acpi(unittest.TestCase):
    def disassemble(self, table: bytes) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.dat"
            path.write_bytes(table)
            done = subprocess.run(["iasl", "-d", str(path)], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotRegex(done.stdout + done.stderr, "(?i)error|warning|invalid|checksum")
            text = path.with_suffix(".dsl").read_text()
            if text.find("DefinitionBlock") >= 0:
                again = subprocess.run(["iasl", "-p", f"{folder}/again",
                                        str(path.with_suffix(".dsl"))],
                                       capture_output=True, text=True, check=False)
                self.assertIn("0 Errors", again.stdout)
            return text

    def test_tables(self) -> None:
        # Are RSDP, checksums and tables right for one processor and for many?
        for vcpus in (1, 8):
            with self.subTest(vcpus):
                image = acpi.tables(vcpus, [(0x3F8, 4), (0x2F8, 3)])
                self.assertEqual(image[:8], b"RSD PTR ")
                self.assertEqual(sum(image[:20]) & 0xFF, 0)
                self.assertEqual(sum(image[:36]) & 0xFF, 0)
                tables = split(image)
                self.assertEqual(sorted(tables), ["APIC", "DSDT", "FACP", "XSDT"])
                for table in tables.values():
                    self.assertEqual(sum(table) & 0xFF, 0)
                madt = self.disassemble(tables["APIC"])
                self.assertEqual(madt.count("[Processor Local APIC]"), vcpus)
                self.assertIn("Address : FEC00000", madt)

    def test_power(self) -> None:
        # Does an operating system find how to power off and how to reset?
        fadt = self.disassemble(split(acpi.tables(1, []))["FACP"])
        self.assertRegex(fadt, r"Hardware Reduced \(V5\) : 1")
        for name, port in (("Sleep Control", 0x400), ("Reset", 0xCF9)):
            self.assertRegex(fadt, rf"(?s){name} Register : .*?Space ID : 01 .*?"
                                   rf"Address : {port:016X}")
        dsdt = self.disassemble(split(acpi.tables(1, []))["DSDT"])
        self.assertRegex(dsdt, r"(?s)_S5, Package.*?0x05")

    def test_serial_ports(self) -> None:
        # Is each serial port a device, with its ports and its interrupt?
        dsdt = self.disassemble(split(acpi.tables(1, [(0x3F8, 4), (0x2E8, 7)]))["DSDT"])
        self.assertEqual(dsdt.count('EisaId ("PNP0501")'), 2)
        for text in ("0x03F8,", "{4}", "0x02E8,", "{7}"):
            self.assertIn(text, dsdt)

    def test_pci(self) -> None:
        # Is there a host bridge with its windows, and does each device have its line?
        self.assertNotIn("PNP0A03", self.disassemble(split(acpi.tables(1, []))["DSDT"]))
        dsdt = self.disassemble(split(acpi.tables(1, [(0x3F8, 4)], [10, None, 5]))["DSDT"])
        for text in ('EisaId ("PNP0A03")', "0x80000000,", "0xDFFFFFFF,", "0x60000000,", "0x0CF8,",
                     "0xF000,", "0x0001FFFF", "0x0003FFFF"):
            self.assertIn(text, dsdt)
        self.assertNotIn("0x0002FFFF", dsdt)
        self.assertEqual(dsdt.count("0x0001FFFF"), 4)
        self.assertEqual(len(self.disassemble(split(acpi.tables(8, [], [10] * 31))["DSDT"])
                             .split("FFFF, \n")), 31 * 4 + 1)

    def test_room(self) -> None:
        # Do the largest tables fit where they go?
        image = acpi.tables(64, [(port, 4) for port in range(0x200, 0x240, 8)])
        self.assertLess(acpi.BASE + len(image), acpi.LIMIT)
