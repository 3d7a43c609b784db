#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian as its users have it, unmodified, in a User VM, to its login prompt and back.

  stock.py [-O build] [RELEASE]...

The kernel is Debian's, with the initramfs its own tools made and a root file
system on virtio-blk: given to acrn-dm, and then started from the disk by the
release's GRUB and stock UEFI firmware. A user logs in at the serial console,
looks at the machine, and powers it off. Takes some minutes a release: outside
`make test`.
"""

import argparse
import os
import subprocess
import sys
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

# pylint: disable=wrong-import-position
from misc.run.image import make_cdrom, make_disk
from tests.run.target import MachineSpec, TargetTest

RELEASES = ["bullseye", "bookworm", "trixie"]
# Emulated time goes slowly beside the instructions, so that no service runs into its time limit.
IPS = 200_000_000
# Debian's kernel warns of the emulated processor's defects, and GRUB that there is no screen: that is
# no failure.
BROKEN = (r"Kernel panic|\bBUG: |^error: (?!no suitable video mode).*\n|ACRN: (panic|.*halted)|"
          r"emergency mode|\(initramfs\)")
OVMF = Path("/usr/share/ovmf/OVMF.fd")
LAUNCH = """\
acrn-dm -m 512M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/dev/sdb \\
	-s 4,virtio-rnd {start} vm1
echo "acrn-dm ended with status $?"
"""


class Stock(TargetTest):
    """One release; the environment names it."""

    def login(self, start: str, image: str, *files: Path) -> None:
        """From acrn-dm's start, of which the words are given, to the status it ends with."""
        vm = self.service_vm(LAUNCH.format(start=start))
        vm.user_disk_mb = 0
        vm.disk_files += [(file, f"/{file.name}") for file in files]
        root = self.folder / "root.img"
        subprocess.run(["cp", "--sparse=always", self.debian() / image, root], check=True)
        session = self.start(MachineSpec(
            cdrom=make_cdrom(vm, self.folder), disks=[make_disk(vm, self.folder), root],
            memory_mb=1024, ips=IPS))
        session.expect("stock login: ", 1800, BROKEN)
        session.send("root\n")
        session.expect(r"root@stock:~# ", 300, BROKEN)
        session.send("echo version $(uname -r), $(systemctl is-system-running --wait)\n")
        print(session.expect(r"^version .*, running", 600, BROKEN).group())
        session.send("poweroff\n")
        session.expect("^acrn-dm ended with status 0", 600, BROKEN)
        session.wait_end(60)

    def debian(self) -> Path:
        """Where the release's files are."""
        made = subprocess.run([TOP / "tests/stock/make-debian.sh", os.environ["RELEASE"]],
                              check=True, stdout=subprocess.PIPE, text=True)
        return Path(made.stdout.strip())

    def test_login(self) -> None:
        # Does a Linux that nobody here has configured or built come up, and go down, as on a PC?
        self.login('-k /data/vmlinuz -r /data/initrd.img -B "root=/dev/vda rw console=ttyS0"',
                   "disk.img", self.debian() / "vmlinuz", self.debian() / "initrd.img")

    def test_firmware(self) -> None:
        # Does it from a disk that a PC would start from, by UEFI firmware and the release's GRUB?
        self.login("--ovmf /data/OVMF.fd", "efi.img", OVMF)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-O", dest="output", type=Path, default=TOP / "build")
    parser.add_argument("releases", nargs="*", default=RELEASES)
    options = parser.parse_args()
    os.environ["O"] = str(options.output)
    failed = 0
    for release in options.releases:
        os.environ["RELEASE"] = release
        print(f"stock: Debian {release}", flush=True)
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Stock)
        failed += not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful()
    return failed


if __name__ == "__main__":
    sys.exit(main())
