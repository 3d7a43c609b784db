# SPDX-License-Identifier: BSD-3-Clause
"""A User VM that means harm to its acrn-dm, and another one beside it."""

from tests.run.target import BROKEN, TargetTest
from misc.guest.mkimage import make_ext4

# The good VM is up before the hostile one starts, and writes until that has ended.
LAUNCH = """\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/good.img \\
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/work" good \\
	</dev/null >/data/good.log 2>&1 &
good=$!
tries=300
until grep -q '^pass 1' /data/good.log || [ $tries = 0 ]; do
	sleep 0.5
	tries=$((tries - 1))
done
mkdir /dev/shm
mount -t tmpfs tmpfs /dev/shm
for net in virtio-net,tap=hostile virtio-net,tap=hostile,vhost; do
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -l com2,pty \\
		-s 6,virtio-console,file:out=/dev/null -s 7,ivshmem,dm:/pour,2 \\
		-s 3,virtio-blk,/data/hostile.img,writeback -s 4,$net -s 5,virtio-rnd \\
		-k /data/hostile.bzimage hostile 2>/data/hostile.log
	echo "hostile: acrn-dm ended with status $?"
	echo "hostile: $(wc -l </data/hostile.log) lines of log"
done
wait $good
echo "good: acrn-dm ended with status $?"
grep '^pass' /data/good.log
"""

WORK = """\
for pass in $(seq 12); do
	yes $pass | head -n 100000 >/data/file
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo "pass $pass: $(sort -u /data/file)"
done
"""


class HostileVm(TargetTest):
    """What a guest's garbage may do: nothing."""

    LIMIT = 600

    def test_garbage(self) -> None:
        # What if a guest pours garbage at every port, BAR and ring? acrn-dm lives, its devices
        # work after a reset by their drivers, the log stays short, another VM notices nothing, nor
        # does the Service VM's kernel, which serves the network card's rings (vhost) the second time.
        vm = self.service_vm(LAUNCH, work=WORK)
        vm.user_disk_mb = 0
        for name in ("good", "hostile"):
            vm.disk_files.append((make_ext4(self.folder / f"{name}.img", 8, []), f"/{name}.img"))
        vm.disk_files.append((self.guest("hostile"), "/hostile.bzimage"))
        session = self.boot_service_vm(vm)
        failed = BROKEN + "|is broken|launch ended"
        for _ in range(2):
            session.expect("^round 0: all devices work", 300, failed)
            session.expect("^round 10: all devices work", 200, failed)
            session.expect("^hostile: acrn-dm ended with status 0", 60, failed)
            session.expect(r"^hostile: [1-9]\d{0,2} lines of log", 20, failed)
        session.expect("^good: acrn-dm ended with status 0", 120, failed)
        for number in range(1, 13):
            session.expect(f"^pass {number}: {number}$", 20, failed)
