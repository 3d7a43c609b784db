# SPDX-License-Identifier: BSD-3-Clause
"""The runner itself: a judge that is wrong makes every test worthless."""

import sys
import tempfile
import time
import unittest
from pathlib import Path

from tests.run.jobs import Job, judge, run_job

PYTHON = sys.executable
CASE = str(Path(__file__).with_name("case.py"))


class Judge(unittest.TestCase):
    """judge(): TAP in, counts out."""

    def test_counts(self) -> None:
        # Are passed, failed and skipped cases told apart, cmocka's way of skipping included?
        text = "1..4\nok 1 - a\nnot ok 2 - b\n# 1 != 2\nnot ok 3 # SKIP c\nok 4 - d # SKIP no\n"
        self.assertEqual(judge(text, 1), (1, 1, 2, "b"))

    def test_group_line(self) -> None:
        # Does cmocka's summary of a group, a comment, count as a case?
        self.assertEqual(judge("1..1\nok 1 - a\n# not ok - tests\n", 0), (1, 0, 0, ""))

    def test_crash(self) -> None:
        # What if the program dies before its last case?
        passed, failed, _, reason = judge("1..3\nok 1 - a\n", -11)
        self.assertEqual((passed, failed), (1, 2))
        self.assertIn("-11", reason)

    def test_bad_exit(self) -> None:
        # What if all cases pass, and then a sanitizer complains at exit?
        self.assertEqual(judge("1..1\nok 1 - a\n", 23)[:2], (1, 1))

    def test_nothing(self) -> None:
        # Is a program without a case a failure?
        self.assertEqual(judge("", 0)[:2], (0, 1))
        self.assertEqual(judge("1..0\n", 0)[:2], (0, 1))


class Run(unittest.TestCase):
    """run_job(): limits and the unittest adapter."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_file(self, text: str, limit: float = 20.0) -> tuple[int, int, int, str]:
        """Runs a unittest file of this text as a job."""
        path = self.folder / "test_it.py"
        path.write_text("import time, unittest\nclass T(unittest.TestCase):\n" + text,
                        encoding="utf-8")
        outcome = run_job(Job("it", [PYTHON, CASE, str(path)], limit), self.folder / "log")
        return outcome.passed, outcome.failed, outcome.skipped, outcome.reason

    def test_unittest(self) -> None:
        # Do cases that pass, fail, err and skip each count once?
        result = self.run_file("    def test_a(self): pass\n"
                               "    def test_b(self): self.fail()\n"
                               "    def test_c(self): raise OSError()\n"
                               "    def test_d(self): self.skipTest('no')\n")
        self.assertEqual(result[:3], (1, 2, 1))

    def test_class_setup(self) -> None:
        # What if setUpClass fails, so that no case runs?
        result = self.run_file("    @classmethod\n    def setUpClass(cls): raise OSError()\n"
                               "    def test_a(self): pass\n    def test_b(self): pass\n")
        self.assertEqual(result[0], 0)
        self.assertGreaterEqual(result[1], 1)

    def test_limit(self) -> None:
        # Is a case that hangs ended, and counted as failed?
        start = time.monotonic()
        result = self.run_file("    def test_a(self): pass\n"
                               "    def test_b(self): time.sleep(60)\n", 2.0)
        self.assertLess(time.monotonic() - start, 15)
        self.assertEqual(result[:2], (1, 1))
        self.assertIn("no end within 2 s", result[3])

    def test_not_built(self) -> None:
        # What if a unit test does not build: is it missed?
        outcome = run_job(Job("it", ["/nowhere/test_it"]), self.folder / "log")
        self.assertEqual((outcome.passed, outcome.failed), (0, 1))

    def test_broken_file(self) -> None:
        # What if a test file does not even parse?
        self.assertEqual(self.run_file("    def test_a(self: pass\n")[:2], (0, 1))


if __name__ == "__main__":
    unittest.main()
