#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does every kind of mistake cost one line with the right file, line and advice?"""

import unittest

import support

SHARED = support.SHARED.read_text()
BOARD = support.BOARD.read_text()


def line_of(text: str, part: str) -> int:
    return text[:text.index(part)].count("\n") + 1


def vm(vm_id: int, name: str, load_order: str = "POST_LAUNCHED_VM", more: str = "") -> str:
    return (f'<vm id="{vm_id}"><load_order>{load_order}</load_order><name>{name}</name>'
            f"{more}</vm>\n</acrn-config>")


def pcpu(*numbers: int) -> str:
    each = "".join(f"<pcpu><pcpu_id>{number}</pcpu_id></pcpu>" for number in numbers)
    return f"<cpu_affinity>{each}</cpu_affinity>"


def connection(*ends: tuple[str, str]) -> str:
    endpoints = "".join(f"<endpoint><vm_name>{name}</vm_name><io_port>{port}</io_port></endpoint>"
                        for name, port in ends)
    return f"<vuart_connections><vuart_connection>{endpoints}</vuart_connection></vuart_connections></hv>"


def region(name: str, size: str, *vms: str) -> str:
    inside = "".join(f"<IVSHMEM_VM><VM_NAME>{vm_name}</VM_NAME></IVSHMEM_VM>" for vm_name in vms)
    return (f"<IVSHMEM>\n<IVSHMEM_REGION><NAME>{name}</NAME>\n<IVSHMEM_SIZE>{size}</IVSHMEM_SIZE>"
            f"\n<IVSHMEM_VMS>{inside}</IVSHMEM_VMS></IVSHMEM_REGION></IVSHMEM></FEATURES>")


END = "</acrn-config>"
KERNEL = "<os_config><kern_mod>k</kern_mod></os_config>"
MEMORY = ("<memory><hpa_region><start_hpa>{}</start_hpa><size_hpa>64</size_hpa></hpa_region>"
          "</memory>")

