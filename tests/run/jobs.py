# SPDX-License-Identifier: BSD-3-Clause
"""The test programs of the tree, and how one is run and judged.

Every program speaks TAP on stdout: cmocka does so when asked, case.py makes
unittest files do so, and the structure checks print it themselves.
"""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from misc.run.machine import TOP
from misc.run.session import die_with_parent

PYTHON = "/usr/bin/python3"
UNIT_LIMIT = 120.0


@dataclass
class Job:
    """One test program."""

    name: str
    command: list[str]
    limit: float = UNIT_LIMIT  # seconds
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of a job."""

    job: Job
    passed: int
    failed: int
    skipped: int
    seconds: float
    log: Path
    reason: str


def _unit_jobs(output: Path) -> list[Job]:
    """A job for each cmocka program; one that was not built fails when it is run."""
    sources = TOP / "tests" / "unit"
    jobs = []
    for source in sorted(sources.rglob("test_*.c")):
        name = source.relative_to(sources).with_suffix("")
        jobs.append(Job(f"unit/{name}", [str(output / "tests" / "unit" / name)]))
    return jobs


def _list_cases(path: Path, environment: dict[str, str]) -> list[tuple[str, float]]:
    """Names and time limits of a target test file's cases."""
    result = subprocess.run([PYTHON, str(TOP / "tests/run/case.py"), str(path), "--list"],
                            stdout=subprocess.PIPE, text=True, check=False,
                            env=os.environ | environment)
    if result.returncode:
        return [("", UNIT_LIMIT)]
    cases = (line.split() for line in result.stdout.splitlines())
    return [(name, float(limit)) for name, limit in cases]


def _python_jobs(output: Path) -> list[Job]:
    """unittest files: one job a file, but one job a case where each boots a machine."""
    environment = {"O": str(output)}
    jobs = []
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        name = str(path.relative_to(TOP / "tests").with_suffix(""))
        command = [PYTHON, str(TOP / "tests/run/case.py"), str(path)]
        if not name.startswith("target/"):
            jobs.append(Job(name, command, UNIT_LIMIT, environment))
            continue
        for case, limit in _list_cases(path, environment):
            case_command = command + (["--case", case] if case else [])
            jobs.append(Job(f"{name}:{case}" if case else name, case_command, limit, environment))
    return jobs


def _fuzz_jobs(output: Path) -> list[Job]:
    """A job for each fuzz target, for ten seconds."""
    program = TOP / "tests" / "fuzz" / "fuzz.py"
    return [Job(f"fuzz/{source.stem}", [PYTHON, str(program), "-O", str(output), "--tap",
                                        "--seconds", "10", source.stem])
            for source in sorted((TOP / "tests" / "fuzz").glob("*/fuzz_*.c"))]


def _check_jobs() -> list[Job]:
    """The structure checks, as one job."""
    checks = TOP / "tests" / "check" / "check.py"
    return [Job("check", [PYTHON, str(TOP / "tests/run/case.py"), str(checks)], 900.0)]


def discover(output: Path) -> list[Job]:
    """All jobs; `output` is the build folder."""
    return _unit_jobs(output) + _python_jobs(output) + _fuzz_jobs(output) + _check_jobs()


def judge(text: str, status: int) -> tuple[int, int, int, str]:
    """Counts passed, failed and skipped cases of TAP output; says why it failed."""
    skipped = len(re.findall(r"^(?:not )?ok\b.*# SKIP", text, re.MULTILINE))
    passed = len(re.findall(r"^ok\b(?!.*# SKIP)", text, re.MULTILINE))
    names = re.findall(r"^not ok \d+(?: -)? (?!.*# SKIP)(.*)$", text, re.MULTILINE)
    planned = sum(int(count) for count in re.findall(r"^1\.\.(\d+)", text, re.MULTILINE))
    failed, reason = len(names), ", ".join(names)
    lost = planned - passed - failed - skipped
    if lost > 0:
        failed += lost
        reason = f"{reason}; {lost} cases did not report, exit status {status}".lstrip("; ")
    if not failed and status:
        return passed, 1, skipped, f"exit status {status}"
    if not failed and not passed and not skipped:
        return 0, 1, 0, "it reported no case"
    return passed, failed, skipped, reason


def run_job(job: Job, log: Path) -> Outcome:
    """Runs a job within its limit, with its output in `log`."""
    start = time.monotonic()
    late = ""
    environment = os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP", "TEST_LOG": str(log)}
    if not Path(job.command[0]).exists():
        log.write_text(f"{job.command[0]} was not built\n", encoding="utf-8")
        return Outcome(job, 0, 1, 0, 0.0, log, "it was not built")
    with open(log, "wb") as sink:
        process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=sink,
                                   stderr=subprocess.STDOUT, start_new_session=True, cwd=TOP,
                                   preexec_fn=partial(die_with_parent, signal.SIGTERM),
                                   env=environment | job.environment)
        try:
            status = process.wait(job.limit)
        except subprocess.TimeoutExpired:
            late = f"no end within {job.limit:.0f} s"
            status = _stop(process)
    seconds = time.monotonic() - start
    text = log.read_text(encoding="utf-8", errors="replace")
    passed, failed, skipped, reason = judge(text, status)
    return Outcome(job, passed, max(failed, 1) if late else failed, skipped, seconds, log,
                   late or reason)


def _stop(process: subprocess.Popen[bytes]) -> int:
    """Ends a job that takes too long: first so that it can clean up, then for good."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()
