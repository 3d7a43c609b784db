# SPDX-License-Identifier: BSD-3-Clause
"""Where instructions went: traces of operations, by layer and function."""

import bisect
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from debugger import Instruction

MARK = "xchg cx, cx"  # trace_mark() of the guests
USER_SEGMENT = 0x33  # of Linux's programs
HOST_SEGMENTS = (8, 0x10)  # in the loader's 32-bit mode, it is the loader's
# Where a position-independent program is loaded with norandmaps.
PROGRAM_BASE = 0x555555554000
LINUX_BASE = 0xFFFFFFFF80000000

HYPERVISOR, DEVICE_MODEL, LINUX, GUEST = "hypervisor", "acrn-dm", "Linux", "guest"


class Symbols:
    """The functions of a program."""

    def __init__(self, lines: Iterable[str], base: int = 0) -> None:
        found = []
        for line in lines:
            address, kind, name = line.split()[-3:] if len(line.split()) == 3 else ("", "", "")
            if kind in tuple("tTwW") and address:
                found.append((int(address, 16) + base, name))
        found.sort()
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]

    @classmethod
    def of(cls, program: Path, base: int = 0) -> "Symbols":
        """Of an ELF file."""
        result = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True)
        return cls(result.stdout.splitlines(), base)

    def address(self, name: str) -> int:
        """Where a function begins."""
        return self._addresses[self._names.index(name)]

    def find(self, address: int) -> tuple[str, bool]:
        """The function that holds an address, and whether that is its beginning."""
        index = bisect.bisect_right(self._addresses, address) - 1
        return (self._names[index], self._addresses[index] == address) if index >= 0 else ("?",
                                                                                         False)

    @property
    def bounds(self) -> tuple[int, int]:
        """First and last address of functions."""
        return (self._addresses[0], self._addresses[-1]) if self._addresses else (0, 0)


@dataclass
class Layers:
    """Who is who: whose instruction is it, and in which function?"""

    hypervisor: Symbols
    device_model: Symbols
    linux: Symbols

    def find(self, i: Instruction) -> tuple[str, str, bool]:
        """Layer and function, and whether the function begins there."""
        if i.segment == USER_SEGMENT:
            low, high = self.device_model.bounds
            if low <= i.address <= high + 0x1000:
                return DEVICE_MODEL, *self.device_model.find(i.address)
            return DEVICE_MODEL, "C library", False
        if i.address >= LINUX_BASE:
            return LINUX, *self.linux.find(i.address)
        low, high = self.hypervisor.bounds
        if i.segment in HOST_SEGMENTS and low <= i.address <= high + 0x1000:
            return HYPERVISOR, *self.hypervisor.find(i.address)
        return GUEST, "guest", False


@dataclass
class Cost:
    """Instructions, and how often the function was entered."""

    instructions: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    exits: int = 0

    def layer(self, name: str) -> int:
        """Instructions of a layer."""
        return sum(count for (layer, _), count in self.instructions.items() if layer == name)

    @property
    def total(self) -> int:
        """All instructions."""
        return self.instructions.total()

    def table(self) -> str:
        """Layers, and the functions of each, the dearest first."""
        lines = [f"{self.total} instructions, {self.exits} VM exits"]
        for layer in (HYPERVISOR, DEVICE_MODEL, LINUX, GUEST):
            of_layer = [(count, name) for (where, name), count in self.instructions.items()
                        if where == layer]
            if of_layer:
                lines.append(f"{layer}: {self.layer(layer)}")
            for count, name in sorted(of_layer, reverse=True):
                calls = self.calls[layer, name]
                lines.append(f"{count:10} {calls if calls else '':>6}  {name}")
        return "\n".join(lines)


def rounds(trace: Iterable[Instruction]) -> list[list[Instruction]]:
    """The traced rounds: what is between two marks."""
    found: list[list[Instruction]] = []
    for i in trace:
        if i.text == MARK:
            found.append([])
        elif found:
            found[-1].append(i)
    return found[:-1]


def cost_of(trace: Iterable[Instruction], layers: Layers) -> Cost:
    """Sums up one round."""
    cost = Cost()
    for i in trace:
        layer, name, begins = layers.find(i)
        cost.instructions[layer, name] += 1
        cost.calls[layer, name] += begins
        cost.exits += begins and name == "vmx_exit_entry"
    return cost
