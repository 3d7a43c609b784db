# SPDX-License-Identifier: BSD-3-Clause
"""The boots that `make bench` measures in, all of them in Bochs and with a release build."""

import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from debugger import Debugger, Instruction
from costs import PROGRAM_BASE, Cost, Layers, Symbols, cost_of, rounds

from misc.guest import mkinitramfs
from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.bochs import Bochs
from misc.run.image import KERNEL_TAG, ServiceVm, build_kernel, make_cdrom, make_disk
from misc.run.machine import TOP, MachineSpec
from misc.run.session import Ended, Session

# The guests print nothing while they measure, so `ips` changes only waits for timers.
IPS = 20_000_000
# What a guest of the device model has said comes by the kernel's log: it is printed without
# interrupts of the serial port, which Bochs can deliver where Linux cannot have them (CAVEATS.md).
SAY = """\
until grep -q 'bench done' /run/said; do
	sleep 2
done
while read -r line; do
	echo "<1>${line%?}" >/dev/kmsg # without the CR
done </run/said
"""
BROKEN = r"halted|exception \d+ error|bench needs|Kernel panic"
KERNEL_START = 0x1000000  # where loaders put the kernel, and jump to
SAMPLE = 61  # ticks between samples of the hypervisor's boot
LONG_SAMPLE = 4096  # and of longer things: clearing or copying a page takes one, always
EXIT_REASONS = 70
STOP_SECONDS = 180  # for a guest to come to its next operation

SERVICE_OPS = ("cpuid", "pio_hv", "pci_cfg_hv", "rdmsr", "wrmsr", "tsc_deadline", "x2apic_eoi",
               "mmio_hv", "self_ipi", "icr_self_ipi", "hlt_wake", "vmcall")
USER_OPS = ("pio_dm", "pci_cfg_dm", "mmio_dm", "doorbell", "user_cpuid", "user_pio_hv")
VM_COUNTS = (1, 4, 8)  # User VMs

DM = "acrn-dm -s 0,hostbridge -s 1,lpc -l com1,stdio"
LAUNCH_LINUX = f"""\
cat /data/bzImage /data/user.cpio >/dev/null # so that nobody waits for the disk later
mark /bin/{DM} -m 128M -s 3,virtio-blk,/data/user.img -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet" linux </dev/null >/run/linux
"""


def launch_bench(vms: int) -> str:
    """The bench guest, with so many VMs less one that only halt."""
    lines = [f"{DM} -m 32M -k /data/dmbench -B idle idle{n} </dev/null >/run/idle{n} 2>&1 &"
             for n in range(1, vms)]
    lines += [f"until grep -q 'bench idle' /run/idle{n}; do sleep 0.1; done"
              for n in range(1, vms)]
    lines.append(f"{DM} -m 32M -s 2,virtio-rnd --debugexit -k /data/dmbench bench </dev/null "
                 ">/run/said &")
    lines.append(SAY)
    return "\n".join(lines)


HALTED = "nobody: halted"  # time that passes while the machine waits
REGISTERS = 16 * 8  # bytes at the beginning of struct vcpu, which entry.S fills
Figures = dict[str, tuple[int, int]]
Measured = TypeVar("Measured")


