# SPDX-License-Identifier: BSD-3-Clause
"""Users against acrn-dm: is each mistake one clear line and the right status, with nothing left?

acrn-dm runs whole, over a driver of the test's own (fake_driver.c).
"""

import os
import re
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = Path(os.environ.get("O", "build")).resolve()
ACRN_DM = OUTPUT / "devicemodel" / "acrn-dm"
MANY = [word for slot in range(1, 30) for func in range(3)
        for word in ("-s", f"{slot}:{func},hostbridge")]

# Words before the name of the VM, and a part of the one line that answers them with status 2.
WRONG_WORDS: list[tuple[list[str], str]] = [
    (["-m"], "-m needs an argument: N{B,K,M,G}"),
    (["-k"], "-k needs an argument: file"),
    (["--cpu_affinity"], "--cpu_affinity needs an argument: id,id,..."),
    (["--debugexit=1"], "--debugexit=1 takes no argument"),
    (["--frobnicate"], "unknown option --frobnicate; acrn-dm -h lists them"),
    (["--windows"], "option --windows of ACRN is not supported: use the virtio drivers of"),
    (["--ovmf", "f"], "a VM has a kernel or firmware: -k, -E or --ovmf"),
    (["--ovmf", "w"], "--ovmf w: the form is [w,]file or [w,]code=file,vars=file"),
    (["--logger_setting"], "--logger_setting needs an argument: log,level=N;..."),
    (["--logger_setting", "screen,level=1"], "the form is console,level=4;kmsg,level=3"),
    (["--logger_setting", "console"], "--logger_setting console: the form is"),
    (["--logger_setting", "console,level=6"], "with levels of 1 (errors) to 5"),
    (["-m", "lots"], "-m lots: memory is a number with B, K, M or G behind it, as 512M"),
    (["-m", "0"], "-m 0: memory is a number"),
    (["-m", "-1G"], "-m -1G: memory is a number"),
    (["-m", "17G"], "-m 17G: at most 16384M"),
    (["-m", "99999999999999999999"], "-m 99999999999999999999: memory is a number"),
    (["-k", ""], "-k takes 1 to 1023 characters"),
    (["-r", "x" * 1024], "-r takes 1 to 1023 characters"),
    (["-B", "x" * 1024], "-B takes 1 to 1023 characters"),
    (["--cpu_affinity", "one"], "--cpu_affinity one: the form is a list of local APIC ids, as 0,2"),
    (["--cpu_affinity", "4000000000"], "no CPU has the local APIC id 4000000000"),
    (["-s", "3"], "-s 3: the form is [bus:]slot[:func],device[,config]"),
    (["-s", "x,virtio-rnd"], "the form is [bus:]slot[:func],device[,config]"),
    (["-s", "32,virtio-rnd"], "-s 32,virtio-rnd: bus is 0, slot 0 to 31, func 0 to 7"),
    (["-s", "1:3:0,virtio-rnd"], "bus is 0, slot 0 to 31, func 0 to 7"),
    (["-s", "3,toaster"], '-s 3,toaster: there is no device "toaster"'),
    (["-s", "0,lpc"], "-s 0,lpc: hostbridge is in that place already"),
    (MANY, "at most 64 devices"),
    (["-l", "com9,stdio"], "-l com9,stdio: the form is com1..com4,stdio or pty or /dev/... or"),
    (["-l", "com1"], "-l com1: the form is"),
    (["-l", "com1,tcp:99999"], "-l com1,tcp:99999: the form is"),
    (["-l", "com1,pty", "-l", "com1,pty"], "-l com1,pty: com1 is given twice"),
    (["-l", "com1,stdio", "-l", "com2,stdio"], "-l com2,stdio: com1 has stdio already"),
    (["second"], "only one VM name, at the end"),
]

