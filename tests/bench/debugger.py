# SPDX-License-Identifier: BSD-3-Clause
"""Bochs's debugger, driven by its prompt: breakpoints, ticks, and traces of instructions.

A guest stops the machine by XCHG BX,BX (a "magic break"). One instruction is one tick, so where
the machine stops says how many it has executed.
"""

import os
import pty
import re
import select
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass

from misc.run.bochs import Bochs
from misc.run.machine import MachineSpec
from misc.run.session import Ended, Session

PATIENCE = 400  # seconds for a stop, some times what any takes: a Linux may hang and is booted again
PROMPT = re.compile(rb"<bochs:\d+> $")
ESCAPE = re.compile(rb"\x1b\[\?2004[hl]\r?")
STOPPED = re.compile(r"Next at t=(\d+)")
INSTRUCTION = re.compile(r"\((\d+)\)\S* .*?([0-9a-f]{4}):([0-9a-f]{4,16}) \(.*?\): (.*?) *; [0-9a-f]+$")


@dataclass(frozen=True)
class Instruction:
    """An executed instruction: its code segment, address and text."""

    segment: int
    address: int
    text: str


def stopped_at(lines: list[str]) -> tuple[int, int]:
    """The processor that stopped, and its address, in what a command printed."""
    for line in reversed(lines):
        found = INSTRUCTION.match(line)
        if found:
            return int(found[1]), int(found[3], 16)
    raise Ended("Bochs's debugger does not say where it stopped")


class Debugger:
    """A machine whose debugger does what is asked; a context manager."""

    def __init__(self, spec: MachineSpec) -> None:
        spec.debugger = True
        self._terminal, inner = pty.openpty()
        modes = termios.tcgetattr(inner)
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(inner, termios.TCSANOW, modes)
        try:
            self.session = Session(Bochs(), spec, terminal=inner)
        finally:
            os.close(inner)
        self.ticks = 0
        self._breakpoints = 0
        self._runs = False  # has been told to continue, and has not stopped since
        for _ in self._lines(60):
            pass

    def __enter__(self) -> "Debugger":
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        os.close(self._terminal)

    def _lines(self, seconds: float) -> Iterator[str]:
        """What the debugger prints until its next prompt."""
        deadline, rest = time.monotonic() + seconds, b""
        while not PROMPT.search(rest):
            watched = [self._terminal, self.session.serial]
            ready, _, _ = select.select(watched, [], [], 1.0)
            if self.session.serial in ready and not self.session.pump(0):
                raise Ended(f"the machine ended. {self.session.machine_says()}")
            if time.monotonic() > deadline:
                raise Ended(f"no stop within {seconds:.0f} s\n{self.session.text[-1000:]}")
            if self._terminal in ready:
                *whole, rest = ESCAPE.sub(b"", rest + os.read(self._terminal, 65536)).split(b"\n")
                yield from (line.rstrip(b"\r").decode("ascii", "replace") for line in whole)

    def _execute(self, command: str, seconds: float) -> Iterator[str]:
        if not (command == "c" and self._runs):
            os.write(self._terminal, f"{command}\n".encode())
        self._runs = False
        for line in self._lines(seconds):
            stop = STOPPED.match(line)
            if stop:
                self.ticks = int(stop[1])
            yield line

    def command(self, command: str, seconds: float = 120) -> list[str]:
        """Gives a command; what it prints."""
        return list(self._execute(command, seconds))

    def stop_at(self, address: int) -> int:
        """Sets a breakpoint at a physical address; its number."""
        self.command(f"pb 0x{address:x}")
        self._breakpoints += 1
        return self._breakpoints

    def delete(self, breakpoint_number: int) -> None:
        """Takes a breakpoint away."""
        self.command(f"d {breakpoint_number}")

    def run_to(self, address: int, seconds: float = PATIENCE) -> int:
        """Continues until a physical address is executed, or a breakpoint; the ticks until then."""
        number = self.stop_at(address)
        self.run(seconds)
        self.delete(number)
        return self.ticks

    def run(self, seconds: float = PATIENCE) -> int:
        """Continues until a breakpoint; the ticks until then."""
        self.command("c", seconds)
        return self.ticks

    def continue_to(self, pattern: str, fail: str, seconds: float = PATIENCE) -> None:
        """Continues until the console shows a line; the machine runs on then."""
        os.write(self._terminal, b"c\n")
        self._runs = True
        self.session.expect(pattern, seconds, fail)

    def trace(self, seconds: float = PATIENCE) -> Iterator[Instruction]:
        """Continues until a breakpoint, with every instruction of the first CPU until then."""
        self.command("trace on")
        for line in self._execute("c", seconds):
            found = INSTRUCTION.match(line)
            if found:
                yield Instruction(int(found[2], 16), int(found[3], 16), found[4])
        self.command("trace off")

    def register(self, name: str) -> int:
        """A register of the first CPU."""
        found = re.search(rf"\b{name}: ([0-9a-f_]+)", "\n".join(self.command("r")))
        if not found:
            raise Ended(f"Bochs's debugger shows no register {name}")
        return int(found[1].replace("_", ""), 16)

    def words(self, address: int, count: int) -> list[int]:
        """64-bit words of physical memory."""
        halves = [int(word, 16) for line in self.command(f"xp /{2 * count}wx 0x{address:x}")
                  for word in re.findall(r"\t0x([0-9a-f]{8})\b", line)]
        return [low | high << 32 for low, high in zip(halves[::2], halves[1::2])]

    def sample(self, step: int, seconds: float = PATIENCE) -> Iterator[tuple[int, Instruction]]:
        """Runs to a breakpoint: every instruction number `step`, and how long the machine halted.

        The halt is in ticks since the sample before.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = self.ticks
            lines = self.command(f"s {step}")
            if any("reakpoint" in line for line in lines):
                return
            for found in filter(None, map(INSTRUCTION.match, lines)):
                yield (self.ticks - before - step,
                       Instruction(int(found[2], 16), int(found[3], 16), found[4]))
        raise Ended(f"no stop within {seconds:.0f} s")
