# SPDX-License-Identifier: BSD-3-Clause
"""Other programs against a running acrn-dm: do its sockets obey, refuse, and survive anything?

acrn-dm and acrnctl run whole, over a driver of the test's own (fake_driver.c) whose VM never asks
for anything. acrnctl finds the VM because --cmd_monitor puts a socket where it looks.
"""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = Path(os.environ.get("O", "build")).resolve()
ACRN_DM = OUTPUT / "devicemodel" / "acrn-dm"
ACRNCTL = OUTPUT / "misc" / "acrnctl"


def bzimage() -> bytes:
    """The smallest bzImage there is: boot flag, signature, protocol 2.06, loaded high."""
    image = bytearray(8192)
    image[0x1f1] = 4
    image[0x1fe:0x200] = b"\x55\xaa"
    image[0x200:0x208] = b"\xeb\x6aHdrS\x06\x02"
    image[0x211] = 1
    image[0x22c:0x230] = b"\xff\xff\xff\x7f"
    return bytes(image)


class Client:
    """A connection to a monitor socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(20)
        self.pending = b""

    def __del__(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> dict[str, object] | None:
        """The next answer or event; None when the other side closed."""
        while b"\n" not in self.pending:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        answer: dict[str, object] = json.loads(line)
        return answer

    def ask(self, command: str, arguments: str | None = None) -> dict[str, object] | None:
        request = {"command": command} | ({"arguments": arguments} if arguments else {})
        self.send(json.dumps(request).encode())
        return self.line()


class Monitored(unittest.TestCase):
    """VMs that run, and acrnctl's folders."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="acrn-test.")
        cls.addClassCleanup(folder.cleanup)
        cls.driver = Path(folder.name) / "driver.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                        "-D_GNU_SOURCE", "-o", cls.driver, HERE / "fake_driver.c"], check=True)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="acrn-test.")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.sockets = self.root / "run/acrn/mngr"
        self.sockets.mkdir(parents=True)
        self.kernel = self.root / "kernel"
        self.kernel.write_bytes(bzimage())
        self.log = self.root / "log"
        self.log.write_text("")

    def launch(self, name: str, *words: object, **more: str) -> subprocess.Popen[str]:
        """A VM that runs, with a socket where acrnctl looks."""
        environment = dict(os.environ, FAKE_HSM="new", FAKE_LIVE="1", FAKE_LOG=str(self.log),
                           LD_PRELOAD=str(self.driver), **more)
        # pylint: disable-next=consider-using-with
        vm = subprocess.Popen([ACRN_DM, "-m", "16M", "-k", self.kernel, "-s", "0,hostbridge",
                               *map(str, words), "--cmd_monitor", self.socket(name), name],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=environment)
        self.addCleanup(vm.__exit__, None, None, None)
        self.addCleanup(vm.kill)
        for _ in range(200):
            try:
                Client(self.socket(name))
                break
            except OSError:
                if vm.poll() is not None:
                    break
                time.sleep(0.05)
        return vm

    def socket(self, name: str) -> Path:
        """Where its commands are taken."""
        return self.sockets / f"{name}.1.socket"

    def acrnctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([ACRNCTL, *words], capture_output=True, text=True, timeout=60,
                              check=False, env=dict(os.environ, ACRN_ROOT=str(self.root)))

    def refused(self, status: int, part: str, *words: str) -> None:
        """One line with `part` in it, and that status."""
        result = self.acrnctl(*words)
        self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("acrnctl: "), result.stderr)
        self.assertIn(part, result.stderr)

    def still_answers(self, vm: subprocess.Popen[str], name: str = "vm1") -> None:
        """The VM runs, and its socket obeys."""
        self.assertIsNone(vm.poll())
        answer = Client(self.socket(name)).ask("query")
        self.assertEqual(answer, {"ack": 0, "name": name, "pid": vm.pid, "state": "started"})


