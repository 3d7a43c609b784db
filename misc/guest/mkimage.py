#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes what machines boot from: a GRUB CD image, and ext4 disk images.

The CD carries a GRUB core with nothing but the modules it needs and its command
list inside, so that the emulator spends few instructions before the kernel. Two
kinds: a hypervisor with its modules (multiboot 1 or 2), or a bare Linux.

  mkimage.py -o OUT.iso --hv acrn.bin --hv-args "..." \\
             --module FILE:"TAG COMMAND LINE" ... [--multiboot 1]
  mkimage.py -o OUT.iso --linux bzImage [--initrd FILE] [--append "..."]
  mkimage.py -o OUT.img --ext4 MEGABYTES [--add FILE[:PATH]]...
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

GRUB_MODULES = ("iso9660", "serial", "terminal")
GRUB_EFI_MODULES = ("efi_gop", "search", "search_fs_file")


@dataclass
class Module:
    """A file GRUB loads beside the hypervisor, with its tag and command line."""

    path: Path
    command_line: str


@dataclass
class Boot:
    """What GRUB starts: the hypervisor with modules, or a bare Linux."""

    kernel: Path
    command_line: str = ""
    modules: list[Module] = field(default_factory=list)
    initrd: Path | None = None
    protocol: str = "multiboot2"  # or "multiboot", or "linux"
    tables: list[Path] = field(default_factory=list)  # ACPI, in place of the BIOS's of that name
    video: str = "text"  # or a mode of GRUB's gfxpayload, for the hypervisor
    efi: bool = False  # for UEFI firmware, not for a BIOS


def _quote(text: str) -> str:
    """GRUB's rescue parser splits at spaces and strips quotes: keep what is quoted."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def grub_commands(boot: Boot, names: dict[Path, str]) -> str:
    """GRUB's command list; `names` maps host files to paths on the image."""
    lines = ["serial --unit=0 --speed=115200", "terminal_output serial"]
    if boot.efi:
        lines.append(f"search --file {names[boot.kernel]} --set root")
    if boot.tables:
        signatures = ",".join(path.read_bytes()[:4].decode() for path in boot.tables)
        files = " ".join(names[path] for path in boot.tables)
        lines.append(f"acpi --exclude={signatures} {files}")
    lines.append(f"{boot.protocol} {names[boot.kernel]} {_quote(boot.command_line)}")
    load = {"multiboot2": "module2", "multiboot": "module"}.get(boot.protocol, "")
    for module in boot.modules:
        lines.append(f"{load} {names[module.path]} {_quote(module.command_line)}")
    if boot.initrd:
        lines.append(f"initrd {names[boot.initrd]}")
    if load:
        lines.append(f"set gfxpayload={boot.video}")  # the line above set it to what the image likes
    lines.append("boot")
    return "\n".join(lines) + "\n"


def _run(command: list[str]) -> None:
    """Runs a tool; its output is shown only if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"{command[0]} failed:\n{result.stdout}{result.stderr}".rstrip())


def make_cd(output: Path, boot: Boot) -> Path:
    """Writes a bootable CD image to `output`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="acrn-cd.") as temporary:
        folder = Path(temporary) / "cd"
        (folder / "boot").mkdir(parents=True)
        names: dict[Path, str] = {}
        files = [boot.kernel, *(module.path for module in boot.modules), *boot.tables]
        for path in files + ([boot.initrd] if boot.initrd else []):
            if path not in names:
                # A number in front: two files of one name stay apart.
                names[path] = f"/boot/{len(names)}_{path.name}"
                shutil.copyfile(path, folder / names[path].lstrip("/"))
        commands = Path(temporary) / "grub.cfg"
        commands.write_text(grub_commands(boot, names))
        core = ["grub-mkimage", "-p", "/boot", "-c", str(commands)]
        modules = [boot.protocol, *GRUB_MODULES, *(["acpi"] if boot.tables else [])]
        iso = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", str(output)]
        if boot.efi:
            loader = Path(temporary) / "BOOTX64.EFI"
            _run([*core, "-O", "x86_64-efi", "-o", str(loader), *modules, *GRUB_EFI_MODULES])
            partition = str(folder / "boot" / "efi.img")
            _run(["mformat", "-C", "-i", partition, "-f", "2880", "::"])
            _run(["mmd", "-i", partition, "::/EFI", "::/EFI/BOOT"])
            _run(["mcopy", "-i", partition, str(loader), "::/EFI/BOOT/"])
            _run([*iso, "--efi-boot", "boot/efi.img", "-no-emul-boot", str(folder)])
        else:
            _run([*core, "-O", "i386-pc-eltorito", "-o", str(folder / "boot" / "grub.img"),
                  *modules, "biosdisk"])
            _run([*iso, "-b", "boot/grub.img", "-no-emul-boot", "-boot-load-size", "4",
                  "-boot-info-table", str(folder)])
    return output


