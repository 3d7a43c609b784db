# SPDX-License-Identifier: BSD-3-Clause
"""What every machine has in common, and which machine to take.

A machine turns a MachineSpec into the command line of an emulator that connects
its first serial port to a TCP port of ours. Everything after that is Session's.
"""

import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Where what is made once is kept, outside the tree."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("ACRN_CACHE") or f"{base}/acrn")


@dataclass
class MachineSpec:
    """The emulated computer."""

    cdrom: Path | None = None
    disks: list[Path] = field(default_factory=list)
    cpus: int = 1
    memory_mb: int = 512
    # Names of Bochs and QEMU CPU models; None takes each machine's default.
    model: str | None = None
    # Bochs only: instructions per emulated second. Slow time makes timed waits
    # and serial characters cheap.
    ips: int = 20_000_000
    # Bochs only: it starts in its debugger, which reads commands from the terminal.
    debugger: bool = False
    # Bochs only: no serial port at all; what the machine says is its port 0xE9, and its disk.
    serial: bool = True
    # Lines added to the bochsrc, arguments added to QEMU's command line.
    extra: list[str] = field(default_factory=list)


class Machine(ABC):
    """An emulator, or a virtual machine of the host."""

    name: str

    @abstractmethod
    def command(self, spec: MachineSpec, serial_port: int, folder: Path) -> list[str]:
        """The command that runs `spec`, with files it needs written to `folder`."""

    def environment(self) -> dict[str, str]:
        """Environment variables to add."""
        return {}

    def failure(self, folder: Path) -> str:
        """What the machine itself says of the end of the run; empty if nothing."""
        del folder
        return ""


def nested_vmx_missing() -> str:
    """Why this host cannot run a hypervisor in KVM; empty if it can.

    /dev/kvm alone proves nothing: the CPU must show vmx and kvm_intel must pass
    it on to its guests.
    """
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    if " vmx" not in flags:
        return "the CPU shows no VMX"
    try:
        nested = Path("/sys/module/kvm_intel/parameters/nested").read_text(encoding="ascii")
    except OSError:
        return "kvm_intel is not loaded"
    if nested.strip() not in ("Y", "1"):
        return "kvm_intel's 'nested' is off"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not accessible"
    return ""


def find_bochs() -> Path:
    """The best Bochs, fetched if need be."""
    result = subprocess.run([str(TOP / "misc/run/fetch-bochs.sh")], stdout=subprocess.PIPE,
                            text=True, check=False)
    if result.returncode:
        raise OSError("no Bochs: run misc/setup/install.sh")
    return Path(result.stdout.strip())
