# SPDX-License-Identifier: BSD-3-Clause
"""The judge of the platform contract: does it see what contradicts it?"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "target"))

from contract import judge, probed, read_contract  # pylint: disable=wrong-import-position

CONTRACT = """\
## User VM
| `port *` | absent | |
## Service VM
| what | owner | reads |
| --- | --- | --- |
| `port 0040`, `msr 00000010` | time | PIT, TSC |
| `msr 0000003a` | hypervisor | reads `0000000000000001`: locked |
| `msr 00000480` | absent | |
| `port *`, `msr *` | native | |
"""
BARE = {"port 0040": "12", "msr 00000010": "counts", "port 0061": "20",
        "msr 0000003a": "5", "msr 00000480": "1"}
GOOD = {"port 0040": "34", "msr 00000010": "counts", "port 0061": "20",
        "msr 0000003a": "0000000000000001", "msr 00000480": "fault"}


class Judge(unittest.TestCase):
    """read_contract() and judge()."""

    def setUp(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
            file.write(CONTRACT)
            file.flush()
            self.rows = read_contract(Path(file.name), "Service VM")

    def test_as_promised(self) -> None:
        # Is a VM that keeps the contract left in peace?
        self.assertEqual(judge(self.rows, BARE, GOOD), [])

    def test_contradictions(self) -> None:
        # Is each kind of row able to fail?
        for key, value in (("port 0061", "00"), ("msr 0000003a", "5"), ("msr 00000480", "1"),
                           ("cpuid 00000001.0 eax", "1"), ("port 0070", "00"),
                           ("msr 00000010", "fault")):
            with self.subTest(key=key):
                wrong = judge(self.rows, BARE, GOOD | {key: value})
                self.assertEqual(len(wrong), 1, wrong)
                self.assertIn(key, wrong[0])

    def test_missing(self) -> None:
        # What if the VM has not what the bare machine has?
        seen = {key: value for key, value in GOOD.items() if key != "port 0061"}
        self.assertEqual(len(judge(self.rows, BARE, seen)), 1)

    def test_lines(self) -> None:
        # Are the probe's lines told from the console's other lines?
        text = "boot: ok\nport 0061: 20\nmsr 0000003a: fault\nACRN: x\n"
        self.assertEqual(probed(text), {"port 0061": "20", "msr 0000003a": "fault"})

    def test_unknown_owner(self) -> None:
        # Is a slip of the pen in the contract noticed?
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
            file.write("## A\n| `port *` | natve | |\n")
            file.flush()
            self.assertRaises(ValueError, read_contract, Path(file.name), "A")


if __name__ == "__main__":
    unittest.main()
