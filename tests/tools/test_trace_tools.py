# SPDX-License-Identifier: BSD-3-Clause
"""acrnlog, acrntrace, acrnsh and acrnalyze.py, over rings and files that the test makes up."""

import fcntl
import mmap
import os
import pty
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("O", TOP / "build")) / "misc"
ANALYZE = TOP / "misc" / "acrntrace" / "acrnalyze.py"

LOG_BYTES, TRACE_BYTES = 8192, 8192
ENTRY = struct.Struct("<QIBBBBQQ")
FILE_HEADER = struct.Struct("<8sIIQQ")


def ring(size: int, entry_size: int, entries: list[bytes], *, magic: int = 0x5AA57AA71AA13AA3,
         before: int = 0) -> bytes:
    """A ring that holds these entries, after `before` others were written and lost."""
    number = (size - 64) // entry_size
    data = bytearray(size)
    written = before
    for entry in entries:
        at = 64 + written % number * entry_size
        data[at:at + entry_size] = entry.ljust(entry_size, b"\0")
        written += 1
    struct.pack_into("<QIIIIQIIQ", data, 0, magic, number, entry_size, 0, 0, 3, 0,
                     number * entry_size, written)
    return bytes(data)


def pieces(line: str) -> list[bytes]:
    """A line of the log as the hypervisor puts it into a ring."""
    data = line.encode() + b"\n"
    return [data[at:at + 80] for at in range(0, len(data), 80)]


def event(tsc: int, event_id: int, a: int = 0, b: int = 0, *, vm: int = 0, vcpu: int = 0,
          cpu: int = 0) -> bytes:
    """A trace entry."""
    return ENTRY.pack(tsc, event_id, vm, vcpu, 2, cpu, a, b)


