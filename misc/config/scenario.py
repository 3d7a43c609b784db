# SPDX-License-Identifier: BSD-3-Clause
"""The VMs and hypervisor options of a scenario file, as ACRN's users write them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from problems import Problem
from xml_file import Element, XmlFile, number_of, text_of

LOAD_ORDERS = ("PRE_LAUNCHED_VM", "SERVICE_VM", "POST_LAUNCHED_VM")
COM_PORTS = {"COM Port 1": 0x3F8, "COM Port 2": 0x2F8, "COM Port 3": 0x3E8, "COM Port 4": 0x2E8}
COM_IRQS = {0x3F8: 4, 0x2F8: 3, 0x3E8: 6, 0x2E8: 7}

# Element under <hv> -> Kconfig symbol of the same meaning.
_OPTIONS = {
    "DEBUG_OPTIONS/CONSOLE_LOGLEVEL": "CONSOLE_LOGLEVEL",
    "DEBUG_OPTIONS/MEM_LOGLEVEL": "MEM_LOGLEVEL",
    "FEATURES/VUART_RX_BUF_SIZE": "VUART_RX_BUF",
    "FEATURES/VUART_TX_BUF_SIZE": "VUART_TX_BUF",
    "MEMORY/HV_RAM_START": "HV_RAM_START",
    "CAPACITIES/MAX_VM_NUM": "MAX_VM_NUM",
    "CAPACITIES/MAX_IOAPIC_NUM": "MAX_IOAPIC_NUM",
    "CAPACITIES/MAX_IOAPIC_LINES": "MAX_IOAPIC_LINES",
    "CAPACITIES/MAX_PCI_DEV_NUM": "MAX_PCI_DEV_NUM",
    "CAPACITIES/MAX_PT_IRQ_ENTRIES": "MAX_PT_IRQ_ENTRIES",
    "CAPACITIES/MAX_MSIX_TABLE_NUM": "MAX_MSIX_TABLE_NUM",
}


@dataclass(frozen=True)
class Option:
    """A number the scenario gives to a Kconfig symbol."""

    symbol: str
    value: int
    source: str
    element: Element


@dataclass
class Endpoint:
    """One end of a connection between two VMs' serial ports; port None: a PCI function."""

    vm_name: str
    port: Optional[int]
    bdf: int  # of the PCI function, 0: anywhere
    element: Element


@dataclass
class Region:
    """Memory that VMs share: its size in MB, and who sees it, with the element that says so."""

    name: str  # without hv:/
    by_hypervisor: bool
    megabytes: int
    vms: list[tuple[str, Element]]
    bdf_of: dict[str, int]  # VM name -> function of bus 0, where one is asked for
    element: Element


@dataclass
class Rdt:
    """Classes of service: with CDP two masks each, of data and of code."""

    is_on: bool
    has_cdp: bool
    masks: list[tuple[int, Element]]
    delays: list[tuple[int, Element]]

    @property
    def classes(self) -> int:
        masks = len(self.masks) // (2 if self.has_cdp else 1)
        counts = [count for count in (masks, len(self.delays)) if count]
        return min(counts, default=1)


@dataclass
class Vuart:
    """A serial port of a VM; its peer is (VM index, vUART index), or the console if None."""

    port: Optional[int]
    irq: int
    peer: Optional[tuple[int, int]] = None
    pci_index: int = 0  # 1 for the VM's first PCI one
    bdf: int = 0


@dataclass
class Memory:
    """A part of a pre-launched VM's memory, in bytes; start 0: anywhere."""

    start: int
    size: int
    element: Element


