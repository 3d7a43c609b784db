#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs fuzz targets and prints what came of them, a row of doc/fuzzing.md each.

  fuzz.py [-O build] [--seconds 10] [--jobs N] [--tap] [NAME ...]
  fuzz.py --merge [NAME ...]       add what was found to the corpus, if it covers more
  fuzz.py --uncovered [NAME ...]   print the lines that the last run did not reach

Without a name all targets run. Each starts from tests/fuzz/corpus/NAME; with --tap a fixed
seed is used and what is found is not kept. The input of a crash is build/fuzz/NAME.crash-*.
Lines are those of the files that a target's "fuzzes:" comments name, as llvm-cov counts them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FUZZ = TOP / "tests" / "fuzz"
HEAD = ("| target | seeds | executions | a second | lines reached |\n"
        "| --- | --- | --- | --- | --- |")


@dataclass
class Target:
    """One program, and where its things are."""

    source: Path
    output: Path

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def program(self) -> Path:
        return self.output / self.source.parent.name / self.name

    @property
    def corpus(self) -> Path:
        return FUZZ / "corpus" / self.name

    @property
    def found(self) -> Path:
        return self.output / "found" / self.name

    @property
    def profile(self) -> Path:
        return self.output / f"{self.name}.profdata"

    def words(self, what: str) -> list[str]:
        """What the source's comments of this kind list."""
        text = self.source.read_text(encoding="utf-8")
        return " ".join(re.findall(rf"^// {what}: *(.*)$", text, re.MULTILINE)).split()


@dataclass
class Result:
    """What came of a run."""

    target: Target
    ok: bool
    log: str
    row: str = ""


def _number(name: str, log: str) -> int:
    found = re.search(rf"stat::{name}: *(\d+)", log)
    return int(found[1]) if found else 0


def _profile(target: Target, raw: Path) -> None:
    subprocess.run(["llvm-profdata", "merge", "-sparse", str(raw), "-o", str(target.profile)],
                   check=True)


def _cov(target: Target, *command: str) -> str:
    files = [str(TOP / name) for name in target.words("fuzzes")]
    return subprocess.run(["llvm-cov", *command, f"-instr-profile={target.profile}",
                           str(target.program), *files],
                          check=True, capture_output=True, text=True).stdout


def _row(target: Target, log: str) -> str:
    lines = json.loads(_cov(target, "export", "-summary-only"))["data"][0]["totals"]["lines"]
    return (f"| `{target.name}` | {len(list(target.corpus.iterdir()))} "
            f"| {_number('number_of_executed_units', log)} "
            f"| {_number('average_exec_per_sec', log)} "
            f"| {lines['covered']} of {lines['count']} ({lines['percent']:.0f} %) |")


def run(target: Target, seconds: int, keep: bool) -> Result:
    """Fuzzes for so long; a crash, a leak or a hang is not ok."""
    if not target.program.exists():
        return Result(target, False, f"{target.program} was not built\n")
    with tempfile.TemporaryDirectory() as scratch:
        found = target.found if keep else Path(scratch) / "found"
        found.mkdir(parents=True, exist_ok=True)
        raw = Path(scratch) / "profile"
        command = ["nice", "-n", "10", str(target.program), f"-max_total_time={seconds}",
                   "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                   f"-artifact_prefix={target.output}/{target.name}.", *target.words("options"),
                   *([] if keep else ["-seed=1"]), *([] if seconds else ["-runs=0"]),
                   str(found), str(target.corpus)]
        done = subprocess.run(command, env=os.environ | {"LLVM_PROFILE_FILE": str(raw)},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        log = done.stdout.decode("utf-8", "replace")
        if done.returncode or not raw.exists():
            return Result(target, False, log)
        _profile(target, raw)
    return Result(target, True, log, _row(target, log))


def merge(target: Target) -> None:
    """Smallest inputs that reach what the corpus does not."""
    if target.found.is_dir():
        subprocess.run([str(target.program), "-merge=1", "-use_counters=0",
                        str(target.corpus), str(target.found)],
                       check=True, stderr=subprocess.DEVNULL,
                       env=os.environ | {"LLVM_PROFILE_FILE": os.devnull})


def uncovered(target: Target) -> None:
    """Lines that no input reached, with their files."""
    path = ""
    for line in _cov(target, "show").splitlines():
        path = line if line.startswith("/") else path
        if re.match(r" *\d+\| *0\|", line):
            print(f"{Path(path.rstrip(':')).name}:{line}")


def targets(output: Path, names: list[str]) -> list[Target]:
    """By name, or all."""
    every = [Target(path, output / "fuzz") for path in sorted(FUZZ.glob("*/fuzz_*.c"))]
    chosen = [target for target in every if not names or target.name in names]
    if len(chosen) < len(names):
        sys.exit(f"fuzz.py: there are {', '.join(target.name for target in every)}")
    return chosen


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("--seconds", type=int, default=10, help="0: only the corpus")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--uncovered", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    return parser.parse_args()


def main() -> int:
    """Runs them, prints the table; status 1 if one failed."""
    args = parse()
    chosen = targets(args.output.resolve(), args.names)
    if args.merge or args.uncovered:
        for target in chosen:
            (merge if args.merge else uncovered)(target)
        return 0
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda t: run(t, args.seconds, not args.tap), chosen))
    for result in results:
        if not result.ok:
            print(result.log)
            print(f"{result.target.name}: FAILED", flush=True)
    if args.tap:
        print(f"1..{len(results)}")
        for number, result in enumerate(results, 1):
            print(f"{'ok' if result.ok else 'not ok'} {number} - {result.target.name} {result.row}")
    else:
        print("\n".join([HEAD, *(result.row for result in results if result.ok)]))
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