class Tools(unittest.TestCase):
    """Each test has a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="acrn-tools.")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def device(self, rings: list[tuple[bytes, bytes]], **wrong: int) -> Path:
        """A folder that looks like the PCI function's: log and trace of each CPU."""
        device = self.folder / "device"
        device.mkdir()
        regs = {0: 0x474E5252, 4: 1, 8: 0x10000, 12: 1000, 16: len(rings),
                20: LOG_BYTES + TRACE_BYTES, 24: 0, 28: LOG_BYTES}
        regs.update({int(name[1:]): value for name, value in wrong.items()})
        page = bytearray(4096)
        for at, value in regs.items():
            struct.pack_into("<I", page, at, value)
        (device / "resource0").write_bytes(page)
        (device / "resource2").write_bytes(b"".join(log + trace for log, trace in rings))
        return device

    def run_tool(self, *args: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs a program that ends by itself."""
        result = subprocess.run([str(arg) for arg in args], capture_output=True, text=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        return result


class Log(Tools):
    """acrnlog"""

    def logs(self, *lines: list[bytes], before: int = 0) -> Path:
        """The device with these logs, a CPU each."""
        empty = ring(TRACE_BYTES, 32, [])
        return self.device([(ring(LOG_BYTES, 80, each, before=before), empty) for each in lines])

    def test_order(self) -> None:
        # Do the lines of all CPUs come by time, long ones whole?
        long_line = "[20us][cpu=1][sev=5]: " + "x" * 250
        full = "[30us][cpu=0]: ".ljust(160, "y")
        device = self.logs(
            pieces("[10us][cpu=0][sev=5]: a") + pieces(full) + pieces("[40us][cpu=0]: d"),
            pieces("[9us][cpu=1]: first") + pieces(long_line) + pieces("[35us][cpu=1]: c"))
        out = self.run_tool(PROGRAMS / "acrnlog", "-p", "-d", device).stdout
        self.assertEqual(out.split("\n"),
                         ["[9us][cpu=1]: first", "[10us][cpu=0][sev=5]: a", long_line, full,
                          "[35us][cpu=1]: c", "[40us][cpu=0]: d", ""])

    def test_lost(self) -> None:
        # What if the ring went round amid a line? Its rest is left out, the others are there.
        device = self.logs(pieces("[1us] " + "z" * 100)[1:] + pieces("[2us] good"), before=101)
        out = self.run_tool(PROGRAMS / "acrnlog", "-p", "-d", device).stdout
        self.assertEqual(out.strip().split("\n"), ["[2us] good"])

    def test_damaged(self) -> None:
        # What if a line has no end, and an entry nothing in it? Lines after them come.
        device = self.logs([b"[1us] ".ljust(80, b"z")] + [b"z" * 80] * 9 + [b""]
                           + pieces("[2us] good") + [b""] + pieces("[3us] good"))
        out = self.run_tool(PROGRAMS / "acrnlog", "-p", "-d", device).stdout
        self.assertEqual(out.strip().split("\n"), ["[2us] good", "[3us] good"])

    def test_files(self) -> None:
        # Do files take turns at their size, so many of them, and is nothing lost in between?
        lines = [f"[{n}us][cpu=0]: " + "w" * 58 for n in range(10, 95)]
        device = self.logs([piece for line in lines for piece in pieces(line)])
        output = self.folder / "logs"
        with subprocess.Popen([PROGRAMS / "acrnlog", "-d", device, "-o", output, "-s", "1", "-n",
                               "4", "-t", "10"]) as program:
            for _ in range(200):
                if (output / "acrnlog_cur.3").exists():
                    break
                try:
                    program.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
            program.terminate()
            self.assertEqual(program.wait(10), 0)
        files = [output / f"acrnlog_cur.{n}" for n in range(4)]
        self.assertEqual(sorted(output.iterdir()), files)
        kept = "".join(path.read_text() for path in reversed(files)).splitlines()
        self.assertEqual(kept, lines[-len(kept):])
        self.assertGreaterEqual(len(kept), 3 * 1024 // 75)

    def test_not_there(self) -> None:
        # What if this is no Service VM, or another hypervisor's function?
        error = self.run_tool(PROGRAMS / "acrnlog", "-p", status=1).stderr
        self.assertIn("1af4:10f7 is missing", error)
        device = self.device([(ring(LOG_BYTES, 80, []), ring(TRACE_BYTES, 32, []))], r4=2)
        error = self.run_tool(PROGRAMS / "acrnlog", "-p", "-d", device, status=1).stderr
        self.assertIn("not the registers of this program's hypervisor", error)

    def test_options(self) -> None:
        # Is each mistake told in a line?
        for options in (["-t", "0"], ["-s", "x"], ["-n", ""], ["-n", "-1"], ["-l", "7"], ["-q"],
                        ["stray"], ["-o"]):
            error = self.run_tool(PROGRAMS / "acrnlog", *options, status=1).stderr
            self.assertIn("usage: acrnlog", error)


class Capture(Tools):
    """acrntrace"""

    def traces(self, *entries: list[bytes], **wrong: int) -> Path:
        """The device with these traces, a CPU each."""
        empty = ring(LOG_BYTES, 80, [])
        return self.device([(empty, ring(TRACE_BYTES, 32, each)) for each in entries], **wrong)

    def test_capture(self) -> None:
        # Is what is in the rings in the files, and the trace switched off at the end?
        first = [event(n, 0x10, 30, n) for n in range(1, 100)]
        second = [event(n, 0x11, cpu=1) for n in range(50, 60)]
        device = self.traces(first, second)
        out = self.run_tool(PROGRAMS / "acrntrace", "-t", "1", "-d", device, "-o",
                            self.folder / "t").stdout
        self.assertIn("0: 99 entries, 0 lost", out)
        self.assertIn("1: 10 entries, 0 lost", out)
        for cpu, entries in ((0, first), (1, second)):
            data = (self.folder / "t" / str(cpu)).read_bytes()
            self.assertEqual(FILE_HEADER.unpack_from(data), (b"ACRNTRC1", 32, cpu, 1000, 0))
            self.assertEqual(data[32:-32], b"".join(entries))
        self.assertEqual((device / "resource0").read_bytes()[0x40:0x44], bytes(4))

    def test_some_cpus(self) -> None:
        # Are only the CPUs asked for captured, and what was there before left out?
        device = self.traces([event(1, 0x10)], [event(1, 0x10, cpu=1)], [event(1, 0x10, cpu=2)])
        out = self.run_tool(PROGRAMS / "acrntrace", "-c", "-a", "0,2", "-t", "1", "-d", device,
                            "-o", self.folder / "t").stdout
        self.assertEqual(sorted(path.name for path in (self.folder / "t").iterdir()), ["0", "2"])
        self.assertIn("2: 0 entries", out)

    def test_broken_ring(self) -> None:
        # What if there is no ring where one should be?
        for wrong in ({"r28": 4}, {"r28": 0}, {"r20": 0xFFFFFFF8, "r16": 3}, {"r28": 0xFFFF0000}):
            with self.subTest(wrong):
                self.setUp()
                device = self.traces([event(1, 0x10)], **wrong)
                error = self.run_tool(PROGRAMS / "acrntrace", "-t", "1", "-d", device, "-o",
                                      self.folder / "t", status=1).stderr
                self.assertRegex(error, r"CPU \d: there is no ring")

    def test_options(self) -> None:
        # Is each mistake told?
        for options in (["-i", "0"], ["-i", "1000"], ["-t", "1s"], ["-r", "-2"], ["-a", "2-1"],
                        ["-a", ""], ["-a", "0,64"], ["-x"], ["stray"]):
            error = self.run_tool(PROGRAMS / "acrntrace", *options, status=1).stderr
            self.assertIn("usage: acrntrace", error)
        device = self.traces([event(1, 0x10)])
        error = self.run_tool(PROGRAMS / "acrntrace", "-a", "0,1", "-d", device, status=1).stderr
        self.assertIn("the machine has 1 CPUs", error)
        error = self.run_tool(PROGRAMS / "acrntrace", "-d", device, "-o", "/nowhere/t",
                              status=1).stderr
        self.assertIn("/nowhere/t: No such file", error)


class Console:
    """The hypervisor behind the function: takes keys, echoes, answers each line."""

    SIZE = 4096

    def __init__(self, device: Path, answers: dict[str, str]) -> None:
        (device / "resource4").write_bytes(ring(self.SIZE, 1, []))
        self.answers, self.keys, self.line = answers, b"", ""
        self.regs = self.memory(device / "resource0")
        self.ring = self.memory(device / "resource4")
        self.written = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    @staticmethod
    def memory(path: Path) -> mmap.mmap:
        """The file, shared with the program."""
        with path.open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)

    def say(self, text: str) -> None:
        """Puts text into the ring."""
        for c in text.encode():
            self.ring[64 + self.written % (self.SIZE - 64)] = c
            self.written += 1
            self.ring[40:48] = struct.pack("<Q", self.written)

    def key(self, key: int) -> None:
        """As the hypervisor's shell, without an editor."""
        self.keys += bytes([key])
        if key == 3:
            self.line = ""
            self.say("^C\r\nACRN:\\>")
        elif key == 13:
            self.say("\r\n" + self.answers.get(self.line, "?\r\nACRN:\\>"))
            self.line = ""
        elif key != 0:
            self.line += chr(key)
            self.say(chr(key))

    def run(self) -> None:
        """The thread."""
        while not self.ended.is_set():
            (value,) = struct.unpack_from("<I", self.regs, 0x4C)
            if value & 0x100:
                self.key(value & 0xFF)
                struct.pack_into("<I", self.regs, 0x4C, 0)
            else:
                time.sleep(0.0002)

    def end(self) -> None:
        """Ends the thread."""
        self.ended.set()
        self.thread.join()


class Shell(Tools):
    """acrnsh"""

    def console(self, **answers: str) -> tuple[Path, Console]:
        """The device, with a hypervisor that answers."""
        device = self.device([(ring(LOG_BYTES, 80, []), ring(TRACE_BYTES, 32, []))])
        console = Console(device, answers)
        self.addCleanup(console.end)
        return device, console

    def test_command(self) -> None:
        # Is the answer printed, all of it and nothing else, after whatever was there before?
        answer = "".join(f"{n} of the answer\r\n" for n in range(100))
        device, console = self.console(vm_list=answer + "\r\nACRN:\\>", none="ACRN:\\>")
        console.say("ACRN:\\>half a li")
        for command, out in (("vm_list", answer.replace("\r", "") + "\n"), ("none", "")):
            result = self.run_tool(PROGRAMS / "acrnsh", "-c", command, "-d", device)
            self.assertEqual((result.stdout, result.stderr), (out, ""))
        self.assertEqual(console.keys, b"\0\x03vm_list\r\0\x03none\r")

    def test_no_prompt(self) -> None:
        # What if the answer has no end, or nobody takes the keys?
        device, console = self.console(stuck="one line\r\n")
        result = self.run_tool(PROGRAMS / "acrnsh", "-c", "stuck", "-d", device, status=1)
        self.assertEqual(result.stdout, "one line\n")
        self.assertIn("no prompt came back", result.stderr)
        console.end()
        struct.pack_into("<I", console.regs, 0x4C, 0x100)
        for mode in (["-c", "vm_list"], []):
            error = self.run_tool(PROGRAMS / "acrnsh", *mode, "-d", device, status=1).stderr
            self.assertIn("takes no keys", error)

    def test_pipe(self) -> None:
        # Do all bytes of a pipe become keys, and does what is said come out as it is?
        device, console = self.console()
        keys = bytes(n for n in range(256) if n not in (3, 13, 0x1D))
        result = subprocess.run([PROGRAMS / "acrnsh", "-d", device], input=keys, timeout=60,
                                capture_output=True, check=True)
        self.assertEqual(console.keys, b"\0\x03" + keys)
        self.assertEqual(result.stdout, b"^C\r\nACRN:\\>" + "".join(map(chr, keys[1:])).encode())

    def test_terminal(self) -> None:
        # Does each key go to the hypervisor at once, Ctrl-C too, and does Ctrl-] leave?
        device, console = self.console(vm_list="vm0\r\nACRN:\\>")
        master, slave = pty.openpty()
        with subprocess.Popen([PROGRAMS / "acrnsh", "-d", device], stdin=slave, stdout=slave,
                              stderr=slave) as program:
            os.close(slave)
            seen = b""
            for typed, answer in ((b"vm_l\x03", b"vm_l^C\r\nACRN:\\>"),
                                  (b"vm_list\r", b"vm_list\r\nvm0\r\nACRN:\\>"), (b"\x1d", b"")):
                while not seen.endswith(b"ACRN:\\>"):
                    seen += os.read(master, 1000)
                os.write(master, typed)
                while answer not in seen:
                    seen += os.read(master, 1000)
            self.assertEqual(program.wait(10), 0)
        os.close(master)
        self.assertTrue(seen.startswith(b"the hypervisor's shell; Ctrl-] leaves"), seen)
        self.assertEqual(console.keys, b"\0\x03vm_l\x03vm_list\r")

    def test_not_there(self) -> None:
        # Is it said why there is no shell here?
        error = self.run_tool(PROGRAMS / "acrnsh", status=1).stderr
        self.assertIn("1af4:10f7 is missing", error)
        device = self.device([(ring(LOG_BYTES, 80, []), ring(TRACE_BYTES, 32, []))])
        error = self.run_tool(PROGRAMS / "acrnsh", "-d", device, status=1).stderr
        self.assertIn("console is the serial port", error)
        for broken in (b"", bytes(4096), ring(4096, 80, []), ring(4096, 1, [])[:100]):
            (device / "resource4").write_bytes(broken)
            self.run_tool(PROGRAMS / "acrnsh", "-d", device, status=1)
        (device / "resource4").write_bytes(ring(4096, 1, []))
        folder = os.open(device, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        error = self.run_tool(PROGRAMS / "acrnsh", "-d", device, status=1).stderr
        os.close(folder)
        self.assertIn("another acrnsh has the console", error)

    def test_options(self) -> None:
        # Is each mistake told?
        for options in (["-c"], ["-c", ""], ["-c", "x" * 101], ["-c", "a\rb"], ["-c", "\x7f"],
                        ["-c", "\u00e4"], ["-x"], ["stray"]):
            error = self.run_tool(PROGRAMS / "acrnsh", *options, status=1).stderr
            self.assertIn("usage: acrnsh", error)


class Analyze(Tools):
    """acrnalyze.py"""

    def trace(self, entries: list[bytes], *, cpu: int = 0, end: bool = True, khz: int = 1000,
              magic: bytes = b"ACRNTRC1") -> Path:
        """A file of acrntrace."""
        data = FILE_HEADER.pack(magic, 32, cpu, khz, 0) + b"".join(entries)
        if end:
            data += event(0, 0x7F0000, len(entries), 0)
        path = self.folder / str(cpu)
        path.write_bytes(data)
        return path

    def test_costs(self) -> None:
        # Is the time in which another thread ran no cost of an exit? 1000 kHz: a tick is a us.
        self.trace([
            event(100, 0x10, 30, 0x1234, vm=1), event(101, 0x1001E, 0, 0, vm=1),
            event(110, 0x32, 0 | 4 << 8 | 1 << 16, 0x70, vm=1),
            event(120, 0x20, 1 << 8, 0, vm=1), event(130, 0x10, 12), event(140, 0x11),
            event(220, 0x20, 0, 1 << 8), event(225, 0x33, 0, 0x70, vm=1),
            event(230, 0x11, vm=1), event(250, 0x10, 30, vm=1), event(260, 0x11, vm=1),
            event(270, 0x10, 12, vm=1)])
        out = self.run_tool(ANALYZE, "report", self.folder).stdout
        self.assertRegex(out, r"VM 1 vCPU 0: 3 VM exits")
        # 30 and 10 us of its own, 100 us elsewhere
        self.assertRegex(out, r"port +2 +66\.7% +20\.0 +30\.0 +0\.10\n")
        self.assertRegex(out, r"HLT +1 +33\.3% +0\.0 +0\.0 +0\.00\n")
        self.assertRegex(out, r"CPU 0  VM 1 vCPU 0 +41\.2% +0\.07 ms in 2 stretches")
        self.assertRegex(out, r"CPU 0  VM 0 vCPU 0 +58\.8% +0\.10 ms in 1 stretches")
        self.assertRegex(out, r"1 requests to the device model, 115\.0 us each")
        self.assertIn("1 port 0x70 write", out)

    def test_list_and_plot(self) -> None:
        # Is every entry listed, by time, and is the picture XML with every thread and exit in it?
        self.trace([event(10, 0x10, 30, 0x99), event(20, 0x20, 0, 0xFF00), event(40, 0x30, 0xE0)])
        self.trace([event(15, 0x10, 48, vm=2, cpu=1), event(16, 0x777, cpu=1)], cpu=1)
        lines = self.run_tool(ANALYZE, "list", self.folder).stdout.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertIn("VM exit: port, rip 0x99", lines[0])
        self.assertIn("CPU 1  VM 2 vCPU 0    VM exit: EPT violation", lines[1])
        self.assertIn("event 0x777", lines[2])
        self.assertIn("switch: VM 0 vCPU 0 to idle", lines[3])
        picture = self.folder / "out.svg"
        self.run_tool(ANALYZE, "plot", self.folder, "-o", picture)
        root = ElementTree.parse(picture).getroot()
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("CPU 0", "CPU 1", "VM 0", "VM 2", "idle", "ports 1", "memory 1"):
            self.assertIn(word, words)
        error = self.run_tool(ANALYZE, "plot", self.folder, "-o", picture, "--from", "5", "--to",
                              "1", status=1).stderr
        self.assertIn("there is no time from", error)

    def test_damaged(self) -> None:
        # What if a file is cut off? What is there is read, and what is missing is said.
        path = self.trace([event(n, 0x10, 30) for n in range(1, 11)])
        whole = path.read_bytes()
        for size, said, left in ((len(whole) - 5, "cut off in the middle of an entry", 10),
                                 (len(whole) - 32, "has no end", 10), (32 + 33, "has no end", 1)):
            path.write_bytes(whole[:size])
            result = self.run_tool(ANALYZE, "report", self.folder)
            self.assertIn(said, result.stderr)
            self.assertIn(f"VM 0 vCPU 0: {left} VM exits", result.stdout)
        path.write_bytes(whole[:32 + 64] + whole[-32:])
        self.assertIn("8 of 10 entries are missing",
                      self.run_tool(ANALYZE, "report", path).stderr)
        self.trace([event(1, 0x10, 30), event(2, 0x7E0000, 55), event(2, 0x11)], end=False)
        self.assertIn("55 entries were lost after entry 1",
                      self.run_tool(ANALYZE, "report", path).stderr)

    def test_broken(self) -> None:
        # What if it is no trace, or not what a CPU wrote? One line says so.
        path = self.trace([event(5, 0x10), event(4, 0x11)])
        whole = path.read_bytes()
        wrong = (
            (b"", "too short"), (whole[:31], "too short"), (whole[:32], "nothing happened"),
            (b"#!/bin/sh" + whole[9:], "no trace of acrntrace"),
            (whole[:8] + b"\x21" + whole[9:], "its header is broken"),
            (whole[:16] + bytes(8) + whole[24:], "its header is broken"), (whole, "entry 1 is broken"),
            (os.urandom(4096), "no trace of acrntrace"),
        )
        for data, said in wrong:
            path.write_bytes(data)
            error = self.run_tool(ANALYZE, "report", self.folder, status=1).stderr
            self.assertIn(said, error.splitlines()[-1])
        path.unlink()
        self.assertIn("has no trace", self.run_tool(ANALYZE, "list", self.folder, status=1).stderr)
        self.assertIn("No such file", self.run_tool(ANALYZE, "list", path, status=1).stderr)
        self.trace([event(1, 0x10)])
        self.trace([event(1, 0x10, cpu=1)], cpu=1, khz=2000)
        self.assertIn("of another machine",
                      self.run_tool(ANALYZE, "list", self.folder, status=1).stderr)


if __name__ == "__main__":
    unittest.main()
