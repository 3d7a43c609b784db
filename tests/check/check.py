#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Is the tree shaped as it should be?

    check.py [NAME...]     run these checks, or all
    check.py --list        print their names

Each check is a function that yields "path:line: what is wrong".  Under
unittest each is one test case: python3 -m unittest tests/check/check.py
Reports are matters of taste: they run, and fail, only when they are named.
"""

import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import deep_checks  # noqa: E402
import layer_checks  # noqa: E402
import text_checks  # noqa: E402
import tool_checks  # noqa: E402

Check = Callable[[], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    text_checks.spdx_line,
    text_checks.header_comment,
    text_checks.file_size,
    text_checks.function_size,
    text_checks.function_layout,
    text_checks.config_conditionals,
    text_checks.kconfig_symbols,
    text_checks.vmx_instructions,
    text_checks.unfinished,
    text_checks.project_alone,
    text_checks.doc_paths,
    text_checks.doc_functions,
    layer_checks.header_owner,
    layer_checks.include_direction,
    layer_checks.optional_folders,
    tool_checks.headers_alone,
    tool_checks.headers_behind,
    tool_checks.cppcheck,
    deep_checks.clang_tidy,
    deep_checks.analyzer,
    deep_checks.misra,
    tool_checks.shell,
    tool_checks.python,
)

REPORTS: tuple[Check, ...] = (
    text_checks.public_names,
    tool_checks.layout,
)


def _as_test(check: Check) -> Callable[[unittest.TestCase], None]:
    def test(self: unittest.TestCase) -> None:
        found = list(check())
        if found:
            self.fail("\n" + "\n".join(found))

    test.__doc__ = check.__doc__
    return test


Structure = type("Structure", (unittest.TestCase,),
                 {f"test_{check.__name__}": _as_test(check) for check in CHECKS})


def main(names: list[str]) -> int:
    by_name = {check.__name__: check for check in CHECKS + REPORTS}
    if names == ["--list"]:
        for check in CHECKS + REPORTS:
            print(check.__name__ + (" (report)" if check in REPORTS else ""))
        return 0
    unknown = [name for name in names if name not in by_name]
    if unknown:
        print(f"no check {', '.join(unknown)}; --list shows them", file=sys.stderr)
        return 2
    failed = 0
    for name in names or [check.__name__ for check in CHECKS]:
        start = time.monotonic()
        found = list(by_name[name]())
        failed += bool(found)
        seconds = time.monotonic() - start
        print(f"{'FAIL' if found else 'ok':4} {name} ({seconds:.1f} s)")
        for line in found:
            print(f"     {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
