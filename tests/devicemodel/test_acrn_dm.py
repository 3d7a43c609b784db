# SPDX-License-Identifier: BSD-3-Clause
"""The program acrn-dm as a shell sees it, on a machine without the HSM driver."""

import os
import subprocess
import unittest
from pathlib import Path

OUTPUT = Path(os.environ.get("O", "build")).resolve()
ACRN_DM = OUTPUT / "devicemodel" / "acrn-dm"


def acrn_dm(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs it without input."""
    return subprocess.run([ACRN_DM, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20, check=False)


class CommandLine(unittest.TestCase):
    """What goes out, where, and with which status."""

    def one_line(self, status: int, part: str, *words: str) -> None:
        """The command fails with that status and one line on stderr that has the part."""
        result = acrn_dm(*words)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(part, result.stderr)

    def test_help_and_version(self) -> None:
        """Do they go to standard output, with status 0?"""
        for word in ("-h", "--help", "-v", "--version"):
            result = acrn_dm(word)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("acrn-dm", result.stdout)

    def test_every_device_is_there(self) -> None:
        """Is every device linked into the program, and its option understood?"""
        for device in ("hostbridge", "amd_hostbridge", "lpc", "virtio-blk,nodisk"):
            self.one_line(1, "/dev/acrn_hsm", "-k", "kernel", "-s", f"2,{device}", "vm1")

    def test_wrong_use(self) -> None:
        """Is a wrong command line status 2 and one line that names the fault?"""
        self.one_line(2, "name of the VM is missing")
        self.one_line(2, "--frobnicate", "--frobnicate", "vm1")
        self.one_line(2, "no kernel", "vm1")
        self.one_line(2, "-m lots", "-m", "lots", "-k", "kernel", "vm1")
        self.one_line(2, "no device \"toaster\"", "-s", "3,toaster", "-k", "kernel", "vm1")

    @unittest.skipIf(Path("/dev/acrn_hsm").exists(), "this is a Service VM")
    def test_no_hsm(self) -> None:
        """What if this is no Service VM: status 1, and the line says what is missing?"""
        self.one_line(1, "/dev/acrn_hsm: No such file", "-k", "kernel", "vm1")


if __name__ == "__main__":
    unittest.main()
