#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does each check find what it is there to find?  A tree that is right passes all; one
mistake planted in it is found by the check named, on its line."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parent / "check.py"
SPDX_C = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
SPDX_SH = "# SPDX-License-Identifier: BSD-3-Clause\n"
HEAD = SPDX_C + "/*\n * What it owns,\n * who calls it\n * and what it never does.\n */\n"

GOOD = {
    "hypervisor/include/hv/vm.h": SPDX_C + "#ifndef HV_VM_H\n#define HV_VM_H\nint vm_run(int);\n"
                                           "#endif\n",
    "hypervisor/include/hv/vlapic.h": SPDX_C + "#ifndef HV_VLAPIC_H\n#define HV_VLAPIC_H\n"
                                               "int vlapic_eoi(int);\n#endif\n",
    "hypervisor/guest/vm.c": HEAD + '#include "hv/vm.h"\n\nint vm_run(int a)\n{\n\treturn a;\n}\n',
    "hypervisor/vapic/vlapic.c": HEAD + '#include "hv/vlapic.h"\n#include "hv/vm.h"\n\n'
                                        "int vlapic_eoi(int a)\n{\n\treturn vm_run(a);\n}\n",
    "hypervisor/arch/x86/vmx/entry.S": SPDX_C + "vmx_entry:\n\tvmresume\n",
    "devicemodel/core/pio.c": HEAD + "#include <stddef.h>\n\nstatic int pio_in(const int *p)\n{\n"
                              "\treturn p == NULL ? 0 : *p;\n}\n\nint pio_read(int *p);\n"
                              "int pio_read(int *p)\n{\n\treturn pio_in(p);\n}\n",
    "Kconfig": SPDX_SH + "config DEBUG\n\tbool\n",
    "hypervisor/Makefile": SPDX_SH + "X-$(CONFIG_DEBUG) := y\n",
    "Makefile": SPDX_SH + ".PHONY: all run\nall: x.c\nrun: all\n",
    "doc/path-x.md": "<!-- SPDX-License-Identifier: BSD-3-Clause -->\n`vm_run()` `vmx_entry()`\n"
                     "`hypervisor/guest/vm.c` `hypervisor/{guest,vapic}/*.c` `make run`\n"
                     "`make O=x`\n",
    "misc/x.sh": "#!/bin/sh\n" + SPDX_SH + 'echo "$1"\n',
    "misc/y.py": "#!/usr/bin/python3\n" + SPDX_SH + "print()\n",
}

