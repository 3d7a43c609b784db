#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make run: boots the hypervisor, a Service VM, and in it acrn-dm with a User VM.

You get the console: the hypervisor's log, the Service VM's, then the User VM's
shell. poweroff in it ends acrn-dm and leaves you in the Service VM's shell,
where poweroff ends the machine.

With --noninteractive a script takes your place: it waits for the User VM's
prompt, runs a command, types poweroff, and wants to see acrn-dm end with 0.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# pylint: disable=wrong-import-position
from misc.run.choose import MACHINES, choose
from misc.run.console import interact
from misc.run.image import ServiceVm, build_kernel, make_cdrom, make_disk
from misc.run.machine import TOP, MachineSpec
from misc.run.session import Ended, Session

BROKEN = r"Kernel panic|\bBUG: |PANIC:"


@dataclass
class Step:
    """Something the console must show, within seconds, and what to type then."""

    what: str
    pattern: str
    seconds: float
    type: str = ""
    fail: str = field(default=BROKEN)


# Seconds are an upper bound on a slow host; Bochs needs about a tenth.
STEPS = (
    Step("the Service VM starts", r"service-vm: up", 300),
    Step("acrn-dm launches the User VM's Linux", r"user-vm: up", 600,
         fail=BROKEN + "|service-vm: launch ended"),
    Step("its shell waits for commands", r"user-vm:\S*[#$] $", 120, "echo sum $((6 * 7))\n"),
    Step("it runs a command", r"^sum 42$", 60),
    Step("and prompts again", r"user-vm:\S*[#$] $", 60, "poweroff\n"),
    Step("poweroff ends acrn-dm with status 0", r"service-vm: launch ended with status 0", 120,
         fail=BROKEN + r"|launch ended with status [1-9]\d*"),
)


def say(text: str) -> None:
    """One line of progress."""
    print(f"run: {text}", flush=True)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-O", "--output", type=Path, default=TOP / "build", help="build folder")
    parser.add_argument("--noninteractive", action="store_true")
    parser.add_argument("--machine", choices=("auto", *MACHINES), default="auto")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--mem", type=int, default=512, help="megabytes")
    parser.add_argument("--hv-args", default="", help="hypervisor command line")
    parser.add_argument("--verbose", action="store_true", help="the Service VM's kernel log too")
    return parser.parse_args()


def make_images(args: argparse.Namespace) -> MachineSpec:
    """Makes CD and disk in the build folder; what boots from them."""
    folder = args.output / "image"
    kernel_args = "console=ttyS0" + ("" if args.verbose else " quiet")
    if args.noninteractive:
        kernel_args += " acrn.after=poweroff"
    vm = ServiceVm(hypervisor=args.output / "hypervisor" / "acrn.bin",
                   kernel=build_kernel() / "bzImage",
                   acrn_dm=args.output / "devicemodel" / "acrn-dm",
                   service_files=[(args.output / "misc" / tool, f"/bin/{tool}")
                                  for tool in ("acrnctl", "acrnd")],
                   hv_args=args.hv_args, kernel_args=kernel_args)
    say(f"making the boot images in {folder} (2 seconds)")
    return MachineSpec(cdrom=make_cdrom(vm, folder), disks=[make_disk(vm, folder)],
                       cpus=args.cpus, memory_mb=args.mem)


def play(session: Session) -> None:
    """Takes a person's place; raises Ended at the first step that fails."""
    start = time.monotonic()
    for number, step in enumerate(STEPS, 1):
        try:
            session.expect(step.pattern, step.seconds, step.fail)
        except Ended as error:
            raise Ended(f"step {number} of {len(STEPS)}, {step.what}: {error}") from error
        say(f"step {number} of {len(STEPS)}: {step.what} ({time.monotonic() - start:.0f} s)")
        if step.type:
            session.send(step.type)
    session.wait_end(120)
    say("the machine is off")


def main() -> int:
    """Images, machine, console."""
    args = parse()
    try:
        spec = make_images(args)
        machine, why = choose(args.machine)
        log = args.output / "image" / "console.log"
        say(f"booting in {why}")
        say(f"the User VM's shell comes in 10 to 60 seconds; the log is {log}")
        with Session(machine, spec, log, sys.stdout.buffer) as session:
            if args.noninteractive:
                play(session)
            else:
                interact(session)
    except (Ended, OSError) as error:
        print(f"\nrun: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrun: interrupted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
