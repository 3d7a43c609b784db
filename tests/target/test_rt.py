# SPDX-License-Identifier: BSD-3-Clause
"""VMs that own the local APICs of their processors."""

import re
from pathlib import Path

from tests.run.target import BROKEN, Module, Session, TargetTest

LEAVE = "\0"  # Ctrl-Space
PROMPT = r"ACRN:\\>"
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

    def exits(self, session: Session) -> list[tuple[str, ...]]:
        """The VM exits of rt so far, as the shell tells them: vCPU, reason and number."""
        session.send("vm_stats 0\r")
        start = session.expect("vm_stats 0\n", 30, WRONG).end()
        end = session.expect("^" + PROMPT, 30, WRONG).start()
        rows = re.findall(r"(?m)^ +0 +(\d) +(\d+) [A-Za-z/ ]+? +(\d+) ", session.text[start:end])
        self.assertTrue(rows)
        return rows

    def test_no_exits(self) -> None:
        # Does a VM with a 1 kHz timer on each of its processors leave for the hypervisor, on one
        # processor, and on two, while the hypervisor's other VM works?
        session = self.boot_rt("smp=rt")
        for cpus in (1, 2):
            session.expect(f"^rt: runs on {cpus}$", 60, WRONG)
            session.send(LEAVE)
            session.expect("Entering ACRN Shell.*\n" + PROMPT, 30, WRONG)
            before = self.exits(session)
            self.assertEqual(before, self.exits(session))
            session.send("vm_console 0\r")
            session.expect(rf"Entering VM 0(.*\n)+rt: ran on {cpus} for (\d+) ms:( \d+)+ ticks", 60, WRONG)
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
