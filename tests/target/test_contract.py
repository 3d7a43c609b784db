# SPDX-License-Identifier: BSD-3-Clause
"""Is the platform that a VM sees the one that the contract promises?"""

from misc.run.machine import TOP
from tests.run.target import BROKEN, TargetTest

from contract import judge, probed, read_contract

CONTRACT = TOP / "doc" / "abi" / "platform.md"
# Without it Bochs reads 0 from MSRs that its CPU model has not; a real CPU faults.
FAULTS = ["cpu: ignore_bad_msrs=0"]

# A User VM's port access may go to acrn-dm and back: only where something is, on either side.
PORTS = "ports=0-fff,b000-b03f,b100-b10f,c000-c02f"

# To a file first: the console would wait for two UARTs at each character.
PROBE = f"""\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/probe -B {PORTS} vm1 \
	</dev/null >/data/probe.log 2>&1 &
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

    LIMIT = 180

    def compare(self, **machine_options: object) -> None:
        """Runs the guest twice and demands that the contract lists every difference."""
        texts = []
        for boot in (self.boot_bare_guest, self.boot_guest):
            session = boot("probe", extra=FAULTS, **machine_options)
            session.expect("^probe done", 60, r"halted|exception \d+ error")
            session.close_machine()
            texts.append(session.text)
        rows = read_contract(CONTRACT, "Service VM")
        wrong = judge(rows, probed(texts[0]), probed(texts[1]))
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_skylake(self) -> None:
        # Does the Service VM of the CPU with most features see what the contract says?
        self.compare()

    def test_broadwell(self) -> None:
        # And that of a CPU with few?
        self.compare(model="broadwell_ult")

    def test_icelake(self) -> None:
        # And that of a CPU with more?
        self.compare(model="corei7_icelake_u")


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
        seen = session.text[session.text.index("probe start"):]
        rows = read_contract(CONTRACT, "User VM")
        wrong = judge(rows, probed(bare.text), probed(seen))
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
