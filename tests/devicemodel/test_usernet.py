# SPDX-License-Identifier: BSD-3-Clause
"""acrn-usernet: does it answer a guest's frames, forward ports, and live through nonsense?

The test is acrn-dm and guest in one: frames on the socket, each with virtio-net's header.
"""

import os
import random
import signal
import socket
import struct
import subprocess
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("O", TOP / "build")) / "misc" / "acrn-usernet"

HEADER = 12
GUEST_MAC = bytes.fromhex("021122334455")
NOBODY = 65534


def ip(text: str) -> bytes:
    """An address as it stands in packets."""
    return socket.inet_aton(text)


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(source: str, target: str, ports: tuple[int, int], body: bytes) -> bytes:
    """A datagram to everybody's MAC address, without a checksum of its own."""
    body += bytes(len(body) % 2)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(body), 1, 0, 64, 17, 0, ip(source),
                       ip(target))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return (b"\xff" * 6 + GUEST_MAC + b"\x08\x00" + head
            + struct.pack(">HHHH", *ports, 8 + len(body), 0) + body)


class Network:
    """A running acrn-usernet, and the other end of its socket."""

    def __init__(self, *words: str) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        with theirs:
            self.process = subprocess.Popen([PROGRAM, *words], stdin=theirs,
                                            stderr=subprocess.PIPE, text=True)

    def ready(self) -> bool:
        """Has it said that it is?"""
        return self.socket.recv(100) == b"\0"

    def send(self, frame: bytes) -> None:
        """From the guest."""
        self.socket.send(bytes(HEADER) + frame)

    def receive(self, kind: bytes, *, contains: bytes = b"") -> bytes:
        """The next frame of this Ethernet type with that in it."""
        for _ in range(1000):
            message = self.socket.recv(70000)
            if message[HEADER + 12:HEADER + 14] == kind and contains in message:
                assert message[:HEADER] == bytes(10) + b"\1\0"  # virtio: one buffer
                return message[HEADER:]
        raise AssertionError("no such frame")

    def send_arp(self, address: str) -> None:
        """Who has it?"""
        self.send(b"\xff" * 6 + GUEST_MAC + bytes.fromhex("0806 0001 0800 06 04 0001") + GUEST_MAC
                  + ip("10.0.2.15") + bytes(6) + ip(address))

    def ask_arp(self, address: str) -> bytes:
        """The MAC address that somebody has."""
        self.send_arp(address)
        reply = self.receive(b"\x08\x06", contains=ip(address))
        assert reply[20:22] == b"\0\2" and reply[28:32] == ip(address)
        return reply[22:28]

    def end(self) -> tuple[int, str]:
        """acrn-dm is gone: exit status and messages."""
        self.socket.close()
        error = self.process.communicate(timeout=10)[1]
        return self.process.returncode, error

    def remove(self) -> None:
        """Whatever became of it."""
        self.socket.close()
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