# (what is replaced, by what, the text on the line that is blamed, what is said)
SCENARIO_MISTAKES = (
    ("<name>vm1</name>", "<name>a_name_of_16_chr</name>", "a_name_of_16_chr",
     "not 1 to 15 letters, digits, dots, dashes or underscores; write <name>vm1</name>"),
    ("<name>vm1</name>", "<name/>", "<name/>", 'is "", not 1 to 15'),
    ("<name>vm1</name>", "", '<vm id="1">', "<vm> lacks <name>; write <name>vm1</name> in it"),
    ("<name>vm1</name>", "<name>ACRN_Service_VM</name>", "<name>ACRN_Service_VM</name>\n    <con",
     "a second VM has the name ACRN_Service_VM; write <name>vm1</name>"),
    ("<name>vm1</name>", "<name>vm1</name><name>vm2</name>", "<name>vm2</name>",
     "<name> is there too often in <vm>"),
    ('<vm id="1">', '<vm id="0">', '<vm id="0">\n    <load_order>POST',
     'VM id 0 is not 1: ids count up from 0; write <vm id="1">'),
    ('<vm id="1">', '<vm id="3">', '<vm id="3">', 'write <vm id="1">'),
    ('<vm id="1">', "<vm>", "<vm>", '<vm> lacks the attribute "id"'),
    ('<vm id="1">', '<vm id="one">', '<vm id="one">', 'attribute id="one" is not a decimal'),
    ('<vm id="1">', '<vm id="1" color="red">', "color", 'attribute "color" of <vm> is unknown'),
    ("POST_LAUNCHED_VM", "SERVICE_VM", "<load_order>SERVICE_VM</load_order>\n    <vm_type>"
     "STANDARD_VM</vm_type>\n    <name>vm1", "vm1 is a second Service VM beside ACRN_Service_VM"),
    ("POST_LAUNCHED_VM", "LAUNCHED", ">LAUNCHED<",
     "not one of PRE_LAUNCHED_VM, SERVICE_VM, POST_LAUNCHED_VM"),
    ("<load_order>SERVICE_VM", "<load_order>POST_LAUNCHED_VM", "<load_order>POST_LAUNCHED_VM",
     "there is no Service VM to launch it"),
    (END, vm(2, "p", "PRE_LAUNCHED_VM", pcpu(1) + KERNEL + MEMORY.format("0x10000000")),
     '<vm id="2">', "PRE_LAUNCHED_VM p follows a POST_LAUNCHED_VM"),
    (END, vm(2, "a", more=pcpu(4)), "<pcpu_id>4",
     "board bochs has no processor 4; write <pcpu_id>N</pcpu_id> with N from 0 to 3"),
    (END, vm(2, "a", more=pcpu(1).replace("</cpu_affinity>",
                                          "<pcpu><pcpu_id>1</pcpu_id></pcpu></cpu_affinity>")),
     "<pcpu_id>1", "a names processor 1 twice"),
    (END, vm(2, "a", more=pcpu(1) + "<own_pcpu>y</own_pcpu>").replace(
        END, vm(3, "b", more=pcpu(1))), '<vm id="3">', "processor 1 of b belongs to a alone"),
    (END, vm(2, "a", more=pcpu(1) + "<own_pcpu>y</own_pcpu>").replace(
        END, vm(3, "b", more=pcpu(1) + "<own_pcpu>y</own_pcpu>")), '<vm id="3">',
     "processor 1 of b belongs to a alone"),
    (END, vm(2, "a", more=pcpu(1) + "<lapic_passthrough>y</lapic_passthrough>").replace(
        END, vm(3, "b", more=pcpu(1))), '<vm id="3">', "processor 1 of b belongs to a alone"),
    (END, vm(2, "a", more=pcpu(1, 2, 3) + "<own_pcpu>y</own_pcpu>").replace(
        END, vm(3, "b", more=pcpu(0) + "<own_pcpu>y</own_pcpu>")), '<vm id="0">',
     "no processor is left for ACRN_Service_VM"),
    (END, vm(2, "a", more="<own_pcpu>y</own_pcpu>"), '<vm id="2">',
     "a owns its processors, but names none"),
    ("Linux_bzImage", "x" * 32, "x" * 32,
     "not one word of at most 31 printable ASCII characters; write <kern_mod>Linux_bzImage"),
    ("Linux_bzImage", "two words", "two words", "not one word"),
    ("<kern_mod>Linux_bzImage</kern_mod>", "", "<os_config>", "ACRN_Service_VM has no kernel"),
    ("KERNEL_BZIMAGE", "KERNEL_ZEPHYR", "KERNEL_ZEPHYR",
     "not one of KERNEL_BZIMAGE, KERNEL_RAWIMAGE, KERNEL_ELF"),
    ("KERNEL_BZIMAGE", "KERNEL_RAWIMAGE", "<kern_type>",
     "the Service VM's kernel is not a bzImage; write <kern_type>KERNEL_BZIMAGE</kern_type>"),
    ("console=ttyS0", "a" * 2048, "<bootargs>", "at most 2047 printable ASCII"),
    ("console=ttyS0", "caf\u00e9", "<bootargs>", "printable ASCII"),
    ("COM Port 1", "COM1", ">COM1<", "not None, or COM Port 1, 2, 3 or 4; "
     "write <console_vuart>COM Port 1</console_vuart>"),
    ("</hv>", connection(("ACRN_Service_VM", "0x3F8"), ("vm1", "0x2F8")), "<io_port>",
     "ACRN_Service_VM has a serial port at 0x3f8 already; write <io_port>0x2f8</io_port>"),
    ("</hv>", connection(("ACRN_Service_VM", "0x2F8"), ("vm1", "0x1234")), "<io_port>",
     "0x1234 is not the port of COM1 to COM4; write <io_port>0x3f8</io_port>"),
    ("</hv>", connection(("ACRN_Service_VM", "0x2F8"), ("vm7", "0x2F8")), "<io_port>",
     "there is no VM vm7; write one of <vm_name>ACRN_Service_VM</vm_name>"),
    ("</hv>", connection(("ACRN_Service_VM", "0x2F8"), ("vm1", "0x2F8")).replace(
        "<io_port>0x2F8</io_port></endpoint></vuart_connection>", "</endpoint></vuart_connection>"),
     "<endpoint>", "an end of a legacy connection has no port; write <io_port>0x2f8</io_port>"),
    ("</hv>", connection(("ACRN_Service_VM", "0x2F8"), ("vm1", "0x2F8")).replace(
        "<vuart_connection>", "<vuart_connection><type>usb</type>"), "<type>",
     "not legacy or pci; write <type>legacy</type>"),
    ("</hv>", connection(("ACRN_Service_VM", "0"), ("vm1", "0")).replace(
        "<vuart_connection>", "<vuart_connection><type>pci</type>").replace(
        "</vuart_connections>", "<vuart_connection><type>pci</type><endpoint><vm_name>"
        "ACRN_Service_VM</vm_name></endpoint><endpoint><vm_name>vm1</vm_name></endpoint>"
        "</vuart_connection>" * 8 + "</vuart_connections>"), "<vuart_connection>",
     "vm1 has more than 8 serial ports; write fewer connections"),
    ("</hv>", connection(("vm1", "0x2F8"), ("vm1", "0x3F8")), "<io_port>",
     "both ends of a connection are vm1"),
    ("</hv>", connection(("vm1", "0x2F8")), "<vuart_connection>",
     "<vuart_connection> lacks <endpoint>"),
    ("/dev/ttyS0", "/dev/ttyS7", "/dev/ttyS7",
     "board bochs has no serial port /dev/ttyS7; write <SERIAL_CONSOLE>X</SERIAL_CONSOLE> "
     "with X of /dev/ttyS0, None"),
    ("SCHED_BVT", "SCHED_CFS", "SCHED_CFS",
     "not SCHED_BVT, SCHED_PRIO, SCHED_IORR or SCHED_NOOP"),
    ("<MAX_VM_NUM>16", "<MAX_VM_NUM>65", "<MAX_VM_NUM>65",
     "MAX_VM_NUM 65 is out of range; write a value from 1 to 64"),
    ("<MAX_VM_NUM>16", "<MAX_VM_NUM>1", '<vm id="1">',
     "the scenario has 2 VMs, MAX_VM_NUM is 1; write <MAX_VM_NUM>2</MAX_VM_NUM>"),
    ("<MAX_VM_NUM>16", "<MAX_VM_NUM>many", "many", 'is "many", not a decimal number'),
    ("<MAX_IOAPIC_NUM>", "<MAX_IOAPICS>", "<MAX_IOAPICS>", "is not well-formed XML"),
    ("HV_RAM_START>", "HV_RAMSTART>", "<HV_RAMSTART>",
     "<HV_RAMSTART> is unknown in <MEMORY>; write <HV_RAM_START>"),
    (">0x400000<", ">0x500000<", "<HV_RAM_START>",
     "HV_RAM_START 0x500000 is not 2 MB aligned RAM; write <HV_RAM_START>0x400000"),
    (">0x400000<", ">0x40000000<", "<HV_RAM_START>", "is not 2 MB aligned RAM"),
    ("</FEATURES>", "<VUART_RX_BUF_SIZE>1</VUART_RX_BUF_SIZE></FEATURES>", "<VUART_RX_BUF_SIZE>",
     "VUART_RX_BUF 1 is out of range; write a value from 16 to 65536"),
    ("<name>vm1</name>", "<name>vm1</name><bvt_weight>0</bvt_weight>", "<bvt_weight>",
     "BVT weight 0 of vm1 is not 1 to 128"),
    ("</FEATURES>", region("a", "3", "vm1", "ACRN_Service_VM"), "<IVSHMEM_SIZE>",
     "3 MB is not a power of two from 2 to 512; write <IVSHMEM_SIZE>2</IVSHMEM_SIZE>"),
    ("</FEATURES>", region("a", "1024", "vm1", "ACRN_Service_VM"), "<IVSHMEM_SIZE>",
     "1024 MB is not a power of two"),
    ("</FEATURES>", region("a", "2", "vm1", "vm7"), "<VM_NAME>",
     "there is no VM vm7; write one of <VM_NAME>ACRN_Service_VM</VM_NAME>, <VM_NAME>vm1"),
    ("</FEATURES>", region("a", "2", "vm1"), "<IVSHMEM_VMS>", "region a is of one VM alone"),
    ("</FEATURES>", region("a", "2", "vm1", "vm1"), "<VM_NAME>", "region a names vm1 twice"),
    ("</FEATURES>", region("a", "2", "vm1", "ACRN_Service_VM").replace(
        "</IVSHMEM>", "<IVSHMEM_REGION><NAME>hv:/a</NAME><IVSHMEM_SIZE>2</IVSHMEM_SIZE><IVSHMEM_VMS>"
        "<IVSHMEM_VM><VM_NAME>vm1</VM_NAME></IVSHMEM_VM><IVSHMEM_VM><VM_NAME>ACRN_Service_VM"
        "</VM_NAME></IVSHMEM_VM></IVSHMEM_VMS></IVSHMEM_REGION></IVSHMEM>"), "<NAME>hv:/a",
     "a second region has the name a; write <NAME>shm_region_1</NAME>"),
    ("</FEATURES>", region("a b", "2", "vm1", "ACRN_Service_VM"), "<NAME>a b",
     "is \"a b\", not 1 to 27 letters"),
    ("</FEATURES>", region("a", "2", "vm1", "ACRN_Service_VM").replace(
        "</VM_NAME>", "</VM_NAME><VBDF>01:00.0</VBDF>"), "<VBDF>",
     "not a function of bus 0, or nothing; write <VBDF>00:09.0</VBDF>"),
    ("</FEATURES>", region("a", "2").replace("<IVSHMEM_VMS></IVSHMEM_VMS>", "<IVSHMEM_VMS/>"),
     "<IVSHMEM_VMS/>", "<IVSHMEM_VMS> lacks <IVSHMEM_VM>"),
    ("<BUILD_TYPE>debug", "<BUILD_TYPE>fast", "fast", "not debug or release"),
    ("<hv>", "<hv>text", "<hv>", '<hv> holds the text "text"'),
    ("<BUILD_TYPE>debug", "<BUILD_TYPE><b/>", "<BUILD_TYPE>", "<BUILD_TYPE> holds other elements"),
    ("<acrn-config ", '<!DOCTYPE a [<!ENTITY b "c">]><acrn-config ', "<?xml",
     "a DOCTYPE has no place here"),
    ("acrn-config", "config", "<config", "<config> is not a board or scenario"),
)

