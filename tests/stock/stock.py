#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian as its users have it, unmodified, in a User VM, to its login prompt and back.

  stock.py [-O build] [RELEASE]...

The kernel is Debian's, with the initramfs its own tools made and a root file
system on virtio-blk. A user logs in at the serial console, looks at the machine,
and powers it off. Takes some minutes a release: outside `make test`.
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
# Debian's kernel warns of the emulated processor's defects: that is no failure.
BROKEN = r"Kernel panic|\bBUG: |^error: |ACRN: (panic|.*halted)|emergency mode|\(initramfs\)"
LAUNCH = """\
acrn-dm -m 512M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/dev/sdb \\
	-s 4,virtio-rnd -k /data/vmlinuz -r /data/initrd.img \\
	-B "root=/dev/vda rw console=ttyS0" vm1
echo "acrn-dm ended with status $?"
"""


class Stock(TargetTest):
    """One release; the environment names it."""

    def test_login(self) -> None:
        # Does a Linux that nobody here has configured or built come up, and go down, as on a PC?
        release = os.environ["RELEASE"]
        made = subprocess.run([TOP / "tests/stock/make-debian.sh", release], check=True,
                              stdout=subprocess.PIPE, text=True)
        folder = Path(made.stdout.strip())
        vm = self.service_vm(LAUNCH)
        vm.user_disk_mb = 0
        vm.disk_files += [(folder / "vmlinuz", "/vmlinuz"), (folder / "initrd.img", "/initrd.img")]
        root = self.folder / "root.img"
        subprocess.run(["cp", "--sparse=always", folder / "disk.img", root], check=True)
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
