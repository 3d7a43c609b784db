# SPDX-License-Identifier: BSD-3-Clause
"""Reads the platform contract, doc/abi/platform.md, and judges a probe guest by it.

A table row of the contract is

    | `port 0070`, `port 0071` | hypervisor | what a person wants to know |

The first column names what the probe guest prints, as shell patterns; the first
row that matches a line decides. The second column is the owner:

    native      must read what the bare machine reads
    hypervisor  may read something else
    dm          answered by acrn-dm: may read something else
    absent      reads all ones, or faults, or (CPUID) zero
    time        counts: only its presence is compared (a port may read all ones at times)

Where the third column says "reads `X`", X is what must be read.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

OWNERS = ("native", "hypervisor", "dm", "absent", "time")
ABSENT = re.compile(r"(f{2,16}|fault|0{8}|0{16})$")
MISSING = ("fault", "not there")
LINE = re.compile(r"^(cpuid|msr|cr\d|port|pci|lapic|ioapic|hpet|mmio|e820|acpi)\b([^:\n]*): (.*)$",
                  re.MULTILINE)


@dataclass
class Row:
    """One row of the contract."""

    patterns: list[str]
    owner: str
    reads: str | None

    def matches(self, key: str) -> bool:
        """Whether this row is about `key`."""
        return any(fnmatchcase(key, pattern) for pattern in self.patterns)


def read_contract(path: Path, section: str) -> list[Row]:
    """The rows of the tables below the heading `section`."""
    rows = []
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            inside = line[3:].strip() == section
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not inside or not line.startswith("| `") or len(cells) != 3:
            continue
        if cells[1] not in OWNERS:
            raise ValueError(f"{path}: owner '{cells[1]}' is none of {', '.join(OWNERS)}")
        reads = re.search(r"reads `([^`]*)`", cells[2])
        rows.append(Row(re.findall(r"`([^`]*)`", cells[0]), cells[1],
                        reads.group(1) if reads else None))
    return rows


def probed(text: str) -> dict[str, str]:
    """What a probe guest printed, by key."""
    return {f"{kind}{rest}": value for kind, rest, value in LINE.findall(text)}


def default_value(key: str) -> str:
    """What a key that is not printed reads: the guest leaves out ports that read FF."""
    return "ff" if key.startswith("port") else "not there"


def judge(rows: list[Row], bare: dict[str, str], seen: dict[str, str]) -> list[str]:
    """What contradicts the contract, one sentence each."""
    wrong = []
    for key in sorted(bare.keys() | seen.keys()):
        there, here = bare.get(key, default_value(key)), seen.get(key, default_value(key))
        row = next((row for row in rows if row.matches(key)), None)
        if row is None:
            wrong.append(f"{key}: no row is about it (bare machine {there}, VM {here})")
        elif row.reads is not None and here != row.reads:
            wrong.append(f"{key}: reads {here}, the contract says {row.reads}")
        elif row.owner == "native" and here != there:
            wrong.append(f"{key}: reads {here}, the bare machine {there}")
        elif row.owner == "time" and here in MISSING and there not in MISSING:
            wrong.append(f"{key}: {here}, the bare machine reads {there}")
        elif row.owner == "absent" and not ABSENT.match(here) and here != "not there":
            wrong.append(f"{key}: reads {here}, the contract says absent")
    return wrong
