#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make bench-rt: how late a timer's interrupt reaches a guest, in Bochs.

The guest `latency` on the bare machine, in a VM with virtual local APICs, and in one that owns
them; alone and with another VM on another CPU. Debug builds, since a VM that starts with the machine
has no console in a release; they count their exits and what those cost, too. With one CPU a tick is
an instruction; with several CPUs Bochs lets each do a stretch of up to some tens of instructions, and
time passes by their mean: such figures are coarse, and compare only with each other.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from misc.guest.mkimage import Boot, Module, make_cd  # noqa: E402
from misc.latency.latency import Latency, Problem, draw, histogram, parse, table  # noqa: E402
from misc.run.bochs import Bochs  # noqa: E402
from misc.run.machine import MachineSpec  # noqa: E402
from misc.run.session import Ended, Session  # noqa: E402

BROKEN = r"halted|exception \d+ error|rt: needs"


@dataclass
class Setup:
    """Where the guest runs."""

    name: str
    scenario: str  # empty on the bare machine
    cpus: int = 1
    other: str = ""  # what the VM on another CPU does


SETUPS = (
    Setup("bare machine", ""),
    Setup("virtual LAPIC, alone", "partitioned"),
    Setup("virtual LAPIC, beside a VM that spins", "partitioned", 2, "spin"),
    Setup("virtual LAPIC, beside a VM that exits", "partitioned", 2, "load"),
    Setup("own LAPIC, alone", "hybrid_rt", 3, "rest"),
    Setup("own LAPIC, beside a VM that spins", "hybrid_rt", 3, "spin"),
    Setup("own LAPIC, beside a VM that exits", "hybrid_rt", 3, "load"),
)
PERIOD = 10000  # ticks from one deadline to the next, more than an interrupt is ever late
KERNELS = {"partitioned": ("First_kernel", "Second_kernel"), "hybrid_rt": ("RT_kernel", "Linux_bzImage")}


def measure(output: Path, folder: Path, setup: Setup, samples: int) -> Latency:
    """One boot."""
    guest = output / "tests/guest/latency.bzimage"
    words = f"samples={samples} period={PERIOD}"
    if setup.scenario:
        image = output / "scenario" / setup.scenario / "hypervisor" / "acrn.bin"
        measured, other = KERNELS[setup.scenario]
        modules = [Module(guest, f"{measured} {words}")]
        if setup.other:
            modules.append(Module(guest, f"{other} {setup.other}"))
        boot = Boot(image, "", modules)
    else:
        boot = Boot(guest, words, protocol="linux")
    spec = MachineSpec(cdrom=make_cd(folder / "rt.iso", boot), cpus=setup.cpus)
    with Session(Bochs(), spec) as session:
        session.expect("^rt: done", 900, BROKEN)
        return parse(setup.name, session.text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-O", "--output", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=100000)
    args = parser.parse_args()
    measured = []
    try:
        for setup in SETUPS:
            with tempfile.TemporaryDirectory() as folder:
                measured.append(measure(args.output, Path(folder), setup, args.samples))
            print(histogram(measured[-1]), end="\n\n", flush=True)
    except (Ended, Problem) as error:
        print(f"bench-rt: {error}", file=sys.stderr)
        return 1
    print(table(measured))
    picture = args.output / "bench-rt.svg"
    picture.write_text(draw(measured), encoding="ascii")
    print(f"picture: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
