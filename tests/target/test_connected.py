# SPDX-License-Identifier: BSD-3-Clause
"""VMs that talk to each other: shared memory with doorbells, and serial lines."""

import re
import subprocess
from pathlib import Path

from misc.run.machine import TOP
from tests.run.target import BROKEN, ServiceVm, TargetTest

# A User VM that runs /bin/talk; the rest is its -s and -l options.
DM = ('acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -k /data/bzImage -r /data/user.cpio '
      '-B "console=ttyS0 quiet acrn.test=/bin/talk-{name}" {options} {name}')


# line ME OTHER TTY: 64 KB each way at once, by the stock driver, which holds the other end off by RTS
# and CTS. The Service VM, 0, is there first; nobody sends before both are. What comes to 0 before its
# line is raw is echoed, so 1 waits for what only 0 says.
LINE = """\
yes "this is what $1 says" | head -c 65536 >/run/mine-$1
exec 3<>/dev/$3
stty raw -echo crtscts <&3
if [ $1 = 0 ]; then
	read -r word <&3
	echo go >&3
else
	echo ready >&3
	until [ "$word" = go ]; do read -r word <&3; done
fi
cat /run/mine-$1 >&3 &
got=$(head -c 65536 <&3 | md5sum)
want=$(yes "this is what $2 says" | head -c 65536 | md5sum)
wait
sleep 1
right=all
[ "$got" = "$want" ] || right=NOT
echo "line $3: $1 has $word, $right of $2"
grep -q "[1-9].*$3" /proc/interrupts && echo "line $3: $1 is interrupted"
"""
# The Service VM tells vm1 what to do when both lines are done.
TELL = """\
exec 3<>/dev/ttyS1
stty raw -echo crtscts <&3
read -r word <&3
echo $1 >&3
sleep 1
"""
ASK = """\
exec 3<>/dev/ttyS1
stty raw -echo crtscts <&3
echo done >&3
read -r word <&3
[ $word = again ] && reboot -f
"""
# The Service VM puts the memory of its function over the hypervisor, its own RAM, its local APIC, the
# other end of the address space, and back.
WILD_BARS = r"""
config=/sys/bus/pci/devices/0000:00:09.0/config
cat $config >/run/config
put() { printf "$2" | dd of=$config bs=1 seek=$1 conv=notrunc 2>/dev/null; }
put 4 '\002\000'
for low in '\000\000\100\000' '\000\000\000\002' '\000\000\340\376' '\377\377\377\377'; do
	for high in '\000\000\000\000' '\100\000\000\000' '\377\377\377\377'; do
		put 24 $low
		put 28 $high
		put 16 $low
		put 20 $low
	done
done
put 4 '\000\000'
dd if=/run/config of=$config bs=1 skip=16 seek=16 count=24 conv=notrunc 2>/dev/null
dd if=/run/config of=$config bs=1 skip=4 seek=4 count=2 conv=notrunc 2>/dev/null
cmp /run/config $config && echo "BARs are back"
"""
PCI_TTY = "basename $(ls -d /sys/bus/pci/devices/*/tty/*)"


def build_peer(folder: Path) -> Path:
    """The program at an end of shared memory."""
    program = folder / "peer"
    subprocess.run(["gcc", "-static", "-O2", "-o", str(program),
                    str(TOP / "tests/target/service/peer.c")], check=True)
    return program


