# SPDX-License-Identifier: BSD-3-Clause
"""A guest that means harm: does it find what it would on a processor, and do others live on?"""

import re
from pathlib import Path

from tests.run.target import BROKEN, OTHER_MODELS, Session, TargetTest

# Bochs's bare processor must fault where a real one does.
FAULTS = ["cpu: ignore_bad_msrs=0"]

# What a VM may see otherwise than the bare machine, and why.
NO_MONITOR = "op monitor:" + " 6+0r" * 11 + " 6+0"
SERVICE_VM = {
    "monitor": NO_MONITOR,  # hidden in CPUID
    # A hypercall, by ring 0 alone.
    "vmcall": "op vmcall: 6+3r 13+0r 6+3r 13+0r 6+3r 6+3r 6+3r 6+3r 13+0r 6+3r 13+0r 6+3",
}
USER_VM = {"monitor": NO_MONITOR}

# How often each attack must have tried: to its end. At the least; by the Service VM, whose devices
# are the machine's; by a User VM, to which a trip to acrn-dm costs.
ATTACKS = {"cpuid": 44576, "msrs": 36919, "control registers": 3000, "memory": 420,
           "ports": 20000 + 65536 // 17 * 4, "apic": 30000, "timer": 2000, "decoder": 1000}
BY_SERVICE_VM = ATTACKS | {"memory": 2320, "ports": 20000 + 3 * 65536, "decoder": 30000}
BY_USER_VM = ATTACKS | {"memory": 2420, "ports": 20000 + 4 * 65536 - 16}

DM = "acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/wild {option} vm1"
# Dots of the Service VM between the start and the end of the User VM.
BESIDE = f"""\
{DM} </dev/null >/data/wild.log 2>&1 &
dots=0
until grep -q 'wild done' /data/wild.log || [ $dots = {{dots}} ]; do
	sleep 1
	dots=$((dots + 1))
	echo "dot $dots $(grep -c '^op\|^alive' /data/wild.log)"
done
kill $!
wait $!
cat /data/wild.log
echo "shown"
"""

# Naps of 10 ms beside a VM each of whose WBINVDs takes about 200 ms.
FLUSHING = """\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/flush -B flush vm1 \\
	</dev/null >/data/flush.log 2>&1 &
until grep -q 'flush runs' /data/flush.log; do sleep 1; done
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
start=$(now)
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	usleep 10000
done
echo "twenty naps took $(($(now) - start)) hundredths"
kill $!
wait $!
"""


class WildGuest(TargetTest):
    """The wild guest in a VM, and on the bare machine."""

    LIMIT = 400

    def bare(self, **machine_options: object) -> dict[str, str]:
        """What the bare machine answers, by the name of the operation."""
        session = self.boot_bare_guest("wild", extra=FAULTS, **machine_options)  # type: ignore
        session.expect("^ops done", 60, r"exception \d+ error")
        session.close()
        return self.answers(session.text)

    def answers(self, text: str) -> dict[str, str]:
        """Lines "op NAME: ..." by their names."""
        lines = re.findall(r"^(op (.*?):.*?)\r?$", text, re.MULTILINE)
        self.assertGreater(len(lines), 150)
        return {name: line for line, name in lines}

    def judge(self, text: str, differences: dict[str, str], attacks: dict[str, int],
              **machine_options: object) -> None:
        """Fails over any answer that is neither the processor's nor listed."""
        expected = self.bare(**machine_options) | differences
        found = self.answers(text)
        self.assertEqual(expected.keys(), found.keys())
        wrong = [f"{found[name]}\n  not: {line}" for name, line in expected.items()
                 if found[name] != line]
        self.assertFalse(wrong, "\n".join(wrong))
        for attack, least in attacks.items():
            tries = re.search(rf"(?m)^alive after {attack}: (\d+) tries\r?$", text)
            self.assertGreaterEqual(int(tries[1]) if tries else 0, least, attack)

    def beside(self, dots: int, option: str = "", **machine_options: object) -> Session:
        """The guest as a User VM while the Service VM counts seconds, `dots` at most."""
        vm = self.service_vm(BESIDE.format(dots=dots, option=option))
        vm.disk_files.append((self.guest("wild"), "/wild"))
        session = self.boot_service_vm(vm, extra=FAULTS, **machine_options)  # type: ignore
        session.expect("^dot 3", 120, BROKEN)
        session.expect("^shown", 240, BROKEN)
        session.expect("launch ended with status 0", 60, BROKEN)
        return session

    def progress(self, text: str) -> list[int]:
        """For each dot between the guest's first line and its last: how many lines it had printed."""
        last = len(re.findall("(?m)^(op|alive) ", text))
        dots = [int(n) for n in re.findall(r"(?m)^dot \d+ (\d+)", text)]
        return [n for n in dots if 0 < n <= last]

    def service_vm_alone(self, **machine_options: object) -> None:
        """The guest as the Service VM."""
        session = self.boot_guest("wild", extra=FAULTS, **machine_options)  # type: ignore
        session.expect("^wild done", 200, r"halted|exception \d+ error")
        session.wait_end(60)
        self.judge(session.text, SERVICE_VM, BY_SERVICE_VM, **machine_options)


class Wild(WildGuest):
    """With the hypervisor as it is."""

    def test_service_vm(self) -> None:
        # Does the Service VM's guest get the processor's answers, and the hypervisor live?
        self.service_vm_alone()

    def test_models(self) -> None:
        # And on other processors?
        for model in OTHER_MODELS:
            with self.subTest(model):
                self.service_vm_alone(model=model)

    def test_user_vm(self) -> None:
        # Does a User VM get them, while the Service VM goes on on the same processor?
        text = self.beside(300, cpus=1).text
        self.judge(text, USER_VM, BY_USER_VM)
        self.assertGreaterEqual(len(set(self.progress(text))), 8)

    def test_user_vm_models(self) -> None:
        # And on other processors?
        for model in OTHER_MODELS:
            with self.subTest(model):
                session = self.beside(300, "-B quick", cpus=1, model=model)
                session.close()
                self.judge(session.text, USER_VM, ATTACKS, model=model)
                self.assertGreaterEqual(len(set(self.progress(session.text))), 8)

    def test_two_cpus(self) -> None:
        # Does the Service VM go on with two processors? Bochs loses faults of such guests, so
        # that this one may not get far: only who lives beside it is judged.
        session = self.beside(30, cpus=2)
        self.assertRegex(session.text, "(?m)^op nop: 6")
        self.assertGreaterEqual(len(self.progress(session.text)), 10)


class Extended(WildGuest):
    """With all that is in hypervisor/ext."""

    @property
    def hypervisor(self) -> Path:
        return self.output / "scenario" / "ext" / "hypervisor" / "acrn.bin"

    def test_service_vm(self) -> None:
        # Are the answers the same if WBINVD and INVD are done for the VM's own memory alone?
        self.service_vm_alone()

    def flushing_vm(self, hv_args: str) -> int:
        """A User VM that does nothing but WBINVD beside the Service VM on one processor: how many?"""
        vm = self.service_vm(FLUSHING)
        vm.disk_files.append((self.guest("latency"), "/flush"))
        vm.hv_args = f"loglevel=5 {hv_args}"
        session = self.boot_service_vm(vm, cpus=1)
        took = session.expect(r"^twenty naps took (\d+) hundredths", 120, BROKEN)
        self.assertLess(int(took[1]), 200)
        session.expect("launch ended with status 0", 60, BROKEN)
        found = re.search(r"VM 1 vCPU 0 exits:.* 54:(\d+)", session.text)
        self.assertIsNotNone(found)
        return int(found[1]) if found else 0

    def test_no_device(self) -> None:
        # Is a WBINVD free in a VM without devices, and does the Service VM work beside many of them?
        self.assertGreater(self.flushing_vm(""), 10000)

    def test_long_flush(self) -> None:
        # What if each goes over all of the VM's memory, for want of self-snooping: does the Service
        # VM get the processor in between?
        count = self.flushing_vm("hide=selfsnoop")
        self.assertTrue(0 < count < 1000, count)
