# SPDX-License-Identifier: BSD-3-Clause
"""VMs that talk to each other: shared memory with doorbells, and serial lines."""

import subprocess
from pathlib import Path

from misc.run.machine import TOP
from tests.run.target import BROKEN, ServiceVm, TargetTest

# A User VM that runs /bin/talk; the rest is its -s and -l options.
DM = ('acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -k /data/bzImage -r /data/user.cpio '
      '-B "console=ttyS0 quiet acrn.test=/bin/talk-{name}" {options} {name}')


class Connected(TargetTest):
    """The scenario connected: a Service VM, vm1 and vm2."""

    LIMIT = 300

    @property
    def hypervisor(self) -> Path:
        """The image of that scenario."""
        return self.output / "connected" / "hypervisor" / "acrn.bin"

    def connected_vm(self, launch: str, **user_scripts: str) -> ServiceVm:
        """A Service VM with the program `peer`, which its User VMs have too."""
        program = self.folder / "peer"
        subprocess.run(["gcc", "-static", "-O2", "-o", str(program),
                        str(TOP / "tests/target/service/peer.c")], check=True)
        vm = self.service_vm(launch, **user_scripts)
        vm.user_disk_mb = 0
        vm.disk_mb = 64
        vm.user_files.append((program, "/bin/peer"))
        vm.service_files.append((program, "/bin/peer"))
        return vm

    def test_shared_memory(self) -> None:
        # Do three VMs share what the scenario lets them share, each two of them, all at once? Is a
        # VM refused that has no part in it, and a size that is not the region's?
        users = "-s 5,ivshmem,hv:/all,2 -s 6,ivshmem,hv:/users,4"
        launch = "\n".join((
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/all,2 -k /data/bzImage other",
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/all,4 -k /data/bzImage vm1",
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/none,4 -k /data/bzImage vm1",
            DM.format(name="vm1", options=users + " -l com1,stdio") + " </dev/null >/run/vm1 &",
            DM.format(name="vm2", options=users + " -l com1,stdio") + " </dev/null >/run/vm2 &",
            "peer 2 1 20 irq", "wait", "cat /run/vm1 /run/vm2", "echo all ended"))
        vm = self.connected_vm(launch, **{"talk-vm1": "peer 2 0 20 irq\npeer 4 2 20 irq",
                                          "talk-vm2": "peer 4 1 20 irq"})
        session = self.boot_service_vm(vm, cpus=2)
        session.expect('refuses hv:/all of 2 MB to VM "other": Operation not permitted', 60, BROKEN)
        session.expect('refuses hv:/all of 4 MB to VM "vm1": Invalid argument', 60, BROKEN)
        session.expect('refuses hv:/none of 4 MB to VM "vm1": No such file', 60, BROKEN)
        session.expect("^all ended", 200, BROKEN)
        self.assertNotIn("WRONG", session.text)
        for ends in ("0: .* from 1", "1: .* from 0", "1: .* from 2", "2: .* from 1"):
            self.assertRegex(session.text, f"peer {ends} are right")
        self.assertEqual(session.text.count(": done"), 4)
