#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make bench: what VM exits cost, in instructions, counted in Bochs.

  bench.py [-O build]

Boots the bench guest twice, on the bare machine and as the Service VM of the
release build in O/release, prints a table, and writes O/bench.json. A figure is
the guest's TSC delta less that of the empty loop and of the same operation's
instructions; exits and entries themselves cost nothing in Bochs.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.bochs import DEFAULT_MODEL, Bochs
from misc.run.image import KERNEL_TAG
from misc.run.machine import TOP, MachineSpec
from misc.run.session import Ended, Session

# What each operation may cost: the minimum; see the goals in doc/.
TARGETS = {"cpuid": 100, "vmcall": 110, "pio_hv": 180, "pci_cfg_hv": 250, "rdmsr": 150,
           "wrmsr": 150, "tsc_deadline": 300, "x2apic_eoi": 250, "self_ipi": 60,
           "icr_self_ipi": 350, "hlt_wake": 6000, "mmio_hv": 600}
# The guest prints nothing while it measures, so `ips` changes only its timer waits.
IPS = 20_000_000

Figures = dict[str, tuple[int, int]]


def measure(boot: Boot, folder: Path, model: str) -> Figures:
    """Minimum and median of each operation, as the guest printed them."""
    spec = MachineSpec(cdrom=make_cd(folder / "bench.iso", boot), model=model, ips=IPS)
    with Session(Bochs(), spec) as session:
        session.expect("^bench done", 180, r"halted|exception \d+ error")
        lines = re.findall(r"^bench (\w+) (\d+) (\d+)$", session.text, re.MULTILINE)
    figures = {name: (int(low), int(median)) for name, low, median in lines}
    empty = figures.pop("empty")
    return {name: (low - empty[0], median - empty[1])
            for name, (low, median) in figures.items()}


def costs(bare: Figures, ours: Figures) -> dict[str, dict[str, int]]:
    """What the hypervisor adds; an operation the bare machine has not is counted whole."""
    table = {}
    for name, (low, median) in ours.items():
        if name == "hlt_wake":  # the wait itself belongs to the figure
            table[name] = {"min": low, "median": median}
            continue
        base = bare.get(name, (0, 0))
        # One of the instructions is the operation, which the hypervisor executes.
        table[name] = {"min": low - base[0] + 1, "median": median - base[1] + 1}
    return table


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="Bochs CPU model")
    args = parser.parse_args()
    guest = args.output / "tests" / "guest" / "bench.bzimage"
    hypervisor = args.output / "release" / "hypervisor" / "acrn.bin"
    try:
        with tempfile.TemporaryDirectory(prefix="acrn-bench.") as folder:
            bare = measure(Boot(guest, protocol="linux"), Path(folder), args.model)
            # What Bochs gets wrong for Linux with this (doc/CAVEATS.md) does not concern one CPU
            # that measures.
            boot = Boot(hypervisor, "quirks=off", [Module(guest, KERNEL_TAG)])
            ours = measure(boot, Path(folder), args.model)
    except (Ended, OSError, KeyError) as error:
        print(f"bench: FAILED: {error}", file=sys.stderr)
        return 1
    table = costs(bare, ours)
    print(f"instructions per operation, {args.model}, 1 CPU, ips={IPS}, release build")
    print(f"{'operation':16}{'minimum':>9}{'median':>9}{'target':>9}")
    for name, row in table.items():
        print(f"{name:16}{row['min']:9}{row['median']:9}{TARGETS.get(name, 0):9}")
    (args.output / "bench.json").write_text(json.dumps(table, indent=1) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
