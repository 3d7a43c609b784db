#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does the footprint count what was linked, and notice what should not have been?"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "misc/footprint"))

import footprint  # noqa: E402

MAP = """
LOAD /o/hypervisor/guest/vm.o
LOAD /o/hypervisor/vapic/vlapic.o
LOAD /usr/lib/libc.a
 .text 0x1 0x2 /o/hypervisor/guest/vm.o
"""


class Footprint(unittest.TestCase):
    def test_objects_come_from_the_map(self) -> None:
        self.assertEqual(footprint.linked_objects(MAP),
                         ["/o/hypervisor/guest/vm.o", "/o/hypervisor/vapic/vlapic.o"])

    def test_sources_come_from_the_first_rule(self) -> None:
        text = "/o/vm.o: guest/vm.c \\\n include/hv/vm.h\n\ninclude/hv/vm.h:\n"
        self.assertEqual(footprint.prerequisites(text), ["guest/vm.c", "include/hv/vm.h"])

    def test_comments_and_blank_lines_do_not_count(self) -> None:
        text = '/* a\n b */\n\nint a; /* c */\n// d\nchar *s = "/* no comment";\n#if 1\n'
        self.assertEqual(footprint.code_lines(text, False), 3)
        self.assertEqual(footprint.code_lines("# a comment\nmov %a, %b\n#include <x>\n", True), 2)

    def test_object_of_an_absent_folder(self) -> None:
        objects = ["footprint/x/hypervisor/guest/vm.o", "footprint/x/hypervisor/vapic/vlapic.o",
                   "footprint/x/hypervisor/debug/shell.o", "footprint/x/hypervisor/debug/none.o",
                   "footprint/x/hypervisor/ext/nest/a.o"]
        self.assertEqual(footprint.forbidden(objects, "CONFIG_VAPIC := y\nCONFIG_DEBUG := y\nCONFIG_EXT_NEST := y\n"), [])
        found = footprint.forbidden(objects, "CONFIG_VAPIC :=\nCONFIG_DEBUG :=\n")
        self.assertEqual(len(found), 3)
        self.assertIn("vlapic.o is linked without CONFIG_VAPIC", found[0])

    def test_map_without_objects_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            Path(name, "hypervisor").mkdir()
            Path(name, "hypervisor/acrn.map").write_text("nothing\n")
            with self.assertRaises(footprint.FootprintError):
                footprint.measure(Path(name), "hypervisor/acrn.map", "hypervisor/acrn.elf")


if __name__ == "__main__":
    unittest.main()