# Devices whose configuration text is wrong: status 2.
WRONG_DEVICES = [
    ("hostbridge,on", 'hostbridge@0:3.0: "on": this device takes no configuration'),
    ("lpc,com1", 'lpc@0:3.0: "com1": this device takes no configuration'),
    ("virtio-blk", "virtio-blk@0:3.0: no file or block device given: the form is virtio-blk,path"),
    ("virtio-blk,/d/k,rw", 'unknown option "rw"; there are ro, writeback, writethru, nocache'),
    ("virtio-blk,/d/k,ro=1", "option ro takes no value"),
    ("virtio-blk,nodisk,/d/k", "/d/k and nodisk: it is one or the other"),
    ("virtio-net", "virtio-net@0:3.0: no tap given: the form is virtio-net,tap=name"),
    ("virtio-net,tap=t,mac=1:2", "mac=1:2 is no address of a station, like mac=00:16:3e:01:02:03"),
    ("virtio-net,tap=t,fast",
     'unknown option "fast"; there are tap=, vhost, queues=, user, hostfwd=, mac= and mac_seed='),
    ("virtio-net,tap=t,queues=17", "queues=17: there are 1 to 16 pairs of queues"),
    ("virtio-net,user,queues=2", "only a tap has several queues"),
    ("virtio-net,user,vhost", "only a tap has several queues, or vhost"),
    ("vhost-vsock", "vhost-vsock@0:3.0: the form is vhost-vsock,cid=N, N from 3 to 4294967294"),
    ("vhost-vsock,cid=2", "the form is vhost-vsock,cid=N"),
    ("virtio-net,tap=t,user", "tap=, or user with its hostfwd=: it is one or the other"),
    ("virtio-net,hostfwd=tcp::1-:2", "virtio-net@0:3.0: no tap given: the form is"),
    ("virtio-console", "port 0: the form is [@]stdio:NAME, pty:NAME, tty:NAME=/dev/..."),
    ("virtio-net,tap=sixteen-letters-", "more than 15 characters"),
    ("virtio-rnd,on", 'virtio-rnd@0:3.0: unknown option "on"'),
]


