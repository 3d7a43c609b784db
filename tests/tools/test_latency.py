# SPDX-License-Identifier: BSD-3-Clause
"""latency.py over logs that the test makes up."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / "misc" / "latency" / "latency.py"


def log(bins: dict[int, int], *, width: int = 1, early: int = 0, high: int = 0) -> str:
    """What the guest prints, in a console that prints other things too."""
    samples = sum(bins.values())
    mean = sum(at * count for at, count in bins.items()) // samples
    lines = ["[1us] vm: starts"] + [f"rt: bin {at} {count}" for at, count in bins.items()]
    lines += [f"rt: samples {samples} period 20000 width {width} khz 2000000 early {early}",
              f"rt: min {min(bins)} mean {mean} max {high or max(bins)}", "rt: done", ""]
    return "\r\n".join(lines)


class Latency(unittest.TestCase):
    """The program, as a user calls it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_on(self, *logs: str, **options: str) -> subprocess.CompletedProcess[str]:
        """Over these logs, a, b ..."""
        names = []
        for name, text in zip("abc", logs):
            (self.folder / name).write_text(text, encoding="ascii")
            names.append(f"VM {name}={self.folder / name}")
        words = [word for key, value in options.items() for word in (f"-{key}", value)]
        return subprocess.run([sys.executable, str(PROGRAM), *words, *names], text=True,
                              capture_output=True, check=False)

    def test_figures(self) -> None:
        # Is one late sample in 100,000 within 99.999 %, and one in 50,000 not?
        result = self.run_on(log({500: 99999, 9000: 1}), log({500: 99998, 9000: 2}))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        lines = result.stdout.splitlines()
        self.assertEqual(lines[1].split()[2:], "100000 500 500 500 9000 4.50".split())
        self.assertEqual(lines[2].split()[2:], "100000 500 500 9000 9000 4.50".split())

    def test_wide_bins(self) -> None:
        # With bins of 8 ticks, is a percentile never told too low, and never above the maximum?
        result = self.run_on(log({8: 10, 16: 90}, width=8, high=21))
        self.assertEqual(result.stdout.splitlines()[1].split()[2:6], "100 8 15 21".split())

    def test_picture(self) -> None:
        # Is each sample in the picture, of all logs on one axis with round numbers?
        picture = self.folder / "p.svg"
        result = self.run_on(log({10: 5}), log({10: 5, 400: 1}), o=str(picture))
        self.assertEqual(result.returncode, 0)
        root = ElementTree.parse(picture).getroot()
        bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("x")]
        self.assertEqual(len(bars), 3)
        self.assertEqual(bars[0].get("x"), bars[1].get("x"))
        texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(texts[-10:], [str(at) for at in range(0, 451, 50)])

    def test_broken(self) -> None:
        # What if a log was cut off, has lost a line, holds no measurement, or is not there?
        whole = log({500: 10, 501: 10})
        for text, message in ((whole[:-12], "no whole measurement"),
                              (whole.replace("rt: bin 501 10\r\n", ""), "10 samples in the bins"),
                              ("hello", "no whole measurement"),
                              (log({0: 3}, early=2), "2 interrupts came before")):
            with self.subTest(message):
                result = self.run_on(text)
                self.assertEqual(result.returncode, 1)
                self.assertIn(message, result.stderr)
        result = subprocess.run([sys.executable, str(PROGRAM), str(self.folder / "none")],
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No such file", result.stderr)


if __name__ == "__main__":
    unittest.main()
