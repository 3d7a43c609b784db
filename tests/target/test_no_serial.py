# SPDX-License-Identifier: BSD-3-Clause
"""A machine without any serial port: what it did is on its disk."""

import subprocess

from tests.run.target import TargetTest

LAUNCH = """\
exec >/data/result 2>&1
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet acrn.test=/bin/hello" vm1 </dev/null
echo "acrn-dm ended with status $?"
acrnlog -p
echo "acrnlog ended with status $?"
"""


class NoSerial(TargetTest):
    """Boots through to a User VM."""

    LIMIT = 240

    def test_user_vm(self) -> None:
        # Does all of it work, and is the hypervisor's log to be had in the Service VM?
        vm = self.service_vm(LAUNCH, hello="echo hello from the User VM")
        vm.user_disk_mb = 0
        vm.service_files.append((self.output / "misc" / "acrnlog", "/bin/acrnlog"))
        session = self.boot_service_vm(vm, serial=False)
        session.wait_end(200)
        self.assertEqual(session.text, "")
        result = subprocess.run(["/sbin/debugfs", "-R", "cat /result",
                                 str(self.folder / "disk.img")],
                                capture_output=True, text=True, check=True).stdout
        for line in ("^hello from the User VM", "^acrn-dm ended with status 0",
                     r"\[cpu=\d+\]\[sev=\d\]: VM 1 \(vm1\): created with 1 vCPUs",
                     "^acrnlog ended with status 0"):
            self.assertRegex(result, f"(?m){line}")