PRE_LAUNCHED_MISTAKES = (
    (MEMORY.format("0x10000000"), "", "pre-launched VM p has no memory"),
    (KERNEL, "", "p has no kernel"),
    ("<kern_mod>", "<kern_type>KERNEL_RAWIMAGE</kern_type><kern_mod>", "no load or entry address"),
    ("0x10000000", "0x10001000", "is not aligned to 2 MB; write <start_hpa>0x10000000</start_hpa>"),
    ("0x10000000", "0x1fe00000", "is not all RAM on board bochs; write a part of 0x0-0x9efff, "
     "0x100000-0x1ffeffff"),
    ("<size_hpa>64", "<size_hpa>63", "63 MB of p are not a multiple of 2; write <size_hpa>64</"),
    ("<size_hpa>64", "<size_hpa>0", "0 MB of p are not a multiple of 2; write <size_hpa>2</"),
    ("<size_hpa>64", "<size_hpa>9999999998", "9999999998 MB of p are more than processors can"),
    ("<size_hpa>64", "<size_hpa>800000000", "is not all RAM on board bochs"),
    (MEMORY.format("0x10000000"), "<memory><size>31</size></memory>", "write <size>32</size>"),
    ("</memory>", "<hpa_region><start_hpa>0x12000000</start_hpa><size_hpa>2</size_hpa></hpa_region>"
     "</memory>", "memory of p overlaps another region of it; write <start_hpa>0x14000000</"),
    ("</memory>", "<hpa_region><start_hpa>0</start_hpa><size_hpa>2</size_hpa></hpa_region>" * 8
     + "</memory>", "<hpa_region> is there too often in <memory>"),
    ("<size_hpa>64</size_hpa>", "", "<hpa_region> lacks <size_hpa>"),
    (pcpu(1), "", "p owns its processors, but names none"),
)