@dataclass
class Vm:
    """One <vm>.  Memory sizes are bytes, addresses host-physical unless said otherwise."""

    element: Element
    vm_id: int
    name: str
    load_order: str
    is_rt: bool
    owns_pcpus: bool
    pcpu_ids: list[tuple[int, Element]]
    memory: list[Memory]
    kernel_type: str
    kernel_tag: str
    ramdisk_tag: str
    bootargs: str
    load_addr: Optional[int]  # GPA
    entry_addr: Optional[int]  # GPA
    flags: list[str]
    console_port: Optional[int]
    bvt_weight: int
    priority: str
    clos: list[tuple[int, Element]]
    pci_devs: list[tuple[str, Element]]  # of pre-launched VMs, as the next
    pt_intx: str
    vuarts: list[Vuart] = field(default_factory=list)
    affinity: int = 0  # bitmap, see assign_affinity()

    @property
    def memory_size(self) -> int:
        return sum(part.size for part in self.memory)

    @property
    def owns_lapic(self) -> bool:
        return "GUEST_FLAG_LAPIC_PASSTHROUGH" in self.flags

    @property
    def acpi_tag(self) -> str:
        return f"ACPI_VM{self.vm_id}" if self.load_order == "PRE_LAUNCHED_VM" else ""

    @property
    def severity(self) -> str:
        if self.is_rt:
            return "SEVERITY_RTVM"
        return {
            "PRE_LAUNCHED_VM": "SEVERITY_SAFETY_VM",
            "SERVICE_VM": "SEVERITY_SERVICE_VM",
            "POST_LAUNCHED_VM": "SEVERITY_STANDARD_VM",
        }[self.load_order]


@dataclass
class Scenario:
    """A scenario file that follows its schema; whether it makes sense, checks.py says."""

    file: XmlFile
    name: str
    is_release: bool
    serial_console: str
    scheduler: str
    options: list[Option]
    vms: list[Vm]
    connections: list[tuple[Endpoint, Endpoint]]
    regions: list[Region]
    rdt: Rdt
    contains_split_locks: bool
    contains_uc_locks: bool

    def problem(self, element: Element, what: str, write: str) -> Problem:
        return self.file.problem(element, what, write)

    @property
    def hv_regions(self) -> list[Region]:
        """Those the hypervisor provides, the largest first: each is aligned to its size."""
        regions = [region for region in self.regions if region.by_hypervisor]
        return sorted(regions, key=lambda region: -region.megabytes)

    @property
    def has_service_vm(self) -> bool:
        return any(vm.load_order == "SERVICE_VM" for vm in self.vms)

    @property
    def has_pre_launched(self) -> bool:
        return any(vm.load_order == "PRE_LAUNCHED_VM" for vm in self.vms)

    @property
    def has_pre_pci(self) -> bool:
        return any(self.has_pci(vm) for vm in self.vms)

    def has_pci(self, vm: Vm) -> bool:
        """Whether a pre-launched VM has a PCI bus: for devices, shared memory or PCI vUARTs."""
        return vm.load_order == "PRE_LAUNCHED_VM" and bool(
            vm.pci_devs
            or any(end.port is None and end.vm_name == vm.name
                   for ends in self.connections for end in ends)
            or any(name == vm.name for region in self.hv_regions for name, _ in region.vms))

    @property
    def needs_lapic_pt(self) -> bool:
        return self.has_service_vm or any(vm.owns_lapic for vm in self.vms)

    def has_kernel(self, kind: str) -> bool:
        """Whether a pre-launched VM has a kernel of this kind."""
        return any(vm.load_order == "PRE_LAUNCHED_VM" and vm.kernel_type == kind for vm in self.vms)

    @property
    def needs_vapic(self) -> bool:
        return self.has_service_vm or not all(vm.owns_lapic for vm in self.vms)


def _is_yes(element: Element, path: str) -> bool:
    return text_of(element.find(path)) == "y"


def _number_or(element: Element, path: str, default: Optional[int]) -> Optional[int]:
    text = text_of(element.find(path))
    return number_of(text) if text else default


def _numbers(element: Element, path: str) -> list[tuple[int, Element]]:
    return [(number_of(text_of(e)), e) for e in element.iterfind(path)]


