# SPDX-License-Identifier: BSD-3-Clause
"""A person at the serial console: the host's terminal in raw mode, Ctrl-A x to leave."""

import os
import select
import sys
import termios
import tty

from misc.run.session import Session

PREFIX = b"\x01"  # Ctrl-A


def _keys(data: bytes, pending: bool) -> tuple[bytes, bool, bool]:
    """What of `data` goes to the guest; whether Ctrl-A is pending; whether to leave."""
    out = bytearray()
    for key in (bytes([byte]) for byte in data):
        if pending:
            pending = False
            if key in b"xX":
                return bytes(out), False, True
            out += key  # Ctrl-A Ctrl-A types one Ctrl-A
        elif key == PREFIX:
            pending = True
        else:
            out += key
    return bytes(out), pending, False


def _forward(session: Session) -> None:
    """Moves bytes both ways until the machine ends or the person leaves."""
    stdin, pending = sys.stdin.fileno(), False
    while True:
        ready, _, _ = select.select([session.serial, stdin], [], [], 1.0)
        if stdin in ready:
            data = os.read(stdin, 256)
            typed, pending, leave = _keys(data, pending)
            if leave or not data:
                return
            session.send(typed.decode("utf-8", errors="replace"))
        if not session.pump(0):
            return


def interact(session: Session) -> None:
    """Connects the host's terminal to the serial console of a session that echoes to it."""
    if not sys.stdin.isatty():
        _forward(session)
        return
    print("[Ctrl-A x leaves and ends the machine; Ctrl-A Ctrl-A types Ctrl-A]")
    saved = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        _forward(session)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