BOARD_MISTAKES = (
    ("type:portio base:0x3F8", "type:port base:0x3F8", "<TTYS_INFO>",
     'says "seri:/dev/ttyS0 type:port base:0x3F8 irq:4", which is no serial port; '
     "write seri:/dev/ttyS0 type:portio base:0x3F8 irq:4"),
    ("base:0x3F8", "base:0x10000", "<TTYS_INFO>", "which is no serial port"),
    ("<cpu_id>1<", "<cpu_id>2<", "<processors>", "do not count from 0 without a gap"),
    ("<cpu_id>1<", "<cpu_id>x<", "<cpu_id>x", 'is "x", not a decimal number'),
    ('end="0x1ffeffff"', 'end="0x10"', 'end="0x10"', "ends (0x10) before it starts (0x100000)"),
    ('board="bochs"', 'board="a b"', "<acrn-config", "is not 1 to 63 letters"),
    ('board="bochs"', "", "<acrn-config", '<acrn-config> lacks the attribute "board"'),
)

CONFIG_MISTAKES = (
    ("CONFIG_MAX_VM_NUM=900", "MAX_VM_NUM 900 is out of range; write a value from 1 to 64"),
    ("CONFIG_NO_SUCH=y", "NO_SUCH"),
    ("CONFIG_MAX_VM_NUM=x", "MAX_VM_NUM"),
    ("CONFIG_SERVICE_VM=n", "CONFIG_SERVICE_VM is off, but the scenario has a Service VM; "
     "write CONFIG_SERVICE_VM=y"),
    ("nonsense", "nonsense"),
)


