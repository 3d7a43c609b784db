#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Do right configurations give the right tables, and do these compile?"""

import os
import re
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock
from pathlib import Path

import support

SHARED = support.SHARED.read_text()

PARTITIONED = """<acrn-config><hv/>
<vm id="0"><load_order>PRE_LAUNCHED_VM</load_order><vm_type>RTVM</vm_type><name>rt</name>
  <lapic_passthrough>y</lapic_passthrough>
  <cpu_affinity><pcpu><pcpu_id>1</pcpu_id></pcpu></cpu_affinity>
  <memory><hpa_region><start_hpa>0x10000000</start_hpa><size_hpa>64</size_hpa></hpa_region></memory>
  <os_config><kern_type>KERNEL_RAWIMAGE</kern_type><kern_mod>rt</kern_mod>
    <kern_load_addr>0x8000</kern_load_addr><kern_entry_addr>0x8010</kern_entry_addr></os_config>
</vm></acrn-config>"""


def value(config_h: str, name: str) -> str | None:
    for line in config_h.splitlines():
        words = line.split()
        if words[:2] == ["#define", f"CONFIG_{name}"]:
            return words[2]
    return None


class Tables(unittest.TestCase):
    def test_shared_scenario_of_the_tree(self) -> None:
        files = support.run_text()
        table = files["vm_config.c"]
        for text in ('.name = "ACRN_Service_VM"', '.kernel_tag = "Linux_bzImage"',
                     '.ramdisk_tag = "Ramdisk_mod"', '.name = "vm1"', "vm_config_count = 2U",
                     ".load_order = SERVICE_VM", ".load_order = POST_LAUNCHED_VM",
                     ".type = SERIAL_PIO, .base = 0x3f8UL, .irq = 4U",
                     ".port = 0x3f8U, .irq = 4U, .peer = VUART_PEER_CONSOLE"):
            self.assertIn(text, table)
        header = files["config.h"]
        for name, expected in (("SERVICE_VM", "1"), ("VAPIC", "1"), ("DEBUG", "1"),
                               ("SCHED_BVT", "1"), ("SCHED_NOOP", None), ("MAX_VM_NUM", "16"),
                               ("MAX_PCPU_NUM", "8"), ("CONSOLE_LOGLEVEL", "3"),
                               ("VUART_RX_BUF", "256"), ("VUART_TX_BUF", "8192"),
                               ("HV_RAM_START", "0x400000")):
            self.assertEqual(value(header, name), expected, name)
        self.assertIn("CONFIG_SERVICE_VM := y\n", files["config.mk"])
        self.assertIn("CONFIG_SCHED_NOOP :=\n", files["config.mk"])

    def test_vm_that_owns_its_lapic_needs_no_virtual_one(self) -> None:
        files = support.run_text(scenario=PARTITIONED)
        self.assertIsNone(value(files["config.h"], "SERVICE_VM"))
        self.assertIsNone(value(files["config.h"], "VAPIC"))
        for text in (".severity = SEVERITY_RTVM", ".cpu_affinity = 0x2UL",
                     "GUEST_FLAG_RT | GUEST_FLAG_LAPIC_PASSTHROUGH",
                     ".memory_size = 0x4000000UL",
                     "{ .start = 0x10000000UL, .size = 0x4000000UL },",
                     ".load_addr = 0x8000UL", ".entry_addr = 0x8010UL",
                     '.acpi_tag = "ACPI_VM0"', "{ .type = SERIAL_NONE }"):
            self.assertIn(text, files["vm_config.c"])

    def test_what_no_vm_of_the_scenario_uses_is_off(self) -> None:
        def switches(**texts: str | bool) -> list[str]:
            header = support.run_text(**texts)["config.h"]
            return [name for name in ("VUART", "VFUNC", "LAPIC_PT", "LOAD_ELF", "LOAD_RAW")
                    if value(header, name)]

        connected = (support.ROOT / "configs/scenarios/bochs/connected.xml").read_text()
        hybrid = (support.ROOT / "configs/scenarios/bochs/hybrid.xml").read_text()
        self.assertEqual(switches(), ["VUART", "VFUNC", "LAPIC_PT"])  # the console of a debug build
        self.assertEqual(switches(release=True), ["LAPIC_PT"])
        self.assertEqual(switches(scenario=connected, release=True), ["VUART", "VFUNC", "LAPIC_PT"])
        self.assertEqual(switches(scenario=hybrid, release=True), ["LAPIC_PT", "LOAD_ELF"])
        self.assertEqual(switches(scenario=PARTITIONED, release=True), ["LAPIC_PT", "LOAD_RAW"])
        self.assertEqual(switches(config="CONFIG_LOAD_ELF=y\n", release=True),
                         ["LAPIC_PT", "LOAD_ELF"])
        shares = (support.ROOT / "configs/scenarios/bochs/partitioned.xml").read_text()
        self.assertEqual(switches(scenario=shares, release=True), [])

    def test_switch_that_a_vm_needs_cannot_be_off(self) -> None:
        for scenario, name, why in (
            ("connected", "VUART", "the scenario has a <vuart_connection>"),
            ("hybrid", "LOAD_ELF", "a VM of the scenario is KERNEL_ELF"),
        ):
            text = (support.ROOT / f"configs/scenarios/bochs/{scenario}.xml").read_text()
            config = f"CONFIG_DEBUG=n\nCONFIG_{name}=n\n"
            self.assertEqual(support.problems(scenario=text, config=config),
                             [f".config:2: CONFIG_{name} is off, but {why}; write CONFIG_{name}=y"])

    def test_processor_owned_alone_is_taken_from_the_others(self) -> None:
        owner = ("<name>vm1</name><own_pcpu>y</own_pcpu><cpu_affinity><pcpu><pcpu_id>1</pcpu_id>"
                 "</pcpu></cpu_affinity>")
        table = support.run_text(scenario=SHARED.replace("<name>vm1</name>", owner))["vm_config.c"]
        service_vm, vm1 = table.split("[1] =")
        self.assertIn(".cpu_affinity = 0xfdUL", service_vm)
        self.assertIn(".cpu_affinity = 0x2UL", vm1)

    def test_both_ends_of_a_vuart_connection_name_each_other(self) -> None:
        connection = """<vuart_connections><vuart_connection><name>c</name><type>legacy</type>
            <endpoint><vm_name>ACRN_Service_VM</vm_name><io_port>0x2F8</io_port></endpoint>
            <endpoint><vm_name>vm1</vm_name><io_port>0x3E8</io_port></endpoint>
            </vuart_connection></vuart_connections></hv>"""
        table = support.run_text(scenario=SHARED.replace("</hv>", connection))["vm_config.c"]
        self.assertIn(".port = 0x2f8U, .irq = 3U, .peer = VUART_PEER_VM, .peer_vm = 1U, "
                      ".peer_index = 0U", table)
        self.assertIn(".port = 0x3e8U, .irq = 6U, .peer = VUART_PEER_VM, .peer_vm = 0U, "
                      ".peer_index = 1U", table)

    def test_pci_connections_count_per_vm(self) -> None:
        text = (support.ROOT / "configs/scenarios/bochs/connected.xml").read_text()
        ends = "".join(f"<endpoint><vm_name>{name}</vm_name></endpoint>" for name in ("vm2", "vm1"))
        text = text.replace("</vuart_connections>", "<vuart_connection><type>pci</type>" + ends
                            + "</vuart_connection></vuart_connections>")
        table = support.run_text(scenario=text)["vm_config.c"]
        service_vm, vm1, vm2 = (table.split(f"[{n}] =")[1].split("bvt_weight")[0]
                                for n in range(3))
        self.assertIn("VUART_PCI, .pci_index = 1U, .pci_bdf = 0x50U, .peer = VUART_PEER_VM, "
                      ".peer_vm = 1U, .peer_index = 1U", service_vm)
        self.assertIn(".pci_index = 2U, .pci_bdf = 0x0U, .peer = VUART_PEER_VM, .peer_vm = 2U, "
                      ".peer_index = 0U", vm1)
        self.assertIn(".pci_index = 1U, .pci_bdf = 0x0U, .peer = VUART_PEER_VM, .peer_vm = 1U, "
                      ".peer_index = 2U", vm2)

    def test_shared_memory_is_of_the_vms_it_names(self) -> None:
        text = (support.ROOT / "configs/scenarios/bochs/connected.xml").read_text()
        files = support.run_text(scenario=text)
        self.assertEqual(value(files["config.h"], "IVSHMEM"), "1")
        table = files["vm_config.c"]
        users = table.index('{ .name = "users", .size = 0x400000UL, .vms = 0x6UL, '
                            '.bdf = (const uint16_t[]){ 0x0U, 0x0U, 0x0U } }')
        everyone = table.index('{ .name = "all", .size = 0x200000UL, .vms = 0x7UL, '
                               '.bdf = (const uint16_t[]){ 0x48U, 0x0U, 0x0U } }')
        self.assertLess(users, everyone)  # the larger first
        self.assertIn("ivshmem_config_count = 2U", table)
        files = support.run_text(scenario=text.replace("Hypervisor<", "Device Model<"))
        self.assertIsNone(value(files["config.h"], "IVSHMEM"))
        self.assertIn("ivshmem_config_count = 0U", files["vm_config.c"])
        found = support.problems(scenario=text, config="CONFIG_IVSHMEM=n\n")
        self.assertEqual(found, [".config:1: CONFIG_IVSHMEM is off, but the scenario has an "
                                 "<IVSHMEM_REGION>; write CONFIG_IVSHMEM=y"])

    def test_classes_of_service(self) -> None:
        rdt = ("<RDT><RDT_ENABLED>y</RDT_ENABLED><CLOS_MASK>0xf0</CLOS_MASK>"
               "<CLOS_MASK>0xf</CLOS_MASK><MBA_DELAY>0</MBA_DELAY><MBA_DELAY>50</MBA_DELAY></RDT>")
        text = SHARED.replace("</FEATURES>", rdt + "</FEATURES>").replace(
            "<name>vm1", "<clos><vcpu_clos>1</vcpu_clos></clos><name>vm1")
        files = support.run_text(scenario=text)
        self.assertEqual(value(files["config.h"], "EXT_RDT"), "1")
        table = files["vm_config.c"]
        self.assertIn(".clos = (const uint8_t[]){ 0x1U },\n\t\t.clos_count = 1U", table)
        self.assertIn(".cdp = false,\n\t.mask_count = 2U,\n\t.delay_count = 2U,\n"
                      "\t.masks = (const uint32_t[]){ 0xf0U, 0xfU },\n"
                      "\t.delays = (const uint16_t[]){ 0x0U, 0x32U }", table)
        self.assertIsNone(value(support.run_text()["config.h"], "EXT_RDT"))
        for old, new, what in (
            ("0xf0", "0xf1", "0xf1 is not a row of bits without a gap"),
            ("0xf0", "0", "0x0 is not a row of bits without a gap"),
            (">50<", ">5000<", "5000 is no delay"),
            ("<vcpu_clos>1", "<vcpu_clos>2", "there is no class of service 2"),
            ("<CLOS_MASK>0xf</CLOS_MASK>", "<CDP_ENABLED>y</CDP_ENABLED>", "two masks"),
            ("<vcpu_clos>1</vcpu_clos>", "<vcpu_clos>1</vcpu_clos>" * 9, "fewer vCPUs"),
        ):
            self.assertIn(what, "".join(support.problems(scenario=text.replace(old, new))), new)

    def test_locks_of_guests(self) -> None:
        for name, fields in (("SPLIT_LOCK", ".split = true, .uncached = false"),
                             ("UC_LOCK", ".split = false, .uncached = true")):
            tag = f"{name}_DETECTION_ENABLED"
            files = support.run_text(scenario=SHARED.replace(
                "</FEATURES>", f"<{tag}>y</{tag}></FEATURES>"))
            self.assertEqual(value(files["config.h"], "EXT_LOCKS"), "1")
            self.assertIn(fields, files["vm_config.c"])
        self.assertIsNone(value(support.run_text()["config.h"], "EXT_LOCKS"))

    def test_quotes_in_boot_arguments_stay_inside_the_string(self) -> None:
        text = SHARED.replace("console=ttyS0", 'a="b c" d=\\ ??/')
        with tempfile.TemporaryDirectory() as name:
            scenario = Path(name) / "s.xml"
            scenario.write_text(text)
            out = Path(name) / "out"
            support.run(out, scenario=scenario)
            self.assertEqual(support.compile_c("gcc", out), "")
            self.assertIn(r'"a=\"b c\" d=\\ \?\?/"', (out / "vm_config.c").read_text())