class Usernet(unittest.TestCase):
    """One process for each test."""

    def start(self, *words: str) -> Network:
        """A network that works."""
        network = Network(*words)
        self.addCleanup(network.remove)
        self.assertTrue(network.ready())
        return network

    def test_answers(self) -> None:
        # Is there a gateway, does a guest without an address get one, without anybody's rights?
        network = self.start()
        self.assertEqual(network.ask_arp("10.0.2.2"), bytes.fromhex("52550a000202"))
        discover = (bytes.fromhex("01010600 12345678") + bytes(20) + GUEST_MAC + bytes(202)
                    + bytes.fromhex("63825363 350101 ff"))
        network.send(udp_frame("0.0.0.0", "255.255.255.255", (68, 67), discover))
        offer = network.receive(b"\x08\x00", contains=bytes.fromhex("63825363350102"))
        self.assertEqual(offer[42 + 16:42 + 20], ip("10.0.2.15"))
        for option in (b"\x03\x04" + ip("10.0.2.2"), b"\x06\x04" + ip("10.0.2.3")):
            self.assertIn(option, offer)
        if os.geteuid() == 0:
            status = Path(f"/proc/{network.process.pid}/status").read_text()
            four = f"\t{NOBODY}" * 4 + "\n"
            for line in ("Uid:" + four, "Gid:" + four, "NoNewPrivs:\t1\n",
                         f"CapEff:\t{0:016x}\n"):
                self.assertIn(line, status)
        self.assertEqual(network.end(), (0, ""))

    def test_udp(self) -> None:
        # Does a datagram to 10.0.2.2 reach a socket of this machine, and its answer the guest? It
        # is there before the network is.
        network = Network()
        self.addCleanup(network.remove)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(10)
            network.send_arp("10.0.2.2")
            network.send(udp_frame("10.0.2.15", "10.0.2.2", (1000, server.getsockname()[1]),
                                   b"walnut"))
            self.assertTrue(network.ready())
            text, sender = server.recvfrom(100)
            self.assertEqual(text, b"walnut")
            server.sendto(b"hazelnut", sender)
            reply = network.receive(b"\x08\x00", contains=b"hazelnut")
            self.assertEqual(reply[30:34] + reply[36:38], ip("10.0.2.15") + b"\x03\xe8")

    def test_forward(self) -> None:
        # Does a connection to the forwarded port come to the guest's port? From that address only.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        network = self.start(f"hostfwd=tcp:127.0.0.1:{port}-:2323")
        with socket.socket() as client:
            client.settimeout(10)
            client.connect(("127.0.0.1", port))
            question = network.receive(b"\x08\x06", contains=ip("10.0.2.15"))
            network.send(question[6:12] + GUEST_MAC + bytes.fromhex("0806 0001 0800 06 04 0002")
                         + GUEST_MAC + ip("10.0.2.15") + question[6:12] + ip("10.0.2.2"))
            syn = network.receive(b"\x08\x00", contains=ip("10.0.2.15"))
            self.assertEqual((syn[23], syn[36:38], syn[47] & 0x3F), (6, struct.pack(">H", 2323), 2))
        with socket.socket() as other:
            self.assertNotEqual(other.connect_ex(("127.0.0.2", port)), 0)

    def test_nonsense(self) -> None:
        # What if the guest sends garbage of any length, and nothing at all? It goes on.
        network = self.start()
        dice = random.Random(1)
        network.socket.settimeout(0.001)
        for i in range(4000):
            frame = dice.randbytes(dice.choice((0, 1, 13, 14, 60, 1514, 9000, 65535)))
            if i % 2 and len(frame) > 40:  # a beginning that is looked at further
                frame = (bytes.fromhex("52550a000202") + GUEST_MAC
                         + dice.choice((b"\x08\x00\x45", b"\x08\x06\x00\x01", b"\x86\xdd\x60"))
                         + frame)
            try:
                network.socket.send((bytes(HEADER) + frame)[:dice.choice((0, 5, 12, 100000))])
                network.socket.recv(70000)
            except TimeoutError:
                pass
        network.socket.settimeout(10)
        self.assertEqual(network.ask_arp("10.0.2.2"), bytes.fromhex("52550a000202"))
        status, error = network.end()
        self.assertEqual(status, 0)
        self.assertLessEqual(error.count("the guest's frames are wrong"), 1)

    def test_idle(self) -> None:
        # Does it rest when nothing happens? A minute of processor time in a day is too much.
        network = self.start()
        network.ask_arp("10.0.2.2")
        before = self.ticks(network.process.pid)
        time.sleep(2)
        self.assertLessEqual(self.ticks(network.process.pid) - before, 1)

    @staticmethod
    def ticks(pid: int) -> int:
        """Processor time, in hundredths of a second."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def test_refusals(self) -> None:
        # What if the words are wrong, a port is taken, or a user starts it?
        form = "the form is hostfwd=tcp:[ADDRESS]:PORT-[GUEST]:PORT"
        for word in ("hostfwd=", "hostfwd=tcp", "hostfwd=tcp::80", "hostfwd=tcp::80-80",
                     "hostfwd=tcp::0-:80", "hostfwd=tcp::65536-:80", "hostfwd=tcp::8x-:80",
                     "hostfwd=tcp:1.2.3:80-:80", "hostfwd=sctp::80-:80", "hostfwd=tcp::-1-:80",
                     "hostfwd=tcp::" + "8" * 200, "guestfwd=tcp::80-:80"):
            network = Network(word)
            self.assertEqual(network.socket.recv(1), b"", word)
            status, error = network.end()
            self.assertEqual(status, 2)
            self.assertIn(form, error)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            network = Network(f"hostfwd=tcp:127.0.0.1:{taken.getsockname()[1]}-:80")
            self.assertEqual(network.socket.recv(1), b"")
            status, error = network.end()
            self.assertEqual(status, 1)
            self.assertIn("Address already in use", error)
        result = subprocess.run([PROGRAM], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertTrue(result.stderr.startswith("usage: acrn-usernet"))

    def test_ended(self) -> None:
        # What if somebody ends it? The socket tells.
        network = self.start()
        network.process.send_signal(signal.SIGTERM)
        self.assertEqual(network.socket.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
