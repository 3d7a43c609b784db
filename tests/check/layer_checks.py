# SPDX-License-Identifier: BSD-3-Clause
"""Which part of the hypervisor may include which header.

Parts point one way: lib < arch < sched < guest < vpci, vdev < vapic <
service_vm < boot.  A header of include/hv belongs to the part that has the .c
of its name; the tables name those that have none, and say why where a header
stands lower than its .c.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from tree import code_of, line_at, sources

RANKS = {
    "lib": 0,
    "arch": 1,
    "sched": 2,
    "guest": 3,
    # Each runs a vCPU or keeps its EPT, so it knows struct vcpu and struct vm as guest/ does.
    "arch/x86/vmx": 3,
    "vpci": 4,
    "vdev": 4,
    "vpci/func": 4,
    "vapic": 5,
    "service_vm": 6,
    "boot": 7,
    "pre_launched": 7,
    # Shows what all others know; nobody depends on it but through the headers below.
    "debug": 8,
    # Features with a switch of their own, linked by registration only.
    "ext": 8,
}

# Folders that an image may be without: nobody below may name what they own.
OPTIONAL = ("vapic", "service_vm", "vpci/func", "pre_launched", "ext")

# Header -> part it belongs to, where no .c of its name tells, or the .c is not the owner.
OWNERS = {
    "hv/vm_config.h": "lib",  # generated facts, no code
    "hv/log.h": "lib",  # all may speak; a release answers with debug/none.c
    "hv/log_sink.h": "lib",  # of a debug build: who shows the log, in any part
    "hv/trace.h": "lib",  # all may be traced; a release has none of it
    "hv/rings.h": "arch",  # what debug/ implements and a release is without
    "hv/shell.h": "lib",  # any part may have a command; debug/ runs it
    "hv/image.h": "lib",  # symbols of the linker script
    "hv/acpi.h": "lib",  # facts of the machine, read only once boot/ has found them
    "hv/boot.h": "lib",  # the same: what the loader handed over
    "hv/mm.h": "arch",
    "hv/vmcs.h": "arch/x86/vmx",
    "hv/zero_page.h": "boot",
    "hv/vintr.h": "guest",  # the interface that vapic/ and lapic_pt.c implement
}

# File and header that go upwards all the same, and why.
UPWARDS = {
    # An NMI that hits root mode is the guest's as often as not, and only vcpu.c can hand it on.
    ("hypervisor/arch/x86/cpu/exception.c", "hv/vcpu.h"),
    # Each CPU enters VMX operation as it starts.
    ("hypervisor/arch/x86/cpu/pcpu.c", "hv/vmcs.h"),
    # A panic stops all CPUs, whoever found the broken invariant.
    ("hypervisor/lib/panic.c", "hv/cpu.h"),
    ("hypervisor/lib/panic.c", "hv/irq.h"),
    ("hypervisor/lib/panic.c", "hv/pcpu.h"),
}


@functools.lru_cache
def _owners() -> dict[str, str]:
    owners = {}
    for path in sources("hypervisor/**/*.c", "hypervisor/**/*.S"):
        owners.setdefault(f"hv/{path.stem}.h", _part(path))
    owners.update(OWNERS)
    return owners


def _part(path: Path) -> str:
    """hypervisor/guest/vm.c -> guest; the longest name in RANKS that fits counts."""
    inside = "/".join(path.parts[1:-1])
    fitting = [part for part in RANKS if inside == part or inside.startswith(part + "/")]
    return max(fitting, key=len) if fitting else "lib"


def _includes(path: Path) -> Iterator[tuple[int, str]]:
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', code_of(path), re.MULTILINE):
        yield line_at(code_of(path), match.start()), match[1]


def _allowed(part: str, owner: str) -> bool:
    if owner in OPTIONAL and part not in OPTIONAL and part not in ("boot", "debug"):
        return False
    return RANKS[owner] <= RANKS[part]


def include_direction() -> Iterator[str]:
    """A part includes headers of its own level and below."""
    for path in sources("hypervisor/**/*.c"):
        part = _part(path)
        for line, header in _includes(path):
            owner = _owners().get(header)
            if owner and not _allowed(part, owner) and (str(path), header) not in UPWARDS:
                yield f"{path}:{line}: {part} includes {header}, which belongs to {owner}"


def optional_folders() -> Iterator[str]:
    """What is always built includes nothing of a folder that may be absent."""
    for path in sources("hypervisor/**/*.c", "hypervisor/include/**/*.h"):
        part = _part(path) if path.suffix == ".c" else _owners().get(
            "/".join(path.parts[2:]), "lib")
        for line, header in _includes(path):
            owner = _owners().get(header)
            if owner in OPTIONAL and part not in OPTIONAL:
                yield f"{path}:{line}: {part} is built without {owner}, which owns {header}"


def header_owner() -> Iterator[str]:
    """Every header of the hypervisor's parts has a place in the order."""
    for path in sources("hypervisor/include/hv/*.h"):
        name = "/".join(path.parts[2:])
        if name not in _owners():
            yield f"{path}:1: no .c has its name; say whose it is in tests/check/layer_checks.py"
