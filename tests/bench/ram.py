#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How much memory the hypervisor takes, part of make footprint: read from it while it runs.

    ram.py [-O DIR]

Boots each release below DIR/footprint in Bochs, stops at the first VM entry, when nothing more is
ever allocated, and reads the boot allocator's region and the pools. Adds to DIR/footprint.json, in
bytes: `ram`, all that no VM can have; `pages`, the part of it that is the page pool, nearly all for
EPT tables; `ram_per_vm`, what the other pools hold for each VM that the image has room for, with as
many vCPUs as there are processors (two); `ept`, pages in use, by the VMs that start with the machine.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

# pylint: disable=wrong-import-position
from debugger import Debugger, stopped_at

from misc.guest.mkimage import Boot, Module, make_cd
from misc.run.bochs import DEFAULT_MODEL
from misc.run.machine import MachineSpec
from misc.run.session import Ended

CPUS = 2
PAGE = 4096
TAGS = re.compile(r'\.kernel_tag = "(\w+)"')


def symbols(elf: Path) -> dict[str, int]:
    """Addresses by name, variables too."""
    text = subprocess.run(["nm", str(elf)], capture_output=True, text=True, check=True).stdout
    return {name: int(address, 16) for address, _, name in
            (line.split() for line in text.splitlines() if len(line.split()) == 3)}


def vmlaunch(elf: Path) -> int:
    """Where the hypervisor enters a guest for the first time."""
    text = subprocess.run(["objdump", "-d", "--disassemble=vmx_enter", str(elf)],
                          capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\s*([0-9a-f]+):.*\bvmlaunch", text, re.MULTILINE)
    if not found:
        raise KeyError("vmlaunch")
    return int(found[1], 16)


def pools(debugger: Debugger, first: int) -> dict[int, tuple[int, int, int]]:
    """Address of each struct pool -> objects, those in use, bytes of one."""
    found, at = {}, first
    while at:
        following, _, _, _, counts, size = debugger.words(at, 6)
        found[at] = (counts & 0xFFFFFFFF, counts >> 32, size)
        at = following
    return found


def measure(hypervisor: Path, kernel: Path) -> dict[str, int]:
    """Boots one release, with a kernel for each of its VMs; {} if it starts none."""
    names = symbols(hypervisor / "acrn.elf")
    config = (hypervisor / "gen/vm_config.c").read_text(encoding="ascii")
    vms = int(re.findall(r"#define CONFIG_MAX_VM_NUM (\d+)",
                         (hypervisor / "gen/config.h").read_text(encoding="ascii"))[0])
    with tempfile.TemporaryDirectory(prefix="acrn-ram.") as folder:
        boot = Boot(hypervisor / "acrn.32.out", "quirks=off",
                    [Module(kernel, tag) for tag in TAGS.findall(config)], protocol="multiboot")
        spec = MachineSpec(cdrom=make_cd(Path(folder) / "ram.iso", boot), model=DEFAULT_MODEL,
                           cpus=CPUS, ips=20_000_000)
        with Debugger(spec) as debugger:
            debugger.stop_at(names["cpu_halt_forever"])
            debugger.stop_at(vmlaunch(hypervisor / "acrn.elf"))
            if stopped_at(debugger.command("c", 300))[1] == names["cpu_halt_forever"]:
                return {}
            region = debugger.words(names["region_size"], 1)[0]
            all_pools = pools(debugger, debugger.words(names["pools"], 1)[0])
    pages, used, _ = all_pools.pop(names["page_pool"])
    image = names["hv_end"] - names["hv_start"]
    return {"ram": region + image + PAGE,  # a page below 1 MB starts the other processors
            "pages": pages * PAGE, "ept": used * PAGE,
            "ram_per_vm": sum(total * size for total, _, size in all_pools.values()) // vms}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-O", dest="output", type=Path, default=TOP / "build")
    output = parser.parse_args().output.resolve()
    report = json.loads((output / "footprint.json").read_text(encoding="ascii"))
    print(f"\n{'KB of RAM':24} {'in all':>10} {'page pool':>10} {'in use':>8} {'per VM':>8}")
    try:
        for mode in report:
            hypervisor = output / "footprint" / mode / "hypervisor"
            if not (hypervisor / "acrn.elf").exists():
                continue
            found = measure(hypervisor, output / "tests/guest/bench.bzimage")
            report[mode] |= found
            if not found:
                print(f"{mode:24} it does not start a VM")
                continue
            print(f"{mode:24} {found['ram'] >> 10:10} {found['pages'] >> 10:10} "
                  f"{found['ept'] >> 10:8} {found['ram_per_vm'] >> 10:8}", flush=True)
    except (Ended, OSError, KeyError, IndexError, ValueError,
            subprocess.CalledProcessError) as error:
        print(f"ram: FAILED: {error}", file=sys.stderr)
        return 1
    (output / "footprint.json").write_text(json.dumps(report, indent=2) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
