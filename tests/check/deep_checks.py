# SPDX-License-Identifier: BSD-3-Clause
"""Checks by the slow analysers. What they found clean is remembered by a hash of what they saw."""

import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tool_checks import HERE, WARNINGS, flags_for, generated, on_each, run_nice
from tree import ROOT, sources, text_of

PARTS = ("hypervisor/**/*.c", "devicemodel/**/*.c", "misc/**/*.c")
MISRA_RULES = ("8.4", "9.1", "12.2", "13.2", "13.5", "15.6", "16.3", "16.4", "17.2", "17.3",
               "17.7", "18.1", "18.6", "20.7")
DEVIATIONS = Path("doc/deviations.md")


@functools.lru_cache
def _version(tool: str) -> str:
    return run_nice([tool, "--version"]).stdout


def _unless_known(path: Path, tool: str, how: str, judge: Callable[[], list[str]]) -> list[str]:
    """What judge() finds in a file; nothing, if this tool saw the same text before and was silent."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    text = run_nice(["gcc", "-E", "-C", *flags_for(path), str(path)]).stdout
    seen = text.replace(generated().name, "").replace(str(ROOT), "") + how + _version(tool)
    digest = hashlib.sha256(seen.encode()).hexdigest()
    known = Path(os.environ.get("ACRN_CACHE") or f"{cache}/acrn", "checked", tool, digest)
    if known.exists():
        return []
    found = judge()
    if not found:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.touch()
    return found


def clang_tidy() -> Iterator[str]:
    """clang-tidy finds nothing; .clang-tidy says what it looks for."""
    config = HERE.parents[1] / ".clang-tidy"

    def judge(path: Path) -> list[str]:
        result = run_nice(["clang-tidy", "--quiet", f"--config-file={config}", str(path), "--",
                           *WARNINGS, *flags_for(path)])
        found = re.findall(r"^(\S+?:\d+):\d+: (?:warning|error): (.*)$", result.stdout,
                           re.MULTILINE)
        if result.returncode and not found:
            return [f"{path}:1: {result.stderr.strip()}"]
        return [f"{where.removeprefix(str(ROOT) + '/')}: {what}" for where, what in found]

    how = config.read_text(encoding="utf-8") + " ".join(WARNINGS)
    yield from on_each(sources(*PARTS), lambda path: _unless_known(
        path, "clang-tidy", how, lambda: judge(path)))


def analyzer() -> Iterator[str]:
    """gcc -fanalyzer finds nothing."""
    def judge(path: Path) -> list[str]:
        result = run_nice(["gcc", "-fanalyzer", "-O1", "-c", "-o", "/dev/null", "-fpie",
                           "-fdiagnostics-plain-output", *flags_for(path), str(path)])
        found = re.findall(r"^(\S+?:\d+):\d+: (?:warning|error): (.*)$", result.stderr,
                           re.MULTILINE)
        return [f"{where}: {what}" for where, what in found]

    yield from on_each(sources(*PARTS), lambda path: _unless_known(
        path, "gcc", "-fanalyzer -O1", lambda: judge(path)))


def _deviations() -> set[tuple[str, str, str]]:
    """File, rule and code of each row of doc/deviations.md."""
    if not ROOT.joinpath(DEVIATIONS).exists():
        return set()
    rows = re.findall(r"^\| `([^`]+)` \| (\d+\.\d+) \| `([^`]+)` \| \S", text_of(DEVIATIONS),
                      re.MULTILINE)
    return {(file, rule, code) for file, rule, code in rows}


def misra() -> Iterator[str]:
    """cppcheck's MISRA addon finds nothing against the rules we keep, but doc/deviations.md."""
    deviations = _deviations()
    rules = "|".join(re.escape(rule) for rule in MISRA_RULES)

    def judge(path: Path) -> list[str]:
        flags = [f for f in flags_for(path) if f.startswith(("-I", "-D"))]
        with tempfile.TemporaryDirectory() as dumps:  # else they lie beside the sources
            result = run_nice(["cppcheck", "-q", "--std=c11", "--platform=unix64",
                               "--addon=misra", f"--cppcheck-build-dir={dumps}",
                               "--template={file}:{line}: {id}", "--template-location=", *flags,
                               str(path)])
        found = []
        for file, line, rule in re.findall(rf"^(\S+?):(\d+): misra-c2012-({rules})$",
                                           result.stderr, re.MULTILINE):
            file = file.removeprefix(str(ROOT) + "/")
            code = text_of(Path(file)).splitlines()[int(line) - 1].strip()
            if (file, rule, code) not in deviations:
                found.append(f"{file}:{line}: MISRA C 2012 rule {rule}: {code}")
        return found

    how = repr((MISRA_RULES, sorted(deviations)))
    files = sources("hypervisor/**/*.c")
    yield from sorted(set(on_each(files, lambda path: _unless_known(
        path, "cppcheck", how, lambda: judge(path)))))
    for file, rule, code in sorted(deviations):
        if code not in (line.strip() for line in text_of(Path(file)).splitlines()):
            yield f"{DEVIATIONS}:1: {file} has no line `{code}` (rule {rule})"
