# SPDX-License-Identifier: BSD-3-Clause
"""The ACPI tables of a pre-launched VM, as bytes for one place in its memory.

ACPI 6.3 in its hardware-reduced form (section 4.1): no PM1 registers and no SCI; the
VM powers off by the sleep control register and resets by the reset register, both
ports of the hypervisor's vpower.c.  The AML is so little that it is written here by hand.
"""

import struct
from collections.abc import Sequence
from typing import Optional

BASE = 0xF2400  # GPA: hv/ve820.h
LIMIT = 0x100000
SLEEP_CONTROL = 0x400
SLEEP_STATUS = 0x401
RESET_PORT = 0xCF9
RESET_VALUE = 0x0E
S5_TYPE = 5
IOAPIC_BASE = 0xFEC00000
LAPIC_BASE = 0xFEE00000
PCI_MEMORY = (0x80000000, 0xDFFFFFFF)  # hypervisor/vpci/vpci_dev.h
PCI_PORTS = (0x1000, 0xFFFF)

_FLAG_WBINVD = 1 << 0
_FLAG_RESET_REG = 1 << 10
_FLAG_HW_REDUCED = 1 << 20
_BOOT_LEGACY_DEVICES = 1 << 0
_BOOT_NO_VGA = 1 << 2


def _sum(data: bytes) -> int:
    return -sum(data) & 0xFF


def table(signature: str, revision: int, body: bytes) -> bytes:
    """A table with its header and checksum."""
    head = struct.pack("<4sIBB6s8sI4sI", signature.encode(), 36 + len(body), revision, 0,
                       b"ACRN  ", b"ACRNHV  ", 1, b"ACRN", 1)
    whole = bytearray(head + body)
    whole[9] = _sum(whole)
    return bytes(whole)


def _package(opcode: bytes, body: bytes) -> bytes:
    """An object with a package length (20.2.4): of one or two bytes here."""
    length = len(body) + 1
    if length < 64:
        return opcode + bytes([length]) + body
    length += 1
    assert length < 1 << 12
    return opcode + bytes([0x40 | length & 15, length >> 4]) + body


def _name(name: str, value: bytes) -> bytes:
    return b"\x08" + name.encode() + value


def _eisa_id(text: str) -> bytes:
    """PNP0501 as a number: three letters of five bits, then four digits, big endian."""
    letters = sum((ord(c) - 0x40) << shift for c, shift in zip(text[:3], (10, 5, 0)))
    return b"\x0C" + struct.pack(">HH", letters, int(text[3:], 16))


def _uart(number: int, port: int, irq: int) -> bytes:
    resources = (struct.pack("<BBHHBB", 0x47, 1, port, port, 1, 8)  # I/O, 16-bit decode
                 + struct.pack("<BH", 0x22, 1 << irq) + b"\x79\x00")
    buffer = _package(b"\x11", bytes([0x0A, len(resources)]) + resources)
    body = (f"UAR{number}".encode() + _name("_HID", _eisa_id("PNP0501"))
            + _name("_UID", bytes([0x0A, number])) + _name("_CRS", buffer))
    return _package(b"\x5B\x82", body)


def _pci(irqs: Sequence[Optional[int]]) -> bytes:
    """The host bridge: device 1 has the first of the interrupt lines, whatever its pin."""
    def window(kind: int, flags: int, first: int, last: int) -> bytes:
        return struct.pack("<BBB", kind, 0x0C, flags) + struct.pack(
            "<IIIII" if kind == 0 else "<HHHHH", 0, first, last, 0, last - first + 1)

    resources = (b"\x88\x0D\x00" + window(2, 0, 0, 0)  # bus 0
                 + struct.pack("<BBHHBB", 0x47, 1, 0xCF8, 0xCF8, 1, 8)
                 + b"\x88\x0D\x00" + window(1, 3, *PCI_PORTS)
                 + b"\x87\x17\x00" + window(0, 1, *PCI_MEMORY) + b"\x79\x00")
    buffer = _package(b"\x11", bytes([0x0A, len(resources)]) + resources)
    routes = [struct.pack("<BIBBBBB", 0x0C, slot << 16 | 0xFFFF, 0x0A, pin, 0, 0x0A, irq)
              for slot, irq in enumerate(irqs, 1) if irq is not None for pin in range(4)]
    table = bytes([len(routes)]) + b"".join(_package(b"\x12", b"\x04" + r) for r in routes)
    return _package(b"\x5B\x82", b"PCI0" + _name("_HID", _eisa_id("PNP0A03"))
                    + _name("_BBN", b"\x00") + _name("_CRS", buffer)
                    + _name("_PRT", _package(b"\x12", table)))


