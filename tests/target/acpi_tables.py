# SPDX-License-Identifier: BSD-3-Clause
"""Decodes the ACPI tables that the probe guest dumps into what the contract has rows for.

    acpi FACP                   length, revision, checksum
    acpi FACP SCI_INT           a field, in hexadecimal
    acpi APIC override 0        an entry of the MADT
    aml \\_SB.PCI0._PRT          an object of the DSDT or an SSDT, as iasl disassembles it
    prt 16                      which slot's pins `_PRT` leads to this one

A table that nobody here knows is named with a checksum of its bytes, so that two
machines with different ones differ.
"""

import re
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

DUMP = re.compile(r"^table ([0-9a-f]+) ([0-9a-f]{4}): ([0-9a-f]+)$", re.MULTILINE)
HEADER = 36
# Name, offset, struct format: ACPI 6.4, 5.2.9.
FADT = [("FIRMWARE_CTRL", 36, "I"), ("DSDT", 40, "I"), ("PM_Profile", 45, "B"),
        ("SCI_INT", 46, "H"), ("SMI_CMD", 48, "I"), ("ACPI_ENABLE", 52, "B"),
        ("ACPI_DISABLE", 53, "B"), ("S4BIOS_REQ", 54, "B"), ("PSTATE_CNT", 55, "B"),
        ("PM1a_EVT_BLK", 56, "I"), ("PM1b_EVT_BLK", 60, "I"), ("PM1a_CNT_BLK", 64, "I"),
        ("PM1b_CNT_BLK", 68, "I"), ("PM2_CNT_BLK", 72, "I"), ("PM_TMR_BLK", 76, "I"),
        ("GPE0_BLK", 80, "I"), ("GPE1_BLK", 84, "I"), ("PM1_EVT_LEN", 88, "B"),
        ("PM1_CNT_LEN", 89, "B"), ("PM2_CNT_LEN", 90, "B"), ("PM_TMR_LEN", 91, "B"),
        ("GPE0_BLK_LEN", 92, "B"), ("GPE1_BLK_LEN", 93, "B"), ("GPE1_BASE", 94, "B"),
        ("CST_CNT", 95, "B"), ("P_LVL2_LAT", 96, "H"), ("P_LVL3_LAT", 98, "H"),
        ("FLUSH_SIZE", 100, "H"), ("FLUSH_STRIDE", 102, "H"), ("DUTY_OFFSET", 104, "B"),
        ("DUTY_WIDTH", 105, "B"), ("DAY_ALRM", 106, "B"), ("MON_ALRM", 107, "B"),
        ("CENTURY", 108, "B"), ("IAPC_BOOT_ARCH", 109, "H"), ("Flags", 112, "I"),
        ("RESET_REG", 116, "12s"), ("RESET_VALUE", 128, "B"), ("X_FIRMWARE_CTRL", 132, "Q"),
        ("X_DSDT", 140, "Q"), ("X_PM1a_EVT_BLK", 148, "12s"), ("X_PM1b_EVT_BLK", 160, "12s"),
        ("X_PM1a_CNT_BLK", 172, "12s"), ("X_PM1b_CNT_BLK", 184, "12s"),
        ("X_PM2_CNT_BLK", 196, "12s"), ("X_PM_TMR_BLK", 208, "12s"),
        ("X_GPE0_BLK", 220, "12s"), ("X_GPE1_BLK", 232, "12s"), ("SLEEP_CONTROL", 244, "12s"),
        ("SLEEP_STATUS", 256, "12s"), ("HYPERVISOR_ID", 268, "Q")]
FACS = [("version", 32, "B")]
HPET = [("id", 36, "I"), ("base", 40, "12s"), ("number", 52, "B"), ("min_tick", 53, "H")]
MADT = [("lapic_base", 36, "I"), ("flags", 40, "I")]
# Type: name, struct format behind type and length, what is said of it.
MADT_ENTRIES = {
    0: ("lapic", "BBI", "processor {} APIC id {} flags {:x}"),
    1: ("ioapic", "BxII", "id {} base {:x} first pin {}"),
    2: ("override", "BBIH", "bus {} irq {} pin {} flags {:x}"),
    4: ("nmi", "BHB", "processor {} flags {:x} LINT{}"),
}
CONTAINERS = ("DefinitionBlock", "Scope", "Device", "Processor", "PowerResource", "ThermalZone")
TERM = re.compile(r"\s*([A-Za-z_]\w*)\s*\(")
Keys = dict[str, str]


