# SPDX-License-Identifier: BSD-3-Clause
"""What no schema can say: whether a scenario makes sense, and on this board.

Each check yields the problems it finds; check_all() runs them in the order
in which a user would want to mend them.
"""

from collections.abc import Callable, Iterator

from board import Board
from pci import check_pci
from problems import Problem
from scenario import COM_IRQS, LOAD_ORDERS, Endpoint, Memory, Scenario, Vm, assign_affinity
from xml_file import text_of

Found = Iterator[Problem]
TWO_MB = 1 << 21
MAX_ADDRESS = 1 << 52  # of any processor
MAX_VUARTS = 8  # VM_VUART_NUM of hv/vm_config.h


def check_vm_ids(scenario: Scenario, _board: Board) -> Found:
    """VM ids are indices: 0, 1, 2 in the order of the file."""
    for index, vm in enumerate(scenario.vms):
        if vm.vm_id != index:
            what = f"VM id {vm.vm_id} is not {index}: ids count up from 0"
            yield scenario.problem(vm.element, what, f'<vm id="{index}">')


def check_vm_order(scenario: Scenario, _board: Board) -> Found:
    """Ids in hypercalls are relative to the Service VM's, so post-launched VMs follow it."""
    highest = 0
    for vm in scenario.vms:
        rank = LOAD_ORDERS.index(vm.load_order)
        if rank < highest:
            what = f"{vm.load_order} {vm.name} follows a {LOAD_ORDERS[highest]}"
            yield scenario.problem(vm.element, what,
                                   "pre-launched VMs first, the Service VM, post-launched VMs last,")
        highest = max(highest, rank)


def check_service_vm(scenario: Scenario, _board: Board) -> Found:
    service_vms = [vm for vm in scenario.vms if vm.load_order == "SERVICE_VM"]
    for vm in service_vms[1:]:
        what = f"{vm.name} is a second Service VM beside {service_vms[0].name}"
        yield scenario.problem(vm.element.find("load_order"), what,
                               "<load_order>POST_LAUNCHED_VM</load_order>")
    for vm in scenario.vms:
        if vm.load_order == "POST_LAUNCHED_VM" and not service_vms:
            what = f"{vm.name} is post-launched, but there is no Service VM to launch it"
            yield scenario.problem(vm.element.find("load_order"), what,
                                   "<load_order>PRE_LAUNCHED_VM</load_order>, or add a Service VM,")
    for vm in service_vms:
        if vm.owns_lapic:
            yield scenario.problem(vm.element.find("lapic_passthrough"),
                                   "the Service VM cannot own its LAPIC",
                                   "<lapic_passthrough>n</lapic_passthrough>")


def check_vm_names(scenario: Scenario, _board: Board) -> Found:
    seen: set[str] = set()
    for vm in scenario.vms:
        if vm.name in seen:
            what = f"a second VM has the name {vm.name}"
            yield scenario.problem(vm.element.find("name"), what, f"<name>vm{vm.vm_id}</name>")
        seen.add(vm.name)


def check_pcpus(scenario: Scenario, board: Board) -> Found:
    """Every processor named is on the board, and named once in a VM."""
    last = max(board.pcpu_ids)
    for vm in scenario.vms:
        seen: set[int] = set()
        for pcpu, element in vm.pcpu_ids:
            if pcpu not in board.pcpu_ids:
                what = f"board {board.name} has no processor {pcpu}"
                write = f"<pcpu_id>N</pcpu_id> with N from 0 to {last}"
                yield scenario.problem(element, what, write)
            elif pcpu in seen:
                what = f"{vm.name} names processor {pcpu} twice"
                yield scenario.problem(element, what, "it once")
            seen.add(pcpu)
        if vm.owns_pcpus and not vm.pcpu_ids:
            what = f"{vm.name} owns its processors, but names none"
            yield scenario.problem(vm.element, what,
                                   "<cpu_affinity><pcpu><pcpu_id>1</pcpu_id></pcpu></cpu_affinity> "
                                   "in it")