class Sockets(Monitored):
    """The protocol, and those who break it."""

    def test_destroy(self) -> None:
        """Is the VM destroyed in order, its socket gone, the status 0?"""
        vm = self.launch("vm1")
        self.assertEqual(Client(self.socket("vm1")).ask("destroy"), {"ack": 0})
        self.assertEqual(vm.wait(20), 0)
        self.assertEqual(self.log.read_text().replace("M", ""), "CSPD")
        self.assertFalse(self.socket("vm1").exists())

    def test_triple_fault(self) -> None:
        # Does the client hear of a triple fault, and then of the power-off?
        fault = self.root / "fault"
        vm = self.launch("one", FAKE_TRIPLE_FAULT=str(fault))
        client = Client(self.socket("one"))
        self.assertEqual(client.ask("register_vm_event_client"), {"ack": 0})
        fault.write_text("now")
        self.assertEqual(client.line(), {"vm_event": 2})
        self.assertEqual(client.line(), {"vm_event": 1})
        self.assertIsNone(client.line())
        self.assertEqual(vm.wait(20), 0)

    def test_reset(self) -> None:
        """Does a reset boot the VM anew, in the same acrn-dm?"""
        vm = self.launch("vm1")
        self.assertEqual(Client(self.socket("vm1")).ask("reset"), {"ack": 0})
        for _ in range(200):
            if self.log.read_text().endswith("PRS"):
                break
            time.sleep(0.05)
        self.assertEqual(self.log.read_text().replace("M", ""), "CSPRS")
        self.still_answers(vm)

    def test_refusals(self) -> None:
        """What if a request is an object but no request? Does the connection stay usable?"""
        vm = self.launch("vm1")
        client = Client(self.socket("vm1"))
        for text, error in (
                ("{}", '"command" is missing or is no text'),
                ('{"command": 7}', '"command" is missing or is no text'),
                ('{"command": "fly"}', 'there is no command "fly"'),
                ('{"command": "query", "arguments": {}}', '"arguments" is no text')):
            client.send(text.encode())
            self.assertEqual(client.line(), {"ack": -1, "error": error})
        self.assertEqual((client.ask("query") or {})["ack"], 0)
        self.still_answers(vm)

    def test_pieces(self) -> None:
        """What if requests come byte by byte, or several in one piece?"""
        self.launch("vm1")
        client = Client(self.socket("vm1"))
        for byte in b' \r\n{"command": "qu\\u0065ry"}':
            client.send(bytes((byte,)))
            time.sleep(0.001)
        self.assertEqual((client.line() or {})["name"], "vm1")
        client.send(b'{"command":"a"}\n\n{"command":"b"}{"command":"query"}')
        self.assertEqual([(client.line() or {})["ack"] for _ in range(3)], [-1, -1, 0])
        client.send(b'{"command":"query","x":"' + b"x" * 4069 + b'"}')
        self.assertEqual((client.line() or {})["ack"], 0)
        client.send(b"{" * 4096)
        self.assertEqual((client.line() or {})["error"], "a request has less than 4096 bytes")
        self.assertIsNone(client.line())

    def test_garbage(self) -> None:
        """What if it is no JSON at all, too long, too deep, or cut short?"""
        vm = self.launch("vm1")
        for data, error in (
                (b"GET / HTTP/1.0\r\n\r\n", "this is no JSON object"),
                (b"\0" * 100, "this is no JSON object"),
                (b"[1, 2]", "this is no JSON object"),
                (b'{"command": }', "this is no JSON object"),
                (b'{"command": "query"]', "this is no JSON object"),
                (b'{"command": "query", "command": "destroy"}', "this is no JSON object"),
                (b'{"a":' * 5000, "a request has less than 4096 bytes"),
                (b'{"a":' + b"[" * 2000 + b"]" * 2001, "this is no JSON object"),
                (b'{"command": "' + b"x" * (1 << 20), "a request has less than 4096 bytes"),
                (b'{"command": "\xff\xfe"}', "this is no JSON object")):
            client = Client(self.socket("vm1"))
            try:
                client.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had seen enough
            answer = client.line()
            if answer is not None:  # what was not read when it closed takes the answer with it
                self.assertEqual(answer["ack"], -1)
                self.assertIn(error, str(answer["error"]))
            self.assertIsNone(client.line(), data[:20])
            self.still_answers(vm)
        Client(self.socket("vm1")).send(b'{"command": "destr')
        self.still_answers(vm)

    def test_many_clients(self) -> None:
        """What if clients come and stay: do those who talk get through, and nobody else suffer?"""
        vm = self.launch("vm1")
        silent = [Client(self.socket("vm1")) for _ in range(8)]
        for _ in range(30):
            silent.append(Client(self.socket("vm1")))
            self.still_answers(vm)
        self.assertIsNone(silent[0].line())
        self.assertLess(len(list(Path(f"/proc/{vm.pid}/fd").iterdir())), 40)

    def test_deaf_client(self) -> None:
        """What if a client asks for ever and never reads an answer?"""
        vm = self.launch("vm1")
        deaf = Client(self.socket("vm1"))
        with self.assertRaises((BrokenPipeError, ConnectionResetError)):
            while True:
                deaf.send(b'{"command":"query"}' * 1000)
        self.still_answers(vm)

    def test_permissions(self) -> None:
        """Can only the owner connect?"""
        self.launch("vm1")
        self.assertEqual(stat.S_IMODE(self.socket("vm1").stat().st_mode), 0o600)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_not_root(self) -> None:
        """What if somebody else asks? Each command says that it may not, and the VM runs on."""
        vm = self.launch("vm1")
        program = self.root / "acrnctl"
        shutil.copy(ACRNCTL, program)
        self.root.chmod(0o755)
        (self.root / "run/acrn/mngr").chmod(0o700)
        scripts = self.root / "usr/share/acrn/conf/add"
        scripts.mkdir(parents=True)
        (scripts / "vm2.sh").write_text("acrn-dm vm2\n")
        for words in ("list", "stop vm1", "stop -f vm1", "pause vm1", "resume vm1", "reset vm1",
                      "blkrescan vm1 3,/f", "start vm2", "wake vm2 9", "del vm2",
                      f"add {scripts}/vm2.sh vm3"):
            result = subprocess.run([program, *words.split()], capture_output=True, text=True,
                                    timeout=60, check=False, user=65534,
                                    env=dict(os.environ, ACRN_ROOT=str(self.root)))
            self.assertEqual((words, result.returncode), (words, 5), result.stderr)
            self.assertRegex(result.stderr,
                             r"^acrnctl: .*: (no permission; root may|Permission denied)\n$")
        self.assertEqual(len(list(scripts.iterdir())), 1)
        self.still_answers(vm)

    def test_path_in_use(self) -> None:
        """What if the path is taken: by a VM, by one that was killed, by a file?"""
        vm = self.launch("vm1")
        second = self.launch("vm1")
        self.assertEqual(second.wait(20), 1)
        self.assertIn("Address already in use", second.communicate()[1])
        vm.send_signal(signal.SIGKILL)
        vm.wait()
        self.assertTrue(self.socket("vm1").exists())
        self.still_answers(self.launch("vm1", "--debugexit"))
        self.socket("vm2").write_text("precious")
        third = self.launch("vm2")
        self.assertEqual(third.wait(20), 1)
        self.assertIn("is no socket", third.communicate()[1])
        self.assertEqual(self.socket("vm2").read_text(), "precious")


    def test_pause(self) -> None:
        """Does a VM stop and go on, and say so?"""
        self.launch("vm1")
        client = Client(self.socket("vm1"))
        for command, state in (("pause", "paused"), ("pause", "paused"), ("resume", "started"),
                               ("resume", "started")):
            self.assertEqual(client.ask(command), {"ack": 0})
            self.assertEqual((client.ask("query") or {})["state"], state)
        self.assertEqual(self.log.read_text().replace("M", ""), "CSPPS")

    def test_stop(self) -> None:
        """What if the guest does not listen to its power button?"""
        self.launch("vm1")
        self.assertEqual(Client(self.socket("vm1")).ask("stop"), {
            "ack": -1, "error": "the guest does not listen to its power button"})

    def listening(self, name: str, button: str, **more: str) -> subprocess.Popen[str]:
        """A VM whose guest listens to its power button by now."""
        self.log.write_text("")
        vm = self.launch(name, FAKE_BUTTON=button, **more)
        for _ in range(200):
            if "B" in self.log.read_text():
                break
            time.sleep(0.05)
        return vm

    def test_signals(self) -> None:
        """Does a signal ask the guest first, and end the VM all the same: of one that does not listen,
        or not obey, at the second signal or when its time is up?"""
        pressed = "pressed the VM's power button"
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            vm = self.listening("vm1", "obeyed")
            vm.send_signal(number)
            self.assertEqual(vm.wait(20), 0)
            said = vm.communicate()[1]
            self.assertIn(pressed, said)
            self.assertNotIn("powering the VM off", said)

        deaf = self.launch("vm1")
        deaf.send_signal(signal.SIGTERM)
        self.assertEqual(deaf.wait(20), 0)
        self.assertNotIn(pressed, deaf.communicate()[1])

        stubborn = self.listening("vm1", "deaf")
        stubborn.send_signal(signal.SIGTERM)
        with self.assertRaises(subprocess.TimeoutExpired):
            stubborn.wait(1)
        self.still_answers(stubborn)
        stubborn.send_signal(signal.SIGTERM)
        self.assertEqual(stubborn.wait(20), 0)
        self.assertIn("Terminated: powering the VM off", stubborn.communicate()[1])

        slow = self.listening("vm1", "deaf", FAKE_HASTE="1")
        slow.send_signal(signal.SIGTERM)
        self.assertEqual(slow.wait(20), 0)
        self.assertIn("did not shut down in 60 s: powering the VM off", slow.communicate()[1])

    def test_blkrescan(self) -> None:
        """Is each mistake told, and a good file taken by the running VM?"""
        disk, other = self.root / "disk", self.root / "other"
        for path in (disk, other):
            path.write_bytes(bytes(8192))
        self.launch("vm1", "-s", "3,virtio-blk,nodisk", "-s", f"4,virtio-blk,{other}")
        client = Client(self.socket("vm1"))
        for text, error in (
                ("", "the form is [bus:]slot[:func],file"),
                ("9,/x", "there is no device in this slot"),
                ("0,/x", "this device has no disk to look at"),
                ("3,/absent", "No such file or directory"),
                ("3,/dev/null", "it is neither a file nor a block device"),
                (f"3,{other}", "it is in use by another disk or VM"),
                (f"4,{disk}", "the disk has another file")):
            answer = client.ask("blkrescan", text) or {}
            self.assertEqual(answer["ack"], -1)
            self.assertTrue(str(answer["error"]).startswith(f"{text}: {error}"), answer)
        self.assertEqual(client.ask("blkrescan", f"3,{disk}"), {"ack": 0})
        os.truncate(other, 16384)
        self.assertEqual(client.ask("blkrescan", f"0:4:0,{other}"), {"ack": 0})
        os.truncate(other, 4096)
        self.assertEqual((client.ask("blkrescan", f"4,{other}") or {})["error"],
                         f"4,{other}: the file is smaller than the disk")


