# SPDX-License-Identifier: BSD-3-Clause
"""The judge of the platform contract: does it see what contradicts it?

A small contract with a row of each kind, and what a probe would print on a bare
machine and in a VM that keeps it. Then each is changed at one place.
"""

import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "target"))

# pylint: disable=wrong-import-position
from contract import COMPUTED, Row, give_back, idle, judge, probed, read_contract  # noqa: E402

CONTRACT = r"""
## User VM
| what | owner | reads |
| --- | --- | --- |
| `port *` | absent | |
## Service VM
| what | owner | reads |
| --- | --- | --- |
| `port 0040`, `msr 00000010` | time | PIT, TSC |
| `port 0021` | hypervisor | reads `fb`: masked |
| `port 0092` | absent | |
| `msr 0000003a` | hypervisor | reads `0000000000000001`: locked |
| `msr 000000ce` | hypervisor | reads `[cpuid 40000010.0 eax] / 186a0 * 100`: ratio |
| `msr 00000174` | native | |
| `lapic 030` | hypervisor | reads `0005001?` |
| `ioapic 01` | hypervisor | reads `00170020` |
| `rte *` | hypervisor | reads `ones ff0000000001afff zeros 0000000000010000` |
| `irq com2 *` | absent | |
| `irq sci *` | hypervisor | reads `pin 11 level` |
| `irq *` | native | |
| `hpet *` | absent | |
| `mmio e0000000` | dm | reads `12751275` |
| `pci 01.0 *` | native | |
| `e820 taken` | hypervisor | reads `pieces 1` |
| `e820 *` | native | |
| `cr0` | hypervisor | reads `0000000080000031` |
| `acpi FACP SCI_INT` | dm | reads `9` |
| `acpi FACP RESET_REG` | dm | reads `space 1 bits 8+0 access 1 address cf9` |
| `acpi APIC override 0` | dm | reads `bus 0 irq 0 pin 2 flags 0` |
| `acpi MCFG 0` | dm | reads `base e0000000 segment 0 buses 0 to 0` |
| `acpi HPET*` | absent | |
| `acpi DSDT` | dm | reads `length * sum 00` |
| `acpi *` | native | |
| `aml \_S5` | dm | reads `Package (0x04) { 0x05, 0x05, Zero, Zero }` |
| `aml \_SB.CPU0*` | absent | |
| `aml *` | native | |
| `prt 16` | dm | reads `0.A 31.B` |
| `prt *` | absent | |
## Every VM
| what | owner | reads |
| --- | --- | --- |
| `cpuid 00000001.0 ecx` | hypervisor | reads `bare & 0000ffff \| 80000000`: no VMX |
| `cpuid 00000005.0 *` | absent | |
| `cpuid 40000010.0 eax` | hypervisor | reads `about khz` |
| `cpuid 4000*` | hypervisor | reads `00000000` |
| `cpuid *` | native | |
| `msr 0000048?` | absent | no VMX |
| `port *` | native | |
"""
FACTS = {"khz": 2000000}
COMMON = """\
cpuid 00000000.0: 00000016 756e6547 6c65746e 49656e69
port 0061: 20
msr 00000010: counts
msr 00000174: 0000000000000000
irq pit ioapic: pin 02
pci 01.0 00: 70008086
"""
BARE = COMMON + """\
cpuid 00000001.0: 00050654 00010800 77faf3bf bfebfbff
cpuid 00000005.0: 00000040 00000040 00000003 00002020
port 0021: b8
port 0040: 12
port 0092: 02
msr 0000003a: 0000000000000005
msr 00000480: 00d810000000002b
lapic 030: 00050014
ioapic 01: 00170011
rte 00: ones ffffffffffffafff zeros 0000000000010000
irq sci ioapic: pin 11
irq com2 pic: line 03
hpet 000: 8086a201
mmio e0000000: ffffffff
e820 0000000000000000: 000000000009f000 type 1
e820 0000000000100000: 0000000010000000 type 1
e820 0000000010000000: 0000000010010000 type 3
cr0: 00000000e0000011
"""
GOOD = COMMON + """\
cpuid 00000001.0: 00050654 00010800 8000f3bf bfebfbff
cpuid 00000005.0: 00000000 00000000 00000000 00000000
cpuid 40000010.0: 001e8100 00000000 00000000 00000000
port 0021: fb
port 0040: 34
msr 0000003a: 0000000000000001
msr 000000ce: 0000000000001300
lapic 030: 00050015
ioapic 01: 00170020
rte 00: ones ff0000000001afff zeros 0000000000010000
irq sci ioapic: pin 11 level
irq com2 pic: absent
hpet 000: ffffffff
mmio e0000000: 12751275
e820 0000000000000000: 000000000009f000 type 1
e820 0000000000100000: 0000000008000000 type 1
e820 0000000008000000: 0000000009000000 type 2
e820 0000000009000000: 0000000010000000 type 1
e820 0000000010000000: 0000000010010000 type 3
cr0: 0000000080000031
"""
ASL = """\
DefinitionBlock ("", "DSDT", 2, "TEST", "TEST", 1) {
    Name (\\_S5, Package () { 5, 5, 0, 0 })
    Scope (\\_SB) { Device (PCI0) {
        Name (_HID, EisaId ("PNP0A03"))
        Name (_PRT, Package () { Package () { 0xFFFF, 0, 0, 16 },
                                 Package () { 0x1FFFFF, 1, 0, 16 } }) } }
}
"""
CPU = 'Device (\\_SB.CPU0) { Name (_ADR, 0) }'


