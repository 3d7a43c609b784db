# SPDX-License-Identifier: BSD-3-Clause
"""Which machine to run on: the fastest one that has VMX."""

from misc.run.bochs import Bochs, InstalledBochs
from misc.run.machine import Machine, nested_vmx_missing
from misc.run.qemu import Kvm, Qemu

MACHINES: dict[str, type[Machine]] = {
    machine.name: machine for machine in (Bochs, InstalledBochs, Qemu, Kvm)}


def choose(name: str = "auto") -> tuple[Machine, str]:
    """The machine called `name`, and a sentence that says which it is and why."""
    if name != "auto":
        return MACHINES[name](), f"{name}, as asked for"
    missing = nested_vmx_missing()
    if not missing:
        return Kvm(), "QEMU/KVM: the CPU shows VMX and kvm_intel nests it"
    bochs = Bochs()
    return bochs, f"Bochs ({bochs.program}): no KVM, since {missing}"
