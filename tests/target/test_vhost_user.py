# SPDX-License-Identifier: BSD-3-Clause
"""A disk of a User VM that another process of the Service VM serves."""

import re
import subprocess
from pathlib import Path

from misc.guest import mkimage
from tests.run.target import BROKEN, TargetTest

DAEMON = Path("/usr/bin/qemu-storage-daemon")

LAUNCH = """\
serve()
{
	rm -f /run/disk
	qemu-storage-daemon --blockdev driver=file,node-name=file,filename=/data/disk.qcow2 \\
		--blockdev driver=qcow2,node-name=disk,file=file \\
		--export vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=/run/disk,writable=on &
	daemon=$!
	while [ ! -S /run/disk ]; do sleep 0.1; done
}
user_vm()
{
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,vhost-user-blk,/run/disk \\
		-k /data/bzImage -r /data/user.cpio \\
		-B "console=ttyS0 quiet acrn.test=/bin/$1" vm1 </dev/null
	echo "acrn-dm ended with status $?"
}
serve
user_vm writes
kill $daemon
wait $daemon
serve
user_vm reads 2>&1 | tee /run/out &
while ! grep -q "again: " /run/out; do sleep 0.2; done
echo "pages: $(grep HugePages_Total /proc/meminfo)"
kill -9 $daemon
wait
"""

# Its init mounts the disk at /data, and waits at the end for whatever is not on it yet.
WRITES = """\
echo "found: $(cat /data/given)"
cp /bin/busybox /data/busybox
umount /data
echo "wrote: $(crc32 /bin/busybox)"
"""

READS = """\
sum=$(crc32 /data/busybox)
umount /data
echo "again: $sum"
sleep 3
echo "goes on"
"""


class VhostUser(TargetTest):
    """One boot, a User VM that writes and one that reads."""

    LIMIT = 300

    def test_qcow2(self) -> None:
        # Is what a User VM writes to a qcow2 image by way of qemu-storage-daemon there in its next
        # life, and does the VM outlive the daemon?
        given = self.folder / "given"
        given.write_text("on the image\n", encoding="utf-8")
        raw = mkimage.make_ext4(self.folder / "raw.img", 16, [(given, "/given")])
        image = self.folder / "disk.qcow2"
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(image)], check=True)
        vm = self.service_vm(LAUNCH, writes=WRITES, reads=READS)
        vm.user_disk_mb = 0
        vm.disk_files.append((image, "/disk.qcow2"))
        vm.service_files.append((DAEMON, "/bin/qemu-storage-daemon"))
        session = self.boot_service_vm(vm)
        session.expect("launch ended with status 0", 240, BROKEN)
        session.wait_end(60)
        self.assertIn("found: on the image\n", session.text)
        wrote = re.search(r"^wrote: ([0-9a-f]{8})", session.text, re.MULTILINE)
        again = re.search(r"^again: ([0-9a-f]{8})", session.text, re.MULTILINE)
        assert wrote and again, session.text
        self.assertEqual(wrote[1], again[1])
        self.assertRegex(session.text, r"pages: HugePages_Total: +32\n")
        self.assertIn("the back end hung up", session.text)
        self.assertIn("goes on\n", session.text)
        self.assertEqual(session.text.count("acrn-dm ended with status 0\n"), 2)
