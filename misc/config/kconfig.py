# SPDX-License-Identifier: BSD-3-Clause
"""The values of the Kconfig symbols: from .config, else the scenario, else Kconfig."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import kconfiglib

from board import Board
from problems import ConfigError, Problem
from scenario import Scenario, read_scenario

KCONFIG = Path(__file__).resolve().parents[2] / "Kconfig"
_WARNING = re.compile(r"((?P<path>.*?):(?P<line>\d+): )?warning: (?P<what>.*)", re.DOTALL)
_DEFINED_AT = re.compile(r" \(defined at [^)]*\)")


@dataclass(frozen=True)
class Value:
    """One symbol as the build sees it: True or False, or a number; and who said so."""

    name: str
    value: int
    is_bool: bool
    is_hex: bool
    source: str


def _load(config: Optional[Path]) -> kconfiglib.Kconfig:
    kconf = kconfiglib.Kconfig(str(KCONFIG), warn_to_stderr=False)
    if config is None:
        return kconf
    kconf.warn_assign_undef = True
    try:
        kconf.load_config(str(config))
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ConfigError([Problem(str(config), 1, what, "the path of a file, or none")]) from error
    except kconfiglib.KconfigError as error:
        write = "text like CONFIG_MAX_VM_NUM=16"
        raise ConfigError([Problem(str(config), 1, "is not text", write)]) from error
    problems = [_explain(kconf, config, warning) for warning in kconf.warnings]
    if problems:
        raise ConfigError(problems)
    return kconf


def _explain(kconf: kconfiglib.Kconfig, config: Path, warning: str) -> Problem:
    """Kconfiglib tells the line of some mistakes only; the symbol leads to the others."""
    match = _WARNING.match(warning)
    what = " ".join(_DEFINED_AT.sub("", match["what"] if match else warning).split())
    line = int(match["line"]) if match and match["line"] else 1
    if line == 1:
        named = [s.name for s in kconf.unique_defined_syms if re.search(rf"\b{s.name}\b", what)]
        line = _line_of(config, named[0]) if named else 1
    return Problem(str(config), line, what, "a symbol and value that make menuconfig offers")


def _line_of(config: Path, name: str) -> int:
    """The last assignment counts."""
    pattern = re.compile(rf"(# )?CONFIG_{name}\b")
    lines = config.read_text().splitlines()
    return max([n for n, line in enumerate(lines, 1) if pattern.match(line)], default=1)


def _apply_scenario(kconf: kconfiglib.Kconfig, scenario: Scenario) -> dict[str, str]:
    """Give the scenario's values to symbols .config leaves open; returns who set which."""
    set_by = {symbol.name: ".config" for symbol in kconf.unique_defined_syms
              if symbol.user_value is not None}
    if not any(name.startswith("SCHED_") for name in set_by):
        kconf.syms[scenario.scheduler].set_value(2)
        set_by[scenario.scheduler] = "scenario, hv/FEATURES/SCHEDULER"
    for name, value, source in (
        ("SERVICE_VM", scenario.has_service_vm, "scenario, whether it has a Service VM"),
        ("PRE_LAUNCHED", scenario.has_pre_launched, "scenario, whether it has a pre-launched VM"),
        ("PRE_PCI", scenario.has_pre_pci, "scenario, whether a pre-launched VM has PCI functions"),
        ("VAPIC", scenario.needs_vapic, "scenario, whether a VM does without lapic_passthrough"),
        ("LAPIC_PT", scenario.needs_lapic_pt, "scenario, whether a VM may own its local APICs"),
        ("IVSHMEM", bool(scenario.hv_regions), "scenario, hv/FEATURES/IVSHMEM"),
        ("VUART", bool(scenario.connections), "scenario, hv/vuart_connections"),
        ("LOAD_ELF", scenario.has_kernel("KERNEL_ELF"), "scenario, os_config/kern_type"),
        ("LOAD_RAW", scenario.has_kernel("KERNEL_RAWIMAGE"), "scenario, os_config/kern_type"),
        ("EXT_RDT", scenario.rdt.is_on, "scenario, hv/FEATURES/RDT"),
        ("EXT_LOCKS", scenario.contains_split_locks or scenario.contains_uc_locks,
         "scenario, hv/FEATURES/SPLIT_LOCK_DETECTION_ENABLED or UC_LOCK_DETECTION_ENABLED"),
        ("DEBUG", not scenario.is_release, "scenario, hv/BUILD_TYPE"),
    ):
        if name not in set_by:
            kconf.syms[name].set_value(2 if value else 0)
            set_by[name] = source
    for option in scenario.options:
        if option.symbol not in set_by:
            symbol = kconf.syms[option.symbol]
            is_hex = symbol.type == kconfiglib.HEX
            symbol.set_value(hex(option.value) if is_hex else str(option.value))
            set_by[option.symbol] = option.source
    return set_by


