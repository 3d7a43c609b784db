# SPDX-License-Identifier: BSD-3-Clause
"""Log and trace as a Service VM with a stock Linux reads them."""

import subprocess
from pathlib import Path

from tests.run.target import BROKEN, Session, TargetTest

LAUNCH = """\
for f in /sys/bus/pci/devices/*; do
	[ "$(cat $f/vendor $f/device | tr -d '\\n')" = 0x1af40x10f7 ] && echo "rings at $f"
done
acrntrace -c -i 5 -o /data/trace >/data/capture.log 2>&1 &
capture=$!
until [ -s /data/trace/1 ] || [ -s /data/capture.log ]; do
	sleep 0.05
done
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/exits.bzimage exits \\
	</dev/null >/data/exits.log 2>&1
echo "exits: acrn-dm ended with status $?"
cat /data/exits.log
kill -INT $capture
wait $capture
echo "capture: ended with status $?"
cat /data/capture.log
acrnlog -p
echo "acrnlog: ended with status $?"
"""


class Trace(TargetTest):
    """The rings, mapped by sysfs."""

    LIMIT = 240

    def test_capture(self) -> None:
        # Does a program in the Service VM see a User VM's exits, all of them?
        vm = self.service_vm(LAUNCH)
        vm.user_disk_mb = 0
        vm.disk_files.append((self.guest("exits"), "/exits.bzimage"))
        vm.service_files += [(self.output / "misc" / name, f"/bin/{name}")
                             for name in ("acrntrace", "acrnlog")]
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^rings at ", 100, BROKEN)
        session.expect("^exits: acrn-dm ended with status 0", 100, BROKEN)
        session.expect("^capture: ended with status 0", 60, BROKEN)
        session.expect("^acrnlog: ended with status 0", 60, BROKEN)
