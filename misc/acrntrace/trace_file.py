# SPDX-License-Identifier: BSD-3-Clause
"""Reads what acrntrace wrote: a folder with a file for each CPU (misc/acrntrace/acrntrace.h).

Whatever is wrong with a file is either a Problem, which ends the program with
one line, or a note: the rest of the trace is still good.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("<8sIIQQ")
ENTRY = struct.Struct("<QIBBBBQQ")
MAGIC = b"ACRNTRC1"

TIMER_ADDED, TIMER_PICKED, TIMER_UPDATED, TIMER_IRQ = 1, 2, 3, 4
VM_EXIT, VM_ENTER, SCHED = 0x10, 0x11, 0x20
IRQ, INJECT, IOREQ, IOREQ_DONE, HYPERCALL = 0x30, 0x31, 0x32, 0x33, 0x34
EXIT_DETAIL = 0x10000
LOST, END = 0x7E0000, 0x7F0000
NO_VM = 0xFF

EVENTS = {
    TIMER_ADDED: "timer set", TIMER_PICKED: "timer ran out", TIMER_UPDATED: "next timer",
    TIMER_IRQ: "timer interrupt", VM_EXIT: "VM exit", VM_ENTER: "VM entry", SCHED: "switch",
    IRQ: "interrupt", INJECT: "virtual interrupt", IOREQ: "I/O request",
    IOREQ_DONE: "I/O request done", HYPERCALL: "hypercall", LOST: "entries lost",
}

# Basic exit reasons, Intel SDM 3D appendix C.
REASONS = {
    0: "exception or NMI", 1: "external interrupt", 2: "triple fault", 3: "INIT", 4: "SIPI",
    7: "interrupt window", 8: "NMI window", 9: "task switch", 10: "CPUID", 12: "HLT",
    13: "INVD", 14: "INVLPG", 15: "RDPMC", 16: "RDTSC", 18: "VMCALL", 28: "CR access",
    29: "DR access", 30: "port", 31: "RDMSR", 32: "WRMSR", 36: "MWAIT", 37: "monitor trap",
    39: "MONITOR", 40: "PAUSE", 43: "TPR threshold", 44: "APIC access", 45: "virtual EOI",
    46: "GDTR or IDTR", 47: "LDTR or TR", 48: "EPT violation", 49: "EPT misconfiguration",
    51: "RDTSCP", 52: "preemption timer", 54: "WBINVD", 55: "XSETBV", 56: "APIC write",
    57: "RDRAND", 58: "INVPCID", 61: "RDSEED", 63: "XSAVES", 64: "XRSTORS",
}


class Problem(Exception):
    """The trace cannot be read; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One event; a and b mean what the event says."""

    tsc: int
    event: int
    vm: int
    vcpu: int
    cpu: int
    a: int
    b: int


@dataclass
class Trace:
    """All CPUs' entries, each in the order in which the CPU wrote them."""

    khz: int
    cpus: dict[int, list[Entry]] = field(default_factory=dict)
    lost: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The TSC of the first entry."""
        return min(entries[0].tsc for entries in self.cpus.values())

    @property
    def last(self) -> int:
        """The TSC of the last one."""
        return max(entries[-1].tsc for entries in self.cpus.values())

    def ms(self, ticks: float) -> float:
        """TSC ticks in milliseconds."""
        return ticks / self.khz

    def by_time(self) -> Iterator[Entry]:
        """All entries, of whatever CPU."""
        return iter(sorted((entry for entries in self.cpus.values() for entry in entries),
                           key=lambda entry: entry.tsc))


def reason_name(reason: int) -> str:
    """An exit's reason; bit 31 is a VM entry that the processor refused."""
    if reason >> 31:
        return f"refused entry {reason & 0xFFFF}"
    return REASONS.get(reason, f"reason {reason}")


def name_of(who: int) -> str:
    """VM << 8 | vCPU, as in a switch."""
    return "idle" if who >> 8 == NO_VM else f"VM {who >> 8} vCPU {who & 0xFF}"


def _read_file(path: Path, trace: Trace) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from error
    if len(data) < HEADER.size:
        raise Problem(f"{path}: too short for a trace of acrntrace ({len(data)} bytes)")
    magic, entry_size, cpu, khz, _ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Problem(f"{path}: no trace of acrntrace")
    if entry_size != ENTRY.size or khz == 0 or cpu in trace.cpus:
        raise Problem(f"{path}: its header is broken (CPU {cpu}, {entry_size} bytes an entry, "
                      f"{khz} kHz)")
    trace.khz = trace.khz or khz
    if trace.khz != khz:
        raise Problem(f"{path}: of another machine than the other files ({khz} kHz, "
                      f"not {trace.khz})")
    left = (len(data) - HEADER.size) % ENTRY.size
    if left:
        trace.notes.append(f"{path}: cut off in the middle of an entry")
    entries, ended = _entries(path, memoryview(data)[HEADER.size:len(data) - left], cpu, trace)
    if not ended:
        trace.notes.append(f"{path}: has no end: acrntrace was killed, or the file was cut off")
    if entries:
        trace.cpus[cpu] = entries


def _entries(path: Path, data: memoryview, cpu: int, trace: Trace) -> tuple[list[Entry], bool]:
    entries: list[Entry] = []
    last = 0
    for at, (tsc, event, vm, vcpu, _, on, a, b) in enumerate(ENTRY.iter_unpack(data)):
        if event == END:
            if a != len(entries):
                trace.notes.append(f"{path}: {a - len(entries)} of {a} entries are missing")
            return entries, True
        if event == LOST:
            trace.lost += a
            trace.notes.append(f"{path}: {a} entries were lost after entry {at}: empty the "
                               "rings more often (-i), or make them larger")
            continue
        if tsc < last or on != cpu:
            raise Problem(f"{path}: entry {at} is broken: not of CPU {cpu}, or earlier than the "
                          "one before")
        last = tsc
        entries.append(Entry(tsc, event, vm, vcpu, on, a, b))
    return entries, False


def read(where: Path) -> Trace:
    """The trace in this folder, or in this one file."""
    trace = Trace(khz=0)
    if where.is_dir():
        files = sorted((path for path in where.iterdir() if path.name.isdecimal()),
                       key=lambda path: int(path.name))
    else:
        files = [where]
    if not files:
        raise Problem(f"{where}: has no trace; acrntrace names its files by the CPU: 0, 1, ...")
    for path in files:
        _read_file(path, trace)
    if not trace.cpus:
        raise Problem(f"{where}: nothing happened in this trace")
    return trace