def dumped(text: str) -> dict[int, bytes]:
    """The tables of a dump, by address, in the order they were printed."""
    tables: dict[int, bytes] = {}
    for address, offset, data in DUMP.findall(text):
        at = int(address, 16)
        # A line that was lost leaves a hole that no checksum forgives.
        tables[at] = tables.get(at, b"").ljust(int(offset, 16), b"\xff") + bytes.fromhex(data)
    return tables


def field_value(value: int | bytes) -> str:
    """A number in hexadecimal; a generic address as what it points to."""
    if isinstance(value, int):
        return f"{value:x}"
    space, bits, shift, access, address = struct.unpack("<4BQ", value)
    if not any(value):
        return "0"
    return f"space {space} bits {bits}+{shift} access {access} address {address:x}"


def fields(name: str, table: bytes, layout: list[tuple[str, int, str]]) -> Keys:
    """The fields of a table, as far as it is long enough."""
    return {f"acpi {name} {field}": field_value(struct.unpack_from(f"<{form}", table, at)[0])
            for field, at, form in layout if at + struct.calcsize(f"<{form}") <= len(table)}


def madt(name: str, table: bytes) -> Keys:
    """Fields and entries of the MADT; entries of a kind are counted."""
    keys, at = fields(name, table, MADT), HEADER + 8
    counts: dict[str, int] = {}
    while at + 2 <= len(table) and 2 <= table[at + 1] <= len(table) - at:
        kind, length = table[at], table[at + 1]
        body = table[at + 2:at + length]
        word, form, says = MADT_ENTRIES.get(kind, (f"type{kind}", f"{len(body)}s", "{}"))
        if struct.calcsize(f"<{form}") == len(body):
            value = says.format(*struct.unpack(f"<{form}", body))
        else:
            value = f"malformed {body.hex()}"
        counts[word] = counts.get(word, -1) + 1
        keys[f"acpi {name} {word} {counts[word]}"] = value
        at += length
    if at != len(table):
        keys[f"acpi {name} end"] = f"{len(table) - at} bytes left over"
    return keys


def mcfg(name: str, table: bytes) -> Keys:
    """The windows of the MCFG."""
    windows = [struct.unpack_from("<QHBB", table, at)
               for at in range(HEADER + 8, len(table) - 15, 16)]
    return {f"acpi {name} {i}": f"base {base:x} segment {segment} buses {first} to {last}"
            for i, (base, segment, first, last) in enumerate(windows)}


