#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Boots an image in an emulator and judges it by its serial output.

  boot.py --hv build/hypervisor/acrn.bin --hv-args "..." \\
          --module bzImage:"Linux_bzImage console=ttyS0" --until MARKER --timeout 120
  boot.py --linux bzImage --initrd test.cpio --append "console=ttyS0" --until MARKER
  boot.py --cdrom any.iso --cpus 2 --interactive

Exit status 0: MARKER was seen (without --until: the machine ended by itself).
1: it was not, and the last line says why.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
from misc.guest.mkimage import add_boot_arguments, boot_from_arguments, make_cd
from misc.run.bochs import ticks
from misc.run.choose import MACHINES, choose
from misc.run.console import interact
from misc.run.machine import MachineSpec
from misc.run.session import Ended, Session


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_boot_arguments(parser)
    parser.add_argument("--cdrom", type=Path, help="a CD image that is there already")
    parser.add_argument("--disk", type=Path, action="append", default=[], help="IDE disk image")
    parser.add_argument("--machine", choices=("auto", *MACHINES), default="auto")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--mem", type=int, default=512, help="megabytes (default 512)")
    parser.add_argument("--model", help="CPU model (default: corei7_skylake_x)")
    parser.add_argument("--ips", type=int, default=20_000_000,
                        help="Bochs: instructions per emulated second (default 20000000)")
    parser.add_argument("--extra", action="append", default=[],
                        help="a line for the bochsrc, an argument for QEMU")
    parser.add_argument("--until", help="end with success when this regular expression is seen")
    parser.add_argument("--fail", help="end with failure when this one is seen")
    parser.add_argument("--timeout", type=float, default=300, help="seconds (default 300)")
    parser.add_argument("--log", type=Path, help="file for the serial output")
    parser.add_argument("--machine-log", type=Path, help="keep the emulator's own log here")
    parser.add_argument("--interactive", action="store_true", help="type into the serial console")
    parser.add_argument("-q", "--quiet", action="store_true", help="no serial output on stdout")
    args = parser.parse_args()
    if not (args.hv or args.linux or args.cdrom or args.disk):
        parser.error("nothing to boot: give --hv, --linux, --cdrom or --disk")
    return args


def run(args: argparse.Namespace, cdrom: Path | None) -> None:
    """Runs the machine until what `args` asks for; raises Ended if that does not come."""
    machine, why = choose(args.machine)
    print(f"boot: {why}", file=sys.stderr)
    spec = MachineSpec(cdrom=cdrom, disks=args.disk, cpus=args.cpus, memory_mb=args.mem,
                       model=args.model, ips=args.ips, extra=args.extra)
    echo = None if args.quiet and not args.interactive else sys.stdout.buffer
    start = time.monotonic()
    with Session(machine, spec, args.log, echo) as session:
        try:
            if args.interactive:
                interact(session)
            elif args.until:
                session.expect(args.until, args.timeout, args.fail)
            else:
                session.wait_end(args.timeout)
        finally:
            session.close_machine()
            seconds, count = time.monotonic() - start, ticks(session.folder)
            print(f"\nboot: {seconds:.1f} s" + (f", {count / 1e6:.0f}M ticks" if count else ""),
                  file=sys.stderr)
            machine_log = session.folder / "bochs.log"
            if args.machine_log and machine_log.exists():
                args.machine_log.write_bytes(machine_log.read_bytes())


def main() -> int:
    """Makes the image if need be, runs it, says how it went."""
    args = parse()
    try:
        with tempfile.TemporaryDirectory(prefix="acrn-boot.") as folder:
            cdrom = args.cdrom
            if args.hv or args.linux:
                cdrom = make_cd(Path(folder) / "boot.iso", boot_from_arguments(args))
            run(args, cdrom)
    except (Ended, OSError) as error:
        print(f"boot: FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