def _range_of(symbol: kconfiglib.Symbol) -> str:
    low, high, _ = symbol.ranges[0]
    return f"a value from {low.str_value} to {high.str_value}"


def _check_ranges(
    kconf: kconfiglib.Kconfig, scenario: Scenario, config: Optional[Path], set_by: dict[str, str]
) -> list[Problem]:
    """Kconfiglib silently falls back to the default for a number outside its range."""
    elements = {option.symbol: option.element for option in scenario.options}
    problems = []
    for symbol in kconf.unique_defined_syms:
        if symbol.user_value is None or symbol.type not in (kconfiglib.INT, kconfiglib.HEX):
            continue
        base = 16 if symbol.type == kconfiglib.HEX else 10
        if int(symbol.user_value, base) == int(symbol.str_value, base):
            continue
        what = f"{symbol.name} {symbol.user_value} is out of range"
        if set_by[symbol.name] == ".config" and config is not None:
            line = _line_of(config, symbol.name)
            problems.append(Problem(str(config), line, what, _range_of(symbol)))
        else:
            problems.append(scenario.problem(elements[symbol.name], what, _range_of(symbol)))
    return problems


def _check_board(kconf: kconfiglib.Kconfig, scenario: Scenario, board: Board) -> list[Problem]:
    """The limits hold what the board is known to have."""
    problems = []
    for name, needed, what in (
        ("MAX_IOAPIC_NUM", len(board.ioapic_lines), f"board {board.name} has {{}} I/O APICs"),
        ("MAX_IOAPIC_LINES", max(board.ioapic_lines, default=0),
         f"an I/O APIC of board {board.name} has {{}} lines"),
    ):
        if needed > int(kconf.syms[name].str_value):
            element = scenario.file.root.find(f"hv/CAPACITIES/{name}")
            where = scenario.file.root.find("hv") if element is None else element
            problems.append(scenario.problem(where, what.format(needed), f"{name} {needed}"))
    return problems


def _check_needs(
    kconf: kconfiglib.Kconfig, scenario: Scenario, config: Optional[Path]
) -> list[Problem]:
    """What the scenario's VMs need, .config must not switch off; what is set must hold them."""
    problems = []
    for name, is_needed, why in (
        ("SERVICE_VM", scenario.has_service_vm, "the scenario has a Service VM"),
        ("PRE_LAUNCHED", scenario.has_pre_launched, "the scenario has a pre-launched VM"),
        ("PRE_PCI", scenario.has_pre_pci, "a pre-launched VM of the scenario has a PCI function"),
        ("VAPIC", scenario.needs_vapic, "a VM of the scenario has no <lapic_passthrough>"),
        ("LAPIC_PT", any(vm.owns_lapic for vm in scenario.vms),
         "a VM of the scenario has <lapic_passthrough>"),
        ("IVSHMEM", bool(scenario.hv_regions), "the scenario has an <IVSHMEM_REGION>"),
        ("VUART", bool(scenario.connections), "the scenario has a <vuart_connection>"),
        ("LOAD_ELF", scenario.has_kernel("KERNEL_ELF"), "a VM of the scenario is KERNEL_ELF"),
        ("LOAD_RAW", scenario.has_kernel("KERNEL_RAWIMAGE"),
         "a VM of the scenario is KERNEL_RAWIMAGE"),
        ("EXT_RDT", scenario.rdt.is_on, "the scenario says <RDT_ENABLED>y"),
    ):
        if is_needed and kconf.syms[name].tri_value == 0 and config is not None:
            what = f"CONFIG_{name} is off, but {why}"
            problems.append(
                Problem(str(config), _line_of(config, name), what, f"CONFIG_{name}=y")
            )
    max_vm_num = int(kconf.syms["MAX_VM_NUM"].str_value)
    if len(scenario.vms) > max_vm_num:
        what = f"the scenario has {len(scenario.vms)} VMs, MAX_VM_NUM is {max_vm_num}"
        problems.append(scenario.problem(scenario.vms[max_vm_num].element, what,
                                         f"<MAX_VM_NUM>{len(scenario.vms)}</MAX_VM_NUM>"))
    max_pcpu_num = int(kconf.syms["MAX_PCPU_NUM"].str_value)
    for vm in scenario.vms:
        for pcpu, element in vm.pcpu_ids:
            if pcpu >= max_pcpu_num:
                what = f"processor {pcpu} is beyond MAX_PCPU_NUM, which is {max_pcpu_num}"
                write = f"CONFIG_MAX_PCPU_NUM={pcpu + 1} in .config, or another processor here"
                problems.append(scenario.problem(element, what, write))
    return problems


