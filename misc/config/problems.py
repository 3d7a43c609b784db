# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a configuration file, told so that its author can mend it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what it is, and what to write there."""

    path: str
    line: int
    what: str
    write: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; write {self.write} instead"


class ConfigError(Exception):
    """A configuration cannot be used; carries every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
