# SPDX-License-Identifier: BSD-3-Clause
"""What a target test needs: boot something, wait for output, judge it.

A test is a unittest case derived from TargetTest:

    class Boots(TargetTest):
        LIMIT = 120
        def test_two_cpus(self) -> None:
            # What if there are two CPUs?
            session = self.boot_service_vm(self.service_vm("echo hello"), cpus=2)
            session.expect("^hello", 100, BROKEN)

Whatever it starts ends with the case. The console goes to the test's log folder.
"""

import functools
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from misc.guest.mkimage import Boot, Module, make_cd
from misc.guest.mkinitramfs import make as make_initramfs
from misc.run.choose import choose
from misc.run.image import KERNEL_TAG, ServiceVm, build_kernel, make_cdrom, make_disk
from misc.run.machine import TOP, MachineSpec
from misc.run.session import Session

__all__ = ["Boot", "MachineSpec", "Module", "ServiceVm", "Session", "TargetTest"]

# Bochs's, beside corei7_skylake_x, which most tests have.
OTHER_MODELS = ("broadwell_ult", "corei7_icelake_u", "tigerlake")
BROKEN = r"Kernel panic|\bBUG: |\bWARNING: |^error: |^ACRN: .*halted|ACRN: panic|invariant broken.*[\r\n]"
IPS = MachineSpec.ips


@functools.lru_cache
def kernel_folder() -> Path:
    """The cached folder with the guests' kernel."""
    return build_kernel()


class TargetTest(unittest.TestCase):
    """Boots machines and ends them."""

    LIMIT = 180  # seconds a case may take, the runner's business

    @property
    def output(self) -> Path:
        """The build folder."""
        return Path(os.environ.get("O", TOP / "build"))

    @property
    def hypervisor(self) -> Path:
        """The hypervisor image."""
        return self.output / "hypervisor" / "acrn.bin"

    @property
    def acrn_dm(self) -> Path:
        """The device model."""
        return self.output / "devicemodel" / "acrn-dm"

    @property
    def kernel(self) -> Path:
        """The guests' bzImage."""
        return kernel_folder() / "bzImage"

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="acrn-test.")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, spec: MachineSpec, machine: str = "bochs") -> Session:
        """Starts a machine; it ends with the case."""
        log = self.output / "tests" / "log" / f"{self.id()}.console"
        session = Session(choose(machine)[0], spec, log)
        self.addCleanup(self._judge_hypervisor, session)  # after the next one
        self.addCleanup(session.close)
        return session

    def _judge_hypervisor(self, session: Session) -> None:
        """Whatever the case was about, the hypervisor's checker found nothing."""
        self.assertNotRegex(session.text, "invariant broken")

    def script(self, name: str, text: str) -> Path:
        """A shell script in the test's folder."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def program(self, name: str) -> Path:
        """A program of tests/target/service, for the Service VM."""
        path = self.folder / name
        subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", str(path),
                        str(TOP / f"tests/target/service/{name}.c")], check=True)
        return path

    def service_vm(self, launch: str, kernel_args: str = "quiet acrn.after=poweroff",
                   **user_scripts: str) -> ServiceVm:
        """A Service VM that runs the script `launch`; scripts for the User VM's /bin by name."""
        files = [(self.script(name, text), f"/bin/{name}") for name, text in user_scripts.items()]
        return ServiceVm(self.hypervisor, self.kernel, self.acrn_dm, user_files=files,
                         kernel_args=f"console=ttyS0 {kernel_args}",
                         launch=self.script("launch.sh", launch))

    def initramfs(self, script: str, files: list[tuple[Path, str]] | None = None) -> Path:
        """An initramfs whose init mounts /proc, runs `script` and powers off."""
        init = self.folder / "init"
        init.write_text("#!/bin/sh\n/bin/busybox mount -t proc proc /proc\n"
                        "mount -t devtmpfs devtmpfs /dev\nmount -t sysfs sysfs /sys\n"
                        f"{script}\nsleep 1\npoweroff -f\n", encoding="utf-8")
        return make_initramfs(self.folder / "initramfs.cpio", init, files or [])

    def boot_linux(self, script: str, append: str = "quiet", machine: str = "bochs",
                   files: list[tuple[Path, str]] | None = None,
                   **machine_options: object) -> Session:
        """Boots the guests' Linux on the bare machine, with `script` as its init."""
        line = f"console=ttyS0 panic=-1 {append}"
        if machine == "bochs":
            # Its CPU claims 3.5 GHz: without the true rate every delay is 175 times too long.
            line += f" tsc_early_khz={IPS // 1000}"
        boot = Boot(self.kernel, line, initrd=self.initramfs(script, files), protocol="linux")
        cdrom = make_cd(self.folder / "linux.iso", boot)
        return self.start(MachineSpec(cdrom=cdrom, **machine_options), machine)  # type: ignore

    def boot_service_vm(self, vm: ServiceVm, machine: str = "bochs",
                        **machine_options: object) -> Session:
        """Boots the hypervisor with a Service VM and, if `vm` launches something, its disk."""
        spec = MachineSpec(cdrom=make_cdrom(vm, self.folder), **machine_options)  # type: ignore
        if vm.launch or vm.disk_files:
            spec.disks = [make_disk(vm, self.folder)]
        return self.start(spec, machine)

    def guest(self, name: str) -> Path:
        """A test guest of tests/target/guest: a bzImage."""
        return self.output / "tests" / "guest" / f"{name}.bzimage"

    def boot_bare_guest(self, name: str, append: str = "", **machine_options: object) -> Session:
        """Boots a test guest on the bare machine, with the command line `append`."""
        boot = Boot(self.guest(name), append, protocol="linux")
        cdrom = make_cd(self.folder / "bare.iso", boot)
        return self.start(MachineSpec(cdrom=cdrom, **machine_options))  # type: ignore

    def boot_guest(self, name: str, hv_args: str = "", **machine_options: object) -> Session:
        """Boots a test guest as the Service VM."""
        module = Module(self.guest(name), KERNEL_TAG)
        return self.boot_hypervisor([module], hv_args, **machine_options)  # type: ignore

    def boot_hypervisor(self, modules: list[Module], hv_args: str = "", multiboot: int = 2,
                        machine: str = "bochs", tables: list[Path] | None = None,
                        **machine_options: object) -> Session:
        """Boots the hypervisor with any modules, and with ACPI tables in place of the BIOS's."""
        protocol = "multiboot2" if multiboot == 2 else "multiboot"
        boot = Boot(self.hypervisor, hv_args, modules, protocol=protocol, tables=tables or [])
        cdrom = make_cd(self.folder / "acrn.iso", boot)
        return self.start(MachineSpec(cdrom=cdrom, **machine_options), machine)  # type: ignore