class Precedence(unittest.TestCase):
    """.config before the scenario, the scenario before Kconfig, RELEASE before all."""

    def test_config_overrides_the_scenario(self) -> None:
        header = support.run_text(config="CONFIG_MAX_VM_NUM=5\nCONFIG_SCHED_NOOP=y\n")["config.h"]
        self.assertEqual(value(header, "MAX_VM_NUM"), "5")
        self.assertEqual(value(header, "SCHED_NOOP"), "1")
        self.assertIsNone(value(header, "SCHED_BVT"))
        self.assertIn("#define CONFIG_MAX_VM_NUM 5 /* .config */", header)
        self.assertIn("/* Kconfig */", header)

    def test_each_scheduler_and_a_priority(self) -> None:
        for name in ("SCHED_BVT", "SCHED_PRIO", "SCHED_IORR", "SCHED_NOOP"):
            files = support.run_text(scenario=SHARED.replace("SCHED_BVT", name).replace(
                "<name>vm1</name>", "<name>vm1</name><priority>PRIO_HIGH</priority>"))
            self.assertIn(f"CONFIG_{name} := y\n", files["config.mk"])
            self.assertEqual(files["config.mk"].count("CONFIG_SCHED_"), 4)
            self.assertEqual(files["config.mk"].count("CONFIG_SCHED_BVT := y"), name == "SCHED_BVT")
            self.assertIn(".priority = PRIO_LOW", files["vm_config.c"])
            self.assertIn(".priority = PRIO_HIGH", files["vm_config.c"])

    def test_release(self) -> None:
        self.assertIsNone(value(support.run_text(release=True)["config.h"], "DEBUG"))
        self.assertIsNone(value(support.run_text(
            release=True, config="CONFIG_DEBUG=y\n")["config.h"], "DEBUG"))
        text = SHARED.replace("<BUILD_TYPE>debug", "<BUILD_TYPE>release")
        self.assertIsNone(value(support.run_text(scenario=text)["config.h"], "DEBUG"))


