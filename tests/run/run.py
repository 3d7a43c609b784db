#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the project's tests, two at a time, longest first.

  run.py [-O build] [-k PATTERN] [-j WORKERS] [--list]

Every cmocka test, unittest case, target boot and structure check counts. The
last line is exactly "N passed, N failed"; the exit status is 1 if any failed or
none ran.
"""

import argparse
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
from misc.run.machine import TOP, cache_dir
from tests.run.jobs import Job, Outcome, discover, run_job

TIMES = "test-times.json"
TAIL_LINES = 40


class Runner:
    """Hands jobs to worker threads and collects what came of them."""

    def __init__(self, jobs: list[Job], logs: Path) -> None:
        self._waiting = jobs
        self._logs = logs
        self._lock = threading.Lock()
        self.outcomes: list[Outcome] = []

    def _next(self) -> Job | None:
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def _work(self) -> None:
        while job := self._next():
            outcome = run_job(job, self._logs / f"{re.sub('[^a-zA-Z0-9_.-]', '_', job.name)}.log")
            with self._lock:
                self.outcomes.append(outcome)
                report(outcome)

    def run(self, workers: int) -> None:
        """Runs all jobs; returns when the last has ended."""
        threads = [threading.Thread(target=self._work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def report(outcome: Outcome) -> None:
    """One line per job, and the end of its log if it failed."""
    word = "FAILED" if outcome.failed else "ok" if outcome.passed else "skipped"
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    print(f"{word:8}{outcome.job.name}  ({outcome.passed + outcome.failed} cases{skipped}, "
          f"{outcome.seconds:.1f} s)", flush=True)
    if outcome.failed:
        lines = outcome.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[-TAIL_LINES:]:
            print(f"    | {line}")
        print(f"    {outcome.reason}: {outcome.log}", flush=True)


def load_times() -> dict[str, float]:
    """Seconds each job took the last time."""
    try:
        return json.loads((cache_dir() / TIMES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def save_times(times: dict[str, float]) -> None:
    """Remembers the times; atomically, since two runs may end at once."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    temporary = cache_dir() / f"{TIMES}.{os.getpid()}"
    temporary.write_text(json.dumps(times, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(cache_dir() / TIMES)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("-k", "--pattern", help="only tests whose name matches this expression")
    parser.add_argument("-j", "--workers", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the names, run nothing")
    return parser.parse_args()


def main() -> int:
    """Discovers, runs, sums up."""
    args = parse()
    output = args.output.resolve()
    times = load_times()
    jobs = [job for job in discover(output)
            if not args.pattern or re.search(args.pattern, job.name)]
    jobs.sort(key=lambda job: times.get(job.name, job.limit), reverse=True)
    if args.list:
        print("\n".join(job.name for job in jobs))
        return 0
    expected = sum(times.get(job.name, 5.0) for job in jobs) / args.workers
    print(f"{len(jobs)} test programs on {args.workers} workers, about {expected:.0f} s",
          flush=True)
    logs = output / "tests" / "log"
    logs.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    runner = Runner(jobs, logs)
    runner.run(args.workers)
    outcomes = runner.outcomes
    save_times(times | {outcome.job.name: round(outcome.seconds, 1) for outcome in outcomes})

    print(f"\nThe slowest ten (all took {time.monotonic() - start:.0f} s):")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds)[:10]:
        print(f"{outcome.seconds:8.1f} s  {outcome.job.name}")
    for outcome in outcomes:
        if outcome.failed:
            print(f"FAILED  {outcome.job.name}: {outcome.reason}")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
