#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How much code is in each mode's release image, and how large is it?

    footprint.py [-O DIR] [--no-build]

Builds the modes below DIR/footprint, prints a table and writes
DIR/footprint.json.  What counts is what was linked: the objects in the linker
map, their .c and .S files, and each header behind them once; lines that are
neither blank nor comment; generated files apart.  Fails if an object of a
folder is linked that the mode is said to be without.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BOARD = "bochs"
# Mode -> its scenario, and what is changed in that.
OWN_LAPIC = ("<console_vuart>", "<lapic_passthrough>y</lapic_passthrough><console_vuart>")
MODES: dict[str, tuple[str, tuple[str, str]]] = {
    "partitioned_owned_lapic": ("partitioned", OWN_LAPIC),
    "partitioned": ("partitioned", ("", "")),
    "shared": ("shared", ("", "")),
    "hybrid": ("hybrid", ("", "")),
}

# Objects that are linked only with a switch: path below hypervisor/, and the switch.
SWITCHES = (
    (re.compile(r"vapic/"), "CONFIG_VAPIC"),
    (re.compile(r"(service_vm|vpci/func|vapic/pt)/"), "CONFIG_SERVICE_VM"),
    (re.compile(r"pre_launched/"), "CONFIG_PRE_LAUNCHED"),
    (re.compile(r"guest/lapic_pt\.o"), "CONFIG_LAPIC_PT"),
    (re.compile(r"pre_launched/load_elf\.o"), "CONFIG_LOAD_ELF"),
    (re.compile(r"pre_launched/load_raw\.o"), "CONFIG_LOAD_RAW"),
    (re.compile(r"(vpci/func/vfunc|service_vm/hc_vdev)"), "CONFIG_VFUNC"),
    (re.compile(r"(vdev/|vpci/func/vuart_pci\.o)"), "CONFIG_VUART"),
    (re.compile(r"debug/(console|shell|cmd\w*|dump|trace)\.o"), "CONFIG_DEBUG"),
    (re.compile(r"sched/bvt\.o"), "CONFIG_SCHED_BVT"),
    (re.compile(r"sched/noop\.o"), "CONFIG_SCHED_NOOP"),
)


class FootprintError(Exception):
    """The measurement cannot be taken, or shows what must not be."""


@dataclass(frozen=True)
class Footprint:
    """Code lines, and bytes as size(1) counts them."""

    lines: int
    text: int
    data: int
    bss: int


def linked_objects(linker_map: str) -> list[str]:
    """Objects of ours; archives of the C library are not."""
    return sorted(set(re.findall(r"^LOAD (\S+\.o)$", linker_map, re.MULTILINE)))


def prerequisites(dependencies: str) -> list[str]:
    """The files of the first rule of a .d file (gcc -MMD)."""
    rule = dependencies.replace("\\\n", " ").split("\n", 1)[0]
    return rule.partition(":")[2].split()


def code_lines(text: str, is_assembly: bool) -> int:
    """Lines that are neither blank nor comment."""
    def blank(match: re.Match[str]) -> str:
        return match[0] if match[0][0] in "\"'" else "\n" * match[0].count("\n")

    pattern = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*'
    lines = re.sub(pattern, blank, text, flags=re.DOTALL).split("\n")
    return sum(1 for line in lines
               if line.strip() and not (is_assembly and re.match(r"\s*# ", line)))


def forbidden(objects: list[str], config_mk: str) -> list[str]:
    """Objects that the configuration says are absent."""
    on = set(re.findall(r"^(CONFIG_\w+) := y$", config_mk, re.MULTILINE))
    found = []
    for name in objects:
        inside = name.partition("hypervisor/")[2]
        extension = re.match(r"ext/(\w+)/", inside)
        needed = [f"CONFIG_EXT_{extension[1].upper()}"] if extension else []
        needed += [switch for pattern, switch in SWITCHES if pattern.match(inside)]
        found += [f"{name} is linked without {switch}" for switch in needed if switch not in on]
    return found


def source_files(objects: list[Path], generated: Path) -> set[Path]:
    """The project's files behind the objects, without the generated ones."""
    files: set[Path] = set()
    for path in objects:
        dependencies = path.with_suffix(".d")
        if not dependencies.exists():
            raise FootprintError(f"{dependencies} is missing: nobody knows the source of {path}")
        # Relative names are relative to the folder make ran in.
        folder = ROOT / path.relative_to(generated).parts[0]
        files |= {(folder / name).resolve() for name in prerequisites(dependencies.read_text())}
    return {f for f in files if f.is_relative_to(ROOT) and not f.is_relative_to(generated)}


def measure(output: Path, map_name: str, image_name: str) -> Footprint:
    """The footprint of one image below the build folder output."""
    folder = output / map_name.partition("/")[0]
    objects = linked_objects((output / map_name).read_text())
    if not objects:
        raise FootprintError(f"{output / map_name} names no object")
    paths = [(ROOT / folder.name / name).resolve() for name in objects]
    config = folder / "gen/config.mk"
    if config.exists():
        names = [str(path.relative_to(output)) for path in paths if path.is_relative_to(output)]
        wrong = forbidden(names, config.read_text())
        if wrong:
            raise FootprintError("\n".join(wrong))
    files = source_files([path for path in paths if path.is_relative_to(output)], output)
    lines = sum(code_lines(f.read_text(), f.suffix == ".S") for f in files)
    sizes = subprocess.run(["size", output / image_name], capture_output=True, text=True,
                           check=True).stdout.split("\n")[1].split()
    return Footprint(lines, *(int(size) for size in sizes[:3]))


def build(output: Path, scenario: Path, target: str) -> None:
    command = ["nice", "make", "-s", "-C", str(ROOT), f"O={output}", f"BOARD={BOARD}",
               f"SCENARIO={scenario.stem}", "RELEASE=y", target,
               f"CONFIG_XML={ROOT}/configs/boards/{BOARD}.xml {scenario}"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise FootprintError(f"the {scenario.stem} scenario does not build")


def write_scenario(folder: Path, name: str, change: tuple[str, str]) -> Path:
    """The scenario of a mode, in its build folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (ROOT / f"configs/scenarios/{BOARD}/{name}.xml").read_text()
    path = folder / f"{name}.xml"
    path.write_text(text.replace(*change) if change[0] else text)
    return path


def measure_all(output: Path, is_built: bool) -> dict[str, Footprint]:
    found = {}
    for mode, (scenario, change) in MODES.items():
        folder = output / "footprint" / mode
        if not is_built:
            build(folder, write_scenario(folder, scenario, change), "hypervisor")
        found[mode] = measure(folder, "hypervisor/acrn.map", "hypervisor/acrn.elf")
    folder = output / "footprint" / "devicemodel"
    if not is_built:
        build(folder, write_scenario(folder, "shared", ("", "")), "devicemodel")
    found["devicemodel"] = measure(folder, "devicemodel/acrn-dm.map", "devicemodel/acrn-dm")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-O", dest="output", type=Path, default=ROOT / "build")
    parser.add_argument("--no-build", action="store_true", help="measure what is built already")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    try:
        found = measure_all(output, arguments.no_build)
    except (FootprintError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'mode':24} {'code lines':>10} {'text':>8} {'data':>8} {'bss':>9}")
    for mode, footprint in found.items():
        print(f"{mode:24} {footprint.lines:10} {footprint.text:8} {footprint.data:8} "
              f"{footprint.bss:9}")
    report = {mode: asdict(footprint) for mode, footprint in found.items()}
    (output / "footprint.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
