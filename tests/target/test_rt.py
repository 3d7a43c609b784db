# SPDX-License-Identifier: BSD-3-Clause
"""VMs that own the local APICs of their processors."""

from pathlib import Path

from tests.bench import owned
from tests.run.target import BROKEN, Module, Session, TargetTest

WRONG = BROKEN + r"|^smp: wrong.*\n|exception \d+ error"


class HybridRt(TargetTest):
    """The scenario hybrid_rt: rt on processors 1 and 2, a Service VM on 0."""

    LIMIT = 200

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "hybrid_rt" / "hypervisor" / "acrn.bin"

    def boot_rt(self, args: str, service: str = "smp", hv_args: str = "loglevel=5") -> Session:
        """Guests of ours in both VMs; the console is rt's."""
        return self.boot_hypervisor([Module(self.guest("smp"), f"RT_kernel {args}"),
                                     Module(self.guest(service), "Linux_bzImage")],
                                    hv_args, cpus=3)

    def test_ipis(self) -> None:
        # Does each kind of IPI reach whom it should in the VM, and do its processors start and
        # start again by INIT and SIPI?
        session = self.boot_rt("")
        session.expect("^smp: 2 CPUs", 60, WRONG)
        for part in ("physical", "shorthands", "storms", "starts", "logical"):
            session.expect(f"^smp: {part}: [1-9]", 60, WRONG)
        session.expect("^smp done, 0 wrong", 60, WRONG)
        session.expect("rt: powers off", 20, WRONG)

    def test_no_exits(self) -> None:
        # Does a VM with a 1 kHz timer on each of its processors leave for the hypervisor, on one
        # processor, and on two, while the hypervisor's other VM works? make bench has longer loops.
        session = self.boot_rt("smp=rt")
        for cpus in owned.CPUS:
            run = owned.one_run(session, cpus, 0.2)
            self.assertGreater(run.counted, 20)
            self.assertGreater(run.instructions, 50_000_000)
            self.assertEqual(cpus, len(run.timers))
            self.assertGreater(min(run.timers), run.due * 0.98)
        session.expect("^rt: done", 20, WRONG)
        session.send("\r")
        session.expect("rt: powers off", 20, WRONG)

    def test_linux(self) -> None:
        # Does a stock Linux with two processors run there, sleep and tick? Its interrupts are those
        # of the processors' own timers.
        work = self.initramfs('echo "rt: $(nproc) CPUs"\nsleep 2\ngrep LOC: /proc/interrupts')
        session = self.boot_hypervisor([Module(self.kernel, "RT_kernel console=ttyS0 quiet"),
                                        Module(work, "RT_ramdisk"),
                                        Module(self.guest("smp"), "Linux_bzImage")],
                                       "loglevel=5", cpus=3)
        session.expect("^rt: 2 CPUs", 120, BROKEN)
        session.expect(r"^ *LOC: +[1-9]\d* +[1-9]\d* ", 60, BROKEN)
        session.expect("rt: powers off", 30, BROKEN)
        session.expect("invariants hold", 30, BROKEN)
