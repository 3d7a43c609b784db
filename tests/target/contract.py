# SPDX-License-Identifier: BSD-3-Clause
"""Reads the platform contract, doc/abi/platform.md, and judges a probe guest by it.

A table row of the contract is

    | `port 0070`, `port 0071` | hypervisor | what a person wants to know |

The first column names what the probe guest prints, as shell patterns; the first
row that matches a line decides. The second column is the owner:

    native      must read what the bare machine reads
    hypervisor  reads what the third column says
    dm          answered by acrn-dm: likewise
    absent      reads all ones, faults (MSR), is zero (CPUID) or not printed (other things)
    time        counts: only its presence is compared (a port may read all ones at times)

Where the third column says "reads `X`", X is what must be read: text, `?` and `*`
standing for anything, or a computation on hexadecimal numbers from left to right:

    bare & 0000ffff | 00010000        what the bare machine reads, masked
    [cpuid 40000010.0 eax] * 3e8      what the VM reads elsewhere
    about khz                         a fact of the machine, 1 % more or less

What a row names without a `*` must read so even where nothing was printed, unless the
row says "there if" the CPU has something. A row of the hypervisor's or acrn-dm's without such an X could not be broken by
anything, and is refused, unless it says "not judged:" and why.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from acpi_tables import acpi_keys

OWNERS = ("native", "hypervisor", "dm", "absent", "time")
# What an absent thing reads; for kinds that are not here, nothing may be printed.
ABSENT = {"cpuid": "0" * 8, "msr": "fault", "port": "ff", "irq": "absent",
          **dict.fromkeys(("mmio", "hpet", "lapic", "ioapic", "pci"), "f" * 8)}
MISSING = ("fault", "absent", "not there")
LINE = re.compile(r"^(cpuid|msr|cr\d|port|pci|lapic|ioapic|hpet|mmio|e820|rte|irq)\b([^:\n]*): "
                  r"(.*)$", re.MULTILINE)
COMPUTED = re.compile(r"(about )?(bare|khz|\[)")
TERM = re.compile(r"\[([^]]*)\]|(\S+)")
OPERATORS: dict[str, Callable[[int, int], int]] = {
    "&": lambda a, b: a & b, "|": lambda a, b: a | b,
    "*": lambda a, b: a * b, "/": lambda a, b: a // b,
}
RAM = "1"
RESERVED = "2"
Keys = dict[str, str]


@dataclass
class Row:
    """One row of the contract."""

    patterns: list[str]
    owner: str
    reads: str | None
    judged: bool = True
    always: bool = True

    def matches(self, key: str) -> bool:
        """Whether this row is about `key`."""
        return any(fnmatchcase(key, pattern) for pattern in self.patterns)


def parse_row(cells: list[str]) -> Row:
    """A row of three cells; ValueError if nothing could contradict it."""
    what, owner, text = cells
    if owner not in OWNERS:
        raise ValueError(f"{what}: owner '{owner}' is none of {', '.join(OWNERS)}")
    reads = re.search(r"\breads `([^`]*)`", text)
    judged = "not judged: " not in text
    if judged and owner in ("hypervisor", "dm") and not reads:
        raise ValueError(f"{what}: neither says what it reads nor why it is not judged")
    return Row(re.findall(r"`([^`]*)`", what), owner, reads.group(1) if reads else None, judged,
               "there if " not in text)


def parse_cells(line: str) -> list[str]:
    """The cells of a table's line; a bar behind a backslash belongs to its cell."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def read_contract(path: Path, *sections: str) -> list[Row]:
    """The rows of the tables below the headings `sections`, in the order of these."""
    rows: dict[str, list[Row]] = {section: [] for section in sections}
    inside = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            inside = line[3:].strip()
        if inside not in rows or not line.startswith("| `"):
            continue
        cells = parse_cells(line)
        if len(cells) != 3:
            raise ValueError(f"{path}: not three cells: {line}")
        rows[inside].append(parse_row(cells))
    if not all(rows.values()):
        raise ValueError(f"{path}: nothing below a heading of {', '.join(sections)}")
    return [row for section in sections for row in rows[section]]


def probed(text: str) -> Keys:
    """What a probe guest printed, by key."""
    keys = {}
    for kind, rest, value in LINE.findall(text):
        if kind == "cpuid":
            keys.update({f"cpuid{rest} {register}": part for register, part
                         in zip(("eax", "ebx", "ecx", "edx"), value.split(), strict=True)})
        else:
            keys[f"{kind}{rest}"] = value
    return keys | acpi_keys(text)