@dataclass
class Build:
    """What is measured: a release build, and a folder for images."""

    output: Path  # of the build
    folder: Path
    model: str
    scenario: str = ""  # of the hypervisor; the default one's has no folder of its own
    again: bool = False  # a second boot, without virtual-interrupt delivery

    @property
    def release(self) -> Path:
        """The folder of the release build."""
        return self.output / "release"

    @property
    def elf(self) -> Path:
        """The hypervisor with its symbols."""
        return self.release / self.scenario / "hypervisor" / "acrn.elf"

    @property
    def image(self) -> Path:
        """The hypervisor as the debugger needs it: loaded where it is linked."""
        return self.release / self.scenario / "hypervisor" / "acrn.32.out"

    @property
    def acrn_dm(self) -> Path:
        """The device model."""
        return self.release / "devicemodel" / "acrn-dm"

    def guest(self, name: str) -> Path:
        """A guest of ours."""
        return self.output / "tests" / "guest" / f"{name}.bzimage"

    def script(self, name: str, text: str) -> Path:
        """An executable shell script."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}", encoding="ascii")
        path.chmod(0o755)
        return path

    def mark(self) -> Path:
        """The program that stops the debugger, compiled."""
        program = self.folder / "mark"
        subprocess.run(["gcc", "-O2", "-static", "-nostdlib", "-s", "-o", str(program),
                        str(TOP / "tests/bench/mark.c")], check=True)
        return program

    def layers(self) -> Layers:
        """Symbols of all that runs."""
        system_map = build_kernel() / "System.map"
        return Layers(Symbols.of(self.elf), Symbols.of(self.acrn_dm, PROGRAM_BASE),
                      Symbols(system_map.read_text(encoding="ascii").splitlines()))

    def vmlaunch(self) -> int:
        """Where the hypervisor enters a guest for the first time."""
        text = subprocess.run(["objdump", "-d", "--disassemble=vmx_enter", str(self.elf)],
                              capture_output=True, text=True, check=True).stdout
        found = re.search(r"^\s*([0-9a-f]+):.*\bvmlaunch", text, re.MULTILINE)
        if not found:
            raise KeyError("vmlaunch")
        return int(found[1], 16)

    def exits_offset(self) -> int:
        """Where a vCPU's exits are counted in struct vcpu."""
        text = subprocess.run(["objdump", "--dwarf=info", str(self.elf)], capture_output=True,
                              text=True, check=True).stdout
        found = re.search(r"DW_AT_name +:[^\n]*: exits\n(?:.*\n){1,6}?.*"
                          r"DW_AT_data_member_location: (\d+)", text)
        if not found:
            raise KeyError("struct vcpu.exits")
        return int(found[1])


def figures(text: str) -> Figures:
    """Minimum and median of each operation, as a guest printed them."""
    lines = re.findall(r"^(?:\[[\d. ]+\] )?bench (\w+) (\d+) (\d+)$", text, re.MULTILINE)
    found = {name: (int(low), int(median)) for name, low, median in lines}
    empty = found.pop("empty")
    return {name: (low - empty[0], median - empty[1]) for name, (low, median) in found.items()}


def bare(build: Build) -> Figures:
    """The operations' own instructions: the guest on the bare machine."""
    boot = Boot(build.guest("bench"), protocol="linux")
    spec = MachineSpec(cdrom=make_cd(build.folder / "bench.iso", boot), model=build.model, ips=IPS)
    with Session(Bochs(), spec) as session:
        session.expect("^bench done", 180, BROKEN)
        return figures(session.text)


@dataclass
class Traced:
    """The traced rounds of an operation."""

    costs: list[Cost]
    trace: list[Instruction]  # the round whose cost is the median

    def median(self, layer: str) -> int:
        """Instructions of a layer."""
        return round(statistics.median(cost.layer(layer) for cost in self.costs))

    def least(self, layer: str) -> int:
        """The same, the fewest."""
        return min(cost.layer(layer) for cost in self.costs)

    @property
    def exits(self) -> int:
        """VM exits of one operation."""
        return round(statistics.median(cost.exits for cost in self.costs))


