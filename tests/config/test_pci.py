#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""PCI devices of pre-launched VMs: what the tables say of them, and who may not have which."""

import re
import unittest

import support

BARE = (support.ROOT / "configs/scenarios/bochs/bare.xml").read_text()
HYBRID = (support.ROOT / "configs/scenarios/bochs/hybrid.xml").read_text()
BOARD = support.BOARD.read_text()
NIC = "<pci_dev>00:02.0 Ethernet controller: Intel Corporation 82540EM Gigabit Ethernet Controller</pci_dev>"
TWO = "<pci_devs>" + NIC + "</pci_devs>"
OTHERS = """
    02:00.0 Network controller: one
    02:00.1 Network controller: its second function
    Region 0: Memory at c0200000 (32-bit, non-prefetchable) [size=128K]
    02:00.2 Network controller: its third
  </PCI_DEVICE>"""


def second(text: str, more: str) -> str:
    """The scenario with more elements in its second VM."""
    at = text.rindex("</vm>")
    return text[:at] + more + text[at:]


class Pci(unittest.TestCase):
    def expect(self, said: str, scenario: str, board: str | None = None) -> None:
        found = support.problems(scenario=scenario, board=board)
        self.assertEqual(len(found), 1, found)
        self.assertIn(said, found[0])

    def test_tables(self) -> None:
        # Are a device's address and its pin in the table, the last line being that of the rest?
        board = BOARD.replace("</PCI_DEVICE>", OTHERS)
        text = BARE.replace("(9, 10)", "(9, 10) (0x10,5)").replace(
            NIC, NIC + "<pci_dev>02:00.1</pci_dev><pci_dev/><pci_dev>02:00.0 x</pci_dev>")
        files = support.run_text(scenario=text, board=board)
        for line in ("{ .bdf = 0x10U, .irq = 10U },", "{ .bdf = 0x201U, .irq = 5U },",
                     "{ .bdf = 0x200U, .irq = 5U },", ".pci_count = 3U,", ".intx_count = 2U,",
                     "{ .gsi = 9U, .vm_gsi = 10U },", "{ .gsi = 16U, .vm_gsi = 5U },"):
            self.assertIn(line, files["vm_config.c"])
        self.assertRegex(files["config.h"], "#define CONFIG_PRE_PCI 1")
        without = support.run_text(scenario=re.sub("<pt_intx>.*", "", BARE))
        self.assertIn("{ .bdf = 0x10U, .irq = 255U },", without["vm_config.c"])
        self.assertIn("/* CONFIG_PRE_PCI is not set", support.run_text()["config.h"])

    def test_devices(self) -> None:
        # What if a device is not there, a bridge, the console, or another VM's?
        board = BOARD.replace("</PCI_DEVICE>", OTHERS)
        self.expect("board bochs has no PCI device 00:05.0", BARE.replace("00:02.0", "00:05.0"))
        self.expect("PCI device 00:01.0 is a bridge", BARE.replace("00:02.0", "00:01.0"))
        self.expect("PCI device 00:01.3 is a bridge", BARE.replace("00:02.0", "00:01.3"))
        self.expect('"Ethernet" begins with no PCI address', BARE.replace(NIC, "<pci_dev>Ethernet</pci_dev>"))
        self.expect("PCI device 00:02.0 of raw16 is kernel32's already", second(BARE, TWO))
        self.expect("PCI device 00:02.0 of kernel32 is kernel32's already", BARE.replace(NIC, NIC + NIC))
        self.expect("PCI device 00:02.0 is the hypervisor's console", BARE,
                    BOARD.replace("irq:4", 'irq:4 bdf:"00:02.0"'))
        self.expect("kernel32 has more than 31 PCI devices",
                    BARE.replace(NIC, "".join(f"<pci_dev>03:{n:02x}.0 x</pci_dev>" for n in range(32))),
                    BOARD.replace("</PCI_DEVICE>", "".join(f"\n03:{n:02x}.0 x" for n in range(32))
                                  + "</PCI_DEVICE>"))
        # A Service VM looks at function 0 to learn that there are others.
        device = "<pci_devs><pci_dev>{}</pci_dev></pci_devs><vm_type>"
        first = HYBRID.replace("<vm_type>", device.format("02:00.0 x"), 1)
        self.expect("would not find 02:00.1 without PCI device 02:00.0", first, board)
        third = HYBRID.replace("<vm_type>", device.format("02:00.2 x"), 1)
        self.assertEqual(support.problems(scenario=third, board=board), [])
        every = first.replace("02:00.0 x</pci_dev>", "02:00.0</pci_dev><pci_dev>02:00.1</pci_dev>"
                                                     "<pci_dev>02:00.2</pci_dev>")
        self.assertEqual(support.problems(scenario=every, board=board), [])

    def test_lines(self) -> None:
        # What if an interrupt line is not one, is used, or is given where its end is not seen?
        def lines(text: str) -> str:
            return BARE.replace("(9, 10)", text)

        self.expect('<pt_intx> is "9, 10"', lines("9, 10"))
        self.expect('<pt_intx> is "(9, 10) 7"', lines("(9, 10) 7"))
        self.expect("board bochs has no interrupt line 24", lines("(24, 10)"))
        self.expect("interrupt line 4 is that of the hypervisor's console", lines("(4, 10)"))
        self.expect("interrupt line 9 of kernel32 is kernel32's already", lines("(9, 10)(9, 11)"))
        for pin in ("0", "24", "4"):  # 4: its serial port
            self.expect(f"pin {pin} of kernel32's I/O APIC is not", lines(f"(9, {pin})"))
        self.expect("pin 10 of kernel32's I/O APIC is not", lines("(9, 10), (11, 10)"))
        self.expect("raw16 has an interrupt line and no PCI device",
                    second(BARE, "<pt_intx>(11, 5)</pt_intx>"))
        self.expect("nobody would see the end of its interrupts",
                    BARE.replace("<pt_intx>", "<lapic_passthrough>y</lapic_passthrough><pt_intx>"))

    def test_no_effect(self) -> None:
        # Of other VMs the two elements have no effect: are they named only then?
        from scenario import read_scenario

        for text, named in ((BARE, set()), (second(HYBRID, TWO), {"pci_devs"})):
            path = support.ROOT / "build/tests/pci.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self.assertEqual(set(read_scenario(path).file.without_effect()), named)


