# SPDX-License-Identifier: BSD-3-Clause
"""The guests' Linux on the bare machine: what the hypervisor is compared with."""

from tests.run.target import BROKEN, TargetTest


class BareLinux(TargetTest):
    """Boots without a hypervisor."""

    LIMIT = 120

    def test_bochs(self) -> None:
        # Does the guests' kernel come up on the bare machine, with both CPUs, and power it off?
        session = self.boot_linux("echo up with $(nproc) CPUs", cpus=2)
        session.expect("^up with 2 CPUs", 90, BROKEN)
        session.wait_end(30)

    def test_qemu(self) -> None:
        # Does it come up in QEMU, where there is no VMX?
        session = self.boot_linux("grep -c vmx /proc/cpuinfo; echo up", machine="qemu")
        session.expect("^0\nup$", 90, BROKEN)
        session.wait_end(30)

    def test_drivers(self) -> None:
        # Has the kernel what a Service VM and a User VM need?
        session = self.boot_linux("cat /proc/misc /proc/devices /proc/filesystems\n"
                                  "ls /sys/bus/virtio/drivers /sys/bus/pci/drivers\necho end")
        session.expect("^end$", 90, BROKEN)
        for word in "virtio_blk virtio_net virtio-pci ata_piix e1000 ext4 hugetlbfs tun".split():
            self.assertRegex(session.text, rf"\b{word}\b")