def _check_sharing(kconf: kconfiglib.Kconfig, scenario: Scenario) -> list[Problem]:
    """A policy that shares no processor cannot serve two VMs that name the same one."""
    problems = []
    named: dict[int, str] = {}
    for vm in scenario.vms if kconf.syms["SCHED_NOOP"].tri_value else []:
        for pcpu, element in vm.pcpu_ids:
            other = named.setdefault(pcpu, vm.name)
            if other != vm.name:
                what = f"processor {pcpu} of {vm.name} is {other}'s too, and SCHED_NOOP shares none"
                problems.append(scenario.problem(element, what,
                                                 "another <pcpu_id>, or another <SCHEDULER>"))
    return problems


def read_kconfig(
    config: Optional[Path], scenario: Scenario, board: Board, release: bool
) -> dict[str, Value]:
    """Every symbol's value, in the order of Kconfig.  Raises ConfigError."""
    kconf = _load(config)
    set_by = _apply_scenario(kconf, scenario)
    if release:
        kconf.syms["DEBUG"].set_value(0)
        set_by["DEBUG"] = "RELEASE=y"
    problems = _check_ranges(kconf, scenario, config, set_by)
    problems += _check_needs(kconf, scenario, config) + _check_board(kconf, scenario, board)
    problems += _check_sharing(kconf, scenario)
    if problems:
        raise ConfigError(problems)
    values = {}
    for symbol in kconf.unique_defined_syms:
        is_bool = symbol.type == kconfiglib.BOOL
        is_hex = symbol.type == kconfiglib.HEX
        number = symbol.tri_value if is_bool else int(symbol.str_value, 16 if is_hex else 10)
        values[symbol.name] = Value(symbol.name, int(bool(number)) if is_bool else number,
                                    is_bool, is_hex, set_by.get(symbol.name, "Kconfig"))
    return values


def edit(config: Path, scenario_path: Path) -> None:
    """Edit .config in a terminal; only what differs from the scenario's values is kept in it."""
    import menuconfig  # needs curses: imported only to edit

    scenario = read_scenario(scenario_path)
    kconf = _load(config if config.exists() else None)
    _apply_scenario(kconf, scenario)
    kconf.write_config(str(config))
    menuconfig.menuconfig(_load(config))
    edited = _load(config)
    unedited = _load(None)
    _apply_scenario(unedited, scenario)
    lines = [symbol.config_string for symbol in edited.unique_defined_syms
             if symbol.str_value != unedited.syms[symbol.name].str_value]
    config.write_text("# Differences from the scenario, written by make menuconfig.\n"
                      + "".join(lines))


if __name__ == "__main__":
    try:
        edit(Path(sys.argv[1]), Path(sys.argv[2]))
    except ConfigError as failure:
        sys.exit(str(failure))
