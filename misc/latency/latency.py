#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Histograms of the guest `latency`, from what its serial port printed.

  latency.py [-o PICTURE.svg] [NAME=]LOG ...

Prints a table and a histogram of each log as text; draws them all, one under the other.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROWS = 16  # of a histogram as text
BAR = 50
WIDTH, LEFT, LANE, HEAD, AXIS = 1000, 20, 120, 40, 22


class Problem(Exception):
    """A log without a whole measurement."""


@dataclass
class Latency:
    """One measurement, in ticks of the TSC."""

    name: str
    bins: dict[int, int]  # from which lateness how many samples
    samples: int
    width: int  # of a bin
    khz: int  # of the TSC; 0 if nobody told
    low: int
    mean: int
    high: int

    def percentile(self, part: float) -> int:
        """At most so late were `part` of all samples: the upper end of a bin."""
        left = self.samples * part
        for start, count in sorted(self.bins.items()):
            left -= count
            if left <= 0:
                return min(start + self.width - 1, self.high)
        return self.high

    def in_us(self, ticks: int) -> str:
        """Ticks in microseconds, if the rate is known."""
        return f"{ticks * 1000 / self.khz:.2f}" if self.khz else "?"


def parse(name: str, text: str) -> Latency:
    """The last measurement that a guest printed."""
    before, done, _ = text.rpartition("rt: done")
    text = before.rpartition("rt: done")[2]
    head = re.search(r"rt: samples (\d+) period \d+ width (\d+) khz (\d+) early (\d+)", text)
    ends = re.search(r"rt: min (\d+) mean (\d+) max (\d+)", text)
    bins = {int(start): int(count) for start, count in re.findall(r"rt: bin (\d+) (\d+)", text)}
    if not done or not head or not ends or not bins:
        raise Problem(f"{name}: no whole measurement (\"rt: bin\" to \"rt: done\")")
    samples = int(head[1])
    if sum(bins.values()) != samples:
        raise Problem(f"{name}: {sum(bins.values())} samples in the bins, not {samples}: "
                      "was a part of the log lost?")
    if int(head[4]):
        raise Problem(f"{name}: {head[4]} interrupts came before their deadline")
    return Latency(name, bins, samples, int(head[2]), int(head[3]),
                   int(ends[1]), int(ends[2]), int(ends[3]))


def table(all_of_them: Iterable[Latency]) -> str:
    """A line each, in ticks."""
    lines = [f"{'ticks':40}{'samples':>9}{'min':>8}{'mean':>8}{'99.999 %':>10}{'max':>8}"
             f"{'max, us':>9}"]
    lines += [f"{one.name:40}{one.samples:9}{one.low:8}{one.mean:8}{one.percentile(0.99999):10}"
              f"{one.high:8}{one.in_us(one.high):>9}" for one in all_of_them]
    return "\n".join(lines)


def columns(one: Latency, start: int, end: int, number: int) -> list[int]:
    """The samples in so many equal columns from `start` to `end`."""
    result = [0] * number
    for at, count in one.bins.items():
        result[min(int((at - start) * number / (end - start)), number - 1)] += count
    return result


def histogram(one: Latency) -> str:
    """As text; a bar's length is the logarithm of its samples, so that one late one is seen."""
    start, end = min(one.bins), max(one.bins) + one.width
    rows = min(ROWS, end - start)
    counts = columns(one, start, end, rows)
    most = max(counts).bit_length()
    lines = [f"{one.name}:"]
    for row, count in enumerate(counts):
        bar = "#" * (count.bit_length() * BAR // most)
        lines.append(f"{start + row * (end - start) // rows:10} {count:9} {bar}".rstrip())
    return "\n".join(lines)


def axis(high: int) -> tuple[int, int]:
    """A round step, and a multiple of it, ten at most, that is above all samples."""
    step = 1
    while 10 * step <= high:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step, (high // step + 1) * step


def draw(measured: list[Latency]) -> str:
    """An SVG: one lane each, all of them with the same axis, heights by the logarithm."""
    step, end = axis(max(one.high for one in measured))
    height = HEAD + len(measured) * LANE + AXIS
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * LEFT}" '
             f'height="{height}" font-family="sans-serif" font-size="13">',
             '<rect width="100%" height="100%" fill="#ffffff"/>',
             f'<text x="{LEFT}" y="22" font-size="15">From the timer\'s deadline to the first '
             'instruction of its handler, in ticks of the TSC; heights are logarithms</text>']
    for lane, one in enumerate(measured):
        top = HEAD + lane * LANE
        floor = top + LANE - 24
        counts = columns(one, 0, end, WIDTH)
        most = max(counts).bit_length()
        for x, count in enumerate(counts):
            if count:
                tall = count.bit_length() * (LANE - 54) / most
                parts.append(f'<rect x="{LEFT + x}" y="{floor - tall:.1f}" width="1" '
                             f'height="{tall:.1f}" fill="#3b6fb5"/>')
        parts.append(f'<path d="M{LEFT} {floor}h{WIDTH}" stroke="#999999"/>')
        parts.append(f'<text x="{LEFT}" y="{top + 18}">{escape(one.name)}: min {one.low}, mean '
                     f'{one.mean}, 99.999 % {one.percentile(0.99999)}, max {one.high} of '
                     f'{one.samples}</text>')
    for at in range(0, end + 1, step):
        x = LEFT + at * WIDTH // end
        parts.append(f'<text x="{x}" y="{height - 6}" text-anchor="middle" fill="#555555">{at}'
                     '</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="the picture")
    parser.add_argument("logs", nargs="+", metavar="[NAME=]LOG")
    args = parser.parse_args()
    measured = []
    try:
        for word in args.logs:
            name, _, path = word.rpartition("=")
            text = Path(path).read_text(encoding="ascii", errors="replace")
            measured.append(parse(name or Path(path).stem, text))
    except (OSError, Problem) as error:
        print(f"latency.py: {error}", file=sys.stderr)
        return 1
    print(table(measured))
    for one in measured:
        print(f"\n{histogram(one)}")
    if args.output:
        args.output.write_text(draw(measured), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
