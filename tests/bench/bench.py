#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make bench: what VM exits, device accesses and boots cost, in instructions, counted in Bochs.

  bench.py [-O build]               measures everything, prints tables, writes O/bench.json
  bench.py [-O build] --profile OP  where the instructions of one row go, by function

Minimum and median of an operation are the guest's TSC deltas, less the empty loop and, where the
bare machine has the operation as well, less what it takes there. Exits are counted, and shares of
hypervisor, Linux and acrn-dm told apart, in a trace that Bochs's debugger takes of some rounds:
the hypervisor knows nothing of it. VM exits and entries themselves cost nothing in Bochs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
import boots
import machines
import owned
from machines import IPS, Build, Figures, Phase, Traced, UserVms
from costs import DEVICE_MODEL, HYPERVISOR, LINUX, cost_of

from misc.run.bochs import DEFAULT_MODEL
from misc.run.machine import TOP
from misc.run.session import Ended

# Figures of others, of the same operations counted in the same way: a physical floor with a handler
# in C, Jailhouse's exit path, ACRN 3.3 (release, but the device model's: debug), KVM of Linux 6.1
# (mitigations off), Xen 4.17 HVM; then what this project aims at.
# Rows without virtual-interrupt delivery.
NO_VID = {"x2apic_eoi": "x2apic_eoi_no_vid", "icr_self_ipi": "icr_self_ipi_no_vid"}
HEAD = ("floor", "Jailh.", "ACRN", "KVM", "Xen", "target")
PEERS: dict[str, tuple[int | None, int | None, int | None, int | None, int | None, int | None]] = {
    "cpuid": (60, 110, 879, 843, 816, 100),
    "vmcall": (52, 141, 839, 893, 772, 110),
    "pio_hv": (57, 155, 820, 1101, 1192, 180),
    "pci_cfg_hv": (None, None, 830, None, None, 250),
    "rdmsr": (None, None, 657, 962, 695, 150),
    "wrmsr": (None, None, None, 1310, 873, 150),
    "tsc_deadline": (None, None, 693, 1510, None, 300),
    "x2apic_eoi": (1, None, 786, None, None, 1),
    "self_ipi": (3, None, None, None, None, 60),
    "icr_self_ipi": (None, None, 2267, 3652, None, 350),
    NO_VID["x2apic_eoi"]: (1, None, 786, None, None, 250),
    NO_VID["icr_self_ipi"]: (None, None, 2267, 3652, None, 700),  # and its EOI
    "hlt_wake": (5000, None, 8405, None, None, 6000),
    "mmio_hv": (None, None, 2679, None, 6609, 600),
    "pio_dm": (None, None, 11831, 2384, 10657, 8000),
    "pio_dm_hv": (None, None, None, None, None, 1200),
    "pio_dm_dm": (None, None, None, None, None, 800),
    "pci_cfg_dm": (None, None, 21311, None, None, None),  # target: pio_dm + 300
    "mmio_dm": (None, None, None, 4446, 17960, 10000),
    "doorbell": (None, None, None, 10901, None, 12000),
    "boot_to_first_entry": (None, None, 6600000, None, 33200000, 1000000),
    "boot_partitioned": (None, None, None, None, None, 1000000),
    "boot_hybrid": (None, None, None, None, None, 1000000),
    "boot_shared": (None, None, None, None, None, 1000000),
    "dm_start_to_entry": (None, None, 150000000, None, None, 12000000),
    "user_vm_to_init": (None, None, 348000000, None, None, None),  # target: bare_to_init + 10 %
    "bare_to_init": (None, None, None, None, None, None),
    "owned_lapic_exits": (0, 0, None, None, None, 0),
}

BOOTS = {mode: f"boot_{mode}" for mode in boots.MODES}

Rows = dict[str, dict[str, int]]


def row(low: int, median: int, exits: int) -> dict[str, int]:
    """A row of bench.json."""
    return {"min": low, "median": median, "exits": exits}