def _flags(element: Element, is_rt: bool) -> list[str]:
    flags = ["GUEST_FLAG_STATIC_VM"]
    if is_rt:
        flags.append("GUEST_FLAG_RT")
    for name, flag in (
        ("lapic_passthrough", "GUEST_FLAG_LAPIC_PASSTHROUGH"),
        ("io_completion_polling", "GUEST_FLAG_IO_COMPLETION_POLLING"),
        ("hide_mtrr_support", "GUEST_FLAG_HIDE_MTRR"),
        ("stateless", "GUEST_FLAG_STATELESS"),
    ):
        if _is_yes(element, name):
            flags.append(flag)
    return flags


def _read_memory(element: Element) -> list[Memory]:
    """The regions that are named, or else one anywhere."""
    memory = [
        Memory(number_of(text_of(region.find("start_hpa"))),
               number_of(text_of(region.find("size_hpa"))) << 20, region)
        for region in element.iterfind("memory/hpa_region")
    ]
    size = element.find("memory/size")
    if not memory and size is not None:
        memory = [Memory(0, number_of(text_of(size)) << 20, size)]
    return memory


def _read_vm(element: Element) -> Vm:
    load_order = text_of(element.find("load_order"))
    is_pre_launched = load_order == "PRE_LAUNCHED_VM"
    is_rt = text_of(element.find("vm_type")) == "RTVM"
    return Vm(
        element=element,
        vm_id=number_of(" ".join(element.get("id").split())),
        name=text_of(element.find("name")),
        load_order=load_order,
        is_rt=is_rt,
        owns_pcpus=is_pre_launched or _is_yes(element, "own_pcpu"),
        pcpu_ids=_numbers(element, "cpu_affinity/pcpu/pcpu_id"),
        memory=_read_memory(element) if is_pre_launched else [],
        kernel_type=text_of(element.find("os_config/kern_type")) or "KERNEL_BZIMAGE",
        kernel_tag=text_of(element.find("os_config/kern_mod")),
        ramdisk_tag=text_of(element.find("os_config/ramdisk_mod")),
        bootargs=text_of(element.find("os_config/bootargs")),
        load_addr=_number_or(element, "os_config/kern_load_addr", None),
        entry_addr=_number_or(element, "os_config/kern_entry_addr", None),
        flags=_flags(element, is_rt),
        console_port=COM_PORTS.get(text_of(element.find("console_vuart"))),
        bvt_weight=_number_or(element, "bvt_weight", 1) or 0,
        priority=text_of(element.find("priority")) or "PRIO_LOW",
        clos=_numbers(element, "clos/vcpu_clos"),
        pci_devs=[(text_of(e), e) for e in element.iterfind("pci_devs/pci_dev")
                  if is_pre_launched and text_of(e)],
        pt_intx=text_of(element.find("pt_intx")) if is_pre_launched else "",
    )


def _read_options(hypervisor: Element) -> list[Option]:
    options = []
    for path, symbol in _OPTIONS.items():
        value = _number_or(hypervisor, path, None)
        if value is not None:
            element = hypervisor.find(path)
            options.append(Option(symbol, value, f"scenario, hv/{path}", element))
    return options


def _bdf(text: str) -> int:
    """00:0a.0 as a number, 0 if nothing is said; the schema has looked at the rest."""
    return int(text[3:5], 16) << 3 if text else 0


def _read_endpoint(element: Element, is_pci: bool) -> Endpoint:
    port = None if is_pci else _number_or(element, "io_port", 0)
    return Endpoint(text_of(element.find("vm_name")), port, _bdf(text_of(element.find("vbdf"))),
                    element)


