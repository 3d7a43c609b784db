# SPDX-License-Identifier: BSD-3-Clause
"""acrn-bridge: do guests on its taps reach each other and the network beyond, and is all undone?

A network namespace is the Service VM, one inside it the network beyond; frames on a tap's
descriptor are a guest's.
"""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import unittest
from pathlib import Path
from typing import Any

BRIDGE = Path(__file__).resolve().parents[2] / "misc" / "bridge" / "acrn-bridge.sh"

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x400454CA, 2, 0x1000, 0x100
CLONE_NEWNET = 0x40000000


def namespace() -> "subprocess.Popen[bytes]":
    """A process in a network namespace of its own, until it is killed."""
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"],
                               stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def arp(sender: bytes, source: str, target: str) -> bytes:
    """Who has the target's address?"""
    return (b"\xff" * 6 + sender + struct.pack(">HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + sender
            + socket.inet_aton(source) + bytes(6) + socket.inet_aton(target)).ljust(60, b"\0")


@unittest.skipUnless(os.geteuid() == 0, "only root makes network namespaces")
class Bridge(unittest.TestCase):
    """eth0 with an address and a way out; the host at its other end has 10.9.0.1."""

    def setUp(self) -> None:
        self.service, self.beyond = namespace(), namespace()
        for process in (self.service, self.beyond):
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
        self.ip(f"link add eth0 type veth peer name out netns {self.beyond.pid}")
        for words in ("addr add 10.9.0.1/24 dev out", "link set out up"):
            self.ip(words, self.beyond)
        for words in ("addr add 10.9.0.2/24 dev eth0", "link set eth0 up",
                      "route add default via 10.9.0.1"):
            self.ip(words)

    def inside(self, *words: object, where: "subprocess.Popen[bytes] | None" = None,
               ) -> "subprocess.CompletedProcess[str]":
        """Runs a command in a namespace."""
        # /sys shows the interfaces of the namespace that mounted it.
        pid = (where or self.service).pid
        return subprocess.run(
            ["nsenter", f"-n/proc/{pid}/ns/net", "unshare", "-m", "sh", "-c",
             'mount -t sysfs sysfs /sys && exec "$@"', "sh", *map(str, words)],
            capture_output=True, text=True, timeout=30, check=False)

    def ip(self, words: str, where: "subprocess.Popen[bytes] | None" = None) -> Any:
        """What ip says, decoded."""
        result = self.inside("ip", "-j", *words.split(), where=where)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout or "null")

    def bridge(self, *words: str, error: str = "", status: int = 0) -> None:
        """Runs acrn-bridge, which says nothing but an error."""
        result = self.inside(BRIDGE, *words)
        self.assertEqual((result.stdout, result.returncode), ("", status), result.stderr)
        self.assertTrue(result.stderr == error if not error else error in result.stderr,
                        result.stderr)

    def state(self) -> dict[str, Any]:
        """Of each interface its master and addresses, and the way out."""
        state: dict[str, Any] = {
            link["ifname"]: (link.get("master"), sorted(
                a["local"] for a in link["addr_info"] if a["scope"] == "global"))
            for link in self.ip("addr show") if link["ifname"] != "lo"}
        state["default"] = [(r["gateway"], r["dev"]) for r in self.ip("route show default")]
        return state

    def guest(self, tap: str, flags: int = 0) -> int:
        """The descriptor of a tap."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.service.pid}/ns/net", os.O_RDONLY)
        libc = __import__("ctypes").CDLL(None, use_errno=True)
        self.assertEqual(libc.setns(there, CLONE_NEWNET), 0)
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            self.addCleanup(os.close, fd)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", tap.encode(),
                                                   IFF_TAP | IFF_NO_PI | flags))
        finally:
            self.assertEqual(libc.setns(home, CLONE_NEWNET), 0)
            os.close(home)
            os.close(there)
        return fd

    def hears(self, fd: int, start: bytes, seconds: float = 5) -> bool:
        """Does a frame come that begins so, each so soon after the last?"""
        while select.select([fd], [], [], seconds)[0]:
            if os.read(fd, 2000).startswith(start):
                return True
        return False

    def test_frames(self) -> None:
        # Do frames pass from a guest to another, to the Service VM and beyond?
        self.bridge("-i", "eth0", "tap0", "tap1")
        one, two = self.guest("tap0"), self.guest("tap1")
        mac = b"\x02\0\0\0\0\x01"
        for target in ("10.9.0.1", "10.9.0.2"):
            for _ in range(20):  # a port forwards once its carrier has been seen
                os.write(one, arp(mac, "10.9.0.7", target))
                if self.hears(one, mac, 0.3):
                    break
            else:
                self.fail(target)
        os.write(one, arp(mac, "10.9.0.7", "10.9.0.8"))
        self.assertTrue(self.hears(two, b"\xff" * 6 + mac))

    def test_addresses(self) -> None:
        # Are addresses and the way out the bridge's, does it matter how often, are they given back?
        before = self.state()
        for _ in range(2):
            self.bridge("-i", "eth0", "tap0")
            self.assertEqual(self.state(), {
                "eth0": ("acrn-br0", []), "acrn-br0": (None, ["10.9.0.2"]),
                "tap0": ("acrn-br0", []), "default": [("10.9.0.1", "acrn-br0")]})
        self.bridge("-d")
        self.assertEqual(self.state(), before)

    def test_queues(self) -> None:
        # Is a tap of -m one of several queues, and another one not?
        self.bridge("-b", "br7", "-m", "many")
        self.bridge("-b", "br7", "one")
        self.guest("many", IFF_MULTI_QUEUE)
        self.guest("many", IFF_MULTI_QUEUE)
        with self.assertRaisesRegex(OSError, "Invalid"):
            self.guest("one", IFF_MULTI_QUEUE)
        self.assertEqual(self.state()["many"][0], "br7")

    def test_mistakes(self) -> None:
        # What if a name is wrong? One line says so, and nothing has changed.
        before = self.state()
        self.bridge("-d", error="acrn-bridge: there is no acrn-br0\n", status=1)
        self.bridge("-i", "eth9", "tap0", error="there is no interface eth9\n", status=1)
        self.bridge("-b", "eth0", error="eth0 is there, and is no bridge\n", status=1)
        self.bridge("-d", "tap0", error="acrn-bridge [-b BRIDGE] -d", status=2)
        self.bridge("-x", error="acrn-bridge [-b BRIDGE]", status=2)
        self.assertEqual(self.state(), before)
        self.bridge("eth0", error="eth0 is there, and is no tap\n", status=1)


if __name__ == "__main__":
    unittest.main()