def check_pcpu_owners(scenario: Scenario, _board: Board) -> Found:
    """A processor with an owner serves nobody else; nor does one whose LAPIC a VM owns,
    though the Service VM has it until that VM is launched."""
    for vm in scenario.vms:
        for pcpu, element in vm.pcpu_ids:
            for other in scenario.vms:
                claims = other.owns_pcpus or (
                    other.owns_lapic and vm.load_order != "SERVICE_VM"
                )
                later = not (vm.owns_pcpus or vm.owns_lapic) or other.vm_id < vm.vm_id
                if other is vm or not claims or not later:
                    continue
                if pcpu in [claimed for claimed, _ in other.pcpu_ids]:
                    what = f"processor {pcpu} of {vm.name} belongs to {other.name} alone"
                    yield scenario.problem(element, what, "another <pcpu_id>")


def check_pcpus_left(scenario: Scenario, board: Board) -> Found:
    """A VM that names no processor must find one that nobody owns."""
    if any(p not in board.pcpu_ids for vm in scenario.vms for p, _ in vm.pcpu_ids):
        return
    assign_affinity(scenario, len(board.pcpu_ids))
    for vm in scenario.vms:
        if vm.affinity == 0 and not vm.owns_pcpus:
            what = f"no processor is left for {vm.name}: other VMs own them all"
            yield scenario.problem(vm.element, what, "fewer processors in the other VMs")


def check_kernels(scenario: Scenario, _board: Board) -> Found:
    """What the hypervisor starts itself needs a kernel, and memory if pre-launched."""
    for vm in scenario.vms:
        if vm.load_order == "POST_LAUNCHED_VM":
            continue
        os_config = vm.element.find("os_config")
        where = vm.element if os_config is None else os_config
        if not vm.kernel_tag:
            what = f"{vm.name} has no kernel"
            yield scenario.problem(where, what, "<kern_mod>Linux_bzImage</kern_mod> in <os_config>")
        if vm.load_order == "SERVICE_VM" and vm.kernel_type != "KERNEL_BZIMAGE":
            yield scenario.problem(os_config.find("kern_type"),
                                   "the Service VM's kernel is not a bzImage",
                                   "<kern_type>KERNEL_BZIMAGE</kern_type>")
        elif vm.kernel_type == "KERNEL_RAWIMAGE" and (vm.load_addr is None or vm.entry_addr is None):
            what = f"the raw image of {vm.name} has no load or entry address"
            yield scenario.problem(where, what,
                                   "<kern_load_addr>0x100000</kern_load_addr> and "
                                   "<kern_entry_addr>0x100000</kern_entry_addr> in it")
        if vm.load_order == "PRE_LAUNCHED_VM" and vm.memory_size == 0:
            what = f"pre-launched VM {vm.name} has no memory"
            yield scenario.problem(vm.element, what, "<memory><size>256</size></memory> in it")


def check_weights(scenario: Scenario, _board: Board) -> Found:
    for vm in scenario.vms:
        if not 1 <= vm.bvt_weight <= 128:
            what = f"BVT weight {vm.bvt_weight} of {vm.name} is not 1 to 128"
            yield scenario.problem(vm.element.find("bvt_weight"), what, "<bvt_weight>1</bvt_weight>")


def _check_endpoint(scenario: Scenario, end: Endpoint, used: dict[str, set[int]]) -> Found:
    if end.vm_name not in used:
        yield scenario.problem(end.element.find("vm_name"), f"there is no VM {end.vm_name}",
                               "one of " + ", ".join(f"<vm_name>{n}</vm_name>" for n in used))
    elif end.port is None:
        return
    elif end.element.find("io_port") is None:
        yield scenario.problem(end.element, "an end of a legacy connection has no port",
                               "<io_port>0x2f8</io_port> in it, or <type>pci</type>")
    elif end.port not in COM_IRQS:
        free = [port for port in COM_IRQS if port not in used[end.vm_name]] or list(COM_IRQS)
        what = f"{end.port:#x} is not the port of COM1 to COM4"
        yield scenario.problem(end.element.find("io_port"), what,
                               f"<io_port>{free[0]:#x}</io_port>")
    elif end.port in used[end.vm_name]:
        free = [port for port in COM_IRQS if port not in used[end.vm_name]]
        what = f"{end.vm_name} has a serial port at {end.port:#x} already"
        yield scenario.problem(end.element.find("io_port"), what,
                               f"<io_port>{free[0]:#x}</io_port>" if free else "fewer connections")
    else:
        used[end.vm_name].add(end.port)


