// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shell commands about the machine's processors: CPUID, MSRs, the end of it all. An MSR that does
 * not exist, or a value it does not take, is a #GP that is expected here (asm/insn.h). Registers
 * that the hypervisor itself stands on are not written. Called by shell.c.
 */
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/vpower.h"
#include "lib/errno.h"
#include "lib/string.h"

static int cpuid(uint32_t argc, char **argv)
{
	uint64_t leaf, sub = 0U;
	uint32_t r[4];

	if (argc < 2U || argc > 3U || !shell_hex(argv[1], UINT32_MAX, &leaf) ||
	    (argc == 3U && !shell_hex(argv[2], UINT32_MAX, &sub))) {
		return -EINVAL;
	}
	cpuid_count((uint32_t)leaf, (uint32_t)sub, r);
	shell_print("cpuid leaf: 0x%lx, subleaf: 0x%lx, 0x%08x:0x%08x:0x%08x:0x%08x", leaf, sub,
		    r[0], r[1], r[2], r[3]);
	return 0;
}
SHELL_CMD("cpuid", "<leaf [subleaf]>", "EAX:EBX:ECX:EDX of the processor", cpuid);

static int reboot(uint32_t argc, char **argv)
{
	(void)argv;
	if (argc == 1U) {
		vpower_reset_machine("the shell", NULL);
	}
	return -EINVAL;
}
SHELL_CMD("reboot", "", "reset the machine, at once", reboot);

struct msr_access {
	uint32_t msr;
	bool write, ok;
	uint64_t val;
	struct pcpu *cpu;
};

/* What the hypervisor runs on, first and last: a value from outside would end it, not the guest. */
static const uint32_t kept[][2] = {
	{MSR_APIC_BASE, MSR_APIC_BASE},
	{MSR_PAT, MSR_PAT},
	{MSR_TSC_DEADLINE, MSR_TSC_DEADLINE},
	{MSR_EFER, MSR_EFER},
	{MSR_GS_BASE, MSR_GS_BASE},
	{MSR_X2APIC_FIRST, MSR_X2APIC_FIRST + 0xFFU},
};

static void access(void *arg)
{
	struct msr_access *a = arg;

	a->ok = a->write ? msr_write_safe(a->msr, a->val) : msr_read_safe(a->msr, &a->val);
}

/* "-p 1" and "-p1" name a CPU, else it is the shell's; `rest` gets the words behind. */
static bool parse(struct msr_access *a, uint32_t argc, char **argv, char ***rest, uint32_t wanted)
{
	uint32_t at = 1U;
	uint64_t cpu, msr;

	a->cpu = this_pcpu();
	if (argc > 1U && strncmp(argv[1], "-p", 2U) == 0) {
		const char *text = &argv[1][2];

		at = 2U;
		if (*text == '\0') {
			text = (argc > 2U) ? argv[2] : "";
			at = 3U;
		}
		if (!shell_number(text, UINT16_MAX, &cpu) || cpu >= pcpu_count) {
			return false;
		}
		a->cpu = &pcpus[cpu];
	}
	if (argc != at + wanted || !shell_hex(argv[at], UINT32_MAX, &msr)) {
		return false;
	}
	a->msr = (uint32_t)msr;
	*rest = &argv[at + 1U];
	return true;
}

static int rdmsr(uint32_t argc, char **argv)
{
	struct msr_access a = {.write = false};
	char **rest;

	if (!parse(&a, argc, argv, &rest, 1U)) {
		return -EINVAL;
	}
	smp_call(a.cpu, access, &a);
	if (a.ok) {
		shell_print("rdmsr(0x%x): 0x%lx", a.msr, a.val);
	} else {
		shell_print("CPU %u has no MSR 0x%x", a.cpu->id, a.msr);
	}
	return 0;
}
SHELL_CMD("rdmsr", "[-p <cpu>] <msr>", "read an MSR of a processor", rdmsr);

static int wrmsr(uint32_t argc, char **argv)
{
	struct msr_access a = {.write = true};
	char **rest;

	if (!parse(&a, argc, argv, &rest, 2U) || !shell_hex(rest[0], UINT64_MAX, &a.val)) {
		return -EINVAL;
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(kept); i++) {
		if (a.msr >= kept[i][0] && a.msr <= kept[i][1]) {
			shell_print("the hypervisor itself depends on MSR 0x%x: not written",
				    a.msr);
			return 0;
		}
	}
	smp_call(a.cpu, access, &a);
	if (a.ok) {
		shell_print("wrmsr(0x%x): 0x%lx", a.msr, a.val);
	} else {
		shell_print("CPU %u does not take 0x%lx in MSR 0x%x", a.cpu->id, a.val, a.msr);
	}
	return 0;
}
SHELL_CMD("wrmsr", "[-p <cpu>] <msr> <value>", "write an MSR of a processor", wrmsr);
