# SPDX-License-Identifier: BSD-3-Clause
"""Is the platform that a VM sees the one that the contract promises?"""

from misc.run.machine import TOP
from tests.run.target import TargetTest

from contract import judge, probed, read_contract

CONTRACT = TOP / "doc" / "abi" / "platform.md"
# Without it Bochs reads 0 from MSRs that its CPU model has not; a real CPU faults.
FAULTS = ["cpu: ignore_bad_msrs=0"]


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
