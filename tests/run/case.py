#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a unittest file, or one case of it, and reports in TAP.

  case.py FILE [--case CLASS.METHOD] [--list]

A class may say how many seconds a case takes at most: LIMIT = 300.
"""

import argparse
import importlib.util
import io
import signal
import sys
import unittest
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

DEFAULT_LIMIT = 120


class TapResult(unittest.TextTestResult):
    """Prints one TAP line per case as it ends, the reasons to stderr."""

    def __init__(self, stream, descriptions, verbosity) -> None:  # type: ignore[no-untyped-def]
        super().__init__(stream, descriptions, 0)
        self._count = 0

    def _line(self, word: str, test: unittest.TestCase, note: str = "") -> None:
        self._count += 1
        name = ".".join(test.id().split(".")[-2:])
        print(f"{word} {self._count} - {name}{note}", flush=True)

    def _failed(self, test: unittest.TestCase, error: object) -> None:
        print(self._exc_info_to_string(error, test), file=sys.stderr, flush=True)
        self._line("not ok", test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._line("ok", test)

    def addError(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addError(test, err)
        self._failed(test, err)

    def addFailure(self, test, err) -> None:  # type: ignore[no-untyped-def]
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err) -> None:  # type: ignore[no-untyped-def]
        super().addSubTest(test, subtest, err)
        if err:
            self._failed(subtest, err)

    def printErrors(self) -> None:
        """Nothing: each error was printed as it came."""

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")


def load(path: Path) -> ModuleType:
    """Imports a test file, with its own folder on the search path."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def cases(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    """The cases of a suite, flattened."""
    found: list[unittest.TestCase] = []
    for item in suite:
        found += cases(item) if isinstance(item, unittest.TestSuite) else [item]
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--case", help="CLASS.METHOD")
    parser.add_argument("--list", action="store_true", help="print cases and their time limits")
    args = parser.parse_args()
    # A run that is ended from outside still ends the machines it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # What a case prints stands before the reason it failed for, which ends the log.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    module = load(args.file.resolve())
    loader = unittest.defaultTestLoader
    if args.case:
        suite = loader.loadTestsFromName(args.case, module)
    else:
        suite = loader.loadTestsFromModule(module)
    if args.list:
        for case in cases(suite):
            print(".".join(case.id().split(".")[-2:]), getattr(case, "LIMIT", DEFAULT_LIMIT))
        return 0
    print(f"1..{suite.countTestCases()}", flush=True)
    result = unittest.TextTestRunner(sys.stderr, resultclass=TapResult, verbosity=0).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