def _dsdt(uarts: list[tuple[int, int]], pci_irqs: Optional[Sequence[Optional[int]]]) -> bytes:
    sleep = _package(b"\x12", bytes([4, 0x0A, S5_TYPE, 0x0A, S5_TYPE, 0, 0]))
    devices = b"".join(_uart(i, port, irq) for i, (port, irq) in enumerate(uarts))
    devices += b"" if pci_irqs is None else _pci(pci_irqs)
    return _name("_S5_", sleep) + _package(b"\x10", b"\\_SB_" + devices)


def _port(port: int) -> bytes:
    return struct.pack("<BBBBQ", 1, 8, 0, 1, port)


def _fadt(dsdt: int) -> bytes:
    """Hardware-reduced: all fields of the fixed hardware are 0 (5.2.9)."""
    body = bytearray(276 - 36)

    def put(offset: int, layout: str, *values: int) -> None:
        struct.pack_into(layout, body, offset - 36, *values)

    put(40, "<I", dsdt)
    put(109, "<H", _BOOT_LEGACY_DEVICES | _BOOT_NO_VGA)
    put(112, "<I", _FLAG_WBINVD | _FLAG_RESET_REG | _FLAG_HW_REDUCED)
    body[116 - 36:128 - 36] = _port(RESET_PORT)
    put(128, "<B", RESET_VALUE)
    put(131, "<B", 3)  # ACPI 6.3
    put(140, "<Q", dsdt)
    body[244 - 36:256 - 36] = _port(SLEEP_CONTROL)
    body[256 - 36:268 - 36] = _port(SLEEP_STATUS)
    return bytes(body)


def _madt(vcpus: int) -> bytes:
    body = struct.pack("<II", LAPIC_BASE, 1)
    for i in range(vcpus):
        body += struct.pack("<BBBBI", 0, 8, i, i, 1)
    body += struct.pack("<BBBBII", 1, 12, 0, 0, IOAPIC_BASE, 0)
    body += struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)  # the PIT's pin
    return body + struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1)  # LINT1 is NMI


def tables(vcpus: int, uarts: list[tuple[int, int]],
           pci_irqs: Optional[Sequence[Optional[int]]] = None) -> bytes:
    """All tables for GPA BASE, the RSDP first; `uarts` are (port, irq), PCI devices their irqs.

    None: there is no PCI bus.
    """
    image = bytearray(64)  # the RSDP goes here

    def add(signature: str, revision: int, body: bytes) -> int:
        place = BASE + len(image)
        data = table(signature, revision, body)
        image.extend(data + bytes(-len(data) % 64))
        return place

    dsdt = add("DSDT", 2, _dsdt(uarts, pci_irqs))
    entries = [add("FACP", 6, _fadt(dsdt)), add("APIC", 5, _madt(vcpus))]
    xsdt = add("XSDT", 1, b"".join(struct.pack("<Q", entry) for entry in entries))
    rsdp = bytearray(struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"ACRN  ", 2, 0, 36, xsdt, 0))
    rsdp[8] = _sum(rsdp[:20])
    rsdp[32] = _sum(rsdp)
    image[:36] = rsdp
    assert BASE + len(image) <= LIMIT
    return bytes(image)