class Menu(unittest.TestCase):
    """What does an edit leave in .config?  Only what the user changed."""

    def edit(self, old: str | None, symbol: str, new_value: str) -> str:
        import kconfig

        def choose(kconf: object) -> None:
            kconf.syms[symbol].set_value(new_value)  # type: ignore[attr-defined]
            kconf.write_config(str(config))  # type: ignore[attr-defined]

        with tempfile.TemporaryDirectory() as name:
            config = Path(name) / ".config"
            if old is not None:
                config.write_text(old)
            menu = types.SimpleNamespace(menuconfig=choose)
            with unittest.mock.patch.dict(sys.modules, {"menuconfig": menu}):
                kconfig.edit(config, support.SHARED)
            return "\n".join(config.read_text().splitlines()[1:])

    def test_one_change(self) -> None:
        self.assertEqual(self.edit(None, "MAX_PCPU_NUM", "4"), "CONFIG_MAX_PCPU_NUM=4")
        self.assertEqual(self.edit("CONFIG_MAX_PCPU_NUM=4\n", "MAX_VM_NUM", "5"),
                         "CONFIG_MAX_PCPU_NUM=4\nCONFIG_MAX_VM_NUM=5")

    def test_no_change(self) -> None:
        self.assertEqual(self.edit(None, "MAX_VM_NUM", "16"), "")
        self.assertEqual(self.edit("CONFIG_MAX_PCPU_NUM=4\n", "MAX_PCPU_NUM", "8"), "")


