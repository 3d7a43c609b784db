#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What if a file is damaged at random?  Either it is refused with a line number, or the
tables it gives compile: no exception of Python, no broken C.  MUTATIONS=n tries more."""

import copy
import os
import random
import tempfile
import unittest
from pathlib import Path

import support
from lxml import etree

COUNT = int(os.environ.get("MUTATIONS", "250"))
TEXTS = ("", "0", "-1", "y", "1" * 400, "0x", "0xFFFFFFFFFFFFFFFF", "999999999999999999", "\u00e9",
         "\u0663", 'a"; int x;', "\\", "None", "COM Port 4", "RTVM", "PRE_LAUNCHED_VM", "a\nb",
         "KERNEL_RAWIMAGE", "seri:/dev/ttyS0 type:mmio base:0xFFFFFFFFFFFFFFFF irq:999", "1.5")


def mutate_tree(text: bytes, dice: random.Random) -> bytes:
    root = etree.fromstring(text)
    elements = [e for e in root.iter() if isinstance(e.tag, str)]
    element = dice.choice(elements)
    parent = element.getparent()
    kind = dice.randrange(7)
    if kind == 0 and parent is not None:
        parent.remove(element)
    elif kind == 1 and parent is not None:
        parent.insert(dice.randrange(len(parent) + 1), copy.deepcopy(element))
    elif kind == 2:
        element.text = dice.choice(TEXTS)
    elif kind == 3:
        element.tag = dice.choice(elements).tag
    elif kind == 4:
        element.set(dice.choice(("id", "board", "start", "end", "x")), dice.choice(TEXTS))
    elif kind == 5:
        element.append(copy.deepcopy(dice.choice(elements)))
    else:
        for name in element.attrib:
            del element.attrib[name]
    return bytes(etree.tostring(root))


def mutate_bytes(text: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(text)
    kind = dice.randrange(3)
    if kind == 0:
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    elif kind == 1:
        del damaged[dice.randrange(len(damaged)):]
    else:
        start = dice.randrange(len(damaged))
        del damaged[start:start + dice.randrange(1, 40)]
    return bytes(damaged)


class Mutations(unittest.TestCase):
    def check(self, original: Path, dice: random.Random) -> bool:
        """True if the damaged file was accepted."""
        text = original.read_bytes()
        for _ in range(dice.randrange(1, 4)):
            mutate = dice.choice((mutate_tree, mutate_tree, mutate_bytes))
            try:
                text = mutate(text, dice)
            except (etree.XMLSyntaxError, ValueError):
                break
        with tempfile.TemporaryDirectory() as name:
            damaged = Path(name) / "damaged.xml"
            damaged.write_bytes(text)
            out = Path(name) / "out"
            files = {"board" if original == support.BOARD else "scenario": damaged}
            try:
                support.run(out, **files)
            except support.ConfigError as error:
                self.assertTrue(error.problems)
                for problem in error.problems:
                    self.assertGreaterEqual(problem.line, 1)
                    self.assertNotIn("\n", str(problem))
                return False
            self.assertEqual(support.compile_c("gcc", out), "", text)
            return True

    def test_scenario_and_board(self) -> None:
        for original in (support.SHARED, support.BOARD):
            accepted = 0
            for seed in range(COUNT):
                with self.subTest(file=original.name, seed=seed):
                    accepted += self.check(original, random.Random(seed))
            self.assertGreater(accepted, 0)
            self.assertLess(accepted, COUNT)

    def test_config(self) -> None:
        text = b"CONFIG_MAX_VM_NUM=16\nCONFIG_DEBUG=y\n# CONFIG_SCHED_BVT is not set\n"
        for seed in range(COUNT):
            with self.subTest(seed=seed), tempfile.TemporaryDirectory() as name:
                config = Path(name) / ".config"
                config.write_bytes(mutate_bytes(text, random.Random(seed)))
                try:
                    support.run(Path(name) / "out", kconfig=str(config))
                except support.ConfigError as error:
                    self.assertTrue(error.problems)


if __name__ == "__main__":
    unittest.main()
