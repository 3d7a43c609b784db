#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Says what is in a trace of acrntrace; runs on any machine.

  acrnalyze.py report FOLDER            VM exits with their costs, interrupts, who ran
  acrnalyze.py list FOLDER              every entry, by time
  acrnalyze.py plot FOLDER -o OUT.svg   a picture: which vCPU ran where, and its exits
                                        [--from MS] [--to MS]
"""

import argparse
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import plot
import trace_file
from trace_file import Entry, Problem, Trace

Who = tuple[int, int]  # VM, vCPU


@dataclass
class Cost:
    """Exits of one reason."""

    count: int = 0
    done: int = 0  # those whose entry is in the trace
    own: int = 0  # ticks from exit to entry in which this vCPU's thread ran
    longest: int = 0
    waited: int = 0  # and in which it did not


@dataclass
class Open:
    """An exit that has not been followed by an entry yet."""

    reason: int
    since: int
    away: int = 0
    left: int | None = None


@dataclass
class Summary:
    """What report prints."""

    exits: dict[Who, dict[int, Cost]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Cost)))
    irqs: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    injected: dict[Who, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    hypercalls: Counter[int] = field(default_factory=Counter)
    requests: dict[Who, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    request_ticks: Counter[Who] = field(default_factory=Counter)
    request_done: Counter[Who] = field(default_factory=Counter)
    ran: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    stretches: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))


def _switch(entry: Entry, opened: dict[Who, Open]) -> None:
    """Time in which another thread has the CPU is not the exit's cost."""
    before, after = (entry.a >> 8, entry.a & 0xFF), (entry.b >> 8, entry.b & 0xFF)
    if before in opened:
        opened[before].left = entry.tsc
    if after in opened and opened[after].left is not None:
        opened[after].away += entry.tsc - (opened[after].left or 0)
        opened[after].left = None


def _close(cost: Cost, was: Open, now: int) -> None:
    own = now - was.since - was.away
    cost.done += 1
    cost.own += own
    cost.waited += was.away
    cost.longest = max(cost.longest, own)


def _request(entry: Entry) -> str:
    kind = ("port", "memory", "PCI")[min(entry.a & 0xFF, 2)]
    return f"{kind} {entry.b:#x} {'write' if entry.a >> 16 & 1 else 'read'}"


def summarize(trace: Trace) -> Summary:
    """Goes through each CPU's entries once; a vCPU never changes its CPU."""
    summary = Summary()
    for cpu, entries in trace.cpus.items():
        opened: dict[Who, Open] = {}
        asked: dict[Who, int] = {}
        for entry in entries:
            who = (entry.vm, entry.vcpu)
            if entry.event == trace_file.VM_EXIT:
                summary.exits[who][entry.a].count += 1
                opened[who] = Open(entry.a, entry.tsc)
            elif entry.event == trace_file.VM_ENTER and who in opened:
                was = opened.pop(who)
                _close(summary.exits[who][was.reason], was, entry.tsc)
            elif entry.event == trace_file.SCHED:
                _switch(entry, opened)
            elif entry.event == trace_file.IRQ:
                summary.irqs[cpu][entry.a] += 1
            elif entry.event == trace_file.INJECT:
                summary.injected[who][entry.a] += 1
            elif entry.event == trace_file.HYPERCALL:
                summary.hypercalls[entry.a] += 1
            elif entry.event == trace_file.IOREQ:
                summary.requests[who][_request(entry)] += 1
                asked[who] = entry.tsc
            elif entry.event == trace_file.IOREQ_DONE and who in asked:
                summary.request_ticks[who] += entry.tsc - asked.pop(who)
                summary.request_done[who] += 1
        for start, end, who_ran in plot.stretches(entries):
            summary.ran[cpu][who_ran] += end - start
            summary.stretches[cpu][who_ran] += 1
    return summary


