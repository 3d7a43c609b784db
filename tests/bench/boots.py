# SPDX-License-Identifier: BSD-3-Clause
"""How long the hypervisor takes to start its first VM, per mode, for `make bench`.

From its entry to the first instruction of the first VM that it starts: the pre-launched one where
the mode has one, else the Service VM. Two processors: one instruction of each is one tick, so ticks
are instructions of the one that boots. Timed waits and copies of kernels are left out and shown
beside, as in the row boot_to_first_entry.
"""

from dataclasses import dataclass, replace

import machines
from costs import Symbols
from debugger import PATIENCE, Debugger, stopped_at

from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.machine import MachineSpec

WAITS = ("tsc_calibrate", "udelay", "wait_online")
COPIES = ("memcpy", "memmove")
# Mode -> the kernels, guests of ours by their tags, and the processor of the VM that is waited for
# (None: any).
MODES: dict[str, tuple[dict[str, str], int | None]] = {
    "partitioned": ({"First_kernel": "bench.bzimage", "Second_kernel": "bench.bzimage"}, None),
    "hybrid": ({"Safety_kernel": "kernel32.elf", "Linux_bzImage": "bench.bzimage"}, 1),
    "shared": ({"Linux_bzImage": "bench.bzimage"}, None),
}


@dataclass
class Start:
    """Instructions to the first VM's first, and what is not among them."""

    total: int
    waits: int
    copies: int


def _until(debugger: Debugger, build: machines.Build, cpu: int | None) -> Start:
    """Runs to the VM's first entry, stopping where something to leave out begins and ends."""
    symbols, end = Symbols.of(build.elf), build.vmlaunch()
    names = {symbols.address(name): name for name in (*WAITS, *COPIES)}
    for address in (*names, end):
        debugger.stop_at(address)
    result, start = Start(0, 0, 0), debugger.ticks
    while True:
        which, address = stopped_at(debugger.command("c", PATIENCE))
        if address == end and cpu in (None, which):
            result.total = debugger.ticks - start - result.waits - result.copies
            return result
        if address in names and which == 0:
            before = debugger.ticks
            _leave(debugger)
            if names[address] in WAITS:
                result.waits += debugger.ticks - before
            else:
                result.copies += debugger.ticks - before


def _leave(debugger: Debugger) -> None:
    """Runs to where the function that was just entered returns to."""
    stack = debugger.register("rsp")
    home = debugger.words(stack, 1)[0]
    number = debugger.stop_at(home)
    while stopped_at(debugger.command("c", PATIENCE)) != (0, home):
        pass
    debugger.delete(number)


def measure(build: machines.Build, mode: str) -> Start:
    """Boots a mode's release build."""
    kernels, cpu = MODES[mode]
    build = replace(build, scenario="" if mode == "shared" else mode)
    guests = build.output / "tests" / "guest"
    modules = [Module(guests / name, tag) for tag, name in kernels.items()]
    boot = Boot(build.image, "quirks=off", modules, protocol="multiboot")
    spec = MachineSpec(cdrom=make_cd(build.folder / f"{mode}.iso", boot), model=build.model,
                       cpus=2, ips=machines.IPS)
    with Debugger(spec) as debugger:
        debugger.run_to(Symbols.of(build.elf).address("entry32"))
        return _until(debugger, build, cpu)
