# SPDX-License-Identifier: BSD-3-Clause
"""Is the platform that a VM sees the one that the contract promises?"""

from misc.run.machine import TOP
from tests.run.target import BROKEN, IPS, TargetTest

from contract import give_back, idle, judge, probed, read_contract

CONTRACT = TOP / "doc" / "abi" / "platform.md"
# Without it Bochs reads 0 from MSRs that its CPU model has not; a real CPU faults.
FAULTS = ["cpu: ignore_bad_msrs=0"]
FACTS = {"khz": IPS // 1000}
# The CPU with most features, one with few, one with more than the hypervisor shows.
MODELS = ("corei7_skylake_x", "broadwell_ult", "corei7_icelake_u")

# A User VM's port access may go to acrn-dm and back: only where something is, on either side.
PORTS = "ports=0-fff,b000-b03f,b100-b10f,c000-c02f"

# To a file first: the console would wait for two UARTs at each character.
PROBE = f"""\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -l com2,pty -l com3,pty -l com4,pty \
	-k /data/probe -B {PORTS} vm1 </dev/null >/data/probe.log 2>&1 &
tries=100
until grep -q 'probe done' /data/probe.log || [ $tries = 0 ]; do
	sleep 1
	tries=$((tries - 1))
done
kill $!
wait $!
cat /data/probe.log
"""


class ServiceVmPlatform(TargetTest):
    """The probe guest as the Service VM, beside itself on the bare machine."""

    LIMIT = 300

    def test_three_models(self) -> None:
        # Does the Service VM see what the contract says, and nothing else, whatever the CPU has?
        rows = read_contract(CONTRACT, "Service VM", "Every VM")
        wrong: list[str] = []
        keys: set[str] = set()
        for model in MODELS:
            texts = []
            for boot in (self.boot_bare_guest, self.boot_guest):
                session = boot("probe", extra=FAULTS, model=model)
                session.expect("^probe done", 60, r"halted|exception \d+ error")
                session.wait_end(60)
                texts.append(session.text)
            bare, seen = give_back(probed(texts[0]), probed(texts[1]))
            wrong += [f"{model}: {line}" for line in judge(rows, bare, seen, FACTS)]
            keys |= bare.keys() | seen.keys()
        wrong += [f"{pattern}: nothing was found that this is about"
                  for pattern in idle(rows, keys)]
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))


class UserVmPlatform(TargetTest):
    """The probe guest as a User VM, beside itself on the bare machine."""

    LIMIT = 180

    def test_skylake(self) -> None:
        # Does a User VM see what the contract says, and nothing else of the machine?
        bare = self.boot_bare_guest("probe", PORTS, extra=FAULTS)
        bare.expect("^probe done", 60, r"exception \d+ error")
        bare.close_machine()
        vm = self.service_vm(PROBE)
        vm.disk_files = [(self.guest("probe"), "/probe")]
        vm.user_disk_mb = 0
        session = self.boot_service_vm(vm, extra=FAULTS)
        session.expect("^probe start", 150, BROKEN)
        session.expect("^probe done", 60, BROKEN + r"|exception \d+ error|launch ended")
        seen = probed(session.text[session.text.index("probe start"):])
        there = probed(bare.text)
        rows = read_contract(CONTRACT, "User VM", "Every VM")
        wrong = judge(rows, there, seen, FACTS)
        # Rows of every VM are about several CPUs: the Service VM's test sees to them.
        own = {pattern for row in read_contract(CONTRACT, "User VM") for pattern in row.patterns}
        wrong += [f"{pattern}: nothing was found that this is about"
                  for pattern in idle(rows, there.keys() | seen.keys()) if pattern in own]
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
