#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Four User VMs with disks and network, reset and killed at random for so many minutes.

  soak.py [-O build] [--minutes N] [--seed N]

Each VM's guest checks what it wrote before it was ended, and the Service VM
checks its disk (service.sh and guest.sh tell how). The hypervisor's own checker
runs after each VM's end. Prints what happened, and exits with 1 if anything was
wrong. A shorter run of the same is a case of `make test`.
"""

import argparse
import os
import re
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

# pylint: disable=wrong-import-position
from tests.run.target import BROKEN, Session, TargetTest

HERE = Path(__file__).resolve().parent
WRONG = BROKEN + "|^soak: .*BAD.*$|launch ended with status [1-9]|Out of memory|segfault|ACRN: .*error"
ROUND = re.compile(r"^soak: vm\d: round ended by (\w+), (\d+) starts$", re.MULTILINE)


class Soak(TargetTest):
    """One machine with the four VMs."""

    def begin(self, seed: int) -> Session:
        """Boots the machine; returns when the VMs are about to start."""
        launch = f"seed={seed}\n" + (HERE / "service.sh").read_text(encoding="utf-8")
        vm = self.service_vm(launch, soak=(HERE / "guest.sh").read_text(encoding="utf-8"))
        vm.user_disk_mb = 0
        session = self.boot_service_vm(vm, cpus=2, memory_mb=1024)
        session.expect("^soak: started$", 200, WRONG)
        return session

    def watch(self, session: Session, seconds: float) -> None:
        """Looks on for so long; fails if anything is wrong."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.assertTrue(session.pump(min(1.0, left)), session.machine_says())
            self.assertIsNone(wrong := re.search(WRONG, session.text, re.MULTILINE), wrong and
                              session.text[wrong.start():])

    def end(self, session: Session) -> Counter[str]:
        """Lets the VMs end and the machine power off; returns what was counted."""
        session.send("\n")
        session.expect("^soak: ended, .*", 400, WRONG)
        session.wait_end(60)
        counted: Counter[str] = Counter()
        for action, starts in ROUND.findall(session.text):
            counted[action] += 1
            counted["starts"] += int(starts)
        return counted


class Long(Soak):
    """What `make soak` runs."""

    def runTest(self) -> None:
        """Runs for MINUTES, with a line of progress each minute."""
        minutes, seed = float(os.environ["MINUTES"]), int(os.environ["SEED"])
        session = self.begin(seed)
        start = time.monotonic()
        while (passed := time.monotonic() - start) < minutes * 60:
            rounds = len(ROUND.findall(session.text))
            print(f"{passed / 60:5.1f} min, {rounds} rounds", flush=True)
            self.watch(session, min(60.0, minutes * 60 - passed))
        counted = self.end(session)
        last = session.text[session.text.rindex("soak: ended"):].splitlines()[0]
        print(f"{counted['end'] + counted['kill']} rounds of 4 VMs in {minutes:g} minutes, seed "
              f"{seed}: {counted['kill']} killed, {counted['starts']} starts of a guest.\n{last}")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.environ |= {"O": str(args.output.resolve()), "MINUTES": str(args.minutes),
                   "SEED": str(args.seed)}
    result = unittest.TextTestRunner(sys.stdout).run(Long())
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
