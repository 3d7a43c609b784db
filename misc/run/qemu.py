# SPDX-License-Identifier: BSD-3-Clause
"""QEMU: with KVM where the host nests VMX, else its emulator, which has VT-d but no VMX."""

from pathlib import Path

from misc.run.machine import Machine, MachineSpec

# Writing N to the debug exit port ends QEMU with status 2N+1.
DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"


class Qemu(Machine):
    """An i440fx machine like Bochs's, for BIOS boots."""

    name = "qemu"
    accelerator = "tcg"
    default_model = "Skylake-Server"

    def command(self, spec: MachineSpec, serial_port: int, folder: Path) -> list[str]:
        command = ["qemu-system-x86_64", "-machine", f"pc,accel={self.accelerator}",
                   "-cpu", spec.model or self.default_model, "-smp", str(spec.cpus),
                   "-m", str(spec.memory_mb), "-display", "none", "-monitor", "none",
                   "-nodefaults", "-vga", "std", "-device", DEBUG_EXIT,
                   "-serial", f"tcp:127.0.0.1:{serial_port}",
                   "-debugcon", f"file:{folder}/debugcon.log"]
        for index, disk in enumerate(spec.disks):
            command += ["-drive", f"file={disk},format=raw,if=ide,index={index}"]
        if spec.cdrom:
            command += ["-drive", f"file={spec.cdrom},format=raw,if=ide,index=2,media=cdrom"]
            command += ["-boot", "d"]
        return command + spec.extra


class Kvm(Qemu):
    """QEMU on a host whose KVM passes VMX on."""

    name = "kvm"
    accelerator = "kvm"
    default_model = "host"