def _read_region(element: Element) -> Region:
    name = text_of(element.find("NAME"))
    vms = [(text_of(vm.find("VM_NAME")), vm) for vm in element.iterfind("IVSHMEM_VMS/IVSHMEM_VM")]
    places = {vm_name: text_of(vm.find("VBDF")) for vm_name, vm in vms}
    return Region(
        name=name.removeprefix("hv:/").removeprefix("dm:/"),
        by_hypervisor=not name.startswith("dm:/")
        and text_of(element.find("PROVIDED_BY")) != "Device Model",
        megabytes=number_of(text_of(element.find("IVSHMEM_SIZE"))),
        vms=vms,
        bdf_of={name: _bdf(place) for name, place in places.items() if place},
        element=element,
    )


def read_scenario(path: Path) -> Scenario:
    """Raises ConfigError if the file is not well-formed or not as its schema wants it."""
    file = XmlFile(path, "scenario.xsd")
    hypervisor = file.root.find("hv")
    connections = []
    for connection in hypervisor.iterfind("vuart_connections/vuart_connection"):
        first, second = connection.iterfind("endpoint")
        is_pci = text_of(connection.find("type")) == "pci"
        connections.append((_read_endpoint(first, is_pci), _read_endpoint(second, is_pci)))
    return Scenario(
        file=file,
        name=path.stem,
        is_release=text_of(hypervisor.find("BUILD_TYPE")) == "release",
        serial_console=text_of(hypervisor.find("DEBUG_OPTIONS/SERIAL_CONSOLE")) or "None",
        scheduler=text_of(hypervisor.find("FEATURES/SCHEDULER")) or "SCHED_BVT",
        options=_read_options(hypervisor),
        vms=[_read_vm(element) for element in file.root.iterfind("vm")],
        connections=connections,
        regions=[_read_region(e) for e in hypervisor.iterfind("FEATURES/IVSHMEM/IVSHMEM_REGION")],
        contains_split_locks=_is_yes(hypervisor, "FEATURES/SPLIT_LOCK_DETECTION_ENABLED"),
        contains_uc_locks=_is_yes(hypervisor, "FEATURES/UC_LOCK_DETECTION_ENABLED"),
        rdt=Rdt(
            is_on=_is_yes(hypervisor, "FEATURES/RDT/RDT_ENABLED"),
            has_cdp=_is_yes(hypervisor, "FEATURES/RDT/CDP_ENABLED"),
            masks=_numbers(hypervisor, "FEATURES/RDT/CLOS_MASK"),
            delays=_numbers(hypervisor, "FEATURES/RDT/MBA_DELAY"),
        ),
    )


def connect_vuarts(scenario: Scenario) -> None:
    """Give every VM its serial ports: the console first, then one per connection."""
    index_of = {vm.name: index for index, vm in enumerate(scenario.vms)}
    for vm in scenario.vms:
        vm.vuarts = []
        if vm.console_port is not None:
            vm.vuarts.append(Vuart(vm.console_port, COM_IRQS[vm.console_port]))
    for ends in scenario.connections:
        vms = [scenario.vms[index_of[end.vm_name]] for end in ends]
        places = [(index_of[vm.name], len(vm.vuarts)) for vm in vms]
        for vm, end, peer in zip(vms, ends, reversed(places)):
            if end.port is None:
                index = 1 + sum(1 for vuart in vm.vuarts if vuart.port is None)
                vm.vuarts.append(Vuart(None, 0, peer, index, end.bdf))
            else:
                vm.vuarts.append(Vuart(end.port, COM_IRQS[end.port], peer))


def assign_affinity(scenario: Scenario, max_pcpu_num: int) -> None:
    """A VM that names no processor gets all that no other VM owns alone."""
    owned = 0
    for vm in scenario.vms:
        vm.affinity = sum(1 << pcpu for pcpu, _ in vm.pcpu_ids)
        if vm.owns_pcpus:
            owned |= vm.affinity
    for vm in scenario.vms:
        if not vm.pcpu_ids:
            vm.affinity = ((1 << max_pcpu_num) - 1) & ~owned
