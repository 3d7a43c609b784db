# SPDX-License-Identifier: BSD-3-Clause
"""Two User VMs at once, on one CPU: does each run, and keep its own?"""

import subprocess
from pathlib import Path

from misc.guest.mkimage import make_ext4
from tests.run.target import BROKEN, TargetTest

WORDS = {"vm1": "walnut", "vm2": "hazel"}
LINES = 20000  # on each disk: more than one request's worth

# Both VMs have come up before either is told its word: neither can have ended by then.
LAUNCH = f"""\
for name in vm1 vm2; do
	mkfifo /run/$name
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/$name.img \\
		-k /data/bzImage -r /data/user.cpio \\
		-B "console=ttyS0 quiet acrn.test=/bin/write" $name \\
		<>/run/$name >/data/$name.log 2>&1 &
	eval $name=$!
done
tries=200
until [ "$(cat /data/vm?.log | grep -c '^waits')" = 2 ] || [ $tries = 0 ]; do
	sleep 1
	tries=$((tries - 1))
done
[ $tries = 0 ] || echo "both wait"
echo {WORDS['vm1']} >/run/vm1
echo {WORDS['vm2']} >/run/vm2
for name in vm1 vm2; do
	eval wait \\$$name
	echo "$name: acrn-dm ended with status $?"
done
grep '^wrote' /data/vm?.log
"""

WRITE = f"""\
echo waits
read -r word
yes "$word" | head -n {LINES} >/data/own
echo "wrote $word"
"""


class TwoVms(TargetTest):
    """Two acrn-dm, each with a VM of its own name, console and disk."""

    LIMIT = 600

    def own_file(self, name: str) -> str:
        """What the VM `name` wrote, from its disk image on the Service VM's disk image."""
        inner, own = self.folder / "inner.img", self.folder / "own"
        for image, path, to in ((self.folder / "disk.img", f"/{name}.img", inner),
                                (inner, "/own", own)):
            Path(to).unlink(missing_ok=True)
            subprocess.run(["/sbin/debugfs", "-R", f"dump {path} {to}", str(image)],
                           capture_output=True, check=True)
        return own.read_text(encoding="ascii")

    def test_both_run(self) -> None:
        # Do two User VMs run at once, end well, and reach their own console and disk only?
        vm = self.service_vm(LAUNCH, write=WRITE)
        vm.user_disk_mb = 0
        vm.disk_mb = 96
        for name in WORDS:
            image = make_ext4(self.folder / f"{name}.img", 8, [])
            vm.disk_files.append((image, f"/{name}.img"))
        session = self.boot_service_vm(vm)
        failed = BROKEN + "|launch ended"
        session.expect("^both wait", 300, failed)
        for name in WORDS:
            session.expect(f"^{name}: acrn-dm ended with status 0", 120, failed)
        for name, word in WORDS.items():
            session.expect(rf"^/data/{name}\.log:wrote {word}", 20, failed)
        session.wait_end(60)
        for name, word in WORDS.items():
            self.assertTrue(self.own_file(name) == f"{word}\n" * LINES, f"{name}'s own file")
