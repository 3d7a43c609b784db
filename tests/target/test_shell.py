# SPDX-License-Identifier: BSD-3-Clause
"""The debug shell, over the serial port of a machine with two VMs."""

import re

from tests.run.target import BROKEN, Session, TargetTest

LEAVE = "\0"  # Ctrl-Space
PROMPT = r"ACRN:\\>"
LAUNCH = """\
mkfifo /run/vm1
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet acrn.test=/bin/waits" vm1 <>/run/vm1 >/data/vm1.log 2>&1 &
tries=200
until grep -q '^waits' /data/vm1.log || [ $tries = 0 ]; do
	sleep 1
	tries=$((tries - 1))
done
echo "both run"
read -r word
echo "launch read $word"
"""

# What is typed, and patterns of the answer.
ANSWERS: list[tuple[str, list[str]]] = [
    ("", ["^$"]),
    ("nonsense 1 2", ["^nonsense: no such command"]),
    ("help", [r"(?s)boot_report.*vcpu_dumpreg +<vm id, vcpu id>.*vm_list"]),
    ("version", ["debug build, board bochs, scenario shared, hypercall API 1.0"]),
    ("vm_list", [r" 0 ACRN_Service_VM +Running +SERVICE +2\n +1 vm1 +Running +POST_LAUNCHED +2\n$"]),
    ("vcpu_list", [r"(?s) 0 +0 +0 PRIMARY +Running.* 0 +1 +1 SECONDARY +Running.* 1 +0 +0 PRIMARY"]),
    # Linux, 64-bit, in its idle loop: kernel addresses, paging on
    ("vcpu_dumpreg 0 0", [r"RIP=0xffffffff8\w+ RSP=0xffff.*\nCR0=0x8005\w+ .* EFER=0xd01\n",
                          r" CS=0x10 SS=0x18 "]),
    ("vcpu_dumpreg 0,1", [r"^VM 0 vCPU 1 on CPU 1", r"RIP=0xffffffff8"]),
    ("vcpu_dumpreg 1 1", [r"^VM 1 vCPU 1 on CPU 1", r"RIP=0xffffffff8"]),
    ("vcpu_dumpreg 0 2", ["^VM 0 has 2 vCPUs"]),
    ("vcpu_dumpreg 7 0", ["^there is no VM 7"]),
    ("vcpu_dumpreg 99 0", ["^99 is no VM: ids go from 0 to 15"]),
    ("vcpu_dumpreg 0", ["^usage: vcpu_dumpreg <vm id, vcpu id>"]),
    ("vm_console 1", ["^VM 1 has no console vUART"]),
    ("vm_console", ["^usage: vm_console <vm id>"]),
    ("loglevel", ["^console level: 3, memory level: 5, npk level: 0"]),
    ("loglevel 4 6", ["^console level: 4, memory level: 6"]),
    ("loglevel 9", [r"^usage: loglevel \[console \[mem \[npk\]\]\]"]),
    ("loglevel 3 5", ["^console level: 3"]),
    ("dump_log", [r"sev=5\]: VM 0 \(ACRN_Service_VM\): created with 2 vCPUs"]),
    ("boot_report", ["^boot: Bochs: virtual-interrupt delivery"]),
]


class Shell(TargetTest):
    """Every command, once, on one machine."""

    LIMIT = 300

    def command(self, session: Session, line: str) -> str:
        """What the shell answers to `line`."""
        session.send(line + "\r")
        session.expect(re.escape(line) + "\n", 30, BROKEN)
        start = session._seen
        return session.text[start:session.expect("^" + PROMPT, 60, BROKEN).start()]

    def test_commands(self) -> None:
        # Does each command answer what is so, while two VMs run?
        vm = self.service_vm(LAUNCH, waits="echo waits\nread -r word")
        vm.user_disk_mb = 0
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^both run", 250, BROKEN)
        session.send(LEAVE)
        session.expect("Entering ACRN Shell.*\n" + PROMPT, 30, BROKEN)
        for line, answers in ANSWERS:
            for answer in answers:
                self.assertRegex(self.command(session, line), answer)
        session.send("vm_console 0\r")
        session.expect("Entering VM 0", 30, BROKEN)
        session.send("hazel\n")
        session.expect("^launch read hazel", 30, BROKEN)