def check_vuarts(scenario: Scenario, _board: Board) -> Found:
    used: dict[str, set[int]] = {
        vm.name: set() if vm.console_port is None else {vm.console_port} for vm in scenario.vms
    }
    for first, second in scenario.connections:
        if first.vm_name == second.vm_name:
            what = f"both ends of a connection are {first.vm_name}"
            yield scenario.problem(second.element.find("vm_name"), what, "another <vm_name>")
        yield from _check_endpoint(scenario, first, used)
        yield from _check_endpoint(scenario, second, used)
    for vm in scenario.vms:
        ends = [end for ends in scenario.connections for end in ends if end.vm_name == vm.name]
        if len(ends) + (vm.console_port is not None) > MAX_VUARTS:
            yield scenario.problem(ends[-1].element.find("vm_name"),
                                   f"{vm.name} has more than {MAX_VUARTS} serial ports",
                                   "fewer connections")


def check_regions(scenario: Scenario, _board: Board) -> Found:
    """Shared memory has a name and a size of its own, and VMs that exist."""
    names = [vm.name for vm in scenario.vms]
    seen: set[str] = set()
    for region in scenario.regions:
        size = region.megabytes
        if not 2 <= size <= 512 or size & (size - 1):
            yield scenario.problem(region.element.find("IVSHMEM_SIZE"),
                                   f"{size} MB is not a power of two from 2 to 512",
                                   "<IVSHMEM_SIZE>2</IVSHMEM_SIZE>")
        if region.name in seen:
            yield scenario.problem(region.element.find("NAME"),
                                   f"a second region has the name {region.name}",
                                   f"<NAME>shm_region_{len(seen)}</NAME>")
        seen.add(region.name)
        told: set[str] = set()
        for name, element in region.vms:
            where = element.find("VM_NAME")
            if name not in names:
                yield scenario.problem(where, f"there is no VM {name}",
                                       "one of " + ", ".join(f"<VM_NAME>{n}</VM_NAME>" for n in names))
            elif name in told:
                yield scenario.problem(where, f"region {region.name} names {name} twice", "it once")
            told.add(name)
        if len(told) < 2:
            yield scenario.problem(region.element.find("IVSHMEM_VMS"),
                                   f"region {region.name} is of one VM alone",
                                   "a second <IVSHMEM_VM> in it")


def check_rdt(scenario: Scenario, board: Board) -> Found:
    """Masks are contiguous bits, VMs name classes that exist, and as many as they have vCPUs."""
    rdt = scenario.rdt
    for mask, element in rdt.masks:
        lowest = mask & -mask
        if not 0 < mask < 1 << 32 or (mask + lowest) & mask:
            yield scenario.problem(element, f"{mask:#x} is not a row of bits without a gap",
                                   "<CLOS_MASK>0xf</CLOS_MASK>")
    for delay, element in rdt.delays:
        if delay > 0xFFF:
            yield scenario.problem(element, f"{delay} is no delay: 0 is none, 90 much",
                                   "<MBA_DELAY>0</MBA_DELAY>")
    if rdt.has_cdp and len(rdt.masks) % 2:
        yield scenario.problem(rdt.masks[-1][1], "with CDP a class has two masks, data and code",
                               "one more <CLOS_MASK>")
    for what, listed in (("masks", rdt.masks), ("delays", rdt.delays)):
        if len(listed) > 128:
            yield scenario.problem(listed[128][1], f"more than 128 {what}", "fewer")
    for vm in scenario.vms:
        for clos, element in vm.clos:
            if rdt.is_on and clos >= rdt.classes:
                yield scenario.problem(element, f"there is no class of service {clos}",
                                       f"<vcpu_clos>N</vcpu_clos> with N below {rdt.classes}")
        if len(vm.clos) > max(len(vm.pcpu_ids), 0 if vm.pcpu_ids else len(board.pcpu_ids)):
            yield scenario.problem(vm.clos[-1][1], f"{vm.name} has fewer vCPUs than classes",
                                   "a <vcpu_clos> for each processor")


def check_serial_console(scenario: Scenario, board: Board) -> Found:
    name = scenario.serial_console
    if name != "None" and name not in board.serials:
        element = scenario.file.root.find("hv/DEBUG_OPTIONS/SERIAL_CONSOLE")
        choices = ", ".join([*board.serials, "None"])
        what = f"board {board.name} has no serial port {name[:40]}"
        yield scenario.problem(element, what,
                               f"<SERIAL_CONSOLE>X</SERIAL_CONSOLE> with X of {choices}")


