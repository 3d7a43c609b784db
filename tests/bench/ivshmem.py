#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make bench-ivshmem: what bytes and doorbells between a Service VM and a User VM cost.

Both run the program `peer` on one CPU in Bochs, where a tick of the TSC is an instruction of
whoever runs, so that the figures hold Linux, its driver (VFIO), the hypervisor and the switches.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from misc.run.bochs import Bochs  # noqa: E402
from misc.run.image import ServiceVm, build_kernel, make_cdrom, make_disk  # noqa: E402
from misc.run.machine import MachineSpec  # noqa: E402
from misc.run.session import Ended, Session  # noqa: E402

ROUNDS = 200
LAUNCH = f"""\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 5,ivshmem,hv:/all,2 -k /data/bzImage \\
	-r /data/user.cpio -B "console=ttyS0 quiet acrn.test=/bin/talk" vm1 </dev/null >/run/vm1 &
peer 2 1 {ROUNDS} irq
wait
"""


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}", encoding="ascii")
    path.chmod(0o755)
    return path


def measure(output: Path, folder: Path) -> str:
    """What the Service VM's end printed."""
    peer = folder / "peer"
    subprocess.run(["gcc", "-static", "-O2", "-o", str(peer),
                    str(TOP / "tests/target/service/peer.c")], check=True)
    vm = ServiceVm(output / "release/connected/hypervisor/acrn.bin", build_kernel() / "bzImage",
                   output / "release/devicemodel/acrn-dm",
                   kernel_args="console=ttyS0 quiet acrn.after=poweroff",
                   launch=script(folder / "launch.sh", LAUNCH), disk_mb=64, user_disk_mb=0)
    vm.service_files.append((peer, "/bin/peer"))
    vm.user_files += [(peer, "/bin/peer"),
                      (script(folder / "talk", f"peer 2 0 {ROUNDS} irq\n"), "/bin/talk")]
    spec = MachineSpec(cdrom=make_cdrom(vm, folder), disks=[make_disk(vm, folder)])
    with Session(Bochs(), spec) as session:
        session.expect("launch ended with status", 300, "Kernel panic|WRONG")
        return session.text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-O", "--output", type=Path, required=True)
    output = parser.parse_args().output.resolve()
    try:
        with tempfile.TemporaryDirectory(prefix="acrn-bench.") as name:
            text = measure(output, Path(name))
    except Ended as error:
        print(f"bench-ivshmem: {error}", file=sys.stderr)
        return 1
    bells = re.search(r"peer 0: \d+ bells to and fro, (\d+) ticks each", text)
    moved = re.search(r"peer 0: (\d+) bytes through the memory, (\d+) ticks", text)
    if not bells or not moved:
        print(f"bench-ivshmem: no figures in\n{text}", file=sys.stderr)
        return 1
    size, ticks = int(moved[1]), int(moved[2])
    print(f"doorbell there and back: {bells[1]} instructions")
    print(f"{size} bytes into the memory and out of it: {ticks} instructions, "
          f"{ticks / size:.2f} a byte")
    return 0


if __name__ == "__main__":
    sys.exit(main())
