# SPDX-License-Identifier: BSD-3-Clause
"""The life of VMs: killed at any moment, many after one another and many at once."""

import re
import subprocess
from pathlib import Path

from misc.run.machine import TOP
from tests.run.target import BROKEN, ServiceVm, Session, TargetTest

DM = "acrn-dm -m 20M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/lives.bzimage"

KILLS = 50
SEED = 20
MEMORY_NOISE_KB = 1024


class Life(TargetTest):
    """Small guests that check their own work."""

    LIMIT = 600

    def program(self, name: str) -> Path:
        """A program of tests/target/service."""
        path = self.folder / name
        subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", str(path),
                        str(TOP / f"tests/target/service/{name}.c")], check=True)
        return path

    def boot(self, launch: str, programs: tuple[str, ...] = (), cpus: int = 2,
             kernel_args: str = "quiet acrn.after=poweroff") -> Session:
        """Boots a Service VM with the guest and these programs."""
        vm = ServiceVm(self.hypervisor, self.kernel, self.acrn_dm, "loglevel=5", launch=None,
                       kernel_args=f"console=ttyS0 {kernel_args}",
                       service_files=[(self.program(name), f"/bin/{name}") for name in programs],
                       disk_files=[(self.script("launch", launch), "/launch.sh"),
                                   (self.guest("lives"), "/lives.bzimage")])
        return self.boot_service_vm(vm, cpus=cpus)

    def test_killed_at_any_moment(self) -> None:
        # What if acrn-dm is killed or stopped at any moment, from its first instruction to its
        # last, during resets too? No VM, no memory and nothing of the hypervisor's stays behind.
        session = self.boot(f"killer {SEED} {KILLS} /run/life {DM} "
                            '-B "lives=3 rounds=20 name=k" life\n'
                            "cat /proc/sys/vm/nr_overcommit_hugepages", ("killer",))
        first = session.expect(r"killer: first (\d+), (\d+) thousand ticks; last (\d+), ", 400, BROKEN)
        session.expect(r"^killer: done\n0\n", 60, BROKEN)
        session.wait_end(60)
        rounds = re.findall(r"^killer: (.*) at (\d+) thousand ticks: status (\d+), (\d+) kB free$",
                            session.text, re.MULTILINE)
        print(f"seed {SEED}", *rounds, sep="\n")
        self.assertEqual((first[1], first[3], len(rounds)), ("0", "0", KILLS))
        for action, _, status, _ in rounds:
            self.assertIn(status, ("0",) if action == "stopped" else ("0", "137"))
        free = [int(kb) for *_, kb in rounds]
        self.assertLess(free[2] - free[-1], MEMORY_NOISE_KB)
        self.no_vm_left(session)

    def no_vm_left(self, session: Session) -> None:
        """Each VM that was created went, and the hypervisor had as much then as at its first end."""
        created = re.findall(r"VM [1-9]\d* \((\w+)\): created", session.text)
        ends = re.findall(r"VM \d+ \((\w+)\): destroyed(?:.*\n){1,3}?.*invariants hold: (.*)", session.text)
        self.assertEqual(sorted(created), sorted([name for name, _ in ends]))
        self.assertEqual({left for _, left in ends}, {ends[0][1]})
