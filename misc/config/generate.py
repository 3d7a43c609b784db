#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turn a board and a scenario into the build's configuration.

    generate.py --board B.xml --scenario S.xml [--kconfig .config|none]
                [--release] --out DIR

writes DIR/config.h, config.mk and vm_config.c, each only if it changed.  A
wrong file costs one line per mistake, "file:line: what; write X instead", and
exit status 1.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from board import read_board
from checks import check_all
from emit import config_h, config_mk, vm_config_c, write_if_changed
from kconfig import read_kconfig
from problems import ConfigError
from scenario import assign_affinity, connect_vuarts, read_scenario


def generate(arguments: argparse.Namespace) -> None:
    board = read_board(arguments.board)
    scenario = read_scenario(arguments.scenario)
    problems = check_all(scenario, board)
    if problems:
        raise ConfigError(problems)
    config = None if str(arguments.kconfig) == "none" else arguments.kconfig
    values = read_kconfig(config, scenario, board, arguments.release)
    assign_affinity(scenario, values["MAX_PCPU_NUM"].value)
    connect_vuarts(scenario)
    ignored = [f"<{name}> ({lines[0]})" for name, lines in scenario.file.without_effect().items()]
    if ignored and not arguments.quiet:
        print(f"{arguments.scenario}: no effect yet (first on line): {', '.join(ignored)}",
              file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("config.h", config_h), ("config.mk", config_mk),
        ("vm_config.c", partial(vm_config_c, version=arguments.version))
    ):
        write_if_changed(arguments.out / name, content(board, scenario, values))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--board", type=Path, required=True)
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--kconfig", type=Path, default=Path("none"), help=".config, or none")
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--version", default="unknown", help="what the image calls itself")
    parser.add_argument("--quiet", action="store_true", help="no line on elements without effect")
    parser.add_argument("--out", type=Path, required=True)
    try:
        generate(parser.parse_args())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