def balanced(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at `start`."""
    closing, depth, quoted = {"(": ")", "{": "}"}[text[start]], 0, False
    for at in range(start, len(text)):
        quoted ^= text[at] == '"'
        if quoted:
            continue
        depth += (text[at] == text[start]) - (text[at] == closing)
        if depth == 0:
            return at + 1
    raise ValueError("brackets that do not close")


def join(path: str, name: str) -> str:
    """An object's name below `path`."""
    return name if name.startswith("\\") else f"{path.rstrip('.')}.{name}" if path != "\\" else \
        f"\\{name}"


def objects(text: str, path: str) -> Keys:
    """The objects of disassembled AML, by path, each as one line of ASL."""
    keys: Keys = {}
    at = 0
    while found := TERM.search(text, at):
        kind, opening = found.group(1), found.end() - 1
        at = balanced(text, opening)
        arguments = text[opening + 1:at - 1].strip()
        name, _, rest = arguments.partition(",")
        body = re.match(r"\s*\{", text[at:])
        block = ""
        if body:
            end = balanced(text, at + body.end() - 1)
            block, at = text[at + body.end():end - 1], end
        if kind == "External":
            continue
        if kind in CONTAINERS:
            where = path if kind == "DefinitionBlock" else join(path, name.strip())
            if kind not in ("DefinitionBlock", "Scope"):
                keys[f"aml {where}"] = f"{kind}{rest}"
            keys.update(objects(block, where))
            continue
        key = f"aml {join(path, name.strip())}"
        if kind not in ("Name", "Method"):
            key += f" {kind}"
        while key in keys:
            key += "'"
        keys[key] = " ".join(f"{rest} {block}".split())
    return keys


def routing(package: str) -> Keys:
    """Which slots' pins a `_PRT` of fixed interrupts leads to which pin."""
    routes: dict[int, list[str]] = {}
    for slot, pin, gsi in re.findall(r"0x([0-9A-F]*)FFFF, (\w+), Zero, (0x[0-9A-F]+)", package):
        number = {"Zero": 0, "One": 1}.get(pin)
        number = int(pin, 16) if number is None else number
        routes.setdefault(int(gsi, 16), []).append(f"{int(slot or '0', 16)}.{'ABCD'[number]}")
    return {f"prt {gsi}": " ".join(pins) for gsi, pins in sorted(routes.items())}


def disassemble(table: bytes) -> str:
    """A DSDT or SSDT as ASL without comments."""
    with tempfile.TemporaryDirectory(prefix="acrn-aml.") as folder:
        Path(folder, "t.dat").write_bytes(table)
        result = subprocess.run(["iasl", "-d", "t.dat"], cwd=folder, text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode or not Path(folder, "t.dsl").exists():
            raise ValueError(f"iasl: {result.stdout}")
        text = Path(folder, "t.dsl").read_text(encoding="ascii", errors="replace")
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


def aml(table: bytes) -> Keys:
    """The objects of a DSDT or SSDT; `_PRT` of fixed interrupts as its routes."""
    keys = objects(disassemble(table), "\\")
    for key in [key for key in keys if key.endswith("._PRT")]:
        routes = routing(keys[key])
        if routes:
            keys.update(routes)
            keys[key] = f"{sum(len(pins.split()) for pins in routes.values())} routes"
    return keys


def decode(name: str, table: bytes) -> Keys:
    """What the contract may have rows for, of one table."""
    signature = name[:4]
    if signature in ("DSDT", "SSDT"):
        return aml(table)
    if signature == "APIC":
        return madt(name, table)
    if signature == "MCFG":
        return mcfg(name, table)
    layouts = {"FACP": FADT, "FACS": FACS, "HPET": HPET}
    if signature in layouts:
        return fields(name, table, layouts[signature])
    return {} if signature in ("RSDT", "XSDT") else {f"acpi {name} crc": f"{zlib.crc32(table):x}"}


def rsdp_keys(address: int, rsdp: bytes) -> Keys:
    """The RSDP: where it is and whether its sums are right."""
    keys = {"acpi RSDP": f"at {address:x} revision {rsdp[15]} sum {sum(rsdp[:20]) & 0xff:02x}"}
    if len(rsdp) > 20:
        keys["acpi RSDP"] += f" extended sum {sum(rsdp) & 0xff:02x}"
    return keys


def entries(root: bytes) -> str:
    """The addresses in an RSDT or XSDT."""
    size = 8 if root[:4] == b"XSDT" else 4
    return " ".join(f"{int.from_bytes(root[at:at + size], 'little'):x}"
                    for at in range(HEADER, len(root) - size + 1, size))


def acpi_keys(text: str) -> Keys:
    """Everything of the tables in a probe's output."""
    keys: Keys = {}
    roots: dict[str, str] = {}
    for address, table in dumped(text).items():
        if table[:8] == b"RSD PTR ":
            keys.update(rsdp_keys(address, table))
            continue
        name = table[:4].decode("ascii", "replace")
        while f"acpi {name}" in keys:
            name += "'"
        keys[f"acpi {name}"] = f"length {len(table)}"
        if name != "FACS":  # it has no standard header
            keys[f"acpi {name}"] += f" revision {table[8]} sum {sum(table) & 0xff:02x}"
        if int.from_bytes(table[4:8], "little") != len(table):
            keys[f"acpi {name}"] += " cut short"
        if name in ("RSDT", "XSDT"):
            roots[name] = entries(table)
        keys.update(decode(name, table))
    if len(roots) == 2:
        same = roots["RSDT"] == roots["XSDT"]
        keys["acpi XSDT entries"] = "those of the RSDT" if same else "not those of the RSDT"
    return keys
