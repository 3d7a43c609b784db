# SPDX-License-Identifier: BSD-3-Clause
"""The files that the checks look at, and how C is read without a compiler."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# CHECK_ROOT: another tree to look at, which is how the checks themselves are tested.
ROOT = Path(os.environ.get("CHECK_ROOT", Path(__file__).parents[2])).resolve()


@functools.lru_cache
def tracked() -> tuple[Path, ...]:
    """What git tracks and is there, relative to the tree; every file in a copy without git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        names = [Path(name) for name in result.stdout.split("\0") if name]
    else:
        names = [p.relative_to(ROOT) for p in ROOT.rglob("*")
                 if not {"build", ".git", "__pycache__"} & set(p.relative_to(ROOT).parts)]
    return tuple(sorted(p for p in names if (ROOT / p).is_file()))


def sources(*patterns: str) -> list[Path]:
    """Tracked files whose whole path matches one of the patterns; ** spans folders."""
    wanted = [re.compile(_as_regex(pattern)) for pattern in patterns]
    return [p for p in tracked() if any(w.fullmatch(str(p)) for w in wanted)]


def _as_regex(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*)", pattern)
    return "".join({"**/": "(.*/)?", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts)


@functools.lru_cache(maxsize=None)
def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


@functools.lru_cache(maxsize=None)
def code_of(path: Path) -> str:
    """The text with comments blanked and string contents kept; lines stay where they are."""
    def blank(match: re.Match[str]) -> str:
        if match[0][0] in "\"'":
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    pattern = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*'
    return re.sub(pattern, blank, text_of(path), flags=re.DOTALL)


@dataclass(frozen=True)
class Function:
    """A C function's definition: the lines from its first to its closing brace."""

    name: str
    first_line: int
    last_line: int
    is_static: bool

    @property
    def length(self) -> int:
        return self.last_line - self.first_line + 1


@functools.lru_cache(maxsize=None)
def functions(path: Path) -> tuple[Function, ...]:
    """Relies on the code's layout: a body's braces stand in the first column."""
    lines = code_of(path).split("\n")
    found = []
    for index, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = index
        while first > 0 and lines[first - 1].strip() and lines[first - 1][0] not in "}#":
            first -= 1
        head = " ".join(lines[first:index])
        match = re.search(r"(\w+)\s*\(", re.sub(r"__\w+\((?:[^()]|\([^()]*\))*\)", "", head))
        last = next((n for n in range(index, len(lines)) if lines[n][:1] == "}"), index)
        if match:
            is_static = re.match(r"(\w+ )*?static\b", head.strip()) is not None
            found.append(Function(match[1], first + 1, last + 1, is_static))
    return tuple(found)