class WrongFiles(unittest.TestCase):
    def expect(self, found: list[str], file: str, line: int, said: str) -> None:
        self.assertTrue(any(p.startswith(f"{file}:{line}: ") and said in p for p in found),
                        f"wanted {file}:{line}: ...{said}, got {found}")

    def test_scenario(self) -> None:
        for old, new, blamed, said in SCENARIO_MISTAKES:
            with self.subTest(said=said):
                self.assertIn(old, SHARED)
                text = SHARED.replace(old, new)
                self.expect(support.problems(scenario=text), "scenario.xml",
                            line_of(text, blamed), said)

    def test_processor_named_by_two_vms(self) -> None:
        """Only where no processor is shared is it a mistake."""
        text = SHARED.replace("<console_vuart>", pcpu(1) + "\n<console_vuart>")
        blamed = text.rindex("<pcpu_id>")
        line = text[:blamed].count("\n") + 1
        for scheduler in ("SCHED_BVT", "SCHED_PRIO", "SCHED_IORR"):
            self.assertEqual(support.problems(scenario=text.replace("SCHED_BVT", scheduler)), [])
        for files in ({"scenario": text.replace("SCHED_BVT", "SCHED_NOOP")},
                      {"scenario": text, "config": "CONFIG_SCHED_NOOP=y\n"}):
            self.expect(support.problems(**files), "scenario.xml", line,
                        "processor 1 of vm1 is ACRN_Service_VM's too, and SCHED_NOOP shares none")

    def test_pre_launched_vm(self) -> None:
        right = ("<acrn-config><hv/>\n"
                 + vm(0, "p", "PRE_LAUNCHED_VM", pcpu(1) + KERNEL + MEMORY.format("0x10000000")))
        self.assertEqual(support.problems(scenario=right), [])
        for old, new, said in PRE_LAUNCHED_MISTAKES:
            with self.subTest(said=said):
                self.expect(support.problems(scenario=right.replace(old, new)), "scenario.xml",
                            2, said)

    def test_memory_of_two_vms_overlaps(self) -> None:
        text = "<acrn-config><hv/>\n" + vm(
            0, "p", "PRE_LAUNCHED_VM", pcpu(0) + KERNEL + MEMORY.format("0x10000000")
        ).replace(END, vm(1, "q", "PRE_LAUNCHED_VM",
                          pcpu(1) + KERNEL + MEMORY.format("0x12000000")))
        self.expect(support.problems(scenario=text), "scenario.xml", 3,
                    "memory of q overlaps that of p; write <start_hpa>0x14000000</start_hpa>")

    def test_board(self) -> None:
        for old, new, blamed, said in BOARD_MISTAKES:
            with self.subTest(said=said):
                self.assertIn(old, BOARD)
                text = BOARD.replace(old, new)
                self.expect(support.problems(board=text), "board.xml", line_of(text, blamed), said)

    def test_limits_below_what_the_board_has(self) -> None:
        board = BOARD.replace("<gsi_number>24", "<gsi_number>150")
        self.expect(support.problems(board=board), "scenario.xml",
                    line_of(SHARED, "<MAX_IOAPIC_LINES>"),
                    "an I/O APIC of board bochs has 150 lines; write MAX_IOAPIC_LINES 150")
        ioapic = BOARD[BOARD.index("<ioapic "):BOARD.index("</ioapics>")]
        self.expect(support.problems(board=BOARD.replace("</ioapics>", ioapic + "</ioapics>")),
                    "scenario.xml", line_of(SHARED, "<MAX_IOAPIC_NUM>"),
                    "board bochs has 2 I/O APICs; write MAX_IOAPIC_NUM 2")

    def test_config(self) -> None:
        for line, said in CONFIG_MISTAKES:
            with self.subTest(line=line):
                self.expect(support.problems(config=f"# first\n{line}\n"), ".config", 2, said)

    def test_several_mistakes_are_told_at_once(self) -> None:
        text = SHARED.replace("SCHED_BVT", "X").replace("<name>vm1</name>", "<name>a b</name>")
        self.assertEqual(len(support.problems(scenario=text)), 2)


if __name__ == "__main__":
    unittest.main()