def default_value(key: str) -> str:
    """What a key that is not printed reads: ports that read FF and MSRs that fault are not."""
    return {"port": "ff", "msr": "fault"}.get(key.split()[0], "not there")


def compute(rule: str, bare: str, seen: Keys, facts: dict[str, int]) -> int:
    """The value of a rule such as `bare & ff | 1`; ValueError if a part of it is no number."""
    def value(key: str, word: str) -> int:
        if key:
            return int(seen.get(key, default_value(key)), 16)
        if word == "bare":
            return int(bare, 16)
        return facts[word] if word in facts else int(word, 16)

    terms = TERM.findall(rule)
    result = value(*terms[0])
    for (_, operator), term in zip(terms[1::2], terms[2::2], strict=True):
        result = OPERATORS[operator](result, value(*term))
    return result


def reads_as(rule: str, bare: str, here: str, seen: Keys, facts: dict[str, int]) -> bool:
    """Whether `here` is what the contract's `rule` says."""
    if not COMPUTED.match(rule):
        return here == rule or fnmatchcase(here, rule)
    if bare in MISSING and rule.startswith("bare "):
        return here in MISSING
    try:
        wanted = compute(rule.removeprefix("about "), bare, seen, facts)
        return abs(int(here, 16) - wanted) <= (wanted // 100 if rule.startswith("about ") else 0)
    except ValueError:
        return False


def judge(rows: list[Row], bare: Keys, seen: Keys, facts: dict[str, int]) -> list[str]:
    """What contradicts the contract, one sentence each."""
    wrong = []
    promised = {pattern for row in rows if row.reads and row.judged and row.always
                for pattern in row.patterns if not set("*?[").intersection(pattern)}
    for key in sorted(bare.keys() | seen.keys() | promised):
        there, here = bare.get(key, default_value(key)), seen.get(key, default_value(key))
        row = next((row for row in rows if row.matches(key)), None)
        if row is None:
            wrong.append(f"{key}: no row is about it (bare machine {there}, VM {here})")
        elif not row.judged:
            continue
        elif row.reads is not None:
            if not reads_as(row.reads, there, here, seen, facts):
                wrong.append(f"{key}: reads {here}, the contract says {row.reads} "
                             f"(bare machine {there})")
        elif row.owner == "native" and here != there:
            wrong.append(f"{key}: reads {here}, the bare machine {there}")
        elif row.owner == "time" and here in MISSING and there not in MISSING:
            wrong.append(f"{key}: {here}, the bare machine reads {there}")
        elif row.owner == "absent" and here not in ("not there", ABSENT.get(key.split()[0])):
            wrong.append(f"{key}: reads {here}, the contract says absent")
    return wrong


def idle(rows: list[Row], keys: Iterable[str]) -> list[str]:
    """The patterns of the contract that no probed key was judged by."""
    used: set[tuple[int, str]] = set()
    for key in keys:
        for number, row in enumerate(rows):
            if row.matches(key):
                used.update((number, pattern) for pattern in row.patterns
                            if fnmatchcase(key, pattern))
                break
    return [pattern for number, row in enumerate(rows) if row.judged
            for pattern in row.patterns if (number, pattern) not in used]


def ranges(keys: Keys) -> list[tuple[int, int, str]]:
    """The memory map among `keys`, sorted: start, end, type."""
    return sorted((int(key.split()[1], 16), int(value.split()[0], 16), value.split()[-1])
                  for key, value in keys.items() if key.startswith("e820 "))


def merged(pieces: Iterable[tuple[int, int, str]]) -> Keys:
    """A memory map as keys, neighbours of one type as one."""
    out: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(pieces):
        if out and out[-1][1:] == (start, kind):
            out[-1] = (out[-1][0], end, kind)
        else:
            out.append((start, end, kind))
    return {f"e820 {start:016x}": f"{end:016x} type {kind}" for start, end, kind in out}


def give_back(bare: Keys, seen: Keys) -> tuple[Keys, Keys]:
    """Both with the RAM that the VM finds reserved given back to its map.

    The key "e820 taken" says how many pieces that were.
    """
    ram = [(start, end) for start, end, kind in ranges(bare) if kind == RAM]
    pieces, taken = [], 0
    for start, end, kind in ranges(seen):
        if kind == RESERVED and any(low <= start and end <= high for low, high in ram):
            kind, taken = RAM, taken + 1
        pieces.append((start, end, kind))

    def rest(keys: Keys) -> Keys:
        return {key: value for key, value in keys.items() if not key.startswith("e820 ")}

    return (rest(bare) | merged(ranges(bare)),
            rest(seen) | merged(pieces) | {"e820 taken": f"pieces {taken}"})
