# SPDX-License-Identifier: BSD-3-Clause
"""acrnctl in a Service VM: the whole life of User VMs."""

from tests.run.target import BROKEN, TargetTest

VM = """\
exec acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,nodisk \\
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/watch" {name} \\
	>/data/{name}.log 2>&1 </dev/null
"""

MANAGE = """\
until_log()
{
	tries=300
	until grep -q "$2" /data/$1.log || [ $tries = 0 ]; do
		sleep 0.2
		tries=$((tries - 1))
	done
	echo "$1: $(grep -c "$2" /data/$1.log) times $2"
}
/data/vm1.sh &
until_log vm1 'user-vm: up'
acrnctl list
acrnctl pause vm1; echo "pause: $?"
acrnctl list
acrnctl resume vm1; echo "resume: $?"
for megabytes in 8 16; do
	truncate -s ${megabytes}M /data/new.img
	echo "end of $megabytes" | dd of=/data/new.img bs=1M seek=$((megabytes - 1)) conv=notrunc 2>/dev/null
	acrnctl blkrescan vm1 3,/data/new.img; echo "blkrescan: $?"
	until_log vm1 "$((megabytes * 2048)) sectors, end of $megabytes"
done
acrnctl stop vm1; echo "stop: $?"
until_log vm1 'Power down'
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


class Managing(TargetTest):
    """Two VMs, from their launch to their end."""

    LIMIT = 600

    def test_life(self) -> None:
        # Do the commands of the user guide do what they say, on VMs that run Linux?
        vm = self.service_vm(MANAGE, watch=WATCH)
        vm.service_files.append((self.output / "misc" / "acrnctl", "/bin/acrnctl"))
        vm.disk_files.append((self.script("vm1.sh", VM.format(name="vm1")), "/vm1.sh"))
        session = self.boot_service_vm(vm)
        session.expect("^vm1: 1 times user-vm: up", 200, BROKEN)
        session.expect(r"^vm1\s+started, untracked", 60, BROKEN)
        session.expect(r"^pause: 0\s+vm1\s+paused, untracked\s+resume: 0", 60, BROKEN)
        for megabytes in (8, 16):
            session.expect("^blkrescan: 0", 60, BROKEN)
            session.expect(f"^vm1: 1 times {megabytes * 2048} sectors, end of {megabytes}", 100, BROKEN)
        session.expect(r"^stop: 0\s+vm1: 1 times Power down", 60, BROKEN)
        session.expect("launch ended with status 0", 60, BROKEN)