def service_rows(bare: Figures, ours: Figures, traces: dict[str, Traced]) -> Rows:
    """What the hypervisor adds; an operation the bare machine has not is counted whole."""
    table = {}
    for name, (low, median) in ours.items():
        # One of the instructions is the operation, which the hypervisor executes. The wait itself
        # belongs to the figure of a wait.
        base = bare[name] if name in bare and name != "hlt_wake" else (1, 1)
        table[name] = row(low - base[0] + 1, median - base[1] + 1, traces[name].exits)
    return table


def user_rows(found: UserVms) -> Rows:
    """Accesses that the device model serves."""
    traces, table = found.traces[0], {}
    for name in ("pio_dm", "pci_cfg_dm", "mmio_dm", "doorbell"):
        table[name] = row(*found.figures[name], traces[name].exits)
    for name, layer in (("pio_dm_hv", HYPERVISOR), ("pio_dm_dm", DEVICE_MODEL)):
        trace = traces["pio_dm"]
        table[name] = row(trace.least(layer), trace.median(layer), trace.exits)
    return table


def once(phase: Phase, apart: int = 0) -> dict[str, int]:
    """The row of something that happens once."""
    return row(phase.total - apart, phase.total - apart, phase.exits)


def owned_row(runs: list[owned.Run]) -> dict[str, int]:
    """Exits where there should be none."""
    exits = sum(run.more for run in runs if run.instructions < owned.ASKED)
    return row(exits, exits, exits)


def print_table(rows: Rows, model: str) -> None:
    """Ours beside the others'."""
    print(f"instructions per operation, {model}, 1 CPU, ips={IPS}, release build")
    print(f"{'operation':20}{'minimum':>10}{'median':>10}{'exits':>8} |"
          + "".join(f"{head:>10}" for head in HEAD))
    for name in PEERS:
        if name not in rows:
            continue
        target = PEERS[name][-1]
        if name == "pci_cfg_dm":
            target = rows["pio_dm"]["median"] + 300
        elif name == "user_vm_to_init":
            target = rows["bare_to_init"]["median"] * 11 // 10
        others = [*PEERS[name][:-1], target]
        ours = rows[name]
        missed = " missed" if target is not None and ours["min"] > target else ""
        print(f"{name:20}{ours['min']:10}{ours['median']:10}{ours['exits']:8} |"
              + "".join(f"{'' if other is None else other:>10}" for other in others) + missed)


def print_scaling(user: UserVms, by_cpus: dict[int, dict[str, Traced]]) -> None:
    """The hypervisor's instructions for an exit of one vCPU, whatever else there is."""
    print("\nthe same exit with more User VMs that share the CPU, and with more vCPUs (1 a CPU)")
    print(f"{'operation':20}" + "".join(f"{f'{n} VMs':>10}" for n in machines.VM_COUNTS)
          + "".join(f"{f'{n} vCPUs':>10}" for n in by_cpus))
    for name in ("cpuid", "pio_hv"):
        cells = [one[f"user_{name}"].median(HYPERVISOR) for one in user.traces]
        cells += [one[name].median(HYPERVISOR) for one in by_cpus.values()]
        print(f"{name:20}" + "".join(f"{cell:10}" for cell in cells))
    cells = [one["pio_dm"].median(HYPERVISOR) for one in user.traces]
    print(f"{'pio_dm_hv':20}" + "".join(f"{cell:10}" for cell in cells))


def print_apart(boot: Phase, user: UserVms) -> None:
    """What the rows of boots leave out, or consist of."""
    waits, copying = boot.apart("tsc_calibrate|udelay|wait_online"), boot.apart("memcpy|memmove")
    clearing, idle = user.dm_start.apart("clear_page"), user.dm_start.apart(machines.HALTED)
    copies = user.dm_start.apart("copy_user")
    print(f"\nboot_to_first_entry: besides, {waits} in timed waits (TSC calibration) "
          f"and {copying} copying the kernel")
    print(f"dm_start_to_entry: besides, {clearing} clearing memory; of the rest {idle} waiting, "
          f"{copies} copying the kernel (a tick a byte)")
    trace = user.traces[0]["pio_dm"]
    print(f"pio_dm: {trace.median(HYPERVISOR)} hypervisor, {trace.median(LINUX)} Linux, "
          f"{trace.median(DEVICE_MODEL)} acrn-dm")