def _is_ram(board: Board, start: int, size: int) -> bool:
    return not board.ram or any(
        first <= start and start + size - 1 <= last for first, last in board.ram
    )


def _ranges(board: Board) -> str:
    return ", ".join(f"{first:#x}-{last:#x}" for first, last in board.ram)


def _fixed(scenario: Scenario) -> list[tuple[Vm, Memory]]:
    """The parts of VMs' memory that have their place in the file."""
    return [(vm, part) for vm in scenario.vms for part in vm.memory if part.start]


def _check_part(scenario: Scenario, board: Board, vm: Vm, part: Memory) -> Found:
    """Bounds of one part."""
    is_region = part.element.tag == "hpa_region"
    if part.size % TWO_MB or (part.size == 0 and is_region):
        megabytes = max(2, (part.size >> 20) + 1)
        name = "size_hpa" if is_region else "size"
        element = part.element.find(name) if is_region else part.element
        yield scenario.problem(element, f"{part.size >> 20} MB of {vm.name} are not a multiple of 2",
                               f"<{name}>{megabytes}</{name}>")
        return
    if part.size > MAX_ADDRESS:
        yield scenario.problem(part.element, f"{part.size >> 20} MB of {vm.name} are more than "
                               "processors can address", "a smaller number")
        return
    if not part.start:
        return
    element, end = part.element.find("start_hpa"), part.start + part.size
    if part.start % TWO_MB:
        what = f"memory of {vm.name} at {part.start:#x} is not aligned to 2 MB"
        write = f"<start_hpa>{part.start // TWO_MB * TWO_MB:#x}</start_hpa>"
        yield scenario.problem(element, what, write)
    if end > MAX_ADDRESS or not _is_ram(board, part.start, part.size):
        what = f"{part.start:#x}-{end - 1:#x} of {vm.name} is not all RAM on board {board.name}"
        yield scenario.problem(element, what, f"a part of {_ranges(board)}")


def check_memory(scenario: Scenario, board: Board) -> Found:
    """Memory comes in pages of 2 MB; regions with a place are aligned, RAM, and do not overlap."""
    for vm in scenario.vms:
        for part in vm.memory:
            yield from _check_part(scenario, board, vm, part)
    regions = _fixed(scenario)
    for number, (vm, part) in enumerate(regions):
        for other_vm, other in regions[:number]:
            if part.start < other.start + other.size and other.start < part.start + part.size:
                whose = "another region of it" if other_vm is vm else f"that of {other_vm.name}"
                yield scenario.problem(part.element.find("start_hpa"),
                                       f"memory of {vm.name} overlaps {whose}",
                                       f"<start_hpa>{other.start + other.size:#x}</start_hpa>")


def check_hv_ram_start(scenario: Scenario, board: Board) -> Found:
    element = scenario.file.root.find("hv/MEMORY/HV_RAM_START")
    for option in scenario.options:
        if option.symbol != "HV_RAM_START":
            continue
        if option.value % TWO_MB or not _is_ram(board, option.value, TWO_MB):
            what = f"HV_RAM_START {text_of(element)} is not 2 MB aligned RAM"
            yield scenario.problem(element, what, "<HV_RAM_START>0x400000</HV_RAM_START>")
        for vm, part in _fixed(scenario):
            if part.start <= option.value < part.start + part.size:
                what = f"HV_RAM_START {text_of(element)} is inside the memory of {vm.name}"
                yield scenario.problem(element, what, "<HV_RAM_START>0x400000</HV_RAM_START>")


CHECKS: tuple[Callable[[Scenario, Board], Found], ...] = (
    check_vm_ids,
    check_vm_order,
    check_service_vm,
    check_vm_names,
    check_pcpus,
    check_pcpu_owners,
    check_pcpus_left,
    check_kernels,
    check_weights,
    check_vuarts,
    check_regions,
    check_pci,
    check_rdt,
    check_serial_console,
    check_memory,
    check_hv_ram_start,
)


def check_all(scenario: Scenario, board: Board) -> list[Problem]:
    return [problem for check in CHECKS for problem in check(scenario, board)]