class Users(unittest.TestCase):
    """A folder with a kernel and disks, a driver, and a command line."""

    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="acrn-test.")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = Path(cls.folder.name)
        cls.driver = cls.path / "driver.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                        "-D_GNU_SOURCE", "-o", cls.driver, HERE / "fake_driver.c"], check=True)
        # The smallest bzImage there is: boot flag, signature, protocol 2.06, loaded high.
        image = bytearray(8192)
        image[0x1f1] = 4
        image[0x1fe:0x200] = b"\x55\xaa"
        image[0x200:0x208] = b"\xeb\x6aHdrS\x06\x02"
        image[0x211] = 1
        image[0x22c:0x230] = b"\xff\xff\xff\x7f"
        cls.kernel = cls.path / "kernel"
        cls.kernel.write_bytes(image)
        (cls.path / "disk").write_bytes(bytes(4096))
        (cls.path / "tiny").write_bytes(bytes(511))

    def run_dm(self, *words: object, preload: bool = True,
               **fakes: object) -> subprocess.CompletedProcess[str]:
        """Runs it to its end, and sees that it destroys the VM that it makes."""
        log = self.path / "log"
        log.write_text("")
        environment = dict(os.environ, FAKE_HSM="new", FAKE_LOG=str(log))
        environment |= {name: str(value) for name, value in fakes.items()}
        if preload:
            environment["LD_PRELOAD"] = str(self.driver)
        result = subprocess.run([ACRN_DM, *map(str, words)], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=20, check=False,
                                env=environment)
        self.log = log.read_text()
        self.assertIn(self.log[:1], ("", "C"))
        self.assertEqual(self.log.count("C"), self.log.count("D"), self.log)
        return result

    def refused(self, status: int, part: str, *words: object, **fakes: object) -> None:
        """One line with `part` in it, that status, and a VM that never ran."""
        with self.subTest(part):
            result = self.run_dm(*words, **fakes)  # type: ignore[arg-type]
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(part, result.stderr)
            self.assertTrue(result.stderr.startswith("acrn-dm: error: "), result.stderr)
            self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
            self.assertNotIn("S", self.log)

    def with_device(self, device: str) -> list[object]:
        """A command line that would run, with that device in slot 3."""
        return ["-k", self.kernel, "-s", "0,hostbridge", "-s", f"3,{device}", "vm1"]

    def test_right(self) -> None:
        """Do the command lines that the others are broken forms of run, and end with 0?"""
        for device in (f"virtio-blk,{self.path}/disk", "virtio-rnd", "lpc", "amd_hostbridge"):
            result = self.run_dm(*self.with_device(device))
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("SPD", self.log)

    def test_help_and_version(self) -> None:
        """Do they go to standard output, with status 0?"""
        for word in ("-h", "--help", "-v", "--version"):
            result = self.run_dm(word)
            self.assertEqual((result.returncode, result.stderr, self.log), (0, "", ""))
            self.assertIn("acrn-dm", result.stdout)

    def test_wrong_words(self) -> None:
        """What if an option lacks its argument, or has garbage, too much, or the same again?"""
        for words, part in WRONG_WORDS:
            ends = [] if words[-1] in ("-m", "-k", "--cpu_affinity", "--logger_setting") else ["vm1"]
            self.refused(2, part, "-k", self.kernel, "-s", "0,hostbridge", *words, *ends)
            self.assertEqual(self.log, "", words)

    def test_no_effect(self) -> None:
        """What if a script carries options of ACRN that change nothing here?"""
        for words, part in ((["-A"], "--acpi has no effect: every VM has ACPI tables"),
                            (["--vsbl", "f"], "--vsbl has no effect: -k boots the kernel"),
                            (["--iasl", "f"], "--iasl has no effect"),
                            (["--mac_seed", "s"], "give mac_seed= to virtio-net"),
                            (["--logger_setting", "disk,level=5"], "disk has no effect")):
            result = self.run_dm(*words, *self.with_device("virtio-rnd"))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(f"{part}", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_levels(self) -> None:
        """Does --logger_setting choose what is said?"""
        words = ["-A", *self.with_device("virtio-rnd")]
        for setting, lines in (("console,level=1", 0), ("console,level=2", 1),
                               ("console,level=2;console,level=1", 0)):
            result = self.run_dm("--logger_setting", setting, *words)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (0, lines))
        kmsg = self.path / "kmsg"
        kmsg.touch()
        result = self.run_dm("--logger_setting", "console,level=1;kmsg,level=2", *words,
                             FAKE_KMSG=kmsg)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(kmsg.read_text().startswith("<4>acrn-dm: warning: option --acpi has no"))
        self.refused(2, "cannot open /dev/kmsg: No such file", "--logger_setting",
                     "kmsg,level=2", *words[1:], FAKE_KMSG=self.path / "no" / "kmsg")

    def test_dry_run(self) -> None:
        """Is the machine shown, with no driver and no VM, and a wrong one refused as a launch is?"""
        disk = self.path / "disk"
        words = ["--dry-run", "-m", "3G", "-l", "com1,pty", "-B", "quiet", "-s", "1,lpc",
                 *self.with_device(f"virtio-blk,{disk},ro")]
        meminfo = self.path / "meminfo"
        meminfo.write_text("MemTotal: 9000000 kB\n")
        result = self.run_dm(*words, FAKE_MEMINFO=meminfo)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.log, "")
        for line in ("VM vm1", "0x0000000000-0x007fffffff  2048 MB",
                     "0x0100000000-0x013fffffff  1024 MB", f"kernel     {self.kernel}",
                     "bootargs   quiet", "com1       pty", "00:00.0  hostbridge",
                     f"00:03.0  virtio-blk,{disk},ro",
                     "1af4:1001 class 018000, line 19, MSI-X",
                     "BAR 4: memory 0x80004000-0x80007fff"):
            self.assertIn(line, result.stdout)
        for device, status in (("virtio-blk,/absent", 1), ("virtio-blk", 2)):
            result = self.run_dm("--dry-run", *self.with_device(device))
            self.assertEqual((result.returncode, result.stdout), (status, ""))
        result = self.run_dm("--dry-run", "-k", "/absent", "vm1", preload=False)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("cannot open the kernel", result.stderr)

    def test_help_is_whole(self) -> None:
        """Does the help fit a screen, and the man page name every option and device of it?"""
        text = self.run_dm("-h").stdout
        lines = text.splitlines()
        self.assertLessEqual(len(lines), 24)
        self.assertLess(max(map(len, lines)), 80)
        page = (HERE.parents[1] / "devicemodel/acrn-dm.8").read_text().replace("\\-", "-")
        options = re.findall(r"--[a-z_-]+", text)
        self.assertGreater(len(options), 12)
        devices = text.partition("Devices:")[2].split()
        self.assertIn("virtio-blk", devices)
        for word in options + devices:
            self.assertRegex(page, rf"(?m)^\.BR? .*{word}\b")

    def complete(self, *words: str) -> list[str]:
        """What bash offers for the last of these words."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _acrn_dm; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(
            ["bash", "-c", script, "bash", HERE.parents[1] / "devicemodel/completion.bash",
             ACRN_DM, *words], capture_output=True, text=True, check=True, timeout=20)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_completion(self) -> None:
        """Are options, devices behind their slot, ports and files offered, and nothing else?"""
        self.assertEqual(self.complete("--d"), ["--dry-run", "--debugexit"])
        self.assertIn("-k", self.complete("-"))
        self.assertEqual(self.complete("-m", ""), [])
        self.assertEqual(self.complete("-s", "3,virtio-b"), ["3,virtio-blk"])
        self.assertEqual(self.complete("-s", "0:4:1,lp"), ["0:4:1,lpc"])
        self.assertEqual(self.complete("-s", "3"), [])
        self.assertEqual(self.complete("-s", "3,virtio-blk,/"), [])
        self.assertEqual(self.complete("--lpc", "com4"), ["com4,"])
        self.assertEqual(self.complete("-k", f"{self.path}/ker"), [f"{self.path}/kernel"])

    def test_install(self) -> None:
        """Does `make install` put program, man page and completion where they are looked for?"""
        subprocess.run(["make", "-s", f"O={OUTPUT}", f"DESTDIR={self.path}/to", "install"],
                       cwd=HERE.parents[1], check=True, capture_output=True, timeout=120)
        usr = self.path / "to/usr"
        for name in ("bin/acrn-dm", "bin/acrnctl", "bin/acrn-usernet",
                     "share/man/man8/acrn-dm.8", "share/bash-completion/completions/acrn-dm"):
            self.assertTrue((usr / name).is_file(), name)
        self.assertTrue(os.access(usr / "bin/acrn-dm", os.X_OK))

    def test_no_lpc(self) -> None:
        """What if serial ports have no bridge to sit behind: is the user told, and the VM runs?"""
        result = self.run_dm("-k", self.kernel, "-s", "0,hostbridge", "-l", "com2,pty", "vm1")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, "acrn-dm: warning: -l com2,pty has no effect without an "
                                        "lpc device: add -s 1,lpc\n")

    def test_wrong_names(self) -> None:
        """What if the VM has no name, an empty one, one that is too long; what without kernel?"""
        for words, part in (
                (["-k", "k"], "the name of the VM is missing: acrn-dm [options] vm_name"),
                (["-k", "k", ""], "must have 1 to 15 characters"),
                (["-k", "k", "sixteen-letters-"], "must have 1 to 15 characters"),
                (["vm1"], "no kernel: give one with -k")):
            self.refused(2, part, *words)

    def test_wrong_devices(self) -> None:
        """What if the text behind a device's name is wrong?"""
        for device, part in WRONG_DEVICES:
            self.refused(2, part, *self.with_device(device))

    def test_disks(self) -> None:
        """What if the disk is missing, no disk, too small, or has two users?"""
        for name, part in (("absent", f"cannot open {self.path}/absent: No such file"),
                           ("", "Is a directory"),
                           ("tiny", "has 511 bytes, less than a sector")):
            self.refused(1, part, *self.with_device(f"virtio-blk,{self.path}/{name}"))
        self.refused(1, "/dev/null is neither a file nor a block device",
                     *self.with_device("virtio-blk,/dev/null"))
        disk = f"virtio-blk,{self.path}/disk"
        self.refused(1, "is in use by another disk or VM", "-s", f"4,{disk}",
                     *self.with_device(disk))

    def test_read_only(self) -> None:
        """What if the disk cannot be written: does the VM run, and the user know?"""
        disk = self.path / "disk"
        result = self.run_dm(*self.with_device(f"virtio-blk,{disk}"), FAKE_READ_ONLY=disk)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"{disk} cannot be written, the disk is read-only", result.stderr)
        self.assertIn("S", self.log)

    def test_serial(self) -> None:
        """What if the terminal is none, or the port is taken?"""
        words = ["-k", self.kernel, "-s", "1,lpc", "vm1", "-l"]
        self.refused(1, "com1: cannot open /dev/absent", *words, "com1,/dev/absent")
        self.refused(1, "com1: /dev/null is not a terminal", *words, "com1,/dev/null")
        self.refused(1, "com1: cannot open /dev/absent/log", *words, "com1,file:/dev/absent/log")
        self.refused(1, "acrn-usernet cannot be run: No such file or directory",
                     *self.with_device("virtio-net,user"))
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.refused(1, f"com2: cannot listen on TCP port {port}", *words, f"com2,tcp:{port}")

    def test_files(self) -> None:
        """What if kernel or ramdisk are missing, garbage, or more than the memory?"""
        garbage, large = self.path / "garbage", self.path / "large"
        garbage.write_bytes(b"#!/bin/sh\n" * 1000)
        large.touch()
        os.truncate(large, 65 << 20)
        kernel = self.path / "large-kernel"
        kernel.write_bytes(self.kernel.read_bytes())
        os.truncate(kernel, 65 << 20)
        cut = self.path / "cut"
        cut.write_bytes(self.kernel.read_bytes()[:1024])
        for words, part in (
                (["-k", self.path / "absent"], "cannot open the kernel"),
                (["-k", self.path], "is not a regular file"),
                (["-k", "/dev/null"], "the kernel /dev/null is not a regular file"),
                (["-k", garbage], "is no kernel this can boot: it is not a bzImage"),
                (["-k", cut], "is no kernel this can boot"),
                (["-k", kernel], "needs 64 MB of memory at 1 MB to unpack itself; the VM has 64"),
                (["-k", self.kernel, "-r", self.path / "absent"], "cannot open the ramdisk"),
                (["-k", self.kernel, "-r", large], "does not fit between the kernel's end")):
            self.refused(1, part, "-m", "64M", *words, "vm1")

    def test_memory(self) -> None:
        """What if there is less memory than the VM wants: does it fail before it takes any?"""
        meminfo = self.path / "meminfo"
        words = ["-k", self.kernel, "vm1", "-m"]
        meminfo.write_text("MemTotal: 500000 kB\nMemFree: 1000 kB\nMemAvailable: 204800 kB\n"
                           "HugePages_Free: 0\nHugePages_Rsvd: 0\nHugepagesize: 2048 kB\n")
        self.refused(1, "-m: the VM wants 186 MB, the Service VM has 200 MB free, of which it "
                        "keeps 16", *words, "186M", FAKE_MEMINFO=meminfo)
        self.assertEqual(self.log, "")
        self.assertEqual(self.run_dm(*words, "184M", FAKE_MEMINFO=meminfo).returncode, 0)
        # Huge pages that are set aside are there for VMs, but not those that others have.
        meminfo.write_text(meminfo.read_text().replace("Free: 0", "Free: 5").replace(
            "Rsvd: 0", "Rsvd: 1"))
        self.assertEqual(self.run_dm(*words, "192M", FAKE_MEMINFO=meminfo).returncode, 0)
        self.refused(1, "has 208 MB free", *words, "194M", FAKE_MEMINFO=meminfo)
        # A kernel that does not say.
        meminfo.write_text("MemTotal: 500000 kB\n")
        self.assertEqual(self.run_dm(*words, "64M", FAKE_MEMINFO=meminfo).returncode, 0)

    def test_drivers(self) -> None:
        """What if there is no HSM driver, or one that knows none of the requests?"""
        words = ["-k", self.kernel, "vm1"]
        self.refused(1, "must have the HSM driver of Linux 5.12 or later", *words, FAKE_HSM="old")
        if not Path("/dev/acrn_hsm").exists():
            self.refused(1, "is this a Service VM with the HSM driver?", *words, preload=False)


if __name__ == "__main__":
    unittest.main()