class Connected(TargetTest):
    """The scenario connected: a Service VM, vm1 and vm2."""

    LIMIT = 300

    @property
    def hypervisor(self) -> Path:
        """The image of that scenario."""
        return self.output / "scenario" / "connected" / "hypervisor" / "acrn.bin"

    def connected_vm(self, launch: str, **user_scripts: str) -> ServiceVm:
        """A Service VM with the program `peer`, which its User VMs have too."""
        program = build_peer(self.folder)
        vm = self.service_vm(launch, **user_scripts)
        vm.user_disk_mb = 0
        vm.disk_mb = 64
        vm.user_files.append((program, "/bin/peer"))
        vm.service_files.append((program, "/bin/peer"))
        return vm

    def test_serial_lines(self) -> None:
        # Do 64 KB each way at once arrive over a line of COM ports, and over one of PCI functions,
        # with the drivers of a stock Linux, and once more when the VM was reset? And can one send to
        # a VM that is gone?
        launch = "\n".join((
            "dmesg -n 1",
            DM.format(name="vm1", options="-s 7,uart,vuart_idx:1 -l com1,stdio")
            + " </dev/null >/run/vm1 &",
            "for word in again end; do",
            f"line 0 1 ttyS1; line 0 1 $({PCI_TTY}); tell $word",
            "done", "wait", "cat /run/vm1",
            "stty raw -crtscts </dev/ttyS1", "head -c 20000 /dev/zero >/dev/ttyS1",
            f"stty raw -crtscts </dev/$({PCI_TTY})", f"head -c 20000 /dev/zero >/dev/$({PCI_TTY})",
            "echo all ended"))
        vm = self.connected_vm(launch, **{
            "line": LINE, "talk-vm1": f"line 1 0 ttyS1\nline 1 0 $({PCI_TTY})\n{ASK}"})
        vm.service_files += [(self.script("line", LINE), "/bin/line"),
                             (self.script("tell", TELL), "/bin/tell")]
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^all ended", 280, BROKEN)
        for end, other, word in ((0, 1, "ready"), (1, 0, "go")):
            for tty in ("ttyS1", "ttyS[4-7]"):
                self.assertRegex(session.text, f"line {tty}: {end} has {word}, all of {other}")
                self.assertRegex(session.text, f"line {tty}: {end} is interrupted")
        self.assertEqual(len(re.findall("line ttyS[1-7]: [01] has [a-z]+, all", session.text)), 8)

    def test_shared_memory(self) -> None:
        # Do three VMs share what the scenario lets them share, each two of them, all at once? Is a
        # VM refused that has no part in it, and a size that is not the region's?
        # Does memory of acrn-dm's do, between User VMs and with a program of the Service VM, and does
        # the Service VM survive its own BARs gone wild?
        users = "-s 5,ivshmem,hv:/all,2 -s 6,ivshmem,hv:/users,4 -s 7,ivshmem,dm:/pair,8"
        service = " -s 8,ivshmem,dm:/service,16"
        launch = "\n".join((
            WILD_BARS, "mkdir /dev/shm", "mount -t tmpfs tmpfs /dev/shm",
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/all,2 -k /data/bzImage other",
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/all,4 -k /data/bzImage vm1",
            "acrn-dm -m 64M -s 0,hostbridge -s 5,ivshmem,hv:/none,4 -k /data/bzImage vm1",
            DM.format(name="vm1", options=users + service + " -l com1,stdio")
            + " </dev/null >/run/vm1 &",
            DM.format(name="vm2", options=users + " -l com1,stdio") + " </dev/null >/run/vm2 &",
            "peer 2 1 20 irq", "peer 16 1 5 /dev/shm/service", "wait", "cat /run/vm1 /run/vm2",
            "echo all ended"))
        vm = self.connected_vm(launch, **{
            "talk-vm1": "peer 2 0 20 irq\npeer 16 0 5 poll\npeer 4 2 20 irq\npeer 8 2 5 poll",
            "talk-vm2": "peer 4 1 20 irq\npeer 8 1 5 poll"})
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^BARs are back", 60, BROKEN)
        session.expect('refuses "hv:/all" to VM "other": Operation not permitted', 60, BROKEN)
        session.expect('refuses "hv:/all" to VM "vm1": Invalid argument', 60, BROKEN)
        session.expect('refuses "hv:/none" to VM "vm1": No such file', 60, BROKEN)
        session.expect("^all ended", 200, BROKEN)
        self.assertNotIn("WRONG", session.text)
        for ends in ("0: .* from 1", "1: .* from 0", "1: .* from 2", "2: .* from 1"):
            self.assertRegex(session.text, f"peer {ends} are right")
        self.assertEqual(session.text.count(": done"), 8)
