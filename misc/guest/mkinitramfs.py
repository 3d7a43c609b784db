#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes an initramfs: an init, busybox if that is a script, and whatever files are asked for.

The archive is written directly in the newc format, so neither root nor device
nodes are needed (the kernel mounts devtmpfs), and it is the same byte for byte
for the same input. It is LZ4-compressed: a guest unpacks that with a tenth of
the instructions gzip takes.

  mkinitramfs.py -o OUT --init SCRIPT [--add HOST_FILE[:GUEST_PATH]]...

A program that is dynamically linked brings its libraries along.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
LIBRARY_CACHE = Path("/etc/ld.so.cache")
FOLDERS = ("bin", "data", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp")

S_IFDIR = 0o040000
S_IFREG = 0o100000
S_IFLNK = 0o120000
S_IFCHR = 0o020000


class Archive:
    """A cpio archive in the newc format, in memory; everything belongs to root."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0
        self._seen: set[str] = set()

    def _entry(self, path: str, mode: int, body: bytes = b"", rdev: tuple[int, int] = (0, 0),
               nlink: int = 1) -> None:
        self._inode += 1
        name = path.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, nlink, 0, len(body), 0, 0, *rdev, len(name), 0)
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self._pad()
        self._data += body
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def _parents(self, path: str) -> None:
        for parent in reversed(Path(path).parents):
            if str(parent) != ".":
                self.folder(str(parent))

    def folder(self, path: str) -> None:
        """Adds a folder unless it is there."""
        if path not in self._seen:
            self._parents(path)
            self._seen.add(path)
            self._entry(path, S_IFDIR | 0o755, nlink=2)

    def file(self, path: str, body: bytes, executable: bool) -> None:
        """Adds a file; the first of two with one path wins."""
        if path not in self._seen:
            self._parents(path)
            self._seen.add(path)
            self._entry(path, S_IFREG | (0o755 if executable else 0o644), body)

    def symlink(self, path: str, target: str) -> None:
        """Adds a symbolic link."""
        self._parents(path)
        self._entry(path, S_IFLNK | 0o777, target.encode())

    def console(self) -> None:
        """Adds /dev/console, which the kernel opens before devtmpfs is mounted."""
        self.folder("dev")
        self._entry("dev/console", S_IFCHR | 0o600, rdev=(5, 1))

    def finish(self) -> bytes:
        """The archive with its trailer."""
        self._entry("TRAILER!!!", 0)
        return bytes(self._data)


def libraries(program: Path) -> list[Path]:
    """The shared libraries and the loader that a program needs; none if it is static."""
    if not program.read_bytes()[:4] == b"\x7fELF":
        return []
    result = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    missing = re.findall(r"(\S+) => not found", result.stdout)
    if missing:
        raise FileNotFoundError(f"{program} needs {', '.join(missing)}")
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", result.stdout)]


def build(init: Path, added: list[tuple[Path, str]]) -> bytes:
    """The archive, uncompressed. `added` maps host files to absolute guest paths."""
    archive = Archive()
    for folder in FOLDERS:
        archive.folder(folder)
    archive.console()
    body = init.read_bytes()
    if body.startswith(b"#!"):
        archive.file("bin/busybox", BUSYBOX.read_bytes(), True)
        archive.symlink("bin/sh", "busybox")
    archive.file("init", body, True)
    for source, target in added:
        executable = bool(source.stat().st_mode & 0o100)
        archive.file(target.lstrip("/"), source.read_bytes(), executable)
        found = libraries(source) if executable else []
        # Where they are, so that the loader need not look through two dozen folders.
        for path in found + [LIBRARY_CACHE] * (bool(found) and LIBRARY_CACHE.exists()):
            archive.file(str(path).lstrip("/"), path.read_bytes(), path != LIBRARY_CACHE)
    return archive.finish()


def compress(data: bytes) -> bytes:
    """LZ4 in the legacy format, the one the kernel reads."""
    return subprocess.run(["lz4", "-l", "-9", "-c"], input=data, capture_output=True,
                          check=True).stdout


def parse_added(text: str) -> tuple[Path, str]:
    """HOST_FILE[:GUEST_PATH]; without a path the file goes to /bin."""
    source, _, target = text.partition(":")
    return Path(source), target or f"/bin/{Path(source).name}"


def make(output: Path, init: Path, added: list[tuple[Path, str]]) -> Path:
    """Writes the compressed archive to `output`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(compress(build(init, added)))
    return output


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True, help="script or static program that becomes /init")
    parser.add_argument("--add", type=parse_added, action="append", default=[],
                        metavar="FILE[:PATH]", help="file to add, at PATH (default /bin/NAME)")
    args = parser.parse_args()
    try:
        make(args.output, args.init, args.add)
    except OSError as error:
        print(f"mkinitramfs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
