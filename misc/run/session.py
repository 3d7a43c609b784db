# SPDX-License-Identifier: BSD-3-Clause
"""A machine that runs: its process, its serial console, and waiting for output.

The machine's serial port is a TCP connection to us. All that arrives goes to a
log file and, if wanted, to a stream; expect() waits for a pattern in it.
"""

import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, NoReturn

from misc.run.machine import Machine, MachineSpec


CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
CONTROL_BEGUN = re.compile(r"\x1b(\[[0-9;?]*)?$")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Runs in a child before its program: it gets a signal when its parent is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, number)


class Ended(Exception):
    """The machine ended, or time ran out, before what was waited for."""


class Session:
    """Runs `spec` on `machine` from construction to close(); a context manager."""

    def __init__(self, machine: Machine, spec: MachineSpec, log: Path | None = None,
                 echo: BinaryIO | None = None, terminal: int | None = None) -> None:
        """`terminal` is a descriptor for what the machine itself reads and prints."""
        self.machine = machine
        self.text = ""
        self._echo = echo
        self._seen = 0
        self._partial = ""
        self._temporary = tempfile.TemporaryDirectory(prefix="acrn-run.")
        self.folder = Path(self._temporary.name)
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
        self._log = open(log, "wb") if log else None
        listener = socket.create_server(("127.0.0.1", 0))
        command = machine.command(spec, listener.getsockname()[1], self.folder)
        self._output = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(command, stdin=terminal or subprocess.DEVNULL,
                                        stdout=terminal or self._output,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        preexec_fn=die_with_parent,
                                        env=os.environ | machine.environment())
        try:
            if spec.serial:
                self.serial = self._accept(listener)
            else:
                self.serial, self._nobody = socket.socketpair()
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()

    def _accept(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(0.2)
        for _ in range(150):
            try:
                connection, _ = listener.accept()
                connection.setblocking(False)
                return connection
            except TimeoutError:
                if self.process.poll() is not None:
                    break
        raise Ended(f"{self.machine.name} did not start: {self.machine_says()}")

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def output(self) -> str:
        """What the machine itself printed: port 0xE9 in Bochs."""
        return (self.folder / "output").read_text(encoding="utf-8", errors="replace")

    def machine_says(self) -> str:
        """Why the machine ended, in its own words."""
        lines = [line for line in self.output().splitlines() if "warning:" not in line]
        return self.machine.failure(self.folder) or "\n".join(lines[-10:])

    def pump(self, seconds: float) -> bool:
        """Takes what arrives within `seconds`; False once the machine has ended."""
        ready, _, _ = select.select([self.serial], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            data = self.serial.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._wait_for_end()
            return False
        self._append(data.decode("utf-8", errors="replace"))
        for sink in (self._log, self._echo):
            if sink:
                sink.write(data)
                sink.flush()
        return True

    def _append(self, arrived: str) -> None:
        """Adds to the text without carriage returns and terminal control sequences."""
        whole = self._partial + arrived
        cut = CONTROL_BEGUN.search(whole)
        end = cut.start() if cut else len(whole)
        self._partial = whole[end:]
        self.text += CONTROL.sub("", whole[:end])

    def _wait_for_end(self) -> None:
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self._kill()

    def expect(self, pattern: str, timeout: float, fail: str | None = None) -> re.Match[str]:
        """Waits for `pattern` after what was matched last; `fail` ends the wait early.

        Raises Ended with the reason otherwise. `timeout` is in seconds of the host.
        """
        wanted, deadline = re.compile(pattern, re.MULTILINE), time.monotonic() + timeout
        bad = re.compile(fail, re.MULTILINE) if fail else None
        start, running = self._seen, True
        while True:
            found = wanted.search(self.text, start)
            wrong = bad.search(self.text, start) if bad else None
            if found and not (wrong and wrong.start() < found.start()):
                self._seen = found.end()
                return found
            if wrong:
                self._fail(f"saw '{wrong.group(0)}' while waiting for '{pattern}'")
            if not running:
                self._fail(f"the machine ended before '{pattern}'. {self.machine_says()}")
            if time.monotonic() > deadline:
                self._fail(f"no '{pattern}' within {timeout:.0f} s. "
                           f"{self.machine.failure(self.folder)}")
            running = self.pump(min(1.0, max(0.0, deadline - time.monotonic())))

    def _fail(self, reason: str) -> NoReturn:
        """Raises Ended, with the end of the console where nobody has seen it."""
        self.pump(0.5)  # what follows a panic's first line tells more
        tail = "" if self._echo else "\n".join(["", *self.text.splitlines()[-25:]])
        raise Ended(f"{reason.strip()}{tail}")

    def wait_end(self, timeout: float) -> None:
        """Waits until the machine ends by itself; raises Ended if it does not in time."""
        deadline = time.monotonic() + timeout
        while self.pump(0.5):
            if time.monotonic() > deadline:
                raise Ended(f"the machine still runs after {timeout:.0f} s")

    def send(self, text: str) -> None:
        """Types `text` into the serial console, at a pace a UART without flow control takes."""
        data = text.encode()
        for start in range(0, len(data), 8):
            self.serial.sendall(data[start:start + 8])
            self.pump(0.05)

    def _kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            pass

    def close_machine(self) -> None:
        """Ends the machine, if it has not ended by itself; its files stay."""
        if self.process.poll() is None:
            self._kill()

    def close(self) -> None:
        """Ends the machine and removes its files."""
        self.close_machine()
        self._output.close()
        if self._log:
            self._log.close()
        if hasattr(self, "serial"):
            self.serial.close()
        self._temporary.cleanup()
