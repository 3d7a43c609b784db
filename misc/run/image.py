# SPDX-License-Identifier: BSD-3-Clause
"""The images a Service VM boots from: a GRUB CD, and a disk with the User VM's files.

The CD holds the hypervisor, the Service VM's kernel and its initramfs. The disk
(ext4 on IDE, /data in the Service VM) holds launch.sh, which starts acrn-dm, and
the User VM's kernel, initramfs and disk.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from misc.guest import mkimage, mkinitramfs
from misc.run.machine import TOP

GUEST = TOP / "misc" / "guest"
KERNEL_TAG = "Linux_bzImage"
RAMDISK_TAG = "Ramdisk_mod"
Added = list[tuple[Path, str]]


@dataclass
class ServiceVm:
    """What goes on the images; the defaults are those of `make run`."""

    hypervisor: Path
    kernel: Path  # bzImage, of the Service VM and of the User VM
    acrn_dm: Path | None = None
    hv_args: str = ""
    kernel_args: str = "console=ttyS0 quiet"
    init: Path = GUEST / "service-init"
    launch: Path | None = GUEST / "launch.sh"
    user_init: Path = GUEST / "user-init"
    user_files: Added = field(default_factory=list)
    service_files: Added = field(default_factory=list)
    disk_files: Added = field(default_factory=list)
    user_disk_mb: int = 128
    disk_mb: int = 384
    multiboot: int = 2


def build_kernel() -> Path:
    """The folder with the guests' kernel, built on first use."""
    result = subprocess.run([str(GUEST / "build-kernel.sh")], stdout=subprocess.PIPE, text=True,
                            check=False)
    if result.returncode:
        raise OSError("the guests' kernel could not be built")
    return Path(result.stdout.strip())


def make_cdrom(vm: ServiceVm, folder: Path) -> Path:
    """The CD: GRUB, hypervisor, Service VM kernel and initramfs."""
    files = list(vm.service_files)
    if vm.acrn_dm:
        files.append((vm.acrn_dm, "/bin/acrn-dm"))
    ramdisk = mkinitramfs.make(folder / "service.cpio", vm.init, files)
    modules = [mkimage.Module(vm.kernel, f"{KERNEL_TAG} {vm.kernel_args}"),
               mkimage.Module(ramdisk, RAMDISK_TAG)]
    protocol = "multiboot2" if vm.multiboot == 2 else "multiboot"
    boot = mkimage.Boot(vm.hypervisor, vm.hv_args, modules, protocol=protocol)
    return mkimage.make_cd(folder / "acrn.iso", boot)


def make_disk(vm: ServiceVm, folder: Path) -> Path:
    """The Service VM's disk, with the User VM's kernel, initramfs and disk on it."""
    files = list(vm.disk_files)
    if vm.launch:
        files += [(vm.launch, "/launch.sh"), (vm.kernel, "/bzImage")]
        ramdisk = mkinitramfs.make(folder / "user.cpio", vm.user_init, vm.user_files)
        files.append((ramdisk, "/user.cpio"))
        if vm.user_disk_mb:
            user_disk = mkimage.make_ext4(folder / "user.img", vm.user_disk_mb, [])
            files.append((user_disk, "/user.img"))
    return mkimage.make_ext4(folder / "disk.img", vm.disk_mb, files)