# (check, file, its new text or a replacement in it, "file:line" that must be blamed)
MISTAKES: tuple[tuple[str, str, str | tuple[str, str], str], ...] = (
    ("spdx_line", "misc/x.sh", "#!/bin/sh\necho\n", "misc/x.sh:2"),
    ("spdx_line", "doc/a.md", "# A\n", "doc/a.md:1"),
    ("header_comment", "hypervisor/guest/vm.c", (" * who calls it\n", " * word\n" * 9),
     "hypervisor/guest/vm.c:2"),
    ("header_comment", "hypervisor/guest/vm.c", SPDX_C + "/* Short. */\nint a;\n",
     "hypervisor/guest/vm.c:2"),
    ("file_size", "hypervisor/guest/vm.c", HEAD + "\n" * 600, "hypervisor/guest/vm.c:600"),
    ("function_size", "hypervisor/guest/vm.c", ("\treturn a;\n", "\ta++;\n" * 100),
     "hypervisor/guest/vm.c:9"),
    ("function_layout", "hypervisor/guest/vm.c", ("int vm_run(int a)\n{", "int vm_run(int a) {"),
     "hypervisor/guest/vm.c:1"),
    ("config_conditionals", "hypervisor/guest/vm.c", HEAD + "#ifdef CONFIG_A\n#endif\n" * 11,
     "hypervisor/guest/vm.c:7"),
    ("kconfig_symbols", "hypervisor/guest/vm.c", ("\treturn a;", "\treturn CONFIG_GONE;"),
     "hypervisor/guest/vm.c:11"),
    ("kconfig_symbols", "Kconfig", SPDX_SH + "config DEBUG\nconfig UNUSED\n", "Kconfig:3"),
    ("vmx_instructions", "hypervisor/guest/vm.c", ("\treturn a;", '\t__asm__("vmread %0, %1");'),
     "hypervisor/guest/vm.c:11"),
    ("vmx_instructions", "hypervisor/boot/a.S", SPDX_C + "\tvmxon (%rax)\n",
     "hypervisor/boot/a.S:2"),
    ("unfinished", "misc/y.py", ("print()", "# TO" + "DO: all"), "misc/y.py:3"),
    ("project_alone", "misc/y.py", ("print()", "# see /wo" + "rk/main"), "misc/y.py:3"),
    ("public_names", "hypervisor/guest/vm.c", ("vm_run(int a)", "run(int a)"),
     "hypervisor/guest/vm.c:9"),
    ("doc_paths", "doc/path-x.md", ("guest/vm.c`", "guest/gone.c`"), "doc/path-x.md:3"),
    ("doc_paths", "doc/path-x.md", ("{guest,vapic}", "{guest,gone}"), "doc/path-x.md:3"),
    ("doc_paths", "doc/path-x.md", ("make run", "make walk"), "doc/path-x.md:3"),
    ("doc_functions", "doc/path-x.md", ("vm_run()", "vm_walk()"), "doc/path-x.md:2"),
    ("header_owner", "hypervisor/include/hv/gone.h", SPDX_C, "hypervisor/include/hv/gone.h:1"),
    ("include_direction", "hypervisor/guest/vm.c", ('"hv/vm.h"', '"hv/vlapic.h"'),
     "hypervisor/guest/vm.c:7"),
    ("optional_folders", "hypervisor/include/hv/vm.h", ("int vm", '#include "hv/vlapic.h"\nint vm'),
     "hypervisor/include/hv/vm.h:4"),
    ("headers_alone", "hypervisor/include/hv/vm.h", ("int vm", "uint64_t vm"),
     "hypervisor/include/hv/vm.h:1"),
    ("layout", "hypervisor/guest/vm.c", ("\treturn", "  return"), "hypervisor/guest/vm.c:10"),
    ("cppcheck", "devicemodel/core/pio.c", ("return p == NULL ? 0 : *p", "int *q = NULL; return *q"),
     "devicemodel/core/pio.c:11"),
    ("clang_tidy", "devicemodel/core/pio.c", ("return p == NULL ? 0 : *p", "return *p == *p"),
     "devicemodel/core/pio.c:11"),
    ("clang_tidy", "devicemodel/core/pio.c", ("<stddef.h>", '"gone.h"'), "devicemodel/core/pio.c:7"),
    ("analyzer", "devicemodel/core/pio.c",
     ("return p == NULL ? 0 : *p", "int *q = __builtin_malloc(4); return *p + *q"),
     "devicemodel/core/pio.c:11"),
    ("misra", "hypervisor/guest/vm.c", ("\treturn", "\tif (a > 0)\n\t\tvm_run(a - 1);\n\treturn"),
     "hypervisor/guest/vm.c:11"),
    ("misra", "doc/deviations.md", "| `hypervisor/guest/vm.c` | 15.6 | `if (gone)` | reason |\n",
     "doc/deviations.md:1"),
    ("shell", "misc/x.sh", ('"$1"', "$1"), "misc/x.sh:3"),
    ("python", "misc/y.py", ("print()", "print("), "misc/y.py:3"),
    ("python", "misc/y.py", ("/usr/bin/python3", "/usr/bin/env python3"), "misc/y.py:1"),
)


def run(files: dict[str, str], *names: str) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        Path(folder, ".clang-format").write_bytes(CHECK.parents[2].joinpath(
            ".clang-format").read_bytes())
        environment = os.environ | {"CHECK_ROOT": folder, "GIT_CEILING_DIRECTORIES": "/"}
        result = subprocess.run([str(CHECK), *names], env=environment, capture_output=True,
                                text=True, check=False)
        return result.returncode, result.stdout + result.stderr


class Checks(unittest.TestCase):
    def test_right_tree_passes(self) -> None:
        status, output = run(GOOD)
        self.assertEqual(status, 0, output)
        status, output = run(GOOD, "public_names", "layout")
        self.assertEqual(status, 0, output)

    def test_mistakes_are_found(self) -> None:
        for name, file, change, blamed in MISTAKES:
            with self.subTest(check=name, file=file, change=change):
                text = change
                if isinstance(change, tuple):
                    self.assertIn(change[0], GOOD[file])
                    text = GOOD[file].replace(*change)
                status, output = run({**GOOD, file: str(text)}, name)
                self.assertEqual(status, 1, output)
                self.assertIn(f"{blamed}:", output)

    def test_every_check_is_tested(self) -> None:
        names = subprocess.run([str(CHECK), "--list"], capture_output=True, text=True,
                               check=True).stdout.replace(" (report)", "").split()
        self.assertEqual(set(names) - {mistake[0] for mistake in MISTAKES}, {"headers_behind"})

    def test_many_headers_behind_one_file(self) -> None:
        headers = {f"hypervisor/include/lib/h{n}.h": SPDX_C for n in range(26)}
        text = HEAD + "".join(f'#include "lib/h{n}.h"\n' for n in range(26))
        status, output = run(GOOD | headers | {"hypervisor/guest/vm.c": text}, "headers_behind")
        self.assertEqual(status, 1, output)
        self.assertIn("hypervisor/guest/vm.c:1: 26 headers", output)

    def test_unknown_name(self) -> None:
        self.assertEqual(run(GOOD, "no_such")[0], 2)


if __name__ == "__main__":
    unittest.main()
