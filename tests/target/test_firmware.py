# SPDX-License-Identifier: BSD-3-Clause
"""A User VM that starts with Debian's UEFI firmware and a boot loader on its disk."""

import subprocess
from pathlib import Path

from misc.guest.mkinitramfs import make as make_initramfs
from misc.run.image import GUEST
from tests.run.target import BROKEN, TargetTest, ServiceVm

OVMF = Path("/usr/share/OVMF")
GRUB = """\
serial --unit=0 --speed=115200
terminal_output serial
echo grub is here
insmod fat
insmod lsacpi
lsacpi --v2
linux (hd0)/bzImage console=ttyS0 quiet acrn.test=/bin/firmware
initrd (hd0)/user.cpio
boot
"""
LAUNCH = """\
cp /data/vars.fd /run/vars.fd
acrn-dm -m 128M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/efi.img \\
	--cpu_affinity 0,1 --ovmf w,code=/data/code.fd,vars=/run/vars.fd vm1 </dev/null
echo "acrn-dm ended with status $?"
cmp /data/vars.fd /run/vars.fd >/dev/null || echo "variables were written"
"""
# The first start ends with a reset. Behind the file system is where it says so.
FIRMWARE = """\
if ! dd if=/dev/vda bs=1M skip=16 2>/dev/null | grep -q reset; then
	echo reset | dd of=/dev/vda bs=1M seek=16 conv=fsync 2>/dev/null
	echo "first start, $(nproc) CPUs"
	reboot -f
fi
echo "second start"
echo "tables: $(ls /sys/firmware/acpi/tables | tr '\\n' ' ')"
echo "disk: $(cat /sys/block/vda/size)"
"""


class Firmware(TargetTest):
    """One boot, from the reset vector on."""

    LIMIT = 600

    def efi_disk(self, vm: ServiceVm) -> Path:
        """A FAT file system with GRUB where firmware looks for it, a kernel and its ramdisk."""
        disk, config, loader = (self.folder / name for name in ("efi.img", "grub.cfg", "grub.efi"))
        ramdisk = make_initramfs(self.folder / "efi.cpio", GUEST / "user-init", vm.user_files)
        config.write_text(GRUB, encoding="utf-8")
        subprocess.run(["grub-mkstandalone", "-O", "x86_64-efi", "-o", loader, "--fonts=",
                        "--install-modules=linux lsacpi fat echo serial terminal boot normal",
                        "--locales=", "--themes=", f"boot/grub/grub.cfg={config}"], check=True)
        with disk.open("wb") as image:
            image.truncate(17 << 20)
        for command in (["mformat", "-T", "32768"], ["mmd", "::/EFI", "::/EFI/BOOT"],
                        ["mcopy", str(loader), "::/EFI/BOOT/BOOTX64.EFI"],
                        ["mcopy", str(vm.kernel), "::/bzImage"],
                        ["mcopy", str(ramdisk), "::/user.cpio"]):
            command[1:1] = ["-i", str(disk)]
            subprocess.run([*command, "::"] if command[0] == "mformat" else command, check=True)
        return disk

    def test_grub(self) -> None:
        # Does stock OVMF find memory and disk and take the ACPI tables, which GRUB lists, run GRUB from the disk, and keep its
        # variables, and does Linux come up from there? Twice, with two processors?
        vm = self.service_vm(LAUNCH, firmware=FIRMWARE)
        vm.user_disk_mb = 0
        vm.disk_files = [(self.efi_disk(vm), "/efi.img"),
                         (OVMF / "OVMF_CODE.fd", "/code.fd"), (OVMF / "OVMF_VARS.fd", "/vars.fd")]
        session = self.boot_service_vm(vm, cpus=2)
        failed = BROKEN.replace("|^error: ", "")  # GRUB says that there is no screen
        for line in ("grub is here", "^FACP .*valid", "^APIC .*valid", "^MCFG .*valid",
                     "^first start, 2 CPUs$", "grub is here", "^second start$",
                     "tables: .*APIC DSDT FACP FACS MCFG", "^disk: 34816$",
                     "^acrn-dm ended with status 0", "^variables were written$"):
            session.expect(line, 300, failed)
        session.wait_end(60)