def print_owned(runs: list[owned.Run]) -> None:
    """How far the VM that owns its local APICs came without an exit."""
    for run in runs:
        timers = ", ".join(map(str, run.timers))
        print(f"owned_lapic_exits: none in {run.instructions} instructions of each of {run.cpus} "
              f"processors, interrupts of their 1 kHz timers in the whole loop: {timers}")


def measure_all(build: Build, exits: Future[list[owned.Run]]) -> Rows:
    """Boots everything, prints the tables."""
    bare = machines.bare(build)
    ours, traces, boot = machines.service_vm(build)
    rows = service_rows(bare, ours, traces)
    waits_and_copies = boot.apart("tsc_calibrate|udelay|wait_online|memcpy|memmove")
    rows["boot_to_first_entry"] = once(boot, waits_and_copies)
    plain, traced, _ = machines.service_vm(build, words="")
    plain_rows = service_rows(bare, plain, traced)
    rows |= {row_name: plain_rows[name] for name, row_name in NO_VID.items()}
    by_cpus = {1: traces} | {n: machines.service_vm(build, n, 2)[1] for n in (4, 8)}
    starts = {mode: boots.measure(build, mode) for mode in boots.MODES}
    rows |= {BOOTS[mode]: row(one.total, one.total, 0) for mode, one in starts.items()}
    user = machines.user_vms(build)
    rows |= user_rows(user)
    rows["dm_start_to_entry"] = once(user.dm_start, user.dm_start.apart("clear_page"))
    rows["user_vm_to_init"] = once(user.to_init)
    rows["bare_to_init"] = once(machines.bare_linux(build))
    rows["owned_lapic_exits"] = owned_row(exits.result())
    print_table(rows, build.model)
    print_scaling(user, by_cpus)
    print_apart(boot, user)
    for mode, one in starts.items():
        print(f"{BOOTS[mode]}: besides, {one.waits} in timed waits and {one.copies} copying kernels")
    print_owned(exits.result())
    return rows


def print_phase(phase: Phase, step: int) -> None:
    """Functions of something that happens once."""
    print(f"{phase.total} instructions, {phase.exits} VM exits; sampled every {step}")
    for name, count in phase.functions.most_common(60):
        print(f"{count:12}  {name}")


def profile(build: Build, name: str) -> None:
    """Prints one row by function, and keeps the trace of one round."""
    if name == "boot_to_first_entry":
        print_phase(machines.service_vm(build, 1, 0)[2], machines.SAMPLE)
        return
    if name in ("dm_start_to_entry", "user_vm_to_init"):
        print_phase(machines.user_phase(build, name), machines.LONG_SAMPLE)
        return
    if name == "bare_to_init":
        print_phase(machines.bare_linux(build, machines.LONG_SAMPLE), machines.LONG_SAMPLE)
        return
    if name in machines.SERVICE_OPS:
        one = machines.service_vm(build, 1, machines.SERVICE_OPS.index(name) + 1)[1][name]
    else:
        name = "pio_dm" if name in ("pio_dm_hv", "pio_dm_dm") else name
        one = machines.user_op(build, name)
    layers = build.layers()
    print(f"{name}: one round, the median\n{cost_of(one.trace, layers).table()}")
    path = build.output / "profile" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{layers.find(i)[1]:32} {i.address:16x}  {i.text}\n"
                            for i in one.trace), encoding="ascii")
    print(f"instruction by instruction: {path}")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="Bochs CPU model")
    profiled = PEERS.keys() - BOOTS.values() - set(NO_VID.values())
    parser.add_argument("--profile", metavar="OP", choices=sorted(profiled),
                        help="a row of the table")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="acrn-bench.") as folder:
            build = Build(args.output, Path(folder), args.model)
            if args.profile:
                profile(build, args.profile)
                return 0
            with ThreadPoolExecutor(1) as beside:  # minutes of little but a loop
                rows = measure_all(build, beside.submit(owned.measure, build.output, build.folder))
    except (Ended, OSError, KeyError, ValueError, subprocess.CalledProcessError,
            statistics.StatisticsError) as error:
        print(f"bench: FAILED: {error}", file=sys.stderr)
        return 1
    (args.output / "bench.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
