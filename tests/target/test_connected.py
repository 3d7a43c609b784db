# SPDX-License-Identifier: BSD-3-Clause
"""VMs that talk to each other: shared memory with doorbells, and serial lines."""

import subprocess
from pathlib import Path

from misc.run.machine import TOP
from tests.run.target import BROKEN, ServiceVm, TargetTest

# A User VM that runs /bin/talk; the rest is its -s and -l options.
DM = ('acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -k /data/bzImage -r /data/user.cpio '
      '-B "console=ttyS0 quiet acrn.test=/bin/talk-{name}" {options} {name}')


# line ME OTHER TTY: 64 KB each way at once, by the stock driver, which holds the other end off by RTS
# and CTS. The Service VM, 0, is there first; nobody sends before both are.
LINE = """\
yes "this is what $1 says" | head -c 65536 >/run/mine-$1
exec 3<>/dev/$3
stty raw -echo crtscts <&3
if [ $1 = 0 ]; then
	read -r word <&3
	echo go >&3
else
	echo ready >&3
	read -r word <&3
fi
cat /run/mine-$1 >&3 &
got=$(head -c 65536 <&3 | md5sum)
want=$(yes "this is what $2 says" | head -c 65536 | md5sum)
wait
sleep 1
[ "$got" = "$want" ] && echo "line $3: $1 has $word, all of $2"
grep -q "[1-9].*$3" /proc/interrupts && echo "line $3: $1 is interrupted"
"""
PCI_TTY = "basename $(ls -d /sys/bus/pci/devices/*/tty/*)"


class Connected(TargetTest):
    """The scenario connected: a Service VM, vm1 and vm2."""

    LIMIT = 300

    @property
    def hypervisor(self) -> Path:
        """The image of that scenario."""
        return self.output / "scenario" / "connected" / "hypervisor" / "acrn.bin"

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

    def test_serial_lines(self) -> None:
        # Do 64 KB each way at once arrive over a line of COM ports, and over one of PCI functions,
        # with the drivers of a stock Linux? And can one send to a VM that is gone?
        launch = "\n".join((
            "dmesg -n 1",
            DM.format(name="vm1", options="-s 7,uart,vuart_idx:1 -l com1,stdio")
            + " </dev/null >/run/vm1 &",
            "line 0 1 ttyS1", f"line 0 1 $({PCI_TTY})", "wait", "cat /run/vm1",
            "stty raw -crtscts </dev/ttyS1", "head -c 20000 /dev/zero >/dev/ttyS1",
            f"stty raw -crtscts </dev/$({PCI_TTY})", f"head -c 20000 /dev/zero >/dev/$({PCI_TTY})",
            "echo all ended"))
        vm = self.connected_vm(launch, **{
            "line": LINE, "talk-vm1": f"line 1 0 ttyS1\nline 1 0 $({PCI_TTY})"})
        vm.service_files.append((self.script("line", LINE), "/bin/line"))
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^all ended", 280, BROKEN)
        for end, other, word in ((0, 1, "ready"), (1, 0, "go")):
            for tty in ("ttyS1", "ttyS[4-7]"):
                self.assertRegex(session.text, f"line {tty}: {end} has {word}, all of {other}")
                self.assertRegex(session.text, f"line {tty}: {end} is interrupted")

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
        session.expect('refuses "hv:/all" to VM "other": Operation not permitted', 60, BROKEN)
        session.expect('refuses "hv:/all" to VM "vm1": Invalid argument', 60, BROKEN)
        session.expect('refuses "hv:/none" to VM "vm1": No such file', 60, BROKEN)
        session.expect("^all ended", 200, BROKEN)
        self.assertNotIn("WRONG", session.text)
        for ends in ("0: .* from 1", "1: .* from 0", "1: .* from 2", "2: .* from 1"):
            self.assertRegex(session.text, f"peer {ends} are right")
        self.assertEqual(session.text.count(": done"), 4)
