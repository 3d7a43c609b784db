# SPDX-License-Identifier: BSD-3-Clause
"""acrnctl and acrnd in a Service VM: the whole life of User VMs."""

import re

from misc.run.machine import TOP
from tests.run.target import BROKEN, TargetTest

VM = """\
exec acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,nodisk \\
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/watch" {name} \\
	>>/data/{name}.log 2>&1 </dev/null
"""

MANAGE = """\
# How often is this in what the VM printed? Waits until it is there so often.
until_log()
{
	tries=400
	until [ "$(grep -c "$3" /data/$1.log)" -ge $2 ] || [ $tries = 0 ]; do
		sleep 0.2
		tries=$((tries - 1))
	done
	echo "$1: $(grep -c "$3" /data/$1.log) times $3"
}
try()
{
	"$@"
	echo "$*: $?"
}
touch vm1.log vm2.log
try acrnctl add /data/vm1.sh
try acrnctl add /data/vm2.sh
try acrnctl start vm1
try acrnd
until_log vm1 1 'user-vm: up'
until_log vm2 1 'user-vm: up'
try acrnctl list

try acrnctl pause vm1
try acrnctl list
try acrnctl resume vm1
for megabytes in 8 16; do
	truncate -s ${megabytes}M new.img
	echo "end of $megabytes" | dd of=new.img bs=1M seek=$((megabytes - 1)) conv=notrunc 2>/dev/null
	try acrnctl blkrescan vm1 3,/data/new.img
	until_log vm1 1 "$((megabytes * 2048)) sectors, end of $megabytes"
done
try acrnctl reset vm1
until_log vm1 2 'user-vm: up'
until_log vm1 2 '32768 sectors, end of 16'

kill -9 $(pidof acrn-dm | tr ' ' '\\n' | while read -r pid; do
	tr '\\0' '\\n' </proc/$pid/cmdline | grep -qx vm2 && echo $pid
done)
sleep 1
try acrnctl list
try acrnctl start vm2
until_log vm2 2 'user-vm: up'
try acrnctl stop -f vm2
try acrnctl wake vm2 2
until_log vm2 3 'user-vm: up'
try acrnctl start vm2

killall acrnd
sleep 1
try acrnctl stop vm1
until_log vm1 1 'Power down'
try acrnctl stop vm2
try acrnctl list
try acrnctl del vm1
try acrnctl version
"""

# Runs in the User VM: what does it see of its disk?
WATCH = """\
size=0
while :; do
	now=$(cat /sys/block/vda/size)
	[ $now = $size ] || echo "$now sectors, $(dd if=/dev/vda bs=1M skip=$((now / 2048 - 1)) 2>/dev/null | head -n 1)"
	size=$now
	sleep 0.2
done
"""

RAN = [
    r"vm1 added", r"acrnctl add /data/vm1.sh: 0",
    r"vm2 added", r"acrnctl add /data/vm2.sh: 0",
    r"acrnctl: acrnd does not run.*", r"acrnctl start vm1: 6",
    r"acrnd: 0", r"vm1: 1 times user-vm: up", r"vm2: 1 times user-vm: up",
    r"vm1 +started", r"vm2 +started", r"acrnctl list: 0",
    r"acrnctl pause vm1: 0", r"vm1 +paused", r"vm2 +started", r"acrnctl list: 0",
    r"acrnctl resume vm1: 0",
    r"acrnctl blkrescan vm1 3,/data/new.img: 0", r"vm1: 1 times 16384 sectors, end of 8",
    r"acrnctl blkrescan vm1 3,/data/new.img: 0", r"vm1: 1 times 32768 sectors, end of 16",
    r"acrnctl reset vm1: 0", r"vm1: 2 times user-vm: up", r"vm1: 2 times 32768 sectors, end of 16",
    r"vm1 +started", r"vm2 +stopped", r"acrnctl list: 0",
    r"acrnctl start vm2: 0", r"vm2: 2 times user-vm: up", r"acrnctl stop -f vm2: 0",
    r"acrnctl wake vm2 2: 0", r"vm2: 3 times user-vm: up",
    r"acrnctl: vm2 runs already", r"acrnctl start vm2: 4",
    r"acrnctl stop vm1: 0", r"vm1: 1 times Power down", r"acrnctl stop vm2: 0",
    r"vm1 +stopped", r"vm2 +stopped", r"acrnctl list: 0",
    r"vm1 deleted", r"acrnctl del vm1: 0",
    r"acrnctl \S+", r"hypervisor \S+.*", r"acrn-dm \S+", r"acrnctl version: 0",
]


class Managing(TargetTest):
    """Two VMs, from their launch to their end."""

    LIMIT = 900

    def test_life(self) -> None:
        # Do the commands of the user guide do what they say, on VMs that run Linux?
        guide = (TOP / "doc" / "user-guide.md").read_text(encoding="utf-8")
        for command in re.findall(r"^(acrn(?:ctl|d)\b[^#\n]*?) *(?:#.*)?$", guide, re.MULTILINE):
            self.assertIn(f"try {command}\n", MANAGE)
        vm = self.service_vm(MANAGE, watch=WATCH)
        for tool in ("acrnctl", "acrnd"):
            vm.service_files.append((self.output / "misc" / tool, f"/bin/{tool}"))
        for name in ("vm1", "vm2"):
            vm.disk_files.append((self.script(f"{name}.sh", VM.format(name=name)), f"/{name}.sh"))
        session = self.boot_service_vm(vm)
        session.expect("service-vm: up", 100, BROKEN)
        for line in RAN:
            session.expect(rf"^{line}\r?\n", 200, BROKEN + "|launch ended")
        session.expect("launch ended with status 0", 60, BROKEN)