class Acrnctl(Monitored):
    """Users against acrnctl."""

    def test_usage(self) -> None:
        """What if the command line is wrong?"""
        for part, *words in (
                ("what shall be done?",),
                ('there is no command "fly"', "fly"),
                ("the form is acrnctl list", "list", "vm1"),
                ("the form is acrnctl stop", "stop"),
                ("the form is acrnctl reset NAME", "reset"),
                ("the form is acrnctl blkrescan NAME SLOT,FILE", "blkrescan", "vm1"),
                ("the form is acrnctl add SCRIPT [NAME]", "add", "-x"),
                ("-C: VMs do not run in containers", "add", "x", "-C"),
                ("the form is acrnctl del NAME", "del")):
            self.refused(2, part, *words)
        for word in ("--help", "-h", "help"):
            result = self.acrnctl(word)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("EXIT STATUS", result.stdout)

    def test_nobody(self) -> None:
        """What if there is no such VM, no VM at all, not even the folder?"""
        self.refused(3, 'there is no VM "vm1"', "reset", "vm1")
        self.refused(3, 'there is no VM "vm1"', "stop", "-f", "vm1")
        self.refused(3, "that was added", "del", "vm1")
        self.assertEqual(self.acrnctl("list").stdout, "")
        self.sockets.rmdir()
        self.refused(3, 'there is no VM "vm1"', "stop", "-f", "vm1")
        self.assertEqual(self.acrnctl("list").returncode, 0)

    def test_list(self) -> None:
        """Are running, added and forgotten VMs told apart, and the traces of killed ones removed?"""
        script = self.root / "launch.sh"
        script.write_text("#!/bin/sh\nexec acrn-dm -m 64M \\\n -k /bzImage vm1 >/tmp/log 2>&1 &\n")
        self.assertEqual(self.acrnctl("add", str(script)).stdout, "vm1 added\n")
        self.launch("vm1")
        killed = self.launch("vm2")
        self.launch("vm3")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        self.assertEqual(self.acrnctl("add", str(script), "vm4").returncode, 0)
        self.assertEqual([line.split() for line in self.acrnctl("list").stdout.splitlines()],
                         [["vm1", "started"], ["vm3", "started,", "untracked"],
                          ["vm4", "stopped"]])
        self.assertFalse(self.socket("vm2").exists())
        self.refused(4, "vm4 does not run", "reset", "vm4")
        self.refused(4, "vm1 runs; stop it first", "del", "vm1")

    def test_stop_and_reset(self) -> None:
        """Do they do it, and is the VM gone when acrnctl returns?"""
        vm = self.launch("vm1")
        result = self.acrnctl("reset", "vm1")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        result = self.acrnctl("stop", "-f", "vm1")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(vm.wait(1), 0)

    def test_states(self) -> None:
        """Is a command that does not fit the VM's state refused with status 4?"""
        self.launch("vm1")
        self.refused(4, "vm1 is started, not paused", "resume", "vm1")
        self.assertEqual(self.acrnctl("pause", "vm1").returncode, 0)
        self.assertIn("paused, untracked", self.acrnctl("list").stdout)
        self.refused(4, "vm1 is paused, not started", "pause", "vm1")
        self.refused(4, "vm1 is paused, not started", "stop", "vm1")
        self.assertEqual(self.acrnctl("resume", "vm1").returncode, 0)
        self.refused(1, "vm1: the guest does not listen to its power button", "stop", "vm1")
        self.refused(1, "vm1: 9,/x: there is no device in this slot", "blkrescan", "vm1", "9,/x")

    def test_hung(self) -> None:
        """What if acrn-dm is stopped, or who listens talks nonsense?"""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.socket("vm1")))
            server.listen(1)
            process = subprocess.Popen([ACRNCTL, "reset", "vm1"], stderr=subprocess.PIPE,
                                       env=dict(os.environ, ACRN_ROOT=str(self.root)))
            for _ in range(2):  # acrnctl looks first whether somebody listens
                connection, _ = server.accept()
                with connection:
                    if connection.recv(100):
                        connection.sendall(b"nonsense\n")
            said = process.communicate(timeout=60)[1]
            self.assertIn(b"no answer from its acrn-dm (process 1)", said)
            self.assertEqual(process.returncode, 1)

    def test_add_and_del(self) -> None:
        """Is the name told from the script where it can be, and the script kept whole?"""
        script = self.root / "launch.sh"
        head = "#!/bin/sh\n# acrn-dm of old\nip link add acrn-dm-tap\n"
        for text, name in (("acrn-dm -k k vm1", "vm1"), ("/usr/bin/acrn-dm vm-2.x 2>log", "vm-2.x"),
                           ('acrn-dm -B "a b" "vm3" &', "vm3"), ("a && acrn-dm vm4; b", "vm4"),
                           ("vm_name=vm5\nacrn-dm $vm_name\necho no", "vm5"),
                           ("  export N='vm6'\nacrn-dm -s 3,x \\\n\t${N}", "vm6")):
            script.write_text(f"{head}{text}\n")
            result = self.acrnctl("add", str(script))
            self.assertEqual(result.stdout, f"{name} added\n", result.stderr)
            kept = self.root / f"usr/share/acrn/conf/add/{name}.sh"
            self.assertEqual(kept.read_text(), script.read_text())
            self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o700)
            self.refused(4, f"{name} is there already", "add", str(script))
            self.assertEqual(self.acrnctl("del", name).stdout, f"{name} deleted\n")
            self.assertFalse(kept.exists())
        for text, why in (("", "no line of it runs acrn-dm"), ("acrn-dm $1", "($1)"),
                          ("acrn-dm ../vm", "(../vm)"), ("acrn-dm sixteen-letters-", "sixteen"),
                          ("acrn-dm acrnd", "(acrnd)")):
            script.write_text(f"{head}{text}\n")
            self.refused(2, why, "add", str(script))
        self.refused(2, "cannot be a name", "add", str(script), "../vm")
        self.refused(1, "No such file", "add", str(self.root / "absent"))
        self.refused(1, "is no script", "add", "/dev/zero")
        self.refused(1, "is no script", "add", str(self.root))
        self.refused(1, "is no script", "add", str(ACRNCTL))


if __name__ == "__main__":
    unittest.main()
