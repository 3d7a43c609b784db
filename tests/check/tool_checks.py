# SPDX-License-Identifier: BSD-3-Clause
"""Checks that need a compiler or an analyser; two of its processes run at a time."""

import concurrent.futures
import functools
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tree import ROOT, sources, text_of

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes",
            "-Wstrict-prototypes", "-Wvla", "-Wundef")
MAX_HEADERS = 25


# They know what the hypervisor writes, and nothing of the device model.
RINGS_READERS = [("misc", name) for name in ("acrnlog", "acrnsh", "acrntrace")]


@functools.lru_cache
def generated() -> tempfile.TemporaryDirectory[str]:
    """The configuration of the default build, made for these checks; gone with the process."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run(
        [sys.executable, HERE.parents[1] / "misc/config/generate.py", "--quiet",
         "--out", folder.name, "--board", HERE.parents[1] / "configs/boards/bochs.xml",
         "--scenario", HERE.parents[1] / "configs/scenarios/bochs/shared.xml"], check=True)
    Path(folder.name, "version.h").write_text('#define DM_VERSION "check"\n')
    Path(folder.name, "tool_version.h").write_text('#define TOOL_VERSION "check"\n')
    return folder


def flags_for(path: Path) -> list[str]:
    """How the part of the tree that a file is in gets compiled."""
    config = f"-I{generated().name}"
    if path.parts[0] == "hypervisor":
        return ["-std=gnu11", "-ffreestanding", "-mgeneral-regs-only", "-mno-red-zone",
                f"-I{ROOT}/hypervisor/include", config]
    if path.parts[:2] in RINGS_READERS:
        return ["-std=c11", "-D_GNU_SOURCE", f"-I{ROOT}/misc/acrntrace",
                f"-I{ROOT}/hypervisor/include"]
    return ["-std=c11", "-pthread", "-D_GNU_SOURCE", f"-I{ROOT}/devicemodel/include",
            f"-I{ROOT}/misc/mngr", *_slirp_flags(), config]


@functools.lru_cache
def _slirp_flags() -> tuple[str, ...]:
    """Of the one library with headers in folders of their own."""
    return tuple(run_nice(["pkg-config", "--cflags", "slirp"]).stdout.split())


def run_nice(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nice", "-n", "10", *command], input=text, cwd=ROOT,
                          capture_output=True, text=True, check=False)


def on_each(paths: list[Path], judge: Callable[[Path], list[str]]) -> Iterator[str]:
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for found in pool.map(judge, paths):
            yield from found


def _headers() -> list[Path]:
    return sources("hypervisor/include/**/*.h", "devicemodel/include/*.h")


def headers_alone() -> Iterator[str]:
    """A header includes what it uses: a file with nothing else compiles."""
    def judge(path: Path) -> list[str]:
        inside = "/".join(path.parts[2:])
        command = ["gcc", "-fsyntax-only", *WARNINGS, "-Werror", *flags_for(path), "-xc", "-"]
        result = run_nice(command, f'#include "{inside}"\n')
        return [f"{path}:1: {result.stderr.strip()}"] if result.returncode else []

    yield from on_each(_headers(), judge)


def headers_behind() -> Iterator[str]:
    """Few headers stand behind one .c of the hypervisor."""
    def judge(path: Path) -> list[str]:
        result = run_nice(["gcc", "-MM", *flags_for(path), str(path)])
        if result.returncode:
            return [f"{path}:1: {result.stderr.strip()}"]
        headers = {w for w in result.stdout.split()
                   if w.endswith(".h") and not w.startswith(generated().name)}
        if len(headers) <= MAX_HEADERS:
            return []
        return [f"{path}:1: {len(headers)} headers stand behind it, more than {MAX_HEADERS}"]

    yield from on_each(sources("hypervisor/**/*.c"), judge)


def layout() -> Iterator[str]:
    """clang-format would change nothing."""
    def judge(path: Path) -> list[str]:
        result = run_nice(["clang-format", "--dry-run", "-Werror", str(path)])
        found = re.findall(r"^([^:\n]+:\d+):.*clang-format-violations", result.stderr, re.MULTILINE)
        return [f"{found[0]}: clang-format -i {path}"] if found else []

    yield from on_each(sources("hypervisor/**/*.c", "hypervisor/**/*.h", "devicemodel/**/*.c",
                                "devicemodel/**/*.h"), judge)


def cppcheck() -> Iterator[str]:
    """cppcheck finds nothing; tests/check/cppcheck.txt says what it is told to leave alone."""
    parts = ["hypervisor", "devicemodel", *sorted({"/".join(path.parts[:2])
                                                   for path in sources("misc/**/*.c")})]
    for part in parts:
        flags = [f for f in flags_for(Path(part)) if f.startswith(("-I", "-D"))]
        if part != "hypervisor":  # it is given no system header but this one, all macros
            flags += ["--library=posix,gnu", f"--include={_header_path('sys/queue.h')}"]
        files = [str(p) for p in sources(f"{part}/**/*.c")]
        if not files:
            continue
        result = run_nice(["cppcheck", "-q", "-j", "2", "--std=c11", "--enable=warning,portability",
                       "--inline-suppr", "--template={file}:{line}: {message} [{id}]",
                       f"--suppressions-list={HERE}/cppcheck.txt", "--platform=unix64",
                       "--template-location=", "--error-exitcode=1", *flags, *files])
        if result.returncode:
            yield from (result.stderr.strip() or result.stdout.strip()).splitlines()


def _header_path(name: str) -> str:
    listing = run_nice(["gcc", "-M", "-xc", "-"], f"#include <{name}>\n").stdout
    return next(word for word in listing.split() if word.endswith(name))


def shell() -> Iterator[str]:
    """shellcheck finds nothing in the scripts."""
    scripts = [p for p in sources("**/*.sh", ".ci/*")
               if text_of(p).startswith(("#!/bin/sh", "#!/bin/bash"))]
    if scripts:
        result = run_nice(["shellcheck", "-f", "gcc", *map(str, scripts)])
        yield from result.stdout.splitlines()


def python() -> Iterator[str]:
    """Every Python file compiles, and runs with Debian's interpreter."""
    for path in sources("**/*.py"):
        first = text_of(path).split("\n", 1)[0]
        if first.startswith("#!") and first != "#!/usr/bin/python3":
            yield f"{path}:1: {first}; write #!/usr/bin/python3"
        try:
            compile(text_of(path), str(path), "exec")
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"
