# SPDX-License-Identifier: BSD-3-Clause
"""Shared by the tests of the configuration generator: run it, in this process."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "misc" / "config"))

from generate import generate  # noqa: E402
from problems import ConfigError  # noqa: E402

BOARD = ROOT / "configs/boards/bochs.xml"
SHARED = ROOT / "configs/scenarios/bochs/shared.xml"
REFERENCE = ROOT.parent / "shared/reference/acrn-configs"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes", "-Wundef",
            "-Werror")


def run(out: Path, board: Path = BOARD, scenario: Path = SHARED, kconfig: str = "none",
        release: bool = False) -> dict[str, str]:
    """Generate into out; returns file name -> content.  Raises ConfigError."""
    generate(argparse.Namespace(board=board, scenario=scenario, kconfig=Path(kconfig),
                                release=release, quiet=True, version="test", out=out))
    return {path.name: path.read_text() for path in out.iterdir()}


def run_text(board: str | None = None, scenario: str | None = None, config: str | None = None,
             release: bool = False) -> dict[str, str]:
    """The same with the texts of files; None stands for the board and scenario of the tree."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "board.xml").write_text(BOARD.read_text() if board is None else board)
        (folder / "scenario.xml").write_text(SHARED.read_text() if scenario is None else scenario)
        kconfig = "none"
        if config is not None:
            (folder / ".config").write_text(config)
            kconfig = str(folder / ".config")
        return run(folder / "out", folder / "board.xml", folder / "scenario.xml", kconfig, release)


def problems(**texts: str) -> list[str]:
    """What the generator has against these texts, with file names instead of paths."""
    try:
        run_text(**texts)
    except ConfigError as error:
        return [f"{os.path.basename(p.path)}:{p.line}: {p.what}; write {p.write}"
                for p in error.problems]
    return []


def compile_c(compiler: str, out: Path) -> str:
    """Compile generated C with the project's warnings; returns what the compiler says."""
    command = [compiler, "-std=c11", *WARNINGS, f"-I{ROOT}/hypervisor/include", f"-I{out}",
               "-fsyntax-only", str(out / "vm_config.c")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr
