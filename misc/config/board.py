# SPDX-License-Identifier: BSD-3-Clause
"""The facts of a board that the build uses, from ACRN's board XML."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from problems import ConfigError
from xml_file import XmlFile, number_of, text_of

_TTY = re.compile(
    r"seri:(?P<name>\S+) type:(?P<type>portio|mmio) base:(?P<base>0x[0-9A-Fa-f]{1,16})"
    r" irq:(?P<irq>[0-9]{1,3})(?P<rest>( (bdf|width):\S+)*)"
)

_PCI = re.compile(r'"?(?P<bus>[0-9A-Fa-f]{2}):(?P<device>[01][0-9A-Fa-f])\.(?P<function>[0-7])')


@dataclass(frozen=True)
class Serial:
    """A serial port: a 16550 at I/O ports, or memory-mapped; of a PCI function, if bdf is given."""

    name: str
    is_mmio: bool
    base: int
    irq: int
    bdf: Optional[int] = None


@dataclass(frozen=True)
class Board:
    """A board; RAM ranges are (first, last) host-physical addresses, PCI devices by address."""

    path: Path
    name: str
    pcpu_ids: frozenset[int]
    ram: tuple[tuple[int, int], ...]
    ioapic_lines: tuple[int, ...]
    serials: dict[str, Serial]
    pci: dict[int, str]


def bdf_of(text: str) -> Optional[int]:
    """The PCI address that a text begins with, "00:1f.2 SATA controller"."""
    match = _PCI.match(text)
    if match is None:
        return None
    return int(match["bus"], 16) << 8 | int(match["device"], 16) << 3 | int(match["function"])


def _read_pci(file: XmlFile) -> dict[int, str]:
    """A line for each device, as lspci prints it; its regions follow."""
    element = file.root.find("PCI_DEVICE")
    found = {}
    for line in ("" if element is None else element.text or "").splitlines():
        address, _, what = line.strip().partition(" ")
        bdf = bdf_of(address)
        if bdf is not None:
            found[bdf] = what
    return found


def _read_serials(file: XmlFile) -> dict[str, Serial]:
    element = file.root.find("TTYS_INFO")
    serials: dict[str, Serial] = {}
    if element is None:
        return serials
    for line in (element.text or "").splitlines():
        words = " ".join(line.split())
        if not words or words.startswith("BDF:"):
            continue
        match = _TTY.fullmatch(words)
        is_mmio = match is not None and match["type"] == "mmio"
        if match is None or int(match["irq"]) > 255 or (
            not is_mmio and int(match["base"], 16) > 0xFFF8
        ):
            what = f'<TTYS_INFO> says "{words[:60]}", which is no serial port'
            write = "seri:/dev/ttyS0 type:portio base:0x3F8 irq:4"
            raise ConfigError([file.problem(element, what, write)])
        base = int(match["base"], 16)
        bdf = re.search(r" bdf:(\S+)", match["rest"])
        serials[match["name"]] = Serial(match["name"], is_mmio, base, int(match["irq"]),
                                        bdf_of(bdf[1]) if bdf else None)
    return serials


def _read_pcpus(file: XmlFile) -> frozenset[int]:
    where = file.root.find("processors")
    ids = [number_of(text_of(e)) for e in file.root.iterfind("processors/die/core/thread/cpu_id")]
    if not ids:
        where = file.root.find("CPU_PROCESSOR_INFO")
        ids = [int(word) for word in text_of(where).split(",") if word]
    if not ids:
        what = "the board has no processor"
        write = "<CPU_PROCESSOR_INFO>0, 1</CPU_PROCESSOR_INFO> in it"
        raise ConfigError([file.problem(file.root, what, write)])
    if sorted(ids) != list(range(len(ids))):
        what = "processor ids do not count from 0 without a gap"
        write = "<cpu_id>0</cpu_id>, <cpu_id>1</cpu_id> and so on"
        raise ConfigError([file.problem(where, what, write)])
    return frozenset(ids)


def _read_ram(file: XmlFile) -> tuple[tuple[int, int], ...]:
    ram = []
    for element in file.root.iterfind("memory/range"):
        first, last = number_of(element.get("start")), number_of(element.get("end"))
        if last < first:
            what = f"memory range ends ({last:#x}) before it starts ({first:#x})"
            raise ConfigError([file.problem(element, what, f'end="{first + 0xFFF:#x}"')])
        ram.append((first, last))
    return tuple(ram)


def read_board(path: Path) -> Board:
    """Raises ConfigError."""
    file = XmlFile(path, "board.xsd")
    name = " ".join(file.root.get("board").split())
    if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,63}", name):
        what = f'board="{name[:40]}" is not 1 to 63 letters, digits, dots, dashes or underscores'
        raise ConfigError([file.problem(file.root, what, '<acrn-config board="my-board">')])
    return Board(
        path=path,
        name=name,
        pcpu_ids=_read_pcpus(file),
        ram=_read_ram(file),
        ioapic_lines=tuple(
            number_of(text_of(e)) for e in file.root.iterfind("ioapics/ioapic/gsi_number")
        ),
        serials=_read_serials(file),
        pci=_read_pci(file),
    )