def traced(debugger: Debugger, layers: Layers) -> Traced:
    """From one stop of the guest to the next."""
    debugger.run(STOP_SECONDS)
    all_rounds = rounds(debugger.trace())
    costs = [cost_of(one, layers) for one in all_rounds]
    middle = sorted(range(len(costs)), key=lambda n: costs[n].total)[len(costs) // 2]
    return Traced(costs, all_rounds[middle])


@dataclass
class Phase:
    """Something that happens once: its instructions, sampled by function, and its VM exits."""

    total: int
    functions: Counter[str]
    exits: int = 0

    def apart(self, pattern: str) -> int:
        """Instructions of functions whose name matches."""
        return sum(n for name, n in self.functions.items() if re.search(pattern, name))


def sampled(debugger: Debugger, layers: Layers, end: int, step: int) -> Phase:
    """Runs until `end`, a physical address, is executed."""
    start, functions = debugger.ticks, Counter[str]()
    number = debugger.stop_at(end)
    for halted, i in debugger.sample(step):
        layer, name, _ = layers.find(i)
        functions[f"{layer}: {name}"] += step
        functions[HALTED] += halted
        if i.address == end:
            break  # Bochs does not stop where it has just been stopped
    debugger.delete(number)
    return Phase(debugger.ticks - start, functions)


class Exits:
    """The hypervisor's own count of a vCPU's exits, read from its memory."""

    def __init__(self, debugger: Debugger, build: Build) -> None:
        self._debugger = debugger
        self._offset = build.exits_offset()
        self._entry = build.layers().hypervisor.address("vmx_exit_entry")

    def of(self, vcpu: int) -> int:
        """So far."""
        return sum(self._debugger.words(vcpu + self._offset, EXIT_REASONS))

    def running_vcpu(self) -> int:
        """The vCPU that runs: at its next exit RSP is the end of its registers."""
        self._debugger.run_to(self._entry)
        return self._debugger.register("rsp") - REGISTERS


@dataclass
class UserVms:
    """What the boot with User VMs shows."""

    figures: Figures
    traces: list[dict[str, Traced]]  # for each of VM_COUNTS
    dm_start: Phase
    to_init: Phase


def service_vm(build: Build, cpus: int = 1, ops: int = len(SERVICE_OPS),
               words: str = "quirks=off") -> tuple[Figures, dict[str, Traced], Phase]:
    """The bench guest as the Service VM: figures, traces, and the hypervisor's boot.

    `words` are the hypervisor's; with none it delivers virtual interrupts itself in Bochs.
    """
    modules = [Module(build.guest("bench"), KERNEL_TAG)]
    boot = Boot(build.image, words, modules, protocol="multiboot")
    spec = MachineSpec(cdrom=make_cd(build.folder / "service.iso", boot), model=build.model,
                       cpus=cpus, ips=IPS)
    layers = build.layers()
    with Debugger(spec) as debugger:
        phase = Phase(0, Counter())
        if cpus == 1:  # the debugger samples one CPU
            debugger.run_to(layers.hypervisor.address("entry32"))
            phase = sampled(debugger, layers, build.vmlaunch(), SAMPLE)
        traces = {name: traced(debugger, layers) for name in SERVICE_OPS[:ops]}
        if ops < len(SERVICE_OPS):
            return {}, traces, phase
        debugger.continue_to("^bench done", BROKEN)
        return figures(debugger.session.text), traces, phase


def user_linux(build: Build, debugger: Debugger, layers: Layers, step_to_init: int = 0) -> UserVms:
    """From the start of acrn-dm to the init of its VM, a Linux."""
    debugger.run()  # mark, before acrn-dm
    start = debugger.ticks
    exits = Exits(debugger, build)
    service = exits.running_vcpu()
    before = exits.of(service)
    dm_start = sampled(debugger, layers, build.vmlaunch(), LONG_SAMPLE)
    dm_start.total = debugger.ticks - start
    dm_start.exits = exits.of(service) - before
    user, start = debugger.register("rsp") - REGISTERS, debugger.ticks
    if step_to_init:
        to_init = sampled(debugger, layers, 0, step_to_init)
    else:
        debugger.run()  # mark, as init
        to_init = Phase(debugger.ticks - start, Counter())
    to_init.exits = exits.of(user)
    return UserVms({}, [], dm_start, to_init)


def tried_again(build: Build, boot: Callable[[Build], Measured]) -> Measured:
    """What a boot of Linux measures; a second boot, without what hangs Linux, if the first hangs.

    That is Bochs's virtual-interrupt delivery, see CAVEATS.md.
    """
    try:
        return boot(build)
    except Ended as error:
        print(f"bench: boots once more: {error}\nbench: without virtual-interrupt delivery, so that "
              "what is measured there costs more", file=sys.stderr)
        return boot(replace(build, again=True))


def one_user_vm(build: Build, layers: Layers) -> UserVms:
    """A Linux User VM to its init, then the bench guest."""
    with Debugger(service_linux(build, LAUNCH_LINUX + launch_bench(1))) as debugger:
        result = user_linux(build, debugger, layers)
        result.traces.append({name: traced(debugger, layers) for name in USER_OPS})
        debugger.continue_to("bench done", BROKEN)
        result.figures = figures(debugger.session.text)
        return result


def many_user_vms(build: Build, layers: Layers, vms: int) -> dict[str, Traced]:
    """The bench guest with others beside it."""
    with Debugger(service_linux(build, launch_bench(vms))) as debugger:
        return {name: traced(debugger, layers) for name in USER_OPS}


def user_vms(build: Build) -> UserVms:
    """All that concerns User VMs."""
    layers = build.layers()
    result = tried_again(build, partial(one_user_vm, layers=layers))
    for vms in VM_COUNTS[1:]:
        result.traces.append(tried_again(build, partial(many_user_vms, layers=layers,
                                                        vms=vms)))
    return result


def user_phase(build: Build, name: str) -> Phase:
    """One of the two phases, with its functions."""
    with Debugger(service_linux(build, LAUNCH_LINUX)) as debugger:
        found = user_linux(build, debugger, build.layers(),
                           LONG_SAMPLE if name == "user_vm_to_init" else 0)
        return found.to_init if name == "user_vm_to_init" else found.dm_start


def user_op(build: Build, name: str) -> Traced:
    """One operation of a User VM, traced."""
    layers = build.layers()
    with Debugger(service_linux(build, launch_bench(1))) as debugger:
        found = [traced(debugger, layers) for _ in USER_OPS[:USER_OPS.index(name) + 1]]
        return found[-1]


def service_linux(build: Build, launch: str) -> MachineSpec:
    """Linux as the Service VM, with all that the launch script starts."""
    mark = build.mark()
    vm = ServiceVm(build.image, build_kernel() / "bzImage", build.acrn_dm, multiboot=1,
                   hv_args="" if build.again else "quirks=off",
                   kernel_args="console=ttyS0 quiet norandmaps",
                   launch=build.script("launch.sh", launch), user_init=mark,
                   service_files=[(mark, "/bin/mark")],
                   disk_files=[(build.guest("dmbench"), "/dmbench")])
    return MachineSpec(cdrom=make_cdrom(vm, build.folder), disks=[make_disk(vm, build.folder)],
                       model=build.model, ips=IPS)


def bare_linux(build: Build, step: int = 0) -> Phase:
    """From the kernel's entry to its init, on the bare machine; sampled if `step` is given."""
    ramdisk = mkinitramfs.make(build.folder / "bare.cpio", build.mark(), [])
    # Its CPU claims 3.5 GHz: without the true rate every delay is 175 times too long.
    line = f"console=ttyS0 quiet tsc_early_khz={IPS // 1000}"
    boot = Boot(build_kernel() / "bzImage", line, initrd=ramdisk, protocol="linux")
    spec = MachineSpec(cdrom=make_cd(build.folder / "bare.iso", boot), model=build.model, ips=IPS)
    with Debugger(spec) as debugger:
        start = debugger.run_to(KERNEL_START)
        if step:
            return sampled(debugger, build.layers(), 0, step)
        return Phase(debugger.run() - start, Counter())
