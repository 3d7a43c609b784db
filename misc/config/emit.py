# SPDX-License-Identifier: BSD-3-Clause
"""Write what the build reads: config.h, config.mk and vm_config.c."""

from pathlib import Path

import acpi
import pci
from board import Board
from kconfig import Value
from scenario import Rdt, Scenario, Vm
from xml_file import Element

_HEADER = "SPDX-License-Identifier: BSD-3-Clause"
VERSION_MAX = 31  # characters that struct board_config has room for


def c_string(text: str) -> str:
    """A C string literal; every character is printable ASCII (the schema sees to it)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def _number(value: Value) -> str:
    return hex(value.value) if value.is_hex else str(value.value)


def _made_from(board: Board, scenario: Scenario) -> str:
    return f"Generated from board {board.name} and scenario {scenario.name}: do not edit."


def config_h(board: Board, scenario: Scenario, values: dict[str, Value]) -> str:
    """Numbers carry no suffix, so that assembly and linker scripts can use them too."""
    lines = [
        f"/* {_HEADER} */",
        f"/* {_made_from(board, scenario)} */",
        "#ifndef GEN_CONFIG_H",
        "#define GEN_CONFIG_H",
        "",
        f"#define CONFIG_BOARD {c_string(board.name)}",
        f"#define CONFIG_SCENARIO {c_string(scenario.name)}",
    ]
    for value in values.values():
        if value.is_bool and not value.value:
            lines.append(f"/* CONFIG_{value.name} is not set ({value.source}) */")
        else:
            lines.append(f"#define CONFIG_{value.name} {_number(value)} /* {value.source} */")
    return "\n".join([*lines, "", "#endif", ""])


def config_mk(board: Board, scenario: Scenario, values: dict[str, Value]) -> str:
    lines = [
        f"# {_HEADER}",
        f"# {_made_from(board, scenario)}",
        f"CONFIG_BOARD := {board.name}",
        f"CONFIG_SCENARIO := {scenario.name}",
    ]
    for value in values.values():
        text = (" y" if value.value else "") if value.is_bool else f" {_number(value)}"
        lines.append(f"CONFIG_{value.name} :={text}")
    return "\n".join([*lines, ""])


def _vuart_lines(vm: Vm) -> list[str]:
    lines = []
    for vuart in vm.vuarts:
        if vuart.port is None:
            fields = [".type = VUART_PCI", f".pci_index = {vuart.pci_index}U",
                      f".pci_bdf = {vuart.bdf:#x}U"]
        else:
            fields = [".type = VUART_LEGACY", f".port = {vuart.port:#x}U", f".irq = {vuart.irq}U"]
        if vuart.peer is None:
            fields.append(".peer = VUART_PEER_CONSOLE")
        else:
            peer_vm, peer_index = vuart.peer
            fields += [".peer = VUART_PEER_VM", f".peer_vm = {peer_vm}U",
                       f".peer_index = {peer_index}U"]
        lines.append("\t\t\t{ " + ", ".join(fields) + " },")
    return ["\t\t.vuart = {", *lines, "\t\t},"] if lines else []


def _acpi_lines(scenario: Scenario, vm: Vm) -> list[str]:
    """The table's bytes, for a VM that has no firmware and no device model."""
    uarts = [(vuart.port, vuart.irq) for vuart in vm.vuarts if vuart.port is not None]
    data = acpi.tables(vm.affinity.bit_count(), uarts,
                       pci.irqs(vm) if scenario.has_pci(vm) else None)
    rows = [data[i:i + 16] for i in range(0, len(data), 16)]
    return [f"static const uint8_t acpi_vm{vm.vm_id}[] = {{",
            *("\t" + " ".join(f"0x{byte:02x}," for byte in row) for row in rows), "};", ""]


def _memory_lines(vm: Vm) -> list[str]:
    parts = [f"{{ .start = {m.start:#x}UL, .size = {m.size:#x}UL }}" for m in vm.memory]
    return ["\t\t.memory = {", *(f"\t\t\t{part}," for part in parts), "\t\t},"] if parts else []


def _pci_lines(scenario: Scenario, vm: Vm) -> list[str]:
    functions = [f"{{ .bdf = {bdf:#x}U, .irq = {0xFF if irq is None else irq}U }}"
                 for bdf, irq in zip(pci.devices(vm), pci.irqs(vm))]
    intx = [f"{{ .gsi = {gsi}U, .vm_gsi = {pin}U }}" for gsi, pin in pci.lines(vm)]
    lines = ["\t\t.has_pci = true,"] if scenario.has_pci(vm) else []
    for field, kind, items in (("pci", "vm_pci_dev", functions), ("intx", "vm_intx", intx)):
        if items:
            lines += [f"\t\t.{field} = (const struct {kind}[]){{", *(f"\t\t\t{i}," for i in items),
                      "\t\t},", f"\t\t.{field}_count = {len(items)}U,"]
    return lines


