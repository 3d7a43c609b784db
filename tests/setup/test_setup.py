# SPDX-License-Identifier: BSD-3-Clause
"""The scripts that prepare a machine, on machines made of a PATH and fake Debian tools.

The fakes read what is installed and what the release has from files, and write
down what apt-get was asked for.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TOOLS = ("cat", "chmod", "dirname", "env", "flock", "grep", "head", "mkdir", "mktemp", "mv",
         "readlink", "rm", "sed", "sh", "tail", "tr", "true")
PACKAGES = """\
# a comment
cc                      # compiles
source-6.1|source-6.12  # for the kernel
"""
DPKG_QUERY = """\
while read -r name version; do
	for last; do :; done
	[ "$name" != "$last" ] || case $* in
	*Version*) printf %s "$version" ;;
	*) printf installed ;;
	esac
done <$STATE/installed
"""
# Like apt's: what the name merely begins is answered for as well.
APT_CACHE = """\
grep "^$2" $STATE/release | while read -r name; do
	printf '%s:\\n  Installed: (none)\\n  Candidate: 1.0\\n' "$name"
done
"""
APT_GET = """\
echo "$*" | sed 's/.*DPkg::Lock::Timeout=600 //' >>$STATE/asked
case "$* " in *" $(cat $STATE/fails) "*) echo 'apt says no'; exit 100 ;; esac
case $* in indextargets*) echo 'Debian Debian main http://mirror' ;; esac
"""


class Setup(unittest.TestCase):
    """A machine that has what each test says."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name)
        self.bin = self.state / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.fake("dpkg-query", DPKG_QUERY)
        self.fake("apt-cache", APT_CACHE)
        self.fake("apt-get", APT_GET)
        self.fake("id", "echo 0")
        for name in ("installed", "release", "asked", "fails"):
            (self.state / name).write_text("-\n" if name == "fails" else "", encoding="utf-8")

    def fake(self, name: str, script: str) -> None:
        """Puts a program of this name on the machine."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
        path.chmod(0o755)

    def has(self, **files: str) -> None:
        """What is installed, what the release has, which word apt-get fails at."""
        for name, text in files.items():
            (self.state / name).write_text(text + "\n", encoding="utf-8")

    def asked(self) -> list[str]:
        """The commands that apt-get was given."""
        return (self.state / "asked").read_text(encoding="utf-8").splitlines()

    def run_script(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Runs it with nothing on the PATH but the machine."""
        environment = {"PATH": str(self.bin), "STATE": str(self.state), "HOME": str(self.state),
                       "TMPDIR": str(self.state)}
        return subprocess.run([str(script)], env=environment, capture_output=True, text=True,
                              check=False)


