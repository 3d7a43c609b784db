# SPDX-License-Identifier: BSD-3-Clause
"""Log and trace as a Service VM with a stock Linux reads them."""

import re
import subprocess

from tests.run.target import BROKEN, TargetTest
from misc.run.machine import TOP

ANALYZE = TOP / "misc" / "acrntrace" / "acrnalyze.py"
NAMES = {"1": "external interrupt", "10": "CPUID", "12": "HLT", "13": "INVD", "18": "VMCALL",
         "28": "CR access", "30": "port", "31": "RDMSR", "32": "WRMSR", "52": "preemption timer"}

LAUNCH = """\
for f in /sys/bus/pci/devices/*; do
	[ "$(cat $f/vendor $f/device | tr -d '\\n')" = 0x1af40x10f7 ] && echo "rings at $f"
done
acrnctl version
acrntrace -c -i 5 -o /data/trace >/data/capture.log 2>&1 &
capture=$!
until [ -s /data/trace/1 ] || [ -s /data/capture.log ]; do
	sleep 0.05
done
acrnlog -o /data/log -t 50 &
files=$!
run="acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/exits.bzimage exits"
$run </dev/null >/data/exits.log 2>&1
echo "exits: acrn-dm ended with status $?"
cat /data/exits.log
kill -INT $capture
wait $capture
echo "capture: ended with status $?"
cat /data/capture.log
kill -INT $files
wait $files
echo "files: ended with status $?"
cat /data/log/acrnlog_cur.0
acrnlog -f >/data/follow.log &
follow=$!
$run </dev/null >/dev/null 2>&1
tries=200
until [ "$(grep -c '(exits): destroyed' /data/follow.log)" = 2 ] || [ $tries = 0 ]; do
	sleep 0.05
	tries=$((tries - 1))
done
kill -INT $follow
wait $follow
echo "follow: ended with status $?, $(grep -c '(exits): created' /data/follow.log) created"
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
                             for name in ("acrntrace", "acrnlog", "acrnctl")]
        session = self.boot_service_vm(vm, cpus=2)
        session.expect("^rings at ", 100, BROKEN)
        session.expect(r"^hypervisor [0-9a-f]{7}\S* \(debug, API 1\.0\)", 60, BROKEN)
        session.expect("^exits: acrn-dm ended with status 0", 100, BROKEN)
        session.expect("^capture: ended with status 0", 60, BROKEN)
        # Does acrnlog keep files while VMs run, print what comes, and print what is left?
        session.expect("^files: ended with status 0", 60, BROKEN)
        log = session.expect(r"VM (\d+) vCPU 0 exits: ([\d: ]+)\r?\n", 60, BROKEN)
        session.expect("^follow: ended with status 0, 2 created", 100, BROKEN)
        session.expect("^acrnlog: ended with status 0", 60, BROKEN)
        session.expect("powers the machine off", 60, BROKEN)
        self.assertEqual(len(re.findall(r"/data/trace/\d: \d{3,} entries, 0 lost", session.text)), 2)
        # And is what a reader elsewhere makes of it what the hypervisor and the guest counted?
        subprocess.run(["/sbin/debugfs", "-R", f"rdump /trace {self.folder}",
                        str(self.folder / "disk.img")], check=True, capture_output=True)
        report = subprocess.run([ANALYZE, "report", self.folder / "trace"], check=True,
                                capture_output=True, text=True)
        self.assertEqual(report.stderr, "")
        table = report.stdout.split(f"VM {log[1]} vCPU 0: ")[1].split("\n\n")[0]
        told = re.findall(r"^  ([^\d\n]+?) +(\d+) .*%", table, re.MULTILINE)
        logged = [entry.split(":") for entry in log[2].split()]
        self.assertEqual(sorted(told), sorted((NAMES[reason], n) for reason, n in logged))
        self.assertEqual(table.split()[0], str(sum(int(n) for _, n in logged)))
        for reason, count in re.findall(r"^exit (\d+):0*(\d+)\s", session.text, re.MULTILINE):
            self.assertIn((NAMES[reason], count), told)