def make_ext4(output: Path, megabytes: int, added: list[tuple[Path, str]]) -> Path:
    """Writes a sparse ext4 image with the given files (host path, guest path)."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="acrn-disk.") as temporary:
        for source, target in added:
            place = Path(temporary) / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            _run(["cp", "--sparse=always", "--preserve=mode", str(source), str(place)])
        output.unlink(missing_ok=True)
        with open(output, "wb") as image:
            image.truncate(megabytes << 20)
        # Everything is initialised here, so that no guest spends time on it later.
        # By its path: Debian's users have no sbin in their PATH.
        _run(["/sbin/mkfs.ext4", "-q", "-F", "-d", temporary, "-m", "0",
              "-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", str(output)])
    return output


def parse_module(text: str) -> Module:
    """FILE:TAG AND COMMAND LINE"""
    path, colon, line = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text}: expected FILE:\"TAG COMMAND LINE\"")
    return Module(Path(path), line)


def parse_added(text: str) -> tuple[Path, str]:
    """FILE[:PATH]; without a path the file goes to the root folder."""
    source, _, target = text.partition(":")
    return Path(source), target or f"/{Path(source).name}"


def add_boot_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say what GRUB starts."""
    parser.add_argument("--hv", type=Path, help="hypervisor image")
    parser.add_argument("--hv-args", default="", help="hypervisor command line")
    parser.add_argument("--module", type=parse_module, action="append", default=[],
                        metavar='FILE:"TAG LINE"', help="module with tag and command line")
    parser.add_argument("--multiboot", choices=("1", "2"), default="2", help="protocol for --hv")
    parser.add_argument("--linux", type=Path, help="bare Linux kernel instead of --hv")
    parser.add_argument("--initrd", type=Path, help="initramfs for --linux")
    parser.add_argument("--append", default="", help="command line for --linux")


def boot_from_arguments(args: argparse.Namespace) -> Boot:
    """What add_boot_arguments() parsed."""
    if args.hv:
        protocol = "multiboot" if args.multiboot == "1" else "multiboot2"
        return Boot(args.hv, args.hv_args, args.module, protocol=protocol)
    return Boot(args.linux, args.append, initrd=args.initrd, protocol="linux")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    add_boot_arguments(parser)
    parser.add_argument("--ext4", type=int, metavar="MEGABYTES", help="make an ext4 disk image")
    parser.add_argument("--add", type=parse_added, action="append", default=[],
                        metavar="FILE[:PATH]", help="file to put on the ext4 image")
    args = parser.parse_args()
    if sum(bool(kind) for kind in (args.hv, args.linux, args.ext4)) != 1:
        parser.error("give exactly one of --hv, --linux, --ext4")
    try:
        if args.ext4:
            make_ext4(args.output, args.ext4, args.add)
        else:
            make_cd(args.output, boot_from_arguments(args))
    except OSError as error:
        print(f"mkimage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