class Install(Setup):
    """misc/setup/install.sh"""

    def install(self) -> subprocess.CompletedProcess[str]:
        """Runs it with the package list above."""
        script = self.state / "install.sh"
        shutil.copy(TOP / "misc/setup/install.sh", script)
        (self.state / "packages.txt").write_text(PACKAGES, encoding="utf-8")
        return self.run_script(script)

    def test_older_release(self) -> None:
        # Is the first alternative taken where the release has it?
        self.has(release="cc\nsource-6.1")
        self.assertEqual(self.install().returncode, 0)
        self.assertEqual(self.asked()[-1], "install --no-install-recommends cc source-6.1")

    def test_newer_release(self) -> None:
        # Is the second taken where apt answers for it when asked for the first?
        self.has(release="cc\nsource-6.12", installed="cc 1")
        self.assertEqual(self.install().returncode, 0)
        self.assertEqual(self.asked()[-1], "install --no-install-recommends source-6.12")

    def test_all_there(self) -> None:
        # Is a machine that has everything left alone, without a word, by any user?
        self.has(installed="cc 1\nsource-6.12 1")
        self.fake("id", "echo 1000")
        result = self.install()
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))
        self.assertEqual(self.asked(), [])

    def test_no_sudo(self) -> None:
        # What does a user without root's help learn: what is missing, and what to do?
        self.fake("id", "echo 1000")
        result = self.install()
        self.assertEqual(result.returncode, 1)
        for part in ("source-6.1|source-6.12\n", "not root", f"root run {self.state}/install.sh"):
            self.assertIn(part, result.stderr)
        self.assertEqual(self.asked(), [])

    def test_sudo_refuses(self) -> None:
        # Does a user whom sudo refuses learn the same, before anything else fails?
        self.fake("id", "echo 1000")
        self.fake("sudo", "echo 'joe is not in the sudoers file' >&2; exit 1")
        result = self.install()
        self.assertEqual(result.returncode, 1)
        self.assertIn("joe is not in the sudoers file\n", result.stderr)
        self.assertIn("sudo does not let this user", result.stderr)
        self.assertEqual(self.asked(), [])

    def test_sudo(self) -> None:
        # Does apt-get run through sudo for a user who may?
        self.fake("id", "echo 1000")
        self.fake("sudo", 'echo sudo >>"$STATE/sudos"; exec "$@"')
        self.has(release="cc\nsource-6.1")
        self.assertEqual(self.install().returncode, 0)
        self.assertEqual(len((self.state / "sudos").read_text().splitlines()), 3)

    def test_not_in_release(self) -> None:
        # Is a package that the release has not named with its reason, and nothing installed?
        self.has(release="cc")
        result = self.install()
        self.assertEqual(result.returncode, 1)
        self.assertIn("'source-6.1|source-6.12' (for the kernel)", result.stderr)
        self.assertEqual(self.asked(), ["update"])

    def test_update_fails(self) -> None:
        # What if one source of the lists is down, but what is wanted is known already?
        self.has(release="cc\nsource-6.1", fails="update")
        self.assertEqual(self.install().returncode, 0)

    def test_install_fails(self) -> None:
        # Are apt's own words shown when it fails?
        self.has(release="cc\nsource-6.1", fails="install")
        result = self.install()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("apt says no", result.stderr)


class Images(unittest.TestCase):
    """misc/guest/mkimage.py"""

    def test_user_path(self) -> None:
        # Can a user whose PATH is Debian's, without sbin, make a disk?
        script = ("from pathlib import Path; from misc.guest.mkimage import make_ext4; import sys; "
                  "make_ext4(Path(sys.argv[1]), 2, [])")
        with tempfile.TemporaryDirectory() as folder:
            disk = Path(folder, "disk.img")
            subprocess.run([sys.executable, "-c", script, disk], cwd=TOP, check=True,
                           env={"PATH": "/usr/local/bin:/usr/bin:/bin"})
            self.assertEqual(disk.stat().st_size, 2 << 20)


class FetchBochs(Setup):
    """misc/run/fetch-bochs.sh, on machines that cannot reach the archive"""

    def fetch(self, installed: str) -> subprocess.CompletedProcess[str]:
        """Runs it where this version of Bochs is installed and no download works."""
        self.has(installed=f"bochs {installed}" if installed else "", fails="update")
        return self.run_script(TOP / "misc/run/fetch-bochs.sh")

    def test_installed_30(self) -> None:
        # Is an installed 3.0 taken as it is, without a download?
        result = self.fetch("3.0+dfsg-1")
        self.assertEqual(result.stdout, "/usr/bin/bochs-bin\n")
        self.assertEqual(self.asked(), [])

    def test_installed_27(self) -> None:
        # What if 3.0 cannot be fetched: is Debian 12's taken, and why said?
        result = self.fetch("2.7+dfsg-4")
        self.assertEqual((result.returncode, result.stdout), (0, "/usr/bin/bochs-bin\n"))
        self.assertIn("apt says no", result.stderr)
        self.assertIn("using the installed 2.7+dfsg-4", result.stderr)

    def test_installed_31(self) -> None:
        # Is 3.1, which divides wrongly, refused?
        result = self.fetch("3.1+dfsg-1")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("none fit is installed", result.stderr)

    def test_none(self) -> None:
        # What if there is none at all?
        self.assertEqual(self.fetch("").returncode, 1)


if __name__ == "__main__":
    unittest.main()
