# SPDX-License-Identifier: BSD-3-Clause
"""Draws a trace: for each CPU who ran, and below that the VM exits.

Time goes to the right in as many columns as the picture is wide. A column that
several threads share shows their shares one above the other; one with several
exits is as dark as it has many, so that a second and a microsecond both look right.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from html import escape

import trace_file
from trace_file import Entry, Problem, Trace

COLUMNS, LEFT, TOP = 1200, 130, 66
LANE, GAP, EXITS, BETWEEN = 44, 4, 13, 26

VM_COLOURS = ("#3b6fb5", "#e08a1e", "#3c9a5f", "#a0509a", "#b8473d", "#2f9aa8", "#8a7a2a",
              "#6a6a9a")
IDLE = "#e4e4e4"
# What an exit is about, and its colour.
KINDS = (
    ("interrupts", "#5b4bb0", {0, 1, 7, 8, 43, 44, 45, 56}),
    ("ports", "#d2691e", {30}),
    ("memory", "#b01e5a", {48, 49}),
    ("CPU registers", "#1e7a8a", {10, 28, 29, 31, 32, 55}),
    ("HLT, PAUSE", "#7a7a7a", {12, 36, 40}),
    ("hypercalls", "#1f7a1f", {18}),
    ("others", "#000000", set(range(70))),
)


def stretches(entries: list[Entry]) -> Iterator[tuple[int, int, int]]:
    """From when to when who ran (VM << 8 | vCPU) on this CPU, as far as the trace tells."""
    since, who = entries[0].tsc, entries[0].vm << 8 | entries[0].vcpu
    if entries[0].event == trace_file.SCHED:
        who = entries[0].a
    for entry in entries:
        if entry.event == trace_file.SCHED:
            yield since, entry.tsc, who
            since, who = entry.tsc, entry.b
    yield since, entries[-1].tsc, who


def _colour(who: int) -> str:
    return IDLE if who >> 8 == trace_file.NO_VM else VM_COLOURS[(who >> 8) % len(VM_COLOURS)]


def _kind(reason: int) -> int:
    return next((n for n, kind in enumerate(KINDS) if reason in kind[2]), len(KINDS) - 1)


class _Picture:
    """The columns of a stretch of time, and the SVG that grows."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.width = (end - start) / COLUMNS
        self.parts: list[str] = []

    def column(self, tsc: int) -> int:
        """Which column this is in."""
        return min(int((tsc - self.start) / self.width), COLUMNS - 1)

    def rect(self, x: float, y: float, width: float, height: float, fill: str,
             title: str = "", opacity: float = 1.0) -> None:
        """Fractions of a pixel are kept: shares of a column are that small."""
        faint = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" '
                          f'height="{height:.2f}" fill="{fill}"{faint}>{inside}</rect>')

    def text(self, x: float, y: float, text: str, extra: str = "") -> None:
        """Text whose left end is at x, unless `extra` says otherwise."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>')

    def shares(self, entries: list[Entry]) -> list[Counter[int]]:
        """For each column how long who ran in it."""
        columns: list[Counter[int]] = [Counter() for _ in range(COLUMNS)]
        for since, until, who in stretches(entries):
            since, until = max(since, self.start), min(until, self.end)
            while since < until:
                n = self.column(since)
                edge = min(until, max(since + 1, int(self.start + (n + 1) * self.width)))
                columns[n][who] += edge - since
                since = edge
        return columns

    def lane(self, entries: list[Entry], y: float) -> None:
        """Who ran. Columns that look alike are one rectangle."""
        columns = self.shares(entries)
        n = 0
        while n < COLUMNS:
            run = n + 1
            if len(columns[n]) == 1:
                while run < COLUMNS and columns[run].keys() == columns[n].keys():
                    run += 1
            at = y
            for who, ticks in sorted(columns[n].items()):
                height = LANE if len(columns[n]) == 1 else LANE * ticks / self.width
                self.rect(LEFT + n, at, run - n, height, _colour(who),
                          trace_file.name_of(who))
                at += height
            n = run

    def exits(self, entries: list[Entry], y: float) -> None:
        """One row a kind of exit that there is."""
        counts: dict[int, Counter[int]] = defaultdict(Counter)
        for entry in entries:
            if entry.event == trace_file.VM_EXIT and self.start <= entry.tsc <= self.end:
                counts[_kind(entry.a)][self.column(entry.tsc)] += 1
        for kind, (name, colour, _) in enumerate(KINDS):
            most = max(counts[kind].values(), default=0)
            self.text(LEFT - 8, y + EXITS - 3, f"{name} {sum(counts[kind].values())}",
                      'text-anchor="end" font-size="10" fill="#555"')
            self.rect(LEFT, y + EXITS - 1, COLUMNS, 0.5, "#ddd")
            for column, count in counts[kind].items():
                self.rect(LEFT + column, y + 1, 1.2, EXITS - 2, colour, f"{count} exits: {name}",
                          0.35 + 0.65 * count / most)
            y += EXITS


def _step(span: float) -> float:
    """The distance of marks on the axis: 1, 2 or 5 times a power of ten, at most twelve."""
    step = 1e-6
    while span / step > 12:
        for factor in (2, 5, 10):
            if span / (step * factor) <= 12:
                return step * factor
        step *= 10
    return step


def _axis(picture: _Picture, trace: Trace, offset: float, bottom: float) -> None:
    span = trace.ms(picture.end - picture.start)
    step = _step(span)
    mark = -(-offset // step) * step
    while mark <= offset + span + step / 1000:
        x = LEFT + COLUMNS * (mark - offset) / span
        picture.rect(x, TOP - 6, 0.6, bottom - TOP + 6, "#999", opacity=0.5)
        picture.text(x, TOP - 10, f"{mark:.10g} ms", 'text-anchor="middle" font-size="11"')
        mark += step


def _legend(picture: _Picture, trace: Trace, y: float) -> None:
    who = sorted({who >> 8 for entries in trace.cpus.values()
                  for _, _, who in stretches(entries)})
    x = float(LEFT)
    for vm in who:
        picture.rect(x, y - 10, 12, 12, _colour(vm << 8))
        picture.text(x + 17, y, "idle" if vm == trace_file.NO_VM else f"VM {vm}")
        x += 75


def svg(trace: Trace, start_ms: float = 0.0, end_ms: float | None = None) -> str:
    """The picture of the time from start_ms to end_ms after the first entry."""
    span = trace.ms(trace.last - trace.first)
    end_ms = span if end_ms is None else min(end_ms, span)
    if not 0 <= start_ms < end_ms:
        raise Problem(f"there is no time from {start_ms:g} to {end_ms:g} ms: the trace has "
                      f"{span:.3f} ms")
    picture = _Picture(trace.first + int(start_ms * trace.khz),
                       trace.first + max(int(end_ms * trace.khz), int(start_ms * trace.khz) + 1))
    y = float(TOP)
    for cpu, entries in sorted(trace.cpus.items()):
        picture.text(LEFT - 8, y + LANE / 2 + 5, f"CPU {cpu}",
                     'text-anchor="end" font-size="15" font-weight="bold"')
        picture.rect(LEFT, y, COLUMNS, LANE, "#f7f7f7")
        picture.lane(entries, y)
        picture.exits(entries, y + LANE + GAP)
        y += LANE + GAP + EXITS * len(KINDS) + BETWEEN
    _axis(picture, trace, start_ms, y - BETWEEN)
    _legend(picture, trace, y + 6)
    picture.text(LEFT, 24, "Who ran on which CPU, and VM exits by what they are about",
                 'font-size="16" font-weight="bold"')
    width, height = LEFT + COLUMNS + 40, y + 24
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            f'viewBox="0 0 {width} {height:.0f}" font-family="DejaVu Sans, sans-serif" '
            'font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(picture.parts) + "\n</svg>\n")
