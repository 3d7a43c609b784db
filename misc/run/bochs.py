# SPDX-License-Identifier: BSD-3-Clause
"""Bochs: the software emulator of Intel VMX."""

import os
import re
import subprocess
from pathlib import Path

from misc.run.machine import Machine, MachineSpec, find_bochs

MAX_HOST_MB = 2048  # what Bochs has in memory; the rest of a bigger guest is in a file
DEFAULT_MODEL = "corei7_skylake_x"
INSTALLED = Path("/usr/bin/bochs-bin")

# Quiet, without windows, without a person: VNC that waits for nobody, panics
# that end the run, and a log of what the CPU model found wrong.
BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
plugin_ctrl: unmapped=true, biosdev=true, speaker=false, parallel=false, iodebug=false
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault=1, ignore_bad_msrs=1
memory: guest={memory}, host={host_memory}, block_size={block_kb}
romimage: file="{share}/BIOS-bochs-latest"
vgaromimage: file="{share}/VGABIOS-lgpl-latest"
pci: enabled=1, chipset=i440fx
clock: sync=none, time0=utc
com1: enabled={serial:d}, mode=socket-client, dev="127.0.0.1:{port}"
port_e9_hack: enabled=1
sound: waveoutdrv=dummy
speaker: enabled=0
log: "{folder}/bochs.log"
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


class Bochs(Machine):
    """Bochs 3.0, or the installed one."""

    name = "bochs"

    def __init__(self, program: Path | None = None) -> None:
        self.program = program or find_bochs()
        self._unpacked = self.program.name == "bochs"

    def environment(self) -> dict[str, str]:
        return {} if self._unpacked else {"BXSHARE": "/usr/share/bochs"}

    def command(self, spec: MachineSpec, serial_port: int, folder: Path) -> list[str]:
        lines = BOCHSRC.format(model=spec.model or DEFAULT_MODEL, cpus=spec.cpus, ips=spec.ips,
                               memory=spec.memory_mb,
                               host_memory=min(spec.memory_mb, MAX_HOST_MB),
                               block_kb=128 if spec.memory_mb <= MAX_HOST_MB else 1024,
                               share="$BXSHARE", port=serial_port, serial=spec.serial,
                               folder=folder)
        places = ["ata0-master", "ata0-slave", "ata1-slave"]
        if len(spec.disks) > len(places):
            raise ValueError(f"Bochs has room for {len(places)} disks")
        lines += "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
        lines += "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15\n"
        for place, disk in zip(places, spec.disks):
            # A lock of a killed run would refuse the image.
            Path(f"{disk}.lock").unlink(missing_ok=True)
            lines += f'{place}: type=disk, mode=flat, path="{disk}"\n'
        if spec.cdrom:
            lines += f'ata1-master: type=cdrom, path="{spec.cdrom}", status=inserted\n'
        lines += f"boot: {'cdrom' if spec.cdrom else 'disk'}\n"
        if spec.debugger:
            lines += "magic_break: enabled=1\n"
        lines += "".join(f"{line}\n" for line in spec.extra)
        bochsrc = folder / "bochsrc"
        bochsrc.write_text(lines, encoding="ascii")
        command = [str(self.program), "-q", "-f", str(bochsrc)]
        if spec.debugger:
            command += self._debugger_option()
        elif not self._unpacked:
            # Debian 12's build starts in its debugger: tell that to continue.
            script = folder / "debugger"
            script.write_text("c\n", encoding="ascii")
            command += ["-rc", str(script)]
        return command

    def _debugger_option(self) -> list[str]:
        """Debian 12's build knows no such option and always starts there."""
        help_text = subprocess.run([str(self.program), "--help"], capture_output=True, text=True,
                                   env=os.environ | self.environment(), check=False)
        known = "-debugger" in help_text.stdout + help_text.stderr
        return ["-debugger"] if known else []

    def failure(self, folder: Path) -> str:
        """The panic, or the VM-entry check that failed last: Bochs names it exactly."""
        try:
            log = (folder / "bochs.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        found = re.findall(r"^.*(?:>>PANIC<<|VMFAIL|VMENTER FAIL|VMEXIT_TRIPLE|3rd \().*$", log,
                           re.MULTILINE)
        return "\n".join(found[-5:])


class InstalledBochs(Bochs):
    """The Bochs of this Debian, which Bochs is too where 3.0 cannot be fetched."""

    name = "bochs-installed"

    def __init__(self) -> None:
        super().__init__(INSTALLED)


def ticks(folder: Path) -> int:
    """Instructions executed until Bochs ended, from the time stamps of its log."""
    try:
        log = (folder / "bochs.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    stamps = re.findall(r"^(\d{11})", log, re.MULTILINE)
    return max((int(stamp) for stamp in stamps), default=0)
