# SPDX-License-Identifier: BSD-3-Clause
"""Trouble that needs a real Service VM: too little memory, and disks that fail under a guest or
are a part of a file."""

from misc.guest.mkimage import make_ext4
from misc.run.image import make_cdrom, make_disk
from tests.run.target import BROKEN, MachineSpec, TargetTest

# vda is on a full file system, vdb becomes shorter, vdc is taken out, vdd is well, vde is a part.
LAUNCH = """\
free_kb()
{
	sed -n 's/MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
}
before=$(free_kb)
acrn-dm -m 4G -k /data/bzImage vm1
echo "too much: status $?"
acrn-dm -m 64M -k /data/launch.sh -s 3,virtio-net,tap=nosuch vm1
echo "no kernel: status $?"
[ $(($(free_kb) + 4096)) -gt $before ] && echo "memory is back"
[ -e /sys/class/net/nosuch ] || echo "tap is gone"

mkdir /run/small
mount -t tmpfs -o size=1m tmpfs /run/small
for name in small/full short well; do
	truncate -s 8M /run/$name
done
tr '\\0' x </dev/zero | head -c 1048576 >/run/part
# No huge pages: the file that would allow them is not the kernel's.
mount --bind /dev/null /sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages
mkfifo /run/vm1
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/run/small/full \\
	-s 4,virtio-blk,/run/short -s 5,virtio-blk,/dev/sdb -s 6,virtio-blk,/run/well \\
	-s 7,virtio-blk,/run/part,range=8/1024,sectorsize=4096,discard=512 \\
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/disks" vm1 \\
	<>/run/vm1 >/run/vm1.log 2>&1 &
tries=200
until grep -q '^waits' /run/vm1.log || [ $tries = 0 ]; do
	sleep 0.5
	tries=$((tries - 1))
done
sed -n 's/HugePages_Surp: */huge pages: /p' /proc/meminfo
truncate -s 4K /run/short
echo 1 >/sys/block/sdb/device/delete
echo go >/run/vm1
wait $!
echo "acrn-dm ended with status $?"
cat /run/vm1.log
echo "part: $(stat -c %s /run/part) bytes, $(tr -d x </run/part | wc -c) discarded," \\
	"$(stat -c %b /run/part) blocks"
"""

DISKS = """\
read_at() # disk, offset in KB
{
	dd if=/dev/$1 of=/dev/null bs=1k count=4 skip=$2 2>/dev/null && echo "$1 at $2: read" ||
		echo "$1 at $2: failed"
}
read_at vdb 0
read_at vdc 0
echo waits
read -r word
dd if=/dev/zero of=/dev/vda bs=64k count=8 conv=fsync 2>/dev/null && echo "vda: written" ||
	echo "vda: failed"
dd if=/dev/zero of=/dev/vda bs=64k count=40 conv=fsync 2>/dev/null && echo "vda: written" ||
	echo "vda: failed"
read_at vdb 4096
read_at vdc 4096
head -c 1000000 /bin/busybox >/run/part
dd if=/run/part of=/dev/vdd bs=64k conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
cd /sys/block/vde
echo "vde: $(cat size queue/logical_block_size queue/discard_max_bytes | tr '\\n' ' ')"
blkdiscard /dev/vde && echo "vde: discarded"
head -c 1000000 /dev/vdd | cmp - /run/part && echo "vdd: same bytes"
"""


class Trouble(TargetTest):
    """One boot for all of it."""

    LIMIT = 600

    def test_trouble(self) -> None:
        # Does each failure end in one message or one I/O error, and everything else go on?
        vm = self.service_vm(LAUNCH, disks=DISKS)
        vm.user_disk_mb = 0
        second = make_ext4(self.folder / "second.img", 8, [])
        session = self.start(MachineSpec(cdrom=make_cdrom(vm, self.folder),
                                         disks=[make_disk(vm, self.folder), second]))
        for line in (
                r"^acrn-dm: error: -m: the VM wants 4096 MB, the Service VM has \d+ MB free",
                "^too much: status 1$",
                "^acrn-dm: virtio-net@0:3.0: there was no tap nosuch; it is made for this VM",
                "^acrn-dm: error: /data/launch.sh is no kernel this can boot",
                "^no kernel: status 1$", "^memory is back$", "^tap is gone$",
                "^huge pages: 0$", "^acrn-dm ended with status 0$",
                "^vdb at 0: read$", "^vdc at 0: read$", "^waits$", "^vda: written$",
                r"write at byte \d+ failed: No space left on device", "^vda: failed$",
                "read at byte 4194304 failed", "^vdb at 4096: failed$",
                "read at byte 4194304 failed", "^vdc at 4096: failed$",
                "^vde: 1024 4096 262144 ", "^vde: discarded$", "^vdd: same bytes$",
                "^part: 1048576 bytes, 524288 discarded, 1024 blocks"):
            session.expect(line, 200, BROKEN + "|launch ended")
        session.wait_end(60)