def _vm_lines(scenario: Scenario, vm: Vm) -> list[str]:
    has_acpi = vm.load_order == "PRE_LAUNCHED_VM"
    return [
        f"\t[{vm.vm_id}] = {{",
        f"\t\t.load_order = {vm.load_order},",
        f"\t\t.name = {c_string(vm.name)},",
        f"\t\t.severity = {vm.severity},",
        f"\t\t.cpu_affinity = {vm.affinity:#x}UL,",
        f"\t\t.guest_flags = {' | '.join(vm.flags)},",
        f"\t\t.memory_size = {vm.memory_size:#x}UL,",
        *_memory_lines(vm),
        "\t\t.os = {",
        f"\t\t\t.type = {vm.kernel_type},",
        f"\t\t\t.kernel_tag = {c_string(vm.kernel_tag)},",
        f"\t\t\t.ramdisk_tag = {c_string(vm.ramdisk_tag)},",
        f"\t\t\t.acpi_tag = {c_string(vm.acpi_tag)},",
        f"\t\t\t.bootargs = {c_string(vm.bootargs)},",
        f"\t\t\t.load_addr = {vm.load_addr or 0:#x}UL,",
        f"\t\t\t.entry_addr = {vm.entry_addr or 0:#x}UL,",
        "\t\t},",
        *([f"\t\t.acpi = acpi_vm{vm.vm_id},", f"\t\t.acpi_size = sizeof(acpi_vm{vm.vm_id}),"]
          if has_acpi else []),
        *_vuart_lines(vm),
        *_pci_lines(scenario, vm),
        f"\t\t.bvt_weight = {vm.bvt_weight}U,",
        f"\t\t.priority = {vm.priority},",
        *([f"\t\t.clos = (const uint8_t[]){{ {_list(vm.clos)} }},",
           f"\t\t.clos_count = {len(vm.clos)}U,"] if vm.clos else []),
        "\t},",
    ]


def _list(numbers: list[tuple[int, Element]]) -> str:
    return ", ".join(f"{number:#x}U" for number, _ in numbers)


def _rdt_lines(rdt: Rdt) -> list[str]:
    fields = [f".cdp = {str(rdt.has_cdp).lower()}",
              f".mask_count = {len(rdt.masks)}U", f".delay_count = {len(rdt.delays)}U"]
    if rdt.masks:
        fields.append(f".masks = (const uint32_t[]){{ {_list(rdt.masks)} }}")
    if rdt.delays:
        fields.append(f".delays = (const uint16_t[]){{ {_list(rdt.delays)} }}")
    return ["const struct rdt_config rdt_config = {", *(f"\t{one}," for one in fields), "};", ""]


def _region_lines(scenario: Scenario) -> list[str]:
    """An array cannot be empty, so one that is not counted stands where there is no region."""
    ids = {vm.name: vm.vm_id for vm in scenario.vms}
    made = [vm.name for vm in scenario.vms if vm.load_order != "POST_LAUNCHED_VM"]
    lines = []
    for region in scenario.hv_regions:
        vms = sum(1 << ids[name] for name, _ in region.vms)
        places = [f"{region.bdf_of.get(vm.name, 0) if vm.name in made else 0:#x}U"
                  for vm in scenario.vms]
        lines.append(f"\t{{ .name = {c_string(region.name)}, .size = {region.megabytes << 20:#x}UL, "
                     f".vms = {vms:#x}UL, "
                     f".bdf = (const uint16_t[]){{ {', '.join(places)} }} }},")
    return ["const struct ivshmem_config ivshmem_configs[] = {", *(lines or ["\t{ .size = 0 },"]),
            "};", "", f"const uint16_t ivshmem_config_count = {len(lines)}U;", ""]


def vm_config_c(board: Board, scenario: Scenario, values: dict[str, Value],
                version: str = "unknown") -> str:
    serial = board.serials.get(scenario.serial_console)
    console = "{ .type = SERIAL_NONE }"
    if serial is not None:
        kind = "SERIAL_MMIO" if serial.is_mmio else "SERIAL_PIO"
        register_bytes = 4 if serial.is_mmio else 1
        console = (f"{{ .type = {kind}, .base = {serial.base:#x}UL, .irq = {serial.irq}U, "
                   f".reg_size = {register_bytes}U }}")
    lines = [
        f"/* {_HEADER} */",
        "/*",
        f" * {_made_from(board, scenario)}",
        " * The tables of hv/vm_config.h; constant, so nobody locks them.",
        " */",
        '#include "hv/vm_config.h"',
        "",
    ]
    for vm in scenario.vms:
        if vm.load_order == "PRE_LAUNCHED_VM":
            lines += _acpi_lines(scenario, vm)
    lines += [
        "const struct vm_config vm_configs[] = {",
    ]
    for vm in scenario.vms:
        lines += _vm_lines(scenario, vm)
    lines += [
        "};",
        "",
        f"const uint16_t vm_config_count = {len(scenario.vms)}U;",
        "",
        *_region_lines(scenario),
        *_rdt_lines(scenario.rdt),
        "const struct locks_config locks_config = { "
        f".split = {str(scenario.contains_split_locks).lower()}, "
        f".uncached = {str(scenario.contains_uc_locks).lower()} }};",
        "",
        "const struct board_config board_config = {",
        f"\t.name = {c_string(board.name)},",
        f"\t.scenario = {c_string(scenario.name)},",
        f"\t.version = {c_string(version[:VERSION_MAX])},",
        f"\t.hv_ram_start = {values['HV_RAM_START'].value:#x}UL,",
        f"\t.pcpu_num = {len(board.pcpu_ids)}U,",
        f"\t.console = {console},",
        "};",
        "",
    ]
    return "\n".join(lines)


def write_if_changed(path: Path, content: str) -> bool:
    """Leaves a file alone that is as it should be, so that make rebuilds nothing for it."""
    if path.exists() and path.read_bytes() == content.encode():
        return False
    path.write_text(content)
    return True
