# SPDX-License-Identifier: BSD-3-Clause
"""The hypervisor boots, and Linux runs in the Service VM."""

import subprocess

from misc.run.image import TOP
from tests.run.target import BROKEN, ServiceVm, Session, TargetTest, kernel_folder


class Refusal(TargetTest):
    """Machines that cannot run a hypervisor."""

    LIMIT = 90

    def test_no_vmx(self) -> None:
        # What does a person see on a machine without VMX: one clear line, and no reboot loop?
        session = self.boot_hypervisor([], machine="qemu")
        session.expect(r"VMX[^\n]*\n(.*\n)?ACRN: [^\n]*halted", 60)
        with self.assertRaises(Exception):
            session.expect(r"ACRN: [^\n]*halted", 5)


class ServiceVmBoots(TargetTest):
    """From GRUB to the Service VM's init, and off again."""

    LIMIT = 180

    def boot(self, cpus: int = 1, image: str = "acrn.bin", multiboot: int = 2,
             **options: object) -> Session:
        """Boots until init has run and the machine is off."""
        vm = ServiceVm(self.hypervisor.with_name(image), self.kernel, launch=None,
                       multiboot=multiboot, kernel_args="console=ttyS0 quiet acrn.after=poweroff")
        session = self.boot_service_vm(vm, cpus=cpus, **options)
        session.expect(rf"service-vm: up, \S+, {cpus} CPUs", 100, BROKEN)
        session.wait_end(60)
        return session

    def test_one_cpu(self) -> None:
        # Does Linux come up, and does its poweroff end the machine?
        self.boot()

    def test_two_cpus(self) -> None:
        # Does it start its second processor by INIT and SIPI?
        self.boot(cpus=2)

    def test_eight_cpus(self) -> None:
        # And seven more?
        self.boot(cpus=8)

    def test_multiboot1(self) -> None:
        # Does the ELF image boot by multiboot 1?
        self.boot(image="acrn.32.out", multiboot=1)

    def test_elf_multiboot2(self) -> None:
        # And by multiboot 2?
        self.boot(image="acrn.32.out")

    def test_no_x2apic(self) -> None:
        # What if all interrupts between two processors go through the xAPIC's page?
        self.boot(cpus=2, model="corei5_arrandale_m520")

    def test_few_features(self) -> None:
        # What if the CPU has no PML, TSC scaling, XSAVES, posted interrupts?
        self.boot(model="broadwell_ult")

    def test_newer_cpu(self) -> None:
        # What if it has CET and more?
        self.boot(model="tigerlake")


class IdeDisk(TargetTest):
    """The Service VM's native disk."""

    LIMIT = 180

    def test_dma(self) -> None:
        # Do the bytes of the IDE disk arrive whole, by DMA and interrupts?
        data = self.folder / "data"
        data.write_bytes(bytes(range(256)) * 16384)
        script = self.script("launch", "md5sum /data/data\ngrep -c ata_piix /proc/interrupts")
        vm = ServiceVm(self.hypervisor, self.kernel, launch=None,
                       disk_files=[(data, "/data"), (script, "/launch.sh")],
                       kernel_args="console=ttyS0 quiet acrn.after=poweroff")
        session = self.boot_service_vm(vm)
        # md5sum of 0..255 repeated to 4 MB
        digest = subprocess.run(["md5sum", str(data)], capture_output=True, text=True,
                                check=True).stdout.split()[0]
        session.expect(rf"{digest}\s+/data/data\n[1-9]", 200, BROKEN)
        session.expect("launch ended with status 0", 60)


class Hsm(TargetTest):
    """The kernel's own client of the HSM."""

    LIMIT = 180

    def test_vm_sample(self) -> None:
        # Does the kernel's sample, unmodified, create, run and destroy a VM, twice?
        sample = self.folder / "vm-sample"
        subprocess.run([str(TOP / "misc/guest/build-sample.sh"), str(kernel_folder()),
                        str(sample)], check=True)
        script = self.script("launch", "for round in 1 2; do\nvm-sample & sleep 3\n"
                                       "kill -INT $!\nwait $!\ndone")
        vm = ServiceVm(self.hypervisor, self.kernel, launch=None,
                       service_files=[(sample, "/bin/vm-sample")],
                       disk_files=[(script, "/launch.sh")])
        session = self.boot_service_vm(vm)
        for _ in range(2):
            session.expect(r"Created VM! \[0\]", 200, BROKEN)
            session.expect(r"Set up VM memory! \[0\]", 60, BROKEN)
            session.expect(r"Start VM! \[0\]", 60, BROKEN)
            for direction, port in (("write", 1100), ("read", 1200)):
                for size in (1, 2, 4):
                    session.expect(rf"Guest VM {direction} PIO\[{port}\] with size\[{size}\]", 60,
                                   BROKEN)
            session.expect(r"Destroy VM! \[0\]", 60, BROKEN)
