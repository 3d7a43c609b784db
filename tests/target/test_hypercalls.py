# SPDX-License-Identifier: BSD-3-Clause
"""A Service VM that means harm, as a kernel of its own and as a program in Linux."""

import subprocess

from tests.run.target import BROKEN, OTHER_MODELS, ServiceVm, TargetTest
from misc.run.machine import TOP


class Hypercalls(TargetTest):
    """Nothing a Service VM asks for harms the hypervisor."""

    LIMIT = 240

    def hostile_kernel(self, **machine_options: object) -> None:
        """Thousands of made-up hypercalls: does a proper VM still run?"""
        session = self.boot_guest("badcalls", "loglevel=1", cpus=2, **machine_options)  # type: ignore
        session.expect(r"badcalls: 30000 calls", 200, BROKEN)
        session.expect(r"badcalls: proper VM \d+ with 1 vCPU, started: yes", 60, BROKEN)
        # And is a User VM's own VMCALL an invalid opcode?
        session.expect(r"badcalls: its VMCALL gave 6 at port 99", 60, BROKEN)
        session.expect(r"badcalls: answered, paused, destroyed: yes", 60, BROKEN)
        session.expect(r"badcalls: and again: 22", 60, BROKEN)
        # Do doorbells go into their ring, and beyond its two places to the device model?
        session.expect(r"proper VM \d+ with 1 vCPU and rings, started: yes", 60, BROKEN)
        session.expect(r"16 bytes in the ring, 123456789abc 123456789abc, then port 99", 60, BROKEN)
        # Is a triple fault told of, and powers off?
        session.expect(r"badcalls: event 2, then 3400 at port 404", 60, BROKEN)
        session.expect(r"badcalls: destroyed: yes\s+badcalls: done", 60, BROKEN)
        session.wait_end(60)

    def test_hostile_kernel(self) -> None:
        # What if the Service VM's kernel calls with what is nobody's?
        self.hostile_kernel()

    def test_models(self) -> None:
        # And on other processors?
        for model in OTHER_MODELS:
            with self.subTest(model):
                self.hostile_kernel(model=model)

    def test_hsm_orders(self) -> None:
        # What if a program uses the HSM in every wrong order?
        program = self.folder / "orders"
        subprocess.run(["gcc", "-static", "-O1", "-o", str(program),
                        str(TOP / "tests/target/service/hsm_orders.c")], check=True)
        script = self.script("launch", "dmesg -n 1\nhsm-orders")
        vm = ServiceVm(self.hypervisor, self.kernel, launch=None,
                       service_files=[(program, "/bin/hsm-orders")],
                       disk_files=[(script, "/launch.sh")],
                       hv_args="loglevel=1")  # its lines would cut the program's
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("orders: done", 200, BROKEN)
        self.assertNotIn("WRONG", session.text)
        self.assertEqual(session.text.count("orders: ok"), 49)
