# SPDX-License-Identifier: BSD-3-Clause
"""Processors with more and with less: what is missing is reported, and everything works."""

import re

from misc.run.session import Session
from tests.run.target import TargetTest

BROKEN = r"halted|panic|exception \d+ error|triple-faulted"

# Bochs's models with VMX, EPT and unrestricted guest, and some of what each lacks.
MODELS = {
    "corei5_arrandale_m520": {"smep", "1gpage", "x2apic", "tscdeadline", "xsave", "ept1g",
                              "apicregs", "vid", "posted", "invpcid"},
    "corei7_sandy_bridge_2600k": {"smep", "x2apic", "xsaves", "x2apicvirt", "apicregs"},
    "corei7_ivy_bridge_3770k": {"smap", "1gpage", "ept1g", "invpcid"},
    "corei7_haswell_4770": {"smap", "xsaves", "posted", "tscscaling"},
    "broadwell_ult": {"xsaves", "posted", "tscscaling"},
    "corei3_cnl": {"apicregs", "vid", "posted"},
    "corei7_skylake_x": set(),
    "corei7_icelake_u": set(),
    "tigerlake": set(),
    "sapphire_rapids": set(),
    "arrow_lake": set(),
}

# What of the features in a hide= list a guest is shown.
SHOWN = {"rdtscp", "invpcid", "xsave", "xsaves", "pcid"}

# What goes with a feature, since it needs it.
DEPENDENT = {
    "ept2m": {"ept1g"},
    "vpid": {"pcid"},
    "xsave": {"xsaves"},
    "tprshadow": {"apicaccess", "x2apicvirt", "apicregs", "vid", "posted"},
    "x2apicvirt": {"vid", "posted"},
    "apicregs": {"vid", "posted"},
    "vid": {"posted"},
}


class CpuFeatures(TargetTest):
    """A guest that uses what CPUID shows, with all of APICv."""

    LIMIT = 240

    def run_features(self, hide: str = "", line: str = "^features start",
                     **machine_options: object) -> set[str]:
        """Boots the features guest to its end; the features that the boot report misses."""
        session = self.boot_guest("features", f"quirks=off hide={hide}",
                                  **machine_options)  # type: ignore
        session.expect(line, 60, BROKEN)
        session.expect("^features done, 0 wrong", 60, BROKEN)
        session.wait_end(60)
        for name in SHOWN & set(hide.split(",")):
            self.assertIn(f" {name}=0", session.text)
        return set(re.findall(r"^boot: no (\w+): ", session.text, re.MULTILINE))

    def test_models(self) -> None:
        # Does each model work, and is what it lacks in the boot report?
        for model, lacks in MODELS.items():
            with self.subTest(model):
                missing = self.run_features(model=model)
                self.assertLessEqual(lacks, missing)
                if not lacks:
                    self.assertEqual(missing, set())

    def test_hidden(self) -> None:
        # Does the machine with everything work without one thing, and is that the one reported?
        for hide in ("nx,tscdeadline", "smep,smap", "apicaccess", "1gpage", "preemption", "x2apic",
                     "invtsc", "x2apicvirt", "xsave", "xsaves", "vid", "pcid", "apicregs",
                     "ept2m", "ept1g", "posted", "vpid", "tprshadow", "pause,rdtscp", "invpcid",
                     "tscscaling", "x2apic,tscdeadline"):
            with self.subTest(hide):
                names = set(hide.split(","))
                expected = names.union(*(DEPENDENT.get(name, set()) for name in names))
                self.assertEqual(self.run_features(hide), expected)

    def test_two_cpus(self) -> None:
        # Do interrupts reach another processor: posted, by the kick, and through the xAPIC?
        for hide in ("", "posted", "x2apic,vid"):
            with self.subTest(hide):
                self.run_features(hide, "^features: two processors", cpus=2)

    def test_quirks(self) -> None:
        # And with the ways round Bochs's defects, as a user has it there?
        session = self.boot_guest("features")
        session.expect("boot: Bochs: virtual-interrupt delivery", 60, BROKEN)
        session.expect("^features done, 0 wrong", 60, BROKEN)
        session.wait_end(60)


class Refused(TargetTest):
    """Processors that cannot run guests: one line that says why, one that says what comes of it."""

    LIMIT = 180

    def refusal(self, why: str, hide: str = "", **machine_options: object) -> Session:
        """Boots until the refusal; nothing may come after it."""
        session = self.boot_guest("features", f"hide={hide}", **machine_options)  # type: ignore
        session.expect(why, 60, r"features start")
        with self.assertRaises(Exception):
            session.expect(".", 1)
        session.close_machine()
        return session

    def test_models(self) -> None:
        # What does a person see on a processor that lacks something essential?
        halted = "\nACRN: this machine cannot run a hypervisor; halted"
        for model, why in (("core2_penryn_t9600", f"^cpu: no EPT .*{halted}"),
                           ("corei5_lynnfield_750", f"^cpu: no unrestricted: .*{halted}"),
                           ("p4_prescott_celeron_336", f"^cpu: no VMX: .*{halted}"),
                           ("ryzen", f"^cpu: no VMX: .*{halted}"),
                           ("pentium", "^ACRN: this CPU has no 64-bit mode; halted")):
            with self.subTest(model):
                self.refusal(why, model=model)
        with self.subTest("hidden"):
            self.refusal(f"^cpu: no unrestricted: .*{halted}", "unrestricted")
