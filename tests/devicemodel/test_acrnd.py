# SPDX-License-Identifier: BSD-3-Clause
"""acrnd: does it start VMs when it should, and never depend on one, nor one on it?

acrnd, acrnctl and acrn-dm run whole, over a driver of the test's own (fake_driver.c).
"""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from tests.devicemodel.test_monitor import ACRN_DM, ACRNCTL, OUTPUT, Monitored

ACRND = OUTPUT / "misc" / "acrnd"


class Acrnd(Monitored):
    """A folder for everything, and what runs in it ends with the test."""

    def setUp(self) -> None:
        super().setUp()
        self.environment = dict(os.environ, ACRN_ROOT=str(self.root))
        self.messages = self.root / "messages"
        self.scripts = self.root / "usr/share/acrn/conf/add"
        self.timers = self.root / "usr/share/acrn/conf/timer_list"
        self.addCleanup(self.end_all)

    def end_all(self) -> None:
        """Ends acrnd first, so that it starts nothing any more, then the VMs."""
        for path in self.sockets.glob("acrnd.*"):
            try:
                os.kill(int(path.name.split(".")[-2]), signal.SIGKILL)
            except ProcessLookupError:
                pass
        for line in self.acrnctl("list").stdout.splitlines():
            self.acrnctl("stop", "-f", line.split()[0])

    def add(self, name: str, script: str = "") -> None:
        """A VM that runs until it is ended, or any script."""
        path = self.root / "launch.sh"
        path.write_text("#!/bin/sh\n" + (script or (
            f"export LD_PRELOAD={self.driver} FAKE_HSM=new FAKE_LIVE=1\n"
            f"exec {ACRN_DM} -m 16M -k {self.kernel} -s 0,hostbridge "
            f"--cmd_monitor {self.sockets}/{name}.$$.socket {name}\n")))
        result = self.acrnctl("add", str(path), name)
        self.assertEqual(result.returncode, 0, result.stderr)

    def acrnd(self, *words: str) -> subprocess.Popen[bytes]:
        """Runs it in the foreground, until it listens."""
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen([ACRND, "-t", *words], env=self.environment,
                                   stdout=open(self.messages, "ab"))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait(lambda: list(self.sockets.glob(f"acrnd.{process.pid}.socket")))
        return process

    def wait(self, condition: Callable[[], object]) -> None:
        for _ in range(400):
            if condition():
                return
            time.sleep(0.05)
        self.fail(f"waited in vain; acrnd said:\n{self.messages.read_text()}")

    def state(self, name: str) -> str:
        match = re.search(rf"^{name} +(.*)$", self.acrnctl("list").stdout, re.MULTILINE)
        return match[1] if match else ""

    def process_of(self, name: str) -> int:
        return int(next(self.sockets.glob(f"{name}.*.socket")).name.split(".")[-2])

    def test_usage(self) -> None:
        """What if the command line is wrong?"""
        for part, *words in (("-d 61: a number from 0 to 60", "-d", "61"),
                             ("-d x: a number", "-d", "x"), ("-d -1: a number", "-d", "-1"),
                             ("option", "-q"), ("option requires an argument", "-d"),
                             ('"vm1" is no option', "vm1")):
            result = subprocess.run([ACRND, *words], env=self.environment, capture_output=True,
                                    text=True, timeout=20, check=False)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn(part, result.stderr)
        result = subprocess.run([ACRND, "-h"], capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("-d SECONDS", result.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_not_root(self) -> None:
        """What if somebody else starts it? It says that it may not."""
        program = self.root / "acrnd"
        shutil.copy(ACRND, program)
        self.root.chmod(0o755)
        result = subprocess.run([program, "-t"], capture_output=True, text=True, timeout=60,
                                check=False, user=65534, env=self.environment)
        self.assertEqual(result.returncode, 1)
        self.assertIn("only root can run acrnd", result.stdout)

    def test_background(self) -> None:
        """Does it come back when it is ready, alone, and leave nothing when it is ended?"""
        for _ in range(2):
            first = subprocess.run([ACRND], env=self.environment, check=True, timeout=20,
                                   capture_output=True, text=True)
            self.assertEqual((first.stdout, first.stderr), ("", ""))
            pid = self.process_of("acrnd")
            second = subprocess.run([ACRND], env=self.environment, check=False, timeout=20,
                                    capture_output=True, text=True)
            self.assertEqual(second.returncode, 1)
            self.assertIn("acrnd.log tells why", second.stderr)
            log = (self.root / "var/log/acrn/acrnd.log").read_text()
            self.assertIn(f"acrnd runs already, as process {pid}", log)
            self.assertEqual(self.acrnctl("list").stdout, "")
            os.kill(pid, signal.SIGTERM)
            self.wait(lambda: not list(self.sockets.iterdir()))

    def test_autostart_and_deaths(self) -> None:
        """Are all VMs started, once; do they and acrnd survive each other?"""
        self.add("vm1")
        self.add("vm2")
        acrnd = self.acrnd()
        self.wait(lambda: (self.state("vm1"), self.state("vm2")) == ("started", "started"))
        os.kill(self.process_of("vm1"), signal.SIGKILL)
        self.wait(lambda: "vm1: its script was ended by signal 9" in self.messages.read_text())
        self.assertEqual((self.state("vm1"), self.state("vm2")), ("stopped", "started"))
        self.assertEqual(self.acrnctl("start", "vm1").returncode, 0)
        self.assertEqual(self.state("vm1"), "started")
        running = self.process_of("vm1"), self.process_of("vm2")

        acrnd.send_signal(signal.SIGTERM)
        self.assertEqual(acrnd.wait(20), 0)
        self.assertFalse(list(self.sockets.glob("acrnd.*")))
        self.assertEqual((self.state("vm1"), self.state("vm2")), ("started", "started"))
        self.refused(4, "vm1 runs already", "start", "vm1")

        killed = self.acrnd()
        killed.kill()
        killed.wait()
        self.acrnd()
        time.sleep(0.3)
        self.assertEqual((self.process_of("vm1"), self.process_of("vm2")), running)
        self.assertEqual(self.acrnctl("stop", "-f", "vm1").returncode, 0)
        self.assertEqual(self.acrnctl("stop", "-f", "vm2").returncode, 0)
        self.assertEqual((self.state("vm1"), self.state("vm2")), ("stopped", "stopped"))

    def test_delay(self) -> None:
        """Does -d hold the VMs back, and nothing else?"""
        self.acrnd("-d", "60")
        self.add("vm1")
        time.sleep(0.3)
        self.assertEqual(self.state("vm1"), "stopped")
        self.assertEqual(self.acrnctl("start", "vm1").returncode, 0)

    def test_refusals(self) -> None:
        """What if acrnd does not run, the VM is not known, or its script fails?"""
        self.refused(3, 'there is no VM "vm1" that was added', "start", "vm1")
        self.add("vm1", "echo it broke >&2\nexit 3\n")
        self.add("vm2", "kill -9 $$\n")
        self.refused(6, "acrnd does not run", "start", "vm1")
        self.refused(6, "acrnd does not run", "wake", "vm1", "5")
        self.acrnd()
        self.refused(1, "vm1: its script ended with status 3", "start", "vm1")
        self.assertEqual((self.root / "var/log/acrn/vm1.log").read_text(), "it broke\n")
        self.refused(1, "vm2: its script was ended by signal 9", "start", "vm2")
        # Asked for twice, so its script runs twice.
        self.add("vm4", "sleep 1; exit 4\n")
        with subprocess.Popen([ACRNCTL, "start", "vm4"], env=self.environment,
                              stderr=subprocess.DEVNULL) as first:
            self.wait(lambda: "vm4: its script runs" in self.messages.read_text())
            self.refused(1, "vm4: its script ended with status 4", "start", "vm4")
            self.assertEqual(first.wait(20), 1)
        self.refused(3, "that was added", "start", "../vm1")
        self.refused(3, "that was added", "wake", "vm3", "5")
        self.refused(2, "a number of seconds is needed", "wake", "vm1", "-5")
        self.refused(1, "vm1: this time is past", "wake", "vm1", "0")
        self.refused(3, 'there is no VM "acrnd"', "stop", "-f", "acrnd")

    def test_on_its_way(self) -> None:
        """What if a VM is asked for while its script begins, or while the last one ends?"""
        self.acrnd()
        self.add("vm1")
        script = self.scripts / "vm1.sh"
        text = script.read_text()
        script.write_text(text.replace("export", "sleep 1; export"))
        self.assertEqual(self.acrnctl("start", "vm1").returncode, 0)
        self.assertEqual(self.acrnctl("stop", "-f", "vm1").returncode, 0)
        script.write_text(text.replace("exec ", "") + "sleep 1; exit 5\n")
        self.assertEqual(self.acrnctl("start", "vm1").returncode, 0)
        first = self.process_of("vm1")
        self.assertEqual(self.acrnctl("stop", "-f", "vm1").returncode, 0)
        result = self.acrnctl("start", "vm1")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertNotEqual(self.process_of("vm1"), first)
        self.assertIn("its script still runs", self.messages.read_text())

    def test_no_script_line(self) -> None:
        """What if a script has no #! line, or cannot be run at all?"""
        self.acrnd()
        self.add("vm1")
        script = self.scripts / "vm1.sh"
        script.write_text(script.read_text().replace("#!/bin/sh\n", ""))
        self.assertEqual(self.acrnctl("start", "vm1").returncode, 0)
        self.add("vm2", "true\n")
        (self.scripts / "vm2.sh").write_text("#!/absent\n")
        self.refused(1, "vm2: its script ended with status 127", "start", "vm2")
        self.assertIn("No such file", (self.root / "var/log/acrn/vm2.log").read_text())

    def test_timers(self) -> None:
        """Is a VM started at its time, is the machine's clock set, and is the list kept?"""
        alarm = self.root / "sys/class/rtc/rtc0/wakealarm"
        alarm.parent.mkdir(parents=True)
        alarm.write_text("")
        acrnd = self.acrnd("-d", "60")
        self.add("vm1")
        self.add("vm2")
        self.assertEqual(self.acrnctl("wake", "vm2", "3000").returncode, 0)
        later = self.timers.read_text()
        self.assertRegex(later, r"^vm2 \d+\n$")
        self.assertEqual(alarm.read_text().strip(), later.split()[1])
        self.assertEqual(self.acrnctl("wake", "vm1", "1").returncode, 0)
        self.assertRegex(self.timers.read_text(), r"^vm1 \d+\nvm2 \d+\n$")
        self.assertEqual(alarm.read_text().strip(), self.timers.read_text().split()[1])
        self.wait(lambda: self.state("vm1") == "started")
        self.wait(lambda: self.timers.read_text() == later)
        self.wait(lambda: alarm.read_text().strip() == later.split()[1])
        self.assertEqual(self.state("vm2"), "stopped")
        acrnd.kill()
        acrnd.wait()

        # A list that is there is not lost when something is added before it is looked at.
        acrnd = self.acrnd("-d", "60")
        self.assertEqual(self.acrnctl("wake", "vm1", "5000").returncode, 0)
        self.assertRegex(self.timers.read_text(), rf"^{later}vm1 \d+\n$")
        acrnd.kill()
        acrnd.wait()

        # A time that cannot be written down is refused, and does not come.
        new = Path(f"{self.timers}.new")
        new.mkdir()
        acrnd = self.acrnd("-d", "60")
        self.assertEqual(self.acrnctl("wake", "vm2", "1").returncode, 1)
        new.rmdir()
        time.sleep(2)
        self.assertEqual(self.state("vm2"), "stopped")
        acrnd.kill()
        acrnd.wait()

        # What became due while nobody looked; and what somebody wrote wrongly.
        self.timers.write_text(f"# mine\nvm2 100\nvm1\n{'x' * 200}\nvm1 -1\n../vm 5\nacrnd 7\n{later}")
        self.acrnd()
        self.wait(lambda: self.state("vm2") == "started")
        self.wait(lambda: self.timers.read_text() == later)
        self.assertIn("a line is not NAME TIME: vm1", self.messages.read_text())
        self.assertIn("vm2: its time has come", self.messages.read_text())


if __name__ == "__main__":
    unittest.main()
