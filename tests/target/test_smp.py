# SPDX-License-Identifier: BSD-3-Clause
"""VMs with many processors: who gets which interrupt, and who starts when."""

from tests.run.target import BROKEN, OTHER_MODELS, Session, TargetTest

WRONG = BROKEN + r"|^smp: wrong.*\n|exception \d+ error"
PARTS = ["physical", "shorthands", "storms", "starts", "rewritten", "flat", "cluster", "physical",
         "shorthands", "storms", "starts", "logical"]


class Matrix(TargetTest):
    """The smp guest, which judges itself."""

    LIMIT = 240

    def judge(self, session: Session, cpus: int) -> None:
        """Waits for each part and for the sum."""
        session.expect(f"^smp: {cpus} CPUs", 60, WRONG)
        for part in PARTS:
            session.expect(f"^smp: {part}: [1-9]", 60, WRONG)
        session.expect("^smp done, 0 wrong", 60, WRONG)
        session.wait_end(60)

    def test_bare(self) -> None:
        # Does the bare machine do what the guest takes for right?
        self.judge(self.boot_bare_guest("smp", cpus=8), 8)

    def test_service_vm(self) -> None:
        # Do eight processors of a VM get each kind of IPI, and start by INIT and SIPI?
        session = self.boot_guest("smp", "loglevel=5", cpus=8)
        self.judge(session, 8)
        self.assertIn("invariants hold", session.text)

    def test_models(self) -> None:
        # And on other processors?
        for model in OTHER_MODELS:
            with self.subTest(model):
                self.judge(self.boot_guest("smp", cpus=4, model=model), 4)

    def test_interrupt_delivery(self) -> None:
        # And with virtual-interrupt delivery by the processor?
        self.judge(self.boot_guest("smp", "quirks=off hide=posted", cpus=8), 8)

    def test_reset(self) -> None:
        # What if the machine is reset while its processors INIT and start each other, and by a
        # triple fault of one of them?
        for how, line in (("race", "race, 4 CPUs"), ("fault", "triple fault")):
            with self.subTest(how):
                session = self.boot_guest("smp", f"smp={how} loglevel=5", cpus=4)
                for _ in range(3):
                    session.expect(f"^smp: {line}", 60, WRONG)
                    session.expect("invariants hold", 60, WRONG)

    def test_no_apicv(self) -> None:
        # And where each access to the APIC exits?
        self.judge(self.boot_guest("smp", "hide=tprshadow", cpus=4), 4)
