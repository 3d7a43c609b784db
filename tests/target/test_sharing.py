# SPDX-License-Identifier: BSD-3-Clause
"""VMs that share a processor, under each scheduling policy: who gets how much of it?"""

import os
import re
import subprocess
from pathlib import Path

from misc.run.machine import TOP
from tests.run.target import BROKEN, TargetTest

# All guests are ready before any hears when to begin.
LAUNCH = """\
start() {
	mkfifo /run/$1
	acrn-dm -m 32M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/share $3 -B "$2" $1 \\
		<>/run/$1 >/data/$1.log 2>&1 &
	tries=200
	until grep -q '^ready' /data/$1.log || [ $tries = 0 ]; do
		sleep 0.2
		tries=$((tries - 1))
	done
	now=$(sed -n 's/^ready \\([0-9]*\\).*/\\1/p' /data/$1.log)
	names="$names $1"
}
%s
for name in $names; do
	echo $((now + 30000000)) >/run/$name
done
wait
for name in $names; do
	sed -n "s/^had/$name had/p" /data/$name.log
done
"""


class Sharing(TargetTest):
    """The scenario's policy, weights and priorities."""

    LIMIT = 400

    def build(self, scheduler: str, vms: dict[str, str]) -> Path:
        """A hypervisor of its own for this policy and these User VMs."""
        text = (TOP / "configs/scenarios/bochs/shared.xml").read_text(encoding="utf-8")
        text = text.replace("SCHED_BVT", scheduler)
        text = text[:text.index('<vm id="1">')]
        for number, (name, more) in enumerate(vms.items(), 1):
            text += (f'<vm id="{number}"><load_order>POST_LAUNCHED_VM</load_order>'
                     f"<name>{name}</name>{more}</vm>\n")
        scenario = self.folder / "shared.xml"
        scenario.write_text(text + "</acrn-config>\n", encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        subprocess.run(["make", "-s", "-C", str(TOP / "hypervisor"), f"O={self.folder}/build",
                        f"CONFIG_XML={TOP}/configs/boards/bochs.xml {scenario}", "all"],
                       check=True, env=environment, stdout=subprocess.DEVNULL)
        return self.folder / "build" / "hypervisor" / "acrn.bin"

    def share(self, scheduler: str, vms: dict[str, str], guests: list[tuple[str, str, str]],
              hv_args: str = "", cpus: int = 1) -> dict[str, tuple[int, int]]:
        """What each guest had, in thousands of ticks, and its rounds: (name, what, options)."""
        starts = "\n".join(f"start {name} {what} '{options}'" for name, what, options in guests)
        vm = self.service_vm(LAUNCH % starts)
        vm.hypervisor = self.build(scheduler, vms)
        vm.hv_args = hv_args
        vm.user_disk_mb = 0
        vm.disk_mb = 64
        vm.disk_files.append((self.guest("share"), "/share"))
        session = self.boot_service_vm(vm, cpus=cpus)
        for name, _, _ in guests:
            session.expect(rf"^{name} had \d+ of \d+, \d+ rounds", 200, BROKEN + "|launch ended")
        return {name: (int(had), int(rounds)) for name, had, rounds in
                re.findall(r"^(\w+) had (\d+) of \d+, (\d+) rounds", session.text, re.MULTILINE)}

    def judge_shares(self, found: dict[str, tuple[int, int]], weights: dict[str, int]) -> None:
        """Each has its share of what all had, within five per cent of it."""
        total = sum(had for had, _ in found.values())
        self.assertGreater(total, 55000, f"of 60000: {found}")
        for name, weight in weights.items():
            due = total * weight / sum(weights.values())
            self.assertLess(abs(found[name][0] - due), due / 20, f"{name}, due {due}: {found}")

    def test_weights(self) -> None:
        # BVT: do three VMs that never rest get what their weights say, one of them with interrupts
        # off, one by VM exits alone? And does a fourth leave them the processor, which spins on PAUSE?
        weights = {"plain": 1, "deaf": 2, "storm": 4}
        vms = {name: f"<bvt_weight>{weight}</bvt_weight>" for name, weight in weights.items()}
        vms["polite"] = "<bvt_weight>4</bvt_weight>"
        found = self.share("SCHED_BVT", vms, [("plain", "spin", ""), ("deaf", "cli", ""),
                                              ("storm", "storm", ""), ("polite", "pause", "")])
        self.assertLess(found.pop("polite")[0], 1000)
        self.judge_shares(found, weights)

    def test_turns(self) -> None:
        # IORR: do exits or held-back interrupts earn more than a plain turn?
        names = ("plain", "deaf", "storm")
        found = self.share("SCHED_IORR", {name: "" for name in names},
                           [("plain", "spin", ""), ("deaf", "cli", ""), ("storm", "storm", "")])
        self.judge_shares(found, {name: 1 for name in names})

    def inversion(self, hv_args: str) -> int:
        """Requests that are served while a VM spins that is above the Service VM."""
        high = "<priority>PRIO_HIGH</priority>"
        found = self.share("SCHED_PRIO", {"spinner": high, "asker": high},
                           [("spinner", "spin", ""), ("asker", "ask", "")], hv_args)
        return found["asker"][1]

    def test_inheritance(self) -> None:
        # PRIO: a VM of high priority waits for the Service VM, which another one of high priority
        # keeps off the processor. Does it inherit?
        self.assertGreater(self.inversion(""), 50)

    def test_inversion(self) -> None:
        # And what is that good for?
        self.assertLess(self.inversion("inherit=off"), 3)

    def test_noop(self) -> None:
        # NOOP: a processor for each.
        pcpu = "<cpu_affinity><pcpu><pcpu_id>1</pcpu_id></pcpu></cpu_affinity>"
        found = self.share("SCHED_NOOP", {"alone": pcpu}, [("alone", "storm", "")], cpus=2)
        self.assertGreater(found["alone"][0], 59000)