class Files(unittest.TestCase):
    def test_unchanged_files_keep_their_time(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            out = Path(name)
            support.run(out)
            for path in out.iterdir():
                os.utime(path, (1, 1))
            support.run(out)
            self.assertEqual({path.stat().st_mtime for path in out.iterdir()}, {1})
            support.run(out, release=True)
            self.assertGreater((out / "config.h").stat().st_mtime, 1)
            self.assertEqual((out / "vm_config.c").stat().st_mtime, 1)

    def test_moved_lines_change_nothing(self) -> None:
        """A comment added to a scenario must not rebuild the hypervisor."""
        moved = SHARED.replace("<hv>", "<!-- one -->\n\n<hv>")
        self.assertEqual(support.run_text(), support.run_text(scenario=moved))

    def test_generated_c_compiles_without_a_warning(self) -> None:
        for compiler in ("gcc", "clang"):
            with tempfile.TemporaryDirectory() as name:
                support.run(Path(name))
                self.assertEqual(support.compile_c(compiler, Path(name)), "")

    def test_command_line(self) -> None:
        """The program says what has no effect, and fails without a trace of Python."""
        program = str(support.ROOT / "misc/config/generate.py")
        with tempfile.TemporaryDirectory() as name:
            scenario = Path(name) / "s.xml"
            scenario.write_text(SHARED.replace("</FEATURES>",
                                               "<HYPERV_ENABLED>y</HYPERV_ENABLED></FEATURES>"))
            command = [program, "--board", str(support.BOARD), "--out", name + "/o", "--scenario"]
            result = subprocess.run([*command, str(scenario)], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(result.returncode, 0)
            self.assertIn("no effect yet", result.stderr)
            self.assertIn("<HYPERV_ENABLED> (", result.stderr)
            result = subprocess.run([*command, "/nowhere.xml"], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stderr.count("\n"), 1)
            self.assertIn("/nowhere.xml:1: cannot be read", result.stderr)


class Documents(unittest.TestCase):
    def test_every_element_with_an_effect_is_explained(self) -> None:
        schema = (support.ROOT / "misc/config/schema/scenario.xsd").read_text()
        document = (support.ROOT / "doc/configuration.md").read_text()
        groups = {"acrn-config", "hv", "DEBUG_OPTIONS", "FEATURES", "MEMORY", "CAPACITIES",
                  "MISC_CFG", "RDT", "epc_section", "mmio_resources"}
        declared = re.findall(r'<xs:element name="([\w-]+)"([^>]*)>', schema)
        names = {name for name, rest in declared if "cfg:ignored" not in rest} - groups
        self.assertEqual([n for n in sorted(names) if f"<{n}>" not in document], [])


@unittest.skipUnless(support.REFERENCE.is_dir(), "ACRN's own files are not here")
class FilesOfAcrn(unittest.TestCase):
    """Files of ACRN's users load as they are."""

    def test_version_3(self) -> None:
        for board, scenarios in (
            ("qemu", ("shared",)),
            ("cfl-k700-i7", ("shared", "hybrid", "hybrid_rt", "partitioned")),
        ):
            folder = support.REFERENCE / board
            for scenario in scenarios:
                with self.subTest(board=board, scenario=scenario), \
                        tempfile.TemporaryDirectory() as name:
                    files = support.run(Path(name), folder / f"{board}.xml",
                                        folder / f"{scenario}.xml")
                    self.assertEqual(support.compile_c("gcc", Path(name)), "")
                    self.assertEqual(scenario != "partitioned",
                                     value(files["config.h"], "SERVICE_VM") == "1")

    def test_version_2_is_named_as_such(self) -> None:
        folder = support.REFERENCE / "apl-up2-v2.0"
        for name in ("sdc", "hybrid", "industry", "logical_partition", "sdc_launch_1uos_laag"):
            with self.subTest(name=name):
                text = (folder / f"{name}.xml").read_text()
                found = support.problems(scenario=text)
                self.assertEqual(len(found), 1)
                self.assertIn("of ACRN 2.x", found[0])


if __name__ == "__main__":
    unittest.main()