def _print_exits(trace: Trace, summary: Summary) -> None:
    us = 1000 / trace.khz
    for who, costs in sorted(summary.exits.items()):
        total = sum(cost.count for cost in costs.values())
        print(f"\n{trace_file.name_of(who[0] << 8 | who[1])}: {total} VM exits")
        print(f"  {'reason':24}{'count':>9}{'share':>8}{'mean us':>10}{'most us':>10}"
              f"{'waited ms':>11}")
        for reason, cost in sorted(costs.items(), key=lambda item: -item[1].count):
            mean = cost.own * us / max(cost.done, 1)
            print(f"  {trace_file.reason_name(reason):24}{cost.count:9}"
                  f"{100 * cost.count / total:7.1f}%{mean:10.1f}{cost.longest * us:10.1f}"
                  f"{trace.ms(cost.waited):11.2f}")


def _most(counts: Counter[int], text: str) -> str:
    return ", ".join(f"{text}{value:02x}: {count}" for value, count in counts.most_common(12))


def report(trace: Trace) -> None:
    """The tables."""
    summary = summarize(trace)
    span = trace.last - trace.first
    print(f"{sum(map(len, trace.cpus.values()))} entries of {len(trace.cpus)} CPUs in "
          f"{trace.ms(span):.1f} ms, {trace.lost} lost")
    _print_exits(trace, summary)
    print("\nwho ran")
    for cpu, times in sorted(summary.ran.items()):
        whole = sum(times.values()) or 1
        for who, ticks in times.most_common():
            print(f"  CPU {cpu}  {trace_file.name_of(who):16}{100 * ticks / whole:6.1f}% "
                  f"{trace.ms(ticks):10.2f} ms in {summary.stretches[cpu][who]} stretches")
    print("\nphysical interrupts, by host vector")
    for cpu, counts in sorted(summary.irqs.items()):
        print(f"  CPU {cpu}  {_most(counts, '0x')}")
    print("\nvirtual interrupts, by vector")
    for pair, counts in sorted(summary.injected.items()):
        print(f"  {trace_file.name_of(pair[0] << 8 | pair[1]):18}{_most(counts, '0x')}")
    if summary.hypercalls:
        print(f"\nhypercalls, by number\n  {_most(summary.hypercalls, '0x')}")
    for pair, asked in sorted(summary.requests.items()):
        done = max(summary.request_done[pair], 1)
        print(f"\n{trace_file.name_of(pair[0] << 8 | pair[1])}: {sum(asked.values())} requests "
              f"to the device model, {summary.request_ticks[pair] / done * 1000 / trace.khz:.1f} "
              "us each in the mean")
        for what, count in asked.most_common(8):
            print(f"  {count:9} {what}")


def _describe(entry: Entry) -> str:
    if entry.event == trace_file.VM_EXIT:
        return f"VM exit: {trace_file.reason_name(entry.a)}, rip {entry.b:#x}"
    if entry.event == trace_file.SCHED:
        return f"switch: {trace_file.name_of(entry.a)} to {trace_file.name_of(entry.b)}"
    if entry.event >= trace_file.EXIT_DETAIL:
        return f"  {trace_file.reason_name(entry.event - trace_file.EXIT_DETAIL)}: " \
               f"{entry.a:#x}, {entry.b:#x}"
    name = trace_file.EVENTS.get(entry.event, f"event {entry.event:#x}")
    return name if entry.event == trace_file.VM_ENTER else f"{name}: {entry.a:#x}, {entry.b:#x}"


def list_all(trace: Trace) -> None:
    """One line an entry."""
    start = trace.first
    for entry in trace.by_time():
        who = trace_file.name_of(entry.vm << 8 | entry.vcpu)
        print(f"{trace.ms(entry.tsc - start) * 1000:14.3f} us  CPU {entry.cpu}  {who:14} "
              f"{_describe(entry)}")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("report", "list", "plot"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path, help="what acrntrace wrote")
    command.add_argument("-o", "--output", type=Path, required=True, help="the SVG file")
    command.add_argument("--from", dest="start", type=float, metavar="MS", default=0.0)
    command.add_argument("--to", dest="end", type=float, metavar="MS")
    args = parser.parse_args()
    try:
        trace = trace_file.read(args.folder)
        for note in trace.notes:
            print(f"acrnalyze: {note}", file=sys.stderr)
        if args.command == "report":
            report(trace)
        elif args.command == "list":
            list_all(trace)
        else:
            args.output.write_text(plot.svg(trace, args.start, args.end), encoding="utf-8")
    except Problem as problem:
        print(f"acrnalyze: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has seen enough
    except OSError as error:
        print(f"acrnalyze: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