def table(signature: str, body: bytes, revision: int = 1) -> bytes:
    """An ACPI table whose checksum is right."""
    length = 36 + len(body)
    data = signature.encode() + struct.pack("<IBB", length, revision, 0) + b"T" * 26 + body
    return data[:9] + bytes([-sum(data) & 0xff]) + data[10:]


def fadt(sci: int, reset: int) -> bytes:
    """A FADT with a SCI and a reset register."""
    body = bytearray(129 - 36)
    struct.pack_into("<H", body, 46 - 36, sci)
    struct.pack_into("<4BQ", body, 116 - 36, 1, 8, 0, 1, reset)
    return table("FACP", bytes(body), 3)


def madt(pin: int) -> bytes:
    """A MADT that puts the PIT on a pin."""
    return table("APIC", struct.pack("<II4BIH", 0xfee00000, 1, 2, 10, 0, 0, pin, 0))


def mcfg(base: int) -> bytes:
    """An MCFG with bus 0."""
    return table("MCFG", struct.pack("<QQHBBI", 0, base, 0, 0, 0, 0))


def dsdt(asl: str) -> bytes:
    """A DSDT as iasl compiles it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "t.asl").write_text(asl, encoding="ascii")
        subprocess.run(["iasl", "t.asl"], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return Path(folder, "t.aml").read_bytes()


def dump(tables: list[bytes]) -> str:
    """What the probe prints of tables."""
    lines = []
    for number, data in enumerate(tables):
        for at in range(0, len(data), 64):
            lines.append(f"table {0x1000 * (number + 1):08x} {at:04x}: {data[at:at + 64].hex()}\n")
    return "".join(lines)


ROOT = table("RSDT", struct.pack("<4I", 0x2000, 0x3000, 0x4000, 0x6000))
TABLES = [ROOT, fadt(9, 0xcf9), madt(2), mcfg(0xe0000000), dsdt(ASL), table("OEMX", b"whatever")]
BARE_TABLES = [ROOT, fadt(11, 0xcfa), madt(3), mcfg(0xd0000000),
               dsdt(ASL.replace("5, 5", "4, 4").replace("0, 16", "0, 17").replace(
                   "Scope", f"{CPU} Scope")), TABLES[5], table("HPET", b"x" * 20)]


def rows_of(text: str, *sections: str) -> list[Row]:
    """The rows of a contract."""
    with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
        file.write(text)
        file.flush()
        return read_contract(Path(file.name), *(sections or ("Service VM", "Every VM")))


def compare(rows: list[Row], seen: str, tables: list[bytes] | None = None) -> list[str]:
    """What the judge says of a VM that prints `seen`."""
    there = probed(BARE + dump(BARE_TABLES))
    return judge(rows, *give_back(there, probed(seen + dump(tables or TABLES))), FACTS)


class Judge(unittest.TestCase):
    """read_contract() and judge()."""

    def setUp(self) -> None:
        self.rows = rows_of(CONTRACT)

    def said(self, wrong: list[str], key: str) -> None:
        """The judge complains of `key`, and of nothing else."""
        self.assertTrue(wrong)
        self.assertEqual([line for line in wrong if not line.startswith(key)], [])

    def test_as_promised(self) -> None:
        # Is a VM that keeps the contract left in peace?
        self.assertEqual(compare(self.rows, GOOD), [])

    def test_each_row(self) -> None:
        # Is a row that is missing told, of whatever kind it is?
        for row in self.rows:
            with self.subTest(row=row.patterns):
                self.assertTrue(compare([other for other in self.rows if other is not row], GOOD))

    def test_each_value(self) -> None:
        # If the contract promised another value than what is read, would that be seen?
        tried = 0
        for row in self.rows:
            if row.reads is None:
                continue
            with self.subTest(row=row.patterns):
                if COMPUTED.match(row.reads):
                    changed = f"{row.reads} * 2"
                else:
                    changed = f"#{row.reads[1:]}"
                others = [Row(row.patterns, row.owner, changed) if other is row else other
                          for other in self.rows]
                self.assertTrue(compare(others, GOOD))
                tried += 1
        self.assertGreater(tried, 15)

    def test_contradictions(self) -> None:
        # Is a VM that breaks a row of each owner and each kind found out?
        for line, changed in (
                ("port 0061: 20", "port 0061: 00"), ("port 0021: fb", "port 0021: f0"),
                ("port 0040: 34", "port 0092: 02"), ("msr 00000010: counts", ""),
                ("msr 00000174: 0000000000000000", ""), ("cr0: 0000000080000031", ""),
                ("msr 0000003a: 0000000000000001", "msr 0000003a: 0000000000000000"),
                ("msr 000000ce: 0000000000001300", "msr 000000ce: 0000000000001400"),
                ("msr 000000ce: 0000000000001300", ""),
                ("cr0:", "msr 00000480: 0000000000000000\ncr0:"),
                ("cr0:", "msr 00000999: 0000000000000000\ncr0:"),
                ("lapic 030: 00050015", "lapic 030: 00060015"),
                ("ioapic 01: 00170020", "ioapic 01: 00180020"),
                ("rte 00: ones ff", "rte 00: ones fe"), ("rte 00: ones ff", "rte 01: ones fe"),
                ("irq pit ioapic: pin 02", "irq pit ioapic: pin 00"),
                ("irq pit ioapic: pin 02", "irq pit ioapic: none"),
                ("irq com2 pic: absent", "irq com2 pic: line 03"),
                ("irq sci ioapic: pin 11 level", "irq sci ioapic: pin 11"),
                ("hpet 000: ffffffff", "hpet 000: 8086a201"),
                ("hpet 000: ffffffff", "hpet 000: 00000000"),
                ("mmio e0000000: 12751275", "mmio e0000000: ffffffff"),
                ("pci 01.0 00: 70008086", ""), ("pci 01.0 00", "pci 02.0 00"),
                ("8000f3bf", "8000f3be"), ("8000f3bf", "0000f3bf"),
                ("cpuid 00000005.0: 00000000", "cpuid 00000005.0: 00000040"),
                ("cpuid 40000010.0: 001e8100", "cpuid 40000010.0: 001f0000"),
                ("756e6547", "756e6546")):
            with self.subTest(line=line, changed=changed):
                self.assertIn(line, GOOD)
                self.assertTrue(compare(self.rows, GOOD.replace(line, changed, 1)))

    def test_time_is_not_compared(self) -> None:
        # What if a counter reads something else?
        self.assertEqual(compare(self.rows, GOOD.replace("port 0040: 34", "port 0040: 99")), [])

    def test_about(self) -> None:
        # How far may a measured rate be off?
        for khz, fits in ((0x1e8480, True), (0x1ec2ff, True), (0x1ed300, False)):
            text = GOOD.replace("001e8100", f"{khz:08x}")
            wrong = [line for line in compare(self.rows, text) if line.startswith("cpuid")]
            self.assertEqual(not wrong, fits, khz)

    def test_memory_map(self) -> None:
        # What if memory of the machine is lost, or the VM is given too much?
        for old, new in (("0000000009000000: 0000000010", "0000000009100000: 0000000010"),
                         ("0000000010010000 type 3", "0000000010010000 type 1"),
                         ("000000000009f000 type 1", "00000000000a0000 type 1"),
                         ("e820 0000000008000000: 0000000009000000 type 2\n", "")):
            with self.subTest(old=old):
                self.said(compare(self.rows, GOOD.replace(old, new)), "e820")

    def test_tables(self) -> None:
        # Is a table told that is changed, cut, missing, or not listed?
        bad = TABLES[1][:46] + b"\x0a" + TABLES[1][47:]
        cut = TABLES[:2] + [TABLES[2][:-1]] + TABLES[3:]
        other = TABLES[:5] + [table("OEMX", b"somewhat")]
        for tables in ([TABLES[0], bad] + TABLES[2:], cut, TABLES[:3] + TABLES[4:],
                       TABLES + [table("SSDX", b"")], TABLES + [table("HPET", b"x" * 20)], other,
                       TABLES + [table("MCFG", TABLES[3][36:])]):
            with self.subTest(count=len(tables)):
                self.said(compare(self.rows, GOOD, tables), "acpi")

    def test_objects(self) -> None:
        # Is an object of the DSDT told that is new, or another route of an interrupt?
        for asl, keys in ((ASL.replace("Scope", f"{CPU} Scope"), ["aml \\_SB.CPU0"]),
                          (ASL.replace("Scope", "Name (\\_S3, Package () { 1 })\nScope"),
                           ["aml \\_S3"]),
                          (ASL.replace("1, 0, 16", "1, 0, 17"), ["prt 16", "prt 17"]),
                          (ASL.replace("PNP0A03", "PNP0A08"), ["aml \\_SB.PCI0._HID"])):
            with self.subTest(keys=keys):
                wrong = compare(self.rows, GOOD, TABLES[:4] + [dsdt(asl)] + TABLES[5:])
                self.assertEqual([line.split(":")[0].split("._ADR")[0] for line in wrong],
                                 keys * (2 if "CPU0" in keys[0] else 1))

    def test_idle(self) -> None:
        # Is a row told that nothing was found of?
        keys = probed(BARE + dump(BARE_TABLES)) | probed(GOOD + dump(TABLES)) | {"e820 taken": ""}
        self.assertEqual(idle(self.rows, keys), [])
        for gone, pattern in (("lapic 030", "lapic 030"), ("msr 000000ce", "msr 000000ce"),
                              ("acpi MCFG 0", "acpi MCFG 0")):
            self.assertEqual(idle(self.rows, keys.keys() - {gone}), [pattern])

    def test_role_first(self) -> None:
        # Does a VM's own row come before every VM's?
        rows = rows_of("## A\n| `port *` | time | |\n## B\n| `port *` | native | |\n", "B", "A")
        self.assertEqual([row.owner for row in rows], ["native", "time"])

    def test_wrong_contract(self) -> None:
        # Is a slip of the pen in the contract noticed, and a row that nothing could break?
        for row in ("| `port *` | natve | |", "| `port *` | native |",
                    "| `port *` | hypervisor | an 8259 |", "| `port *` | dm | |",
                    "| `port *` | dm | `reads` 5 |", "no table"):
            with self.subTest(row=row):
                self.assertRaises(ValueError, rows_of, f"## A\n{row}\n", "A")

    def test_not_judged(self) -> None:
        # Is a row left alone that says why nobody can judge it?
        rows = rows_of("## A\n| `port *` | dm | not judged: writing resets |\n", "A")
        self.assertEqual(judge(rows, {"port 0064": "1c"}, {"port 0064": "2c"}, FACTS), [])
        self.assertEqual(idle(rows, []), [])


if __name__ == "__main__":
    unittest.main()