class Emulated(unittest.TestCase):
    """Functions that the hypervisor emulates in a pre-launched VM."""

    def test_bus_for_what_is_emulated(self) -> None:
        # Does a VM with shared memory or a PCI line alone get a bus, and a VM with neither none?
        given = (support.ROOT / "configs/scenarios/bochs/given.xml").read_text()
        none = re.sub(r"<pt_intx>.*?</pci_devs>", "", given, flags=re.DOTALL)
        memory = re.sub(r"<vuart_connections>.*</vuart_connections>", "", none, flags=re.DOTALL)
        line = re.sub(r"<IVSHMEM>.*</IVSHMEM>", "", none, flags=re.DOTALL)
        neither = re.sub(r"<IVSHMEM>.*</IVSHMEM>", "", memory, flags=re.DOTALL)
        root = ", ".join(f"0x{byte:02x}" for byte in b"PCI0")
        for text, has_bus in ((given, True), (none, True), (memory, True), (line, True),
                              (neither, False)):
            files = support.run_text(scenario=text)
            owner, service = files["vm_config.c"].split("[1] =")
            self.assertEqual(".has_pci = true" in owner, has_bus)
            self.assertNotIn("has_pci", service)
            self.assertEqual("#define CONFIG_PRE_PCI 1" in files["config.h"], has_bus)
            table = owner.partition("acpi_vm0")[2].partition("};")[0]
            self.assertEqual(root in " ".join(table.split()), has_bus)
        table = support.run_text(scenario=memory)["vm_config.c"]
        self.assertIn(".vms = 0x3UL, .bdf = (const uint16_t[]){ 0x40U, 0x0U }", table)
        table = support.run_text(scenario=line)["vm_config.c"]
        self.assertEqual(table.count(".type = VUART_PCI, .pci_index = 1U"), 2)
        found = support.problems(scenario=memory, config="CONFIG_PRE_PCI=n\n")
        self.assertEqual(found, [".config:1: CONFIG_PRE_PCI is off, but a pre-launched VM of the "
                                 "scenario has a PCI function; write CONFIG_PRE_PCI=y"])


if __name__ == "__main__":
    unittest.main()
