# SPDX-License-Identifier: BSD-3-Clause
# SPDX-License-Identifier: BSD-3-Clause
"""VM exits of a VM that owns its local APICs and works with a 1 kHz timer, for `make bench`.

The guest `smp` with "smp=rt" runs a loop on one processor, then on two; with "loops=long" for more
than 4 billion instructions on each. Meanwhile the hypervisor's shell is asked for vm_stats and the
TSC, again and again, until the counters are no longer what they were soon after the loop began: the
guest prints. The TSC tells what part of the loop was over when they were still the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.bochs import Bochs
from misc.run.machine import MachineSpec
from misc.run.session import Ended, Session

LEAVE = "\0"  # Ctrl-Space
PROMPT = r"^ACRN:\\>"
FAIL = r"halted|exception \d+ error|invariant broken"
ASKED = 4_000_000_000  # instructions without an exit
CPUS = (1, 2)
SECONDS = 1500  # on a machine that has much else to do


@dataclass
class Run:
    """What a loop showed."""

    cpus: int
    instructions: int  # of each processor, from the first to the last look at the same counters
    counted: int  # exits by then: the counters do count
    more: int  # exits at the next look, by the guest's printing if all is well
    timers: list[int]  # interrupts of each timer in the whole loop
    due: int  # those there should have been


def answer(session: Session, command: str) -> str:
    """What the shell says to a command."""
    session.send(f"{command}\r")
    start = session.expect(rf"{re.escape(command)}\n", 60, FAIL).end()
    end = session.expect(PROMPT, 60, FAIL).start()
    return session.text[start:end]


def look(session: Session, vm: int = 0) -> tuple[int, int]:
    """A VM's exits so far, and the TSC thereafter."""
    text = "busy"
    while "busy" in text:
        text = answer(session, f"vm_stats {vm}")
    rows = re.findall(rf"(?m)^ +{vm} +\d +\d+ [A-Za-z/ ]+? +(\d+) ", text)
    tsc = re.search(r": 0x([0-9a-f]+)", answer(session, "rdmsr -p 0 10"))
    if not rows or not tsc:
        raise Ended("the shell tells no exits or no TSC")
    return sum(map(int, rows)), int(tsc[1], 16)


def one_run(session: Session, cpus: int, pause: float, vm: int = 0) -> Run:
    """A loop on so many processors, with a look at the counters every so many seconds."""
    session.expect(f"^rt: runs on {cpus}$", 60, FAIL)
    session.send(LEAVE)
    session.expect("Entering ACRN Shell", 30, FAIL)
    session.expect(PROMPT, 30, FAIL)
    counted, start = exits, now = look(session, vm)
    while exits == counted:
        end = now
        session.pump(pause)
        exits, now = look(session, vm)
    session.send("vm_console 0\r")
    found = session.expect(rf"^rt: ran on {cpus}: (\d+) instructions, (\d+) ticks, (\d+) ms, "
                           r"interrupts((?: \d+)+)\n", SECONDS, FAIL)
    instructions, ticks, due = map(int, found.groups()[:3])
    return Run(cpus, (end - start) * instructions // ticks, counted, exits - counted,
               [int(number) for number in found[4].split()], due)


def measure(output: Path, folder: Path) -> list[Run]:
    """Boots the scenario hybrid_rt, a debug build: a release has no shell."""
    guest = output / "tests/guest/smp.bzimage"
    modules = [Module(guest, "RT_kernel smp=rt loops=long"), Module(guest, "Linux_bzImage")]
    boot = Boot(output / "scenario/hybrid_rt/hypervisor/acrn.bin", "", modules)
    with Session(Bochs(), MachineSpec(cdrom=make_cd(folder / "owned.iso", boot), cpus=3)) as session:
        return [one_run(session, cpus, 1.0) for cpus in CPUS]
