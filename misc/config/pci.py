# SPDX-License-Identifier: BSD-3-Clause
"""PCI devices and interrupt lines of the machine that a scenario gives to pre-launched VMs."""

import re
from collections.abc import Iterator
from typing import Optional

from board import Board, bdf_of
from problems import Problem
from scenario import COM_IRQS, Scenario, Vm
from xml_file import text_of

Found = Iterator[Problem]
MAX_DEVICES = 31  # of bus 0, beside the host bridge
VM_PINS = 24  # of a VM's I/O APIC
_INTX = re.compile(r"\(\s*(0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,8})\s*,\s*(0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,8})\s*\),?")


def bdf_text(bdf: int) -> str:
    return f"{bdf >> 8:02x}:{bdf >> 3 & 31:02x}.{bdf & 7}"


def devices(vm: Vm) -> list[int]:
    """The machine's addresses of a VM's devices, in the order of the VM's own."""
    return [bdf for bdf in (bdf_of(text) for text, _ in vm.pci_devs) if bdf is not None]


def lines(vm: Vm) -> list[tuple[int, int]]:
    """(line of the machine, pin of the VM's I/O APIC)."""
    return [(int(gsi, 0 if "x" in gsi.lower() else 10), int(pin, 0 if "x" in pin.lower() else 10))
            for gsi, pin in _INTX.findall(vm.pt_intx)]


def irqs(vm: Vm) -> list[Optional[int]]:
    """The pin of each device: the first line is the first one's, the last one that of the rest."""
    pins = [pin for _, pin in lines(vm)]
    return [pins[min(i, len(pins) - 1)] if pins else None for i in range(len(devices(vm)))]


def _what_forbids(vm: Vm, bdf: int, scenario: Scenario, board: Board,
                  owner: dict[int, str]) -> Optional[tuple[str, str]]:
    """What is wrong, and what to write; `owner` knows the VMs of earlier devices."""
    name = f"PCI device {bdf_text(bdf)}"
    console = board.serials.get(scenario.serial_console)
    if bdf not in board.pci:
        return f"board {board.name} has no {name}", "one that its <PCI_DEVICE> lists"
    if "bridge" in board.pci[bdf].partition(":")[0].lower():
        return f"{name} is a bridge", "a device that is none"
    if bdf in owner:
        return f"{name} of {vm.name} is {owner[bdf]}'s already", "another device"
    if console is not None and console.bdf == bdf:
        return f"{name} is the hypervisor's console", "another device"
    left = [other for other in board.pci if other >> 3 == bdf >> 3 and other not in owner
            and other != bdf]
    given = {d for other in scenario.vms for d in devices(other)}
    if scenario.has_service_vm and bdf & 7 == 0 and set(left) - given:
        return (f"the Service VM would not find {bdf_text(min(set(left) - given))} without {name}",
                "all functions of a device, or none with the number 0")
    return None


def _check_devices(scenario: Scenario, board: Board, vm: Vm, owner: dict[int, str]) -> Found:
    for text, element in vm.pci_devs:
        bdf = bdf_of(text)
        if bdf is None:
            yield scenario.problem(element, f'"{text[:40]}" begins with no PCI address',
                                   "<pci_dev>00:03.0 Ethernet controller</pci_dev>")
            continue
        wrong = _what_forbids(vm, bdf, scenario, board, owner)
        if wrong is not None:
            yield scenario.problem(element, *wrong)
        owner.setdefault(bdf, vm.name)
    if len(vm.pci_devs) > MAX_DEVICES:
        yield scenario.problem(vm.pci_devs[MAX_DEVICES][1],
                               f"{vm.name} has more than {MAX_DEVICES} PCI devices", "fewer")


def _serial_irqs(scenario: Scenario, vm: Vm) -> set[int]:
    ports = {vm.console_port} | {end.port for ends in scenario.connections for end in ends
                                 if end.vm_name == vm.name}
    return {COM_IRQS[port] for port in ports if port in COM_IRQS}


def _check_lines(scenario: Scenario, board: Board, vm: Vm, owner: dict[int, str]) -> Found:
    element = vm.element.find("pt_intx")
    console = board.serials.get(scenario.serial_console)
    count = sum(board.ioapic_lines) or 256
    pins: set[int] = set()

    def wrong(what: str, write: str) -> Problem:
        return scenario.problem(element, what, write)

    if _INTX.sub("", vm.pt_intx).strip():
        yield wrong(f'<pt_intx> is "{vm.pt_intx[:40]}"', "<pt_intx>(11, 11) (16, 5)</pt_intx>")
        return
    if vm.pt_intx and not vm.pci_devs:
        yield wrong(f"{vm.name} has an interrupt line and no PCI device", "<pci_devs>, or no line,")
    if vm.pt_intx and vm.owns_lapic:
        yield wrong(f"{vm.name} owns its local APICs, and nobody would see the end of its interrupts",
                    "no <pt_intx>, or no <lapic_passthrough>,")
    for gsi, pin in lines(vm):
        if gsi >= min(count, 256):
            yield wrong(f"board {board.name} has no interrupt line {gsi}", f"one below {count}")
        elif console is not None and console.irq == gsi:
            yield wrong(f"interrupt line {gsi} is that of the hypervisor's console", "another one")
        elif gsi in owner:
            yield wrong(f"interrupt line {gsi} of {vm.name} is {owner[gsi]}'s already", "another one")
        if not 0 < pin < VM_PINS or pin in pins or pin in _serial_irqs(scenario, vm):
            yield wrong(f"pin {pin} of {vm.name}'s I/O APIC is not there or not free",
                        f"a number from 1 to {VM_PINS - 1} that nothing of it has")
        owner.setdefault(gsi, vm.name)
        pins.add(pin)


def check_pci(scenario: Scenario, board: Board) -> Found:
    """Each device and each line is there, may be given away, and has one owner."""
    device_owner: dict[int, str] = {}
    line_owner: dict[int, str] = {}
    for vm in scenario.vms:
        if vm.load_order == "PRE_LAUNCHED_VM":
            yield from _check_devices(scenario, board, vm, device_owner)
            yield from _check_lines(scenario, board, vm, line_owner)
